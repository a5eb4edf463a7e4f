"""What was read of a run that has ended, for as long as it is so."""

from __future__ import annotations

import os
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Something that was read of a run, and how large the run's event file was then.

    Events are only ever added: with the file of the same size nothing has happened since, and nobody need be asked.
    After `metaml resume` or `delete`, from wherever, the size is another one, or there is no file.

    Attributes:
        value: what was read.
    """

    def __init__(self, value: T, record: dict[str, Any]) -> None:
        self.value = value
        self._file = str(record.get("file") or "")
        self._size = record.get("size")

    def holds(self) -> bool:
        """Whether it is so still."""
        try:
            return os.stat(self._file).st_size == self._size
        except OSError:
            return False
