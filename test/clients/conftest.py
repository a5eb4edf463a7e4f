"""Our kernel and a Jupyter server with one of the extensions that execute cells on the server."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import surroundings
from surroundings import until

PATIENCE = 60  # seconds


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with our kernelspec."""
    home = tmp_path_factory.mktemp("home")
    return {**surroundings.environment(home), "JUPYTER_PATH": str(surroundings.install_kernel(home))}


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
