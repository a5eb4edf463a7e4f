"""What is common to what the user holds, a run and a server: :class:`Held`."""

from __future__ import annotations

from typing import Any, TypeVar

from metaml._binary import find
from metaml._errors import MetaMLError
from metaml._held.record import Kept, show_json

_Held = TypeVar("_Held", bound="Held")


class Held:
    """What is common to a run and a server: a name, and what is read under that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._listed: Kept[str] | None = None  # what a listing said of one that has ended
        self._shown: object = None  # the cell under which it is on the screen already

    def _read(self) -> dict[str, Any]:
        """What `metaml show --json` says of it."""
        return show_json(self.name)

    def _rename(self, name: str) -> None:
        self.name = name

    def resume(self: _Held) -> _Held:
        """Go on with what was left unfinished after a stop, a crash or a restart of the machine, and return it.

        It does not wait: :meth:`wait` does.

        Raises:
            MetaMLError: nothing is unfinished, or it goes on already.
        """
        find.call("resume", self.name, "--detach")
        return self

    def delete(self) -> None:
        """Remove it with its outputs and logs. One that still goes on must be stopped first.

        Raises:
            MetaMLError: it goes on, or it is gone already.
        """
        find.call("delete", self.name)

    def _ipython_display_(self) -> None:
        """Show how it is; not when that stands above already, in the same cell."""
        from metaml._binary.cell import this_cell
        from metaml._held.show import renders, show_run

        first, self._shown = self._shown is not None and self._shown == this_cell(), None
        if first and renders():
            return
        if first or not show_run(self.name):  # a terminal has written "Out[1]: " already
            print(repr(self))

    def _summary(self, data: dict[str, Any]) -> str:
        """How it is, in a few words, by what :meth:`_read` gave."""
        raise NotImplementedError

    def __repr__(self) -> str:
        if self._listed is not None and self._listed.holds():
            text = self._listed.value
        else:
            try:
                data = self._read()
            except (MetaMLError, OSError) as error:
                text = str(error).splitlines()[0] if str(error) else "unknown"
            else:
                text = self._summary(data)
        return f"<{type(self).__name__} {self.name}: {text}>"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and getattr(other, "name", None) == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.name,))
