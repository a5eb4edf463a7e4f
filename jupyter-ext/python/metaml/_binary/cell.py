"""The cell that IPython executes."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["request", "shell", "this_cell"]


def shell() -> Any:
    """IPython's shell; None outside IPython, which this does not import."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def request(shell: Any) -> dict[str, Any]:
    """The message that ipykernel is answering, or {}."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}
    try:
        message = kernel.get_parent("shell")
    except (AttributeError, LookupError, TypeError):
        return {}
    return message if isinstance(message, dict) else {}


def this_cell() -> object:
    """What distinguishes the cell that is executed from every other; None outside IPython.

    It is the request's id: cells without history reuse the count, and a cell in a subshell may see another one raise
    it.
    """
    if (running := shell()) is None:
        return None
    return (request(running).get("header") or {}).get("msg_id") or running.execution_count
