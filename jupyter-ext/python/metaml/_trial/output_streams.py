"""The standard streams of a server's processes, which are logs: what cannot be written to them costs the line, and not
the answer.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from metaml._trial.output_order import Noted

__all__ = ["keep_going"]


class Log(Noted):
    """A log file. What cannot be written, since the disk is full, is left out and counted, and that is said in it once
    it can be.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self._lost = 0  # lines
        self._why = ""
        self._torn = False  # the last line that was written has no end
        self._pid = os.getpid()

    def write(self, data: Any, /) -> int:
        try:
            if self._lost:
                self._tell()
            n = super().write(data)
        except OSError as error:
            if self._pid != os.getpid():  # a fork has a log of its own
                self._lost, self._pid = 0, os.getpid()
            self._lost += bytes(data).count(b"\n") or 1
            self._why = error.strerror or type(error).__name__
            return len(data)
        if n:
            self._torn = bytes(data[n - 1 : n]) != b"\n"
        return n

    def _tell(self) -> None:
        if self._pid == os.getpid():
            lines = "1 line" if self._lost == 1 else f"{self._lost} lines"
            note = f"metaml: {lines} could not be written here: {self._why}\n"
            super().write(("\n" + note if self._torn else note).encode())
        self._lost, self._torn = 0, False


def keep_going() -> None:
    """Have print() go on where standard output and standard error cannot be written. To be called before the program
    runs, since it may keep the streams.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper) or isinstance(getattr(stream.buffer, "raw", None), Log):
            continue
        stream.flush()
        buffer = io.BufferedWriter(Log(stream.fileno()))
        made = io.TextIOWrapper(buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=True)
        made.mode = "w"  # type: ignore[misc] # as Python's own has it
        setattr(sys, name, made)
        setattr(sys, f"__{name}__", made)
