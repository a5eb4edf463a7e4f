"""What a picture and a comparison read of a run: :class:`Results`, which a :class:`metaml.Run` is."""

from __future__ import annotations

from typing import Any, Protocol

from metaml._held.trial import Report, Trial


class Results(Protocol):
    """What came out of a run, however it is read: as the attributes of :class:`metaml.Run`."""

    name: str

    @property
    def state(self) -> str: ...

    @property
    def trials(self) -> list[Trial]: ...

    @property
    def history(self) -> list[Report]: ...

    @property
    def objective(self) -> tuple[str, str] | None: ...

    def best(self, metric: str | None = None) -> Trial: ...

    def _read(self) -> dict[str, Any]: ...
