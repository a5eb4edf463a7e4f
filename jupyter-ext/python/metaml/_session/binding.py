"""When a run or a server gets its name in the session: when it is there.

A server gets it when it answers, so that what answered before stays bound if it never does. One that failed, and whose
logs say why, gets a name only where nothing is lost.

Our kernel holds the cell of a server that is being started, and this module's part of the cell has ended by then: a
thread reads on, and :func:`settle` has the next cell wait for it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from metaml._errors import Detached, MetaMLError, ending_of

if TYPE_CHECKING:
    from metaml._binary.talk import Conversation
    from metaml._held.run import Run
    from metaml._held.server import Server

_PATIENCE = 2.0  # seconds; the kernel has passed the line on before it lets the next cell come

_reading: threading.Thread | None = None


class Name:
    """A name in a namespace; "" is none."""

    def __init__(self, name: str = "", namespace: dict[str, Any] | None = None) -> None:
        self._name = name
        self._namespace = {} if namespace is None else namespace

    def give(self, run: Run | Server) -> None:
        """Bind it."""
        if self._name:
            self._namespace[self._name] = run

    def settle(self, server: Run | Server, done: dict[str, Any]) -> None:
        """Bind a server if its `done` leaves one that answers, or the name is free, or has one that has ended."""
        if is_there(done) or self._name not in self._namespace or _ended(self._namespace[self._name]):
            self.give(server)


def _ended(held: Any) -> bool:
    from metaml._held.server import Server

    try:
        return isinstance(held, Server) and held.state in ("stopped", "failed")
    except MetaMLError:
        return True  # it was deleted


def is_there(done: dict[str, Any]) -> bool:
    """Whether a `done` leaves a server that answers, or that goes on starting."""
    error = done.get("error")
    return not isinstance(error, dict) or ending_of(error) is Detached


def when_it_answers(conversation: Conversation, name: Name, server: Run | Server) -> None:
    """Read a conversation to its end in a thread, and then settle who has the name. The thread closes it."""
    global _reading

    def read() -> None:
        try:
            while (message := conversation.receive()).get("type") != "done":
                pass
        except MetaMLError:
            message = {}  # `metaml` ended, and the server goes on
        finally:
            conversation.close()
        name.settle(server, message)

    conversation.handed_over = True
    _reading = threading.Thread(target=read, name="metaml-server", daemon=True)
    _reading.start()


def settle() -> None:
    """Wait for what the cell before has to bind. Other threads run cells beside it and do not wait."""
    if _reading is not None and threading.current_thread() is threading.main_thread():
        _reading.join(_PATIENCE)
