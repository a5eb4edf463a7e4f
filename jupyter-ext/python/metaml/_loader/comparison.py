"""Finds out beside the trials what is otherwise than in the session that the program was cut from."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from typing import Any, NoReturn

from metaml._trial.program import Program

__all__ = ["Comparison"]


class Comparison:
    """A comparison in a process of its own: what it loads and allocates would make each later fork of a trial dearer.

    Args:
        program: that is loaded.
        close: what that process does first.

    Raises:
        OSError: there can be no other process.
    """

    def __init__(self, program: Program, close: Callable[[], None]) -> None:
        self._text = b""
        self.fd, write = os.pipe()  # can be read, also when it is over
        try:
            self._pid = os.fork()
        except OSError:
            os.close(self.fd)
            os.close(write)
            raise
        if self._pid == 0:
            self._compare(program, close, write)
        os.close(write)

    @staticmethod
    def _compare(program: Program, close: Callable[[], None], write: int) -> NoReturn:
        try:
            close()
            with os.fdopen(write, "wb") as to:
                to.write(json.dumps(program.differs()).encode())
        finally:
            os._exit(0)

    def read(self) -> bool:
        """Take what is there, waiting for something; True when that is all."""
        data = os.read(self.fd, 1 << 16)
        self._text += data
        return not data

    def end(self) -> list[dict[str, Any]]:
        """What differs; nothing where the process was killed. It waits for its end."""
        while not self.read():
            pass
        os.close(self.fd)
        with contextlib.suppress(ChildProcessError):  # the program's own SIGCHLD handler was faster
            os.waitpid(self._pid, 0)
        try:
            differs: list[dict[str, Any]] = json.loads(self._text)
        except ValueError:
            return []
        return differs
