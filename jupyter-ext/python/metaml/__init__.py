"""MetaML inside Python: sweeps and servers from a notebook cell.

In a notebook, ``%load_ext metaml`` (our kernel does it by itself) gives the cell magics ``%%train`` and ``%%serve`` and the
line magic ``%metaml``. In a script, :class:`Train` and :class:`Serve` do the same as decorators. Inside a trial, and outside
one too, :func:`report`, :func:`output` and :func:`checkpoint` tell how it goes and where results belong, :func:`trial`,
:func:`attempt` and :func:`seed` which trial it is; in a server's code
:func:`model` is the folder of a trial's results.

Importing this costs almost nothing, since every trial does it: each public name is loaded when it is first used.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - a kernel may be given any Python
    raise ImportError("MetaML needs Python 3.10 or newer, and this is %d.%d" % sys.version_info[:2])  # noqa: UP031
if sys.platform == "win32":
    raise ImportError("MetaML does not run on Windows; use WSL")

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._decorators import DataIn, DataOut, Serve, Train
    from ._errors import Detached, MetaMLError, Refused, RequestFailed, ServerFailed, TrialsFailed
    from ._magic import load_ipython_extension, unload_ipython_extension
    from ._model import model
    from ._report import checkpoint, output, report
    from ._response import HTTPError, Response
    from ._run import Run, run, runs
    from ._server import Server
    from ._which import attempt, seed, trial

__all__ = [
    "DataIn",
    "DataOut",
    "Detached",
    "HTTPError",
    "MetaMLError",
    "Refused",
    "RequestFailed",
    "Response",
    "Run",
    "Serve",
    "Server",
    "ServerFailed",
    "Train",
    "TrialsFailed",
    "attempt",
    "checkpoint",
    "load_ipython_extension",
    "model",
    "output",
    "report",
    "run",
    "runs",
    "seed",
    "trial",
    "unload_ipython_extension",
]

_HOME = {
    "DataIn": "_decorators",
    "DataOut": "_decorators",
    "Serve": "_decorators",
    "Train": "_decorators",
    "Detached": "_errors",
    "HTTPError": "_response",
    "Response": "_response",
    "MetaMLError": "_errors",
    "Refused": "_errors",
    "RequestFailed": "_errors",
    "ServerFailed": "_errors",
    "TrialsFailed": "_errors",
    "load_ipython_extension": "_magic",
    "unload_ipython_extension": "_magic",
    "checkpoint": "_report",
    "output": "_report",
    "report": "_report",
    "Run": "_run",
    "Server": "_server",
    "model": "_model",
    "run": "_run",
    "runs": "_run",
    "attempt": "_which",
    "seed": "_which",
    "trial": "_which",
}


def __getattr__(name: str) -> "Any":
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'metaml' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"metaml.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
