"""One submission from Python: the whole of a conversation, whoever asks for it (the magics and the decorators)."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _find
from ._errors import Interrupted, MetaMLError, Refused, from_done
from ._talk import Closed, Conversation, Interrupt, interrupts_held

if TYPE_CHECKING:
    from ._answers import Answers
    from ._run import Run
    from ._server import Server

Show = Callable[[dict[str, Any]], None]


def begin(conversation: Conversation, kind: str, line: str, answers: Answers | None = None, **fields: Any) -> dict[str, Any]:
    """Send `begin` and wait for `options`: the line is right and the body may run.

    Args:
        answers: what answers if something is asked first, such as the Run that `--model` names.

    Raises:
        Refused: the line is wrong.
    """
    try:
        conversation.send("begin", kind=kind, line=line, cwd=os.getcwd(), python=sys.executable, **fields)
        while True:
            message = conversation.receive()
            if message.get("type") in ("options", "accepted", "slice", "display", "done"):
                return message
            if message.get("type") == "need" and answers is not None:
                conversation.send("have", **answers.answer(message))
            else:
                _refused(message, answers)
    except KeyboardInterrupt:
        raise Interrupted("nothing was started") from None


def submit(
    conversation: Conversation,
    first: dict[str, Any],
    document: Callable[[], dict[str, Any]],
    answers: Answers,
    *,
    bind: Callable[[Run | Server, str], None],
    show: Show | None,
    held: bool,
    background: bool = False,
) -> Run | Server | None:
    """Go from `options` to the end of the conversation.

    Args:
        first: what :func:`begin` returned.
        document: makes the session document.
        bind: gives the Run or Server to the user, under the name that `accepted` asks for.
        show: displays a bundle; None where the other side draws by itself.
        held: our kernel holds the cell: it displays and waits, and this returns once the run is submitted.
        background: with `--detach`, go on showing the table in a thread.

    Returns:
        The Run or Server; None when the other side had nothing to run.

    Raises:
        Refused: the user's mistake; nothing was started.
        KeyboardInterrupt: before submission: nothing was started; afterwards: the run was stopped.
        MetaMLError: how the run ended, if not well (TrialsFailed, Detached …).
    """
    show_here = None if held else show
    try:
        accepted = _until_accepted(conversation, first, document, answers, show_here)
    except KeyboardInterrupt:
        raise Interrupted("nothing was started") from None
    if accepted is None:
        return None
    # From here an interrupt is for the run. It must not arrive between `bound` and the waiting.
    with interrupts_held(conversation):
        run = _accepted(accepted, bind)
        detach = bool(accepted.get("detach"))
        conversation.send("bound")
        if held or detach:
            _until_submitted(conversation, run)
        else:
            ended = _until_done(conversation, run, show_here)
    if not held and detach and background and show is not None:
        _go_on(conversation, show)
    if not held and not detach:
        _done(ended)
    return run


def _until_accepted(
    conversation: Conversation,
    message: dict[str, Any],
    document: Callable[[], dict[str, Any]],
    answers: Answers,
    show: Show | None,
) -> dict[str, Any] | None:
    """Answer what is asked until the run is accepted; None when there is nothing to run."""
    if message.get("type") == "options":
        conversation.send("request", session=document())
        message = conversation.receive()
    while True:
        kind = message.get("type")
        if kind == "accepted":
            return message
        if kind == "need":
            conversation.send("have", **answers.answer(message))
        elif kind in ("display", "slice"):
            _show(show, message)
        elif kind == "done":
            _done(message)
            return None
        else:
            _refused(message, answers)
        message = conversation.receive()


def _accepted(message: dict[str, Any], bind: Callable[[Run | Server, str], None]) -> Run | Server:
    from ._run import held

    binary = str(message.get("metaml") or "")
    _find.remember(binary)
    run = held(str(message["run"]), str(message.get("kind") or ""))
    run._shown = True
    bind(run, str(message.get("into") or ""))
    return run


def _until_submitted(conversation: Conversation, run: Run | Server) -> None:
    """Wait until the run has its name. An interrupt that arrives now is for the run: the cell's end is no longer ours."""
    stops = 0
    while True:
        try:
            message = conversation.receive()
        except Interrupt:
            stops += 1
            conversation.send("stop", now=stops > 1)
            continue
        except Closed:
            return
        kind = message.get("type")
        if kind == "submitted":
            run._rename(str(message.get("run") or run.name))
            return
        if kind == "done":
            return
        _refused(message)


def _until_done(conversation: Conversation, run: Run | Server, show: Show | None) -> dict[str, Any]:
    """Show the run until it ends. The first interrupt stops it, the second kills it, a third gives up waiting."""
    stops = 0
    while True:
        try:
            message = conversation.receive()
        except Interrupt:
            stops += 1
            if stops > 2:
                raise Interrupted(f"{run.name} may go on; metaml stop {run.name} stops it") from None
            conversation.send("stop", now=stops > 1)
            continue
        kind = message.get("type")
        if kind == "done":
            return message
        if kind == "submitted":
            run._rename(str(message.get("run") or run.name))
        elif kind in ("display", "slice"):
            _show(show, message)
        else:
            _refused(message)


def _go_on(conversation: Conversation, show: Show) -> None:
    """Show the table of a detached run for as long as this process lives."""

    def follow() -> None:
        try:
            with contextlib.suppress(MetaMLError):
                while (message := conversation.receive()).get("type") != "done":
                    if message.get("type") == "display":
                        show(message)
        finally:
            conversation.close()

    conversation.handed_over = True
    threading.Thread(target=follow, name="metaml-table", daemon=True).start()


def _show(show: Show | None, message: dict[str, Any]) -> None:
    if show is not None and isinstance(message.get("bundle"), dict):
        show(message)


def _done(message: dict[str, Any]) -> None:
    error = message.get("error")
    if isinstance(error, dict):
        raise from_done(error)


def _refused(message: dict[str, Any], answers: Answers | None = None) -> None:
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
