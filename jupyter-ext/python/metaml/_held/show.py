"""Showing a run or a server again: the bundles come from `metaml`, as they do under the cell."""

from __future__ import annotations

import os
from typing import Any

from metaml._binary.begin import begin
from metaml._binary.cell import shell
from metaml._binary.talk import connect
from metaml._errors import MetaMLError


def renders() -> bool:
    """Whether a front end shows display bundles; a terminal does not."""
    return getattr(shell(), "kernel", None) is not None


def show_run(name: str) -> bool:
    """Display a run or a server as it is now. Returns whether there was anything to show."""
    bundles: list[dict[str, Any]] = []
    conversation = None
    try:
        conversation = connect(render=True, own_child=True)
        message = begin(conversation, "show", name, cell={"seq": 0, "alone": False}, source=os.getcwd())
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
