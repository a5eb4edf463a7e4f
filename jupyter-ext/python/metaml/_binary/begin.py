"""The beginning of a conversation: the line is sent, and it is right or refused."""

from __future__ import annotations

import os
import sys
from typing import Any, Protocol

from metaml._binary.talk import Conversation
from metaml._errors import Interrupted, Refused

__all__ = ["Answering", "begin", "raise_refused"]


class Answering(Protocol):
    """What answers `need` lines."""

    raised: BaseException | None  # what the user's code raised last, to be raised again

    def answer(self, need: dict[str, Any], /) -> dict[str, Any]:
        """The fields of a `have` line."""


def begin(
    conversation: Conversation, kind: str, line: str, answers: Answering | None = None, **fields: Any
) -> dict[str, Any]:
    """Send `begin` and wait for `options`: the line is right and the body may run.

    Args:
        answers: what answers if something is requested first, such as the Run that `--model` names.

    Raises:
        Refused: the line is wrong.
        KeyboardInterrupt: with what stands now.
    """
    try:
        # The session's, since a cell may have set it: the kernel's own is that of its start.
        environment = {name: value for name, value in os.environ.items() if name.startswith("METAML_")}
        about = {"cwd": os.getcwd(), "python": sys.executable, "environment": environment}
        conversation.send("begin", kind=kind, line=line, **about, **fields)
        while True:
            message = conversation.receive()
            if message.get("type") in ("options", "accepted", "slice", "display", "stream", "done"):
                return message
            if message.get("type") == "need" and answers is not None:
                conversation.send("have", **answers.answer(message))
            else:
                raise_refused(message, answers)
    except KeyboardInterrupt:
        raise Interrupted(_stands(kind, line)) from None


def _stands(kind: str, line: str) -> str:
    """What stands where a cell is interrupted before anything was done for it."""
    if kind == "attach":
        return f"what runs goes on, and {f'%metaml attach {line}'.strip()} shows it"
    return "" if kind == "show" else "nothing was started"  # what is shown may go on or be over


def raise_refused(message: dict[str, Any], answers: Answering | None = None) -> None:
    """Raise what a `refused` line says; other types are unknown and ignored."""
    if message.get("type") != "refused":
        return
    if answers is not None and answers.raised is not None:
        raise answers.raised
    raise Refused(
        str(message.get("text") or "metaml refused the cell"),
        str(message.get("hint") or ""),
        code=str(message.get("code") or "refused"),
        cell=int(message.get("cell") or 0),
        line=int(message.get("line") or 0),
    )
