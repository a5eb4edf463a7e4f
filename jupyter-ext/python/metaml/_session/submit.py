"""One submission from Python: the whole of a conversation, whoever starts it (the magics and the decorators)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from metaml._binary import find
from metaml._binary.begin import raise_refused
from metaml._binary.cell import this_cell
from metaml._binary.talk import Closed, Conversation, Interrupt, interrupts_held
from metaml._errors import Interrupted, MetaMLError, from_done
from metaml._session import binding

if TYPE_CHECKING:
    from metaml._held.run import Run
    from metaml._held.server import Server
    from metaml._session.answers import Answers

Show = Callable[[dict[str, Any]], None]
# Finds the name under which a run is given to the user, of the one that --into names.
Place = Callable[["Run | Server", str], binding.Name]

_SHOWN = ("display", "slice", "stream")  # types of lines that are for the front end


def submit(
    conversation: Conversation,
    first: dict[str, Any],
    document: Callable[[], dict[str, Any]],
    answers: Answers,
    *,
    place: Place,
    show: Show | None,
    held: bool,
    background: bool = False,
) -> Run | Server | None:
    """Go from `options` to the end of the conversation.

    Nothing is bound until something is there: a Run when it is submitted, a Server when it answers. If that never does,
    it takes the name of nothing that goes on.

    Args:
        first: what :func:`begin` returned.
        document: makes the session document.
        place: finds the name under which the user gets the Run or Server, of the one that `accepted` has.
        show: displays a bundle; None where the other side draws by itself.
        held: our kernel holds the cell: it displays and waits, and this returns once the run is submitted.
        background: with `--detach`, go on showing the table in a thread.

    Returns:
        The Run or Server; None when the other side had nothing to run, or our kernel says what is wrong.

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
    detach, into = bool(accepted.get("detach")), str(accepted.get("into") or "")
    # From here an interrupt is for the run. It must not arrive between `bound` and the waiting.
    with interrupts_held(conversation, to_the_end=held and not detach):
        run = _accepted(accepted)
        waiting = _Waiting(conversation, show_here)
        conversation.send("bound")
        ended = _until_submitted(waiting, run, held)
        if ended is not None:
            if held and not detach:
                return None  # our kernel ends the cell with what it says
            _done(ended)
            return None
        # What is attached to by its name was there before.
        answers_first = accepted.get("kind") == "serve" and not detach and first.get("type") == "options"
        if not answers_first:
            place(run, into).give(run)
        if not held and not detach:
            ended = waiting.until(("done",), f"{run.name} may go on; metaml stop {run.name} stops it")
            if answers_first:
                place(run, into).settle(run, ended)
    if held and answers_first:
        binding.when_it_answers(conversation, place(run, into), run)
    elif not held and detach and background and show is not None:
        _go_on(conversation, show)
    if ended is not None:
        _done(ended)
    return run


def _until_accepted(
    conversation: Conversation,
    message: dict[str, Any],
    document: Callable[[], dict[str, Any]],
    answers: Answers,
    show: Show | None,
) -> dict[str, Any] | None:
    """Answer what is requested until the run is accepted; None when there is nothing to run."""
    if message.get("type") == "options":
        conversation.send("request", session=document())
        message = conversation.receive()
    while True:
        kind = message.get("type")
        if kind == "accepted":
            return message
        if kind == "need":
            conversation.send("have", **answers.answer(message))
        elif kind in _SHOWN:
            _show(show, message)
        elif kind == "done":
            _done(message)
            return None
        else:
            raise_refused(message, answers)
        message = conversation.receive()


def _accepted(message: dict[str, Any]) -> Run | Server:
    from metaml._held.lookup import held

    binary = str(message.get("metaml") or "")
    find.remember(binary)
    run = held(str(message["run"]), str(message.get("kind") or ""))
    run._shown = this_cell()
    return run


def _until_submitted(waiting: _Waiting, run: Run | Server, held: bool) -> dict[str, Any] | None:
    """Wait until the run has its name; gives the `done` that came instead. An interrupt that arrives now is for the
    run: the cell's end is no longer ours.
    """
    try:
        message = waiting.until(("submitted", "done"))
    except Closed:
        if not held:
            raise
        return {}  # our kernel says what it knows
    if message.get("type") == "done":
        return message
    run._rename(str(message.get("run") or run.name))
    return None


class _Waiting:
    """Waits for messages about a run that was accepted, shows what comes before them and passes interrupts on: the
    first stops the run and the second kills it, whether it has its name by then or not.
    """

    def __init__(self, conversation: Conversation, show: Show | None) -> None:
        self._conversation = conversation
        self._show = show
        self._interrupts = 0

    def until(self, types: tuple[str, ...], given_up: str = "") -> dict[str, Any]:
        """Wait for a message of one of the types.

        Args:
            given_up: the sentence with which the third interrupt ends the waiting; without one it goes on.

        Raises:
            Interrupted: the third interrupt.
            Closed: the other side ended.
        """
        while True:
            try:
                message = self._conversation.receive()
            except Interrupt:
                self._interrupts += 1
                if given_up and self._interrupts > 2:
                    raise Interrupted(given_up) from None
                self._conversation.send("stop", now=self._interrupts > 1)
                continue
            kind = message.get("type")
            if kind in types:
                return message
            if kind in _SHOWN:
                _show(self._show, message)
            else:
                raise_refused(message)


def _go_on(conversation: Conversation, show: Show) -> None:
    """Show the table of a detached run for as long as this process lives."""

    def follow() -> None:
        try:
            with contextlib.suppress(MetaMLError):
                while (message := conversation.receive()).get("type") != "done":
                    _show(show, message)
        finally:
            conversation.close()

    conversation.handed_over = True
    threading.Thread(target=follow, name="metaml-table", daemon=True).start()


def _show(show: Show | None, message: dict[str, Any]) -> None:
    if show is None:
        return
    if isinstance(message.get("bundle"), dict) or message.get("type") == "stream":
        show(message)


def _done(message: dict[str, Any]) -> None:
    error = message.get("error")
    if isinstance(error, dict):
        raise from_done(error)
