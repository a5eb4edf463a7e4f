"""One connection to a server, kept alive: what :meth:`metaml.Server.predict` sends its requests over."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
from email.message import Message
from typing import NamedTuple
from urllib.parse import urlsplit


class Response(NamedTuple):
    """An answer, whole."""

    status: int
    headers: Message
    body: bytes


class Link:
    """A connection to the host of a URL. Not to be used by two threads at once, nor by two processes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._netloc = parts.netloc
        self._pid = os.getpid()
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def fits(self, url: str) -> bool:
        """Whether it leads there, and was not made before a fork: two processes would read each other's answers."""
        return self._netloc == urlsplit(url).netloc and self._pid == os.getpid()

    def post(self, url: str, body: bytes, content_type: str, timeout: float | None, token: str = "") -> Response:
        """Send one request and wait for the answer.

        It is sent once more, over a new connection, if the old one was idle so long that the other side closed it, and
        nothing was answered.

        Args:
            url: that of the host, with a path.
            body: what is sent.
            content_type: its type.
            timeout: seconds that connecting, or any wait for more bytes, may take; None waits without end.
            token: that of a server which asks for one, or "".

        Raises:
            TimeoutError: that took longer.
            ConnectionRefusedError: nobody listens there.
            OSError, http.client.HTTPException: the connection broke.
        """
        path = urlsplit(url).path or "/"
        headers = {"Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            reused = self._connection.sock is not None
            if not self._send(path, body, headers, timeout):
                if not reused:
                    raise ConnectionResetError("it was closed before there was an answer")
                self._connection.close()
                if not self._send(path, body, headers, timeout):
                    raise ConnectionResetError("it was closed before there was an answer")
            response = self._connection.getresponse()
            return Response(response.status, response.headers, response.read())
        except BaseException:
            self._connection.close()  # an answer that comes now would be taken for the next request's
            raise

    def _send(self, path: str, body: bytes, headers: dict[str, str], timeout: float | None) -> bool:
        """Send the request and wait for the first byte of the answer; False: none will come."""
        connection = self._connection
        connection.timeout = timeout
        if connection.sock is None:
            connection.connect()
        sock: socket.socket = connection.sock
        sock.settimeout(timeout)
        # It may have answered, with 413 for example, before it hung up: then the answer is there to be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", path, body, headers)
        try:
            return bool(sock.recv(1, socket.MSG_PEEK))
        except ConnectionError:
            return False

    def __del__(self) -> None:
        self._connection.close()
