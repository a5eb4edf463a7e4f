"""Standard output and error of a trial are two files; here is noted in which order they were written.

Whenever Python's writing goes over from one to the other, how long both were at that moment is appended to the file
`order` of the attempt: two numbers of 8 bytes, little-endian, the lengths of stdout and stderr; the highest bit of the
first says that what follows is stderr. What is written by other processes, or below Python, is in its place as far as
these notes tell. (deployer/folder reads them.)
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
from typing import Any

_MOST = 1 << 18  # notes of one process: 4 MiB

_path = ""  # of the notes; "" outside an attempt
_file = -1
_last = 1  # the descriptor that was written to last
_left = _MOST
_replaced: list[Any] = []  # the streams that Python made, which must not be closed


class Noted(io.FileIO):
    """Descriptor 1 or 2."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)

    def write(self, data: Any, /) -> int:
        fd = self.fileno()
        if fd != _last:
            _goes_over(fd)
        return super().write(data) or 0


def _goes_over(fd: int) -> None:
    global _file, _last, _left
    _last = fd
    if not _path or _left <= 0:
        return
    _left -= 1
    with contextlib.suppress(OSError):  # a full disk costs the order alone
        if _file < 0:
            _file = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        out, err = os.fstat(1).st_size, os.fstat(2).st_size
        os.write(_file, struct.pack("<QQ", out | (1 << 63 if fd == 2 else 0), err))


def install() -> None:
    """Put streams of ours in the place of Python's, before the program takes hold of them."""
    for name, fd in (("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        if type(old) is not io.TextIOWrapper or old is not getattr(sys, f"__{name}__") or old.fileno() != fd:
            continue
        old.flush()
        raw = Noted(fd)
        raw.name = f"<{name}>"  # as Python's own has it
        unbuffered = isinstance(old.buffer, io.RawIOBase)  # python -u
        new = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw),
            encoding=old.encoding,
            errors=old.errors,
            newline="\n",
            line_buffering=True,
            write_through=old.write_through,
        )
        new.mode = "w"  # type: ignore[misc]
        _replaced.append(old)
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.register_at_fork(after_in_child=_forget)


def begin(folder: str) -> None:
    """What is written from now on belongs to the attempt with this folder."""
    global _path, _last, _left
    _path, _last, _left = os.path.join(folder, "order"), 1, _MOST


def _forget() -> None:
    """A forked child does not know what its parent writes meanwhile, so its first line is noted whatever stream it is
    for.
    """
    global _last
    _last = 0
