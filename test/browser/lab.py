"""One helper object for JupyterLab in a browser: it knows where things are on the page, the test says what is
expected.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

# Longest wait for anything on the page, in milliseconds; the machine may be busy.
PATIENCE = 120_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_served(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise AssertionError(f"JupyterLab ended with {server.returncode}:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"JupyterLab does not answer:\n{log.read_text()}")


def ours(said: ConsoleMessage) -> bool:
    return said.type == "error" or "MetaML" in said.text


class Lab:
    """JupyterLab on a folder of notebooks.

    Args:
        page: the browser's page.
        port: where the server listens.
        notebooks: the server's folder.
        prefix: the environment that our wheel is in.
        environment: the server's environment variables, for commands that shall see the same runs.
    """

    def __init__(self, page: Page, port: int, notebooks: Path, prefix: Path, environment: dict[str, str]) -> None:
        self.page = page
        self.port = port
        self.notebooks = notebooks
        self.prefix = prefix
        self.environment = environment
        page.set_default_timeout(PATIENCE)
        # What the page complains of, and what our extension sees, stands beside a failure.
        page.on("console", lambda said: print(said.type, said.text) if ours(said) else None)
        expect.set_options(timeout=PATIENCE)

    def write(self, name: str, *cells: str, kernel: str = "metaml") -> None:
        """Puts a notebook of code cells into the folder."""
        document = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{i}",
                    "source": text,
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                }
                for i, text in enumerate(cells)
            ],
        }
        (self.notebooks / name).write_text(json.dumps(document))

    def open(self, name: str, kernel: str = "Python (MetaML)") -> None:
        self.page.goto(f"http://127.0.0.1:{self.port}/lab/tree/{name}?reset")
        expect(self.page.locator(".jp-Notebook")).to_be_visible()
        self.wait_for_kernel(kernel)

    def load_again(self) -> None:
        self.page.reload()
        expect(self.page.locator(".jp-Notebook")).to_be_visible()

    def wait_for_kernel(self, name: str) -> None:
        expect(self.page.locator(".jp-Toolbar-kernelName")).to_contain_text(name)
        expect(self.page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle")

    def command(self, name: str) -> None:
        """Starts one of JupyterLab's commands, without waiting for its end."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def cell(self, text: str) -> Locator:
        """The code cell whose source has this text."""
        return self.page.locator(".jp-CodeCell").filter(has=self.page.locator(".jp-InputArea", has_text=text))

    def outputs(self, text: str) -> Locator:
        return self.cell(text).locator(".jp-OutputArea-child")

    def metaml(self, *arguments: str) -> Any:
        """What a command of ours prints as JSON, from the same environment as the kernel's."""
        done = subprocess.run(
            [self.prefix / "bin" / "metaml", *arguments, "--json"],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)
