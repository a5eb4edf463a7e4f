"""JupyterLab with our wheel in a prefix of its own, and a real browser in front of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, free_port, wait_until_served
from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with our wheel as a user installs it; the other packages are the test environment's own."""
    folder = tmp_path_factory.mktemp("prefix")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    Path(site, "test-environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheels = tmp_path_factory.mktemp("wheel")
    wheel = subprocess.run(
        ["go", "run", "./cmd/internal/wheel", "-bin", "bin", "-out", wheels],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,  # what it says on standard error is the reason when it fails
        text=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel],
        check=True,
    )
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    # Chromium keeps crash reports and settings in the home folder, whatever its profile is.
    home = str(tmp_path_factory.mktemp("chromium"))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ["METAML_CHROMIUM"],
            env={**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "XDG_RUNTIME_DIR": home},
            # The sandbox needs rights that containers and root lack; the rest keeps Chromium away from networks.
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--host-resolver-rules=MAP *.example 127.0.0.1",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def lab(prefix: Path, browser: Browser, tmp_path: Path) -> Iterator[Lab]:
    """JupyterLab on a copy of the examples. Everything that it writes stays in the test's folder."""
    notebooks = tmp_path / "notebooks"
    shutil.copytree(ROOT / "examples", notebooks)
    port = free_port()
    environment = {
        **os.environ,
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    environment.pop("XDG_CONFIG_HOME", None)
    # JupyterLab would ask whether it may fetch news, over the very place that is read.
    settings = tmp_path / "settings"
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(settings)
    log = tmp_path / "lab.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                prefix / "bin" / "python",
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                f"--port={port}",
                "--ServerApp.port_retries=0",
                "--ServerApp.ip=127.0.0.1",
                "--ServerApp.token=",
                "--ServerApp.password=",
                f"--ServerApp.root_dir={notebooks}",
                f"--LabApp.app_dir={Path(sys.prefix) / 'share' / 'jupyter' / 'lab'}",
                "--expose-app-in-browser",
            ],
            cwd=notebooks,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_served(port, server, log)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=2)
        yield Lab(context.new_page(), port, notebooks, prefix, environment)
        context.close()
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
