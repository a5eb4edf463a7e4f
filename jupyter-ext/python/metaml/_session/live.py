"""The session of a live notebook or console: :class:`Live`, its shell and what has been executed in it.

The cell magics, `%metaml` and a decorated function that is called in a notebook submit through it.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

from metaml._binary import talk
from metaml._binary.cell import request
from metaml._session import binding, document, frontend

if TYPE_CHECKING:
    from metaml._binary.talk import Conversation
    from metaml._held.run import Run
    from metaml._held.server import Server

# The magic is the cell, and not the body of `%%time`, which runs it in its own way. (`%metaml` checks the rest of its
# line.)
_ALONE = re.compile(r"\s*(?:>>> |In \[\d+\]: )?(?:%%(?:train|serve)\b|%metaml\b)")

#: The session that MetaML is loaded into, if it is.
current: Live | None = None


class Live:
    """A shell, and the record of what it executed."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.recorder = document.Recorder(shell)

    def renders(self) -> bool:
        """Whether there is a front end that takes display bundles; on a terminal `metaml` draws by itself."""
        return getattr(self.shell, "kernel", None) is not None

    def open(self, command: str = "run") -> Conversation:
        """Open a conversation with the command."""
        return talk.connect(render=self.renders(), own_child=command != "run", command=command)

    def alone(self, cell: document.Cell) -> bool:
        """Whether the magic is the whole of a cell that the front end executes, on the main shell."""
        message = request(self.shell)
        return (
            cell is self.recorder.outermost()
            and _ALONE.match(cell.source) is not None
            and threading.current_thread() is threading.main_thread()
            and message.get("header", {}).get("msg_type") == "execute_request"
            and message.get("content", {}).get("code") == cell.source
        )

    def holds(self, alone: bool) -> bool:
        """Whether our kernel keeps the cell open and displays; else this module does."""
        return alone and bool(talk.kernel_socket)

    def about(self, cell: document.Cell, alone: bool) -> dict[str, Any]:
        """What the first message of a conversation has of the cell."""
        lines = self.renders() and not frontend.updates(request(self.shell))
        return {
            "seq": cell.seq,
            "count": cell.count,
            "id": cell.id,
            "parent": cell.message,
            "alone": alone,
            "lines": lines,
        }

    def source(self) -> str:
        """The notebook's path, where the environment or the front end gives it; else ""."""
        name = os.environ.get("JPY_SESSION_NAME", "") or self.shell.user_ns.get("__vsc_ipynb_file__", "")
        return name if isinstance(name, str) else ""

    def show(self, message: dict[str, Any]) -> None:
        """Display a bundle in the front end, or print a stream's text."""
        from IPython.display import display

        if message.get("type") == "stream":
            print(message.get("text", ""), end="", flush=True)
            return
        options: dict[str, Any] = {"raw": True, "metadata": message.get("metadata") or {}}
        if message.get("display_id"):
            options.update(display_id=str(message["display_id"]), update=bool(message.get("update")))
        display(message["bundle"], **options)

    def place(self, run: Run | Server, into: str, count: int) -> binding.Name:
        """Where the user gets it: under the name that `--into` gives, else `run` or `server` when that is free
        or ours.
        """
        from metaml._held.held import Held
        from metaml._held.run import Run

        namespace = self.shell.user_ns
        what = "run" if isinstance(run, Run) else "server"
        name = into or what
        if not into and name in namespace and not isinstance(namespace[name], Held):
            where = f"Out[{count}]" if count else "_"
            print(f"`{name}` is yours, so the {what} is in {where}; --into NAME gives it a name.")
            return binding.Name()
        self.shell.user_ns_hidden.pop(name, None)  # `%who` shows it
        return binding.Name(name, namespace)
