"""Showing a run or a server again: the bundles come from `metaml`, as they do under the cell."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ._errors import MetaMLError
from ._submit import begin
from ._talk import connect

if TYPE_CHECKING:
    from ._run import Held

SECONDS = 0.5  # how long to look at a run that goes on


def renders() -> bool:
    """Whether a front end shows display bundles; a terminal does not."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


def show_run(run: Held) -> bool:
    """Display a run or a server as it is now. Returns whether there was anything to show."""
    bundles: dict[str, dict[str, Any]] = {}
    conversation = None
    try:
        conversation = connect(render=True, own_child=True)
        begin(conversation, "attach", run.name, cell={"seq": 0, "alone": False}, source=os.getcwd())
        conversation.send("bound")
        until = time.monotonic() + SECONDS
        with contextlib.suppress(TimeoutError):
            while (left := until - time.monotonic()) > 0:
                message = conversation.receive(left)
                if message.get("type") == "done":
                    break
                if isinstance(message.get("bundle"), dict):
                    bundles[str(message.get("display_id"))] = message
    except (MetaMLError, OSError):
        return False
    finally:
        if conversation is not None:
            conversation.close()
    if not bundles:
        return False
    from IPython.display import display

    for message in bundles.values():
        display(message["bundle"], raw=True, metadata=message.get("metadata") or {})
    return True
