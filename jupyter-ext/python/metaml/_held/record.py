"""Reading a run through `metaml`, and keeping what was read of one that has ended for as long as it is so."""

from __future__ import annotations

import json
import os
from typing import Any, Generic, TypeVar

from metaml._binary import find
from metaml._errors import MetaMLError

T = TypeVar("T")

#: The states in which a run, or a server, has ended.
ENDED = ("stopped", "failed", "succeeded")


class Kept(Generic[T]):
    """Something that was read of a run, and how large the run's event file was then.

    Events are only ever added: with the file of the same size nothing has happened since, and nothing need be read.
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


def kept(data: dict[str, Any], value: T) -> Kept[T] | None:
    """What was read of a run, to be used again if the run has ended."""
    return Kept(value, data.get("record") or {}) if data.get("state") in ENDED else None


def show_json(name: str, *more: str) -> dict[str, Any]:
    """What `metaml show --json` says of a run or a server."""
    text = find.call("show", name, "--json", *more)
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or "name" not in data:
        raise MetaMLError(f"metaml show {name} --json gave something else than a run")
    return data
