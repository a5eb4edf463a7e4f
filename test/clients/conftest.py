"""Our kernel and a Jupyter server with one of the extensions that execute cells on the server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BIN = Path(__file__).resolve().parents[2] / "bin"
PATIENCE = 60  # seconds


def until(look: Callable[[], Any], why: str | Callable[[], str]) -> Any:
    """Wait for a state, and give it."""
    end = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < end, f"never happened: {why() if callable(why) else why}"
        time.sleep(0.05)
    return found


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with our kernelspec that touches nothing of the person who runs the tests."""
    home = tmp_path_factory.mktemp("home")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("METAML", "JUPYTER", "JPY", "IPYTHON", "XDG"))
    }
    made = {
        **kept,
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTER_PATH": str(home / "prefix" / "share" / "jupyter"),
        "IPYTHONDIR": str(home / "ipython"),
    }
    subprocess.run(
        [BIN / "metaml", "install", "--prefix", home / "prefix", "--python", sys.executable],
        env=made,
        check=True,
        capture_output=True,
    )
    return made


class Server:
    """A Jupyter server.

    Args:
        port: where it listens.
        folder: its notebooks.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any, str]:
        """Status, JSON and Location of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None, answer.headers.get("Location", "")


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with the extension that the test's parameter names, and without the others."""
    extensions = {name: name == request.param for name in ("jupyter_server_documents", "jupyter_server_nbmodel")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    log = tmp_path / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyter_server",
                "--no-browser",
                "--allow-root",
                f"--port={port}",
                "--ServerApp.port_retries=0",
                "--ServerApp.ip=127.0.0.1",
                "--IdentityProvider.token=",
                "--ServerApp.disable_check_xsrf=True",
                f"--ServerApp.root_dir={tmp_path}",
                f"--ServerApp.jpserver_extensions={extensions}",
                f"--BaseFileIdManager.db_path={tmp_path / 'file_id.db'}",
            ],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            return Server(port, tmp_path).ask("GET", "/api/status")[0] == 200
        return False

    try:
        until(answers, "the server answers")
        yield Server(port, tmp_path)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
