"""Showing a run or a server again: the bundles come from `metaml`, as they do under the cell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ._errors import MetaMLError
from ._session import request
from ._submit import begin
from ._talk import connect

if TYPE_CHECKING:
    from ._run import Held


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def renders() -> bool:
    """Whether a front end shows display bundles; a terminal does not."""
    return getattr(_shell(), "kernel", None) is not None


def this_cell() -> object:
    """What tells the cell that is executed from every other; None outside IPython.

    It is the request's id: cells without history reuse the count, and a cell in a subshell may see another one raise it.
    """
    shell = _shell()
    if shell is None:
        return None
    return (request(shell).get("header") or {}).get("msg_id") or shell.execution_count


def show_run(run: Held) -> bool:
    """Display a run or a server as it is now. Returns whether there was anything to show."""
    bundles: list[dict[str, Any]] = []
    conversation = None
    try:
        conversation = connect(render=True, own_child=True)
        message = begin(conversation, "show", run.name, cell={"seq": 0, "alone": False}, source=os.getcwd())
        while message.get("type") != "done":
            if isinstance(message.get("bundle"), dict):
                bundles.append(message)
            message = conversation.receive()
    except (MetaMLError, OSError):
        return False
    finally:
        if conversation is not None:
            conversation.close()
    if not bundles:
        return False
    from IPython.display import display

    for message in bundles:
        display(message["bundle"], raw=True, metadata=message.get("metadata") or {})
    return True
