"""Messages from and to the supervisor (docs/internals/protocols.md §5)."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import Any

__all__ = ["Channel"]


_MAX_FRAME = 16 << 20


class Channel:
    """Messages from and to the supervisor: u32 little-endian length, then JSON; descriptors come along."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self.sock = socket.socket(fileno=fd)
        self._bytes = bytearray()
        self._fds: list[int] = []

    def take(self) -> dict[str, Any] | None:
        """The next message that is here already, or None."""
        if len(self._bytes) < 4:
            return None
        (size,) = struct.unpack_from("<I", self._bytes)
        if size > _MAX_FRAME:
            raise ValueError(f"a message of {size} bytes")
        if len(self._bytes) < 4 + size:
            return None
        message: dict[str, Any] = json.loads(self._bytes[4 : 4 + size])
        del self._bytes[: 4 + size]
        return message

    def fill(self) -> bool:
        """Read what is there, waiting for something; False at the end."""
        data, fds, flags, _ = socket.recv_fds(self.sock, 1 << 16, 16, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        for fd in fds:
            os.set_inheritable(fd, False)
        if flags & socket.MSG_CTRUNC:  # there is no room for all of a message's three
            for fd in fds:
                os.close(fd)
            fds = [-1] * 3
        self._bytes += data
        self._fds += fds
        return bool(data)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while (message := self.take()) is None:
            if not self.fill():
                return None
        return message

    def descriptors(self, count: int) -> list[int]:
        """The descriptors that came with the message just taken."""
        fds, self._fds = self._fds[:count], self._fds[count:]
        return fds

    def close(self) -> None:
        """Close it, with descriptors that came for others: one that stayed open would keep their channels from
        ending.
        """
        for fd in self._fds:
            if fd >= 0:
                os.close(fd)
        self._fds.clear()
        self.sock.close()

    def send(self, **message: Any) -> None:
        data = json.dumps(message).encode()
        self.sock.sendall(struct.pack("<I", len(data)) + data)
