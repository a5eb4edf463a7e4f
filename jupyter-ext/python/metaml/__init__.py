"""MetaML inside Python: sweeps and servers from a notebook cell.

In a notebook, ``%load_ext metaml`` (our kernel does it by itself) gives the cell magics ``%%train`` and ``%%serve`` and
the line magic ``%metaml``. In a script, :class:`Train` and :class:`Serve` do the same as decorators. Inside a trial,
and outside one too, :func:`report`, :func:`output` and :func:`checkpoint` tell how it goes and where results belong,
:func:`trial`, :func:`attempt` and :func:`seed` which trial it is; in a server's code :func:`model` is the folder of a
trial's results.

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

    from metaml._errors import Detached, MetaMLError, Refused, RequestFailed, ServerFailed, TrialsFailed
    from metaml._held.lookup import run, runs
    from metaml._held.model import model
    from metaml._held.run import Run
    from metaml._held.server import Server
    from metaml._session.decorators import DataIn, DataOut, Serve, Train
    from metaml._session.magics import load_ipython_extension, unload_ipython_extension
    from metaml._trial.identity import attempt, seed, trial
    from metaml._trial.report import checkpoint, output, report
    from metaml._values.response import HTTPError, Response

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

#: The module of each public name.
_HOME = {
    "DataIn": "_session.decorators",
    "DataOut": "_session.decorators",
    "Serve": "_session.decorators",
    "Train": "_session.decorators",
    "Detached": "_errors",
    "HTTPError": "_values.response",
    "Response": "_values.response",
    "MetaMLError": "_errors",
    "Refused": "_errors",
    "RequestFailed": "_errors",
    "ServerFailed": "_errors",
    "TrialsFailed": "_errors",
    "load_ipython_extension": "_session.magics",
    "unload_ipython_extension": "_session.magics",
    "checkpoint": "_trial.report",
    "output": "_trial.report",
    "report": "_trial.report",
    "Run": "_held.run",
    "Server": "_held.server",
    "model": "_held.model",
    "run": "_held.lookup",
    "runs": "_held.lookup",
    "attempt": "_trial.identity",
    "seed": "_trial.identity",
    "trial": "_trial.identity",
}
#: Classes of what a Run or a Server gives. Nobody makes one, so they are not public, but a pickle names them.
_GIVEN = {
    "Comparison": "_held.compare",
    "Report": "_held.trial",
    "Trial": "_held.trial",
    "Worker": "_held.server",
}


def __getattr__(name: str) -> "Any":
    home = _HOME.get(name) or _GIVEN.get(name)
    if home is None:
        raise AttributeError(f"module 'metaml' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"metaml.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})
