"""A server, and the pages of other sites in a real browser: what they may ask, and what reaches the function."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]

PROGRAM = """
from metaml import Serve

@Serve(settings={"target": "local"})
def serve(x=0, y=0):
    with open("calls.log", "a") as log:
        log.write(f"{x}\\n")
    if x in (9, "9"):
        raise ValueError("nine")
    return {"x": x}

serve()
"""

# The fetches that need no leave of the server to be sent, and one that does; each gives what the page could read.
ASK = """async ([url, how]) => {
    const options = {
        simple: {method: 'POST', body: new URLSearchParams({x: 1})},
        blind: {method: 'POST', mode: 'no-cors', body: new Blob(['{"x": 2}'])},
        get: {},
        json: {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Trace': '1'}, body: '{"x": 4}'},
        error: {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"x": 9}'},
    }[how]
    try {
        const answer = await fetch(url + (how === 'get' ? '?x=3' : ''), options)
        return {status: answer.status, text: await answer.text()}
    } catch (error) {
        return {status: 0, text: String(error)}
    }
}"""


class Served:
    """A server of PROGRAM, and what called its function."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("METAML_", "JUPYTERHUB_"))},
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder / "data"),
            "PYTHONPATH": str(ROOT / "jupyter-ext" / "python"),
            "PATH": f"{ROOT / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        (folder / "served.py").write_text(PROGRAM)
        self.url = ""

    def metaml(self, *words: str) -> str:
        done = subprocess.run(
            ["metaml", *words],
            cwd=self.folder,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return done.stdout

    def start(self, *options: str) -> None:
        self.metaml("run", "served.py", "--python", sys.executable, *options)
        self.url = json.loads(self.metaml("show", "--json", "last"))["url"]
        self.forget()

    def forget(self) -> None:
        (self.folder / "calls.log").write_text("")

    def calls(self) -> list[str]:
        return (self.folder / "calls.log").read_text().split()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    if server.url:
        server.metaml("stop", "last")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Another site: its port. Whatever is called NAME.example is this machine, for the browser."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>another site</title>")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield str(server.server_address[1])
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("host", ["app.example", "localhost", "127.0.0.1"])
def test_a_page_of_another_site_cannot_call_the_function(served: Served, site: str, page: Page, host: str) -> None:
    served.start()
    page.goto(f"http://{host}:{site}/")
    for how in ("simple", "blind", "get", "json"):
        assert page.evaluate(ASK, [served.url, how])["status"] == 0, how
    image = "url => new Promise(done => { const i = new Image(); i.onload = i.onerror = done; i.src = url })"
    page.evaluate(image, f"{served.url}?x=5")
    page.evaluate(
        """url => new Promise(done => {
            document.body.innerHTML = `<iframe name="into"></iframe>
                <form method="post" target="into"><input name="x" value="6"></form>`
            document.querySelector('iframe').onload = done
            document.querySelector('form').action = url
            document.querySelector('form').submit()
        })""",
        served.url,
    )
    with page.expect_navigation() as to:
        page.evaluate("url => { location = url }", f"{served.url}?x=7")
    answer = to.value
    assert answer is not None and answer.status == 403 and "--cors" in answer.text()
    assert served.calls() == []


def test_an_address_that_is_typed_is_answered(served: Served, page: Page) -> None:
    served.start()
    answer = page.goto(f"{served.url}?x=8")
    assert answer is not None and answer.status == 200 and answer.json() == {"x": "8"}
    # What it has now is a page of the server's own.
    assert page.evaluate(ASK, [served.url, "json"]) == {"status": 200, "text": '{"x":4}'}
    assert served.calls() == ["8", "4"]


def test_a_name_that_was_made_to_point_here_reads_nothing(served: Served, page: Page) -> None:
    served.start()
    port = served.url.rsplit(":", 1)[1].split("/")[0]
    for path in ("predict?x=1", "metrics", "openapi.json"):
        answer = page.goto(f"http://rebound.example:{port}/{path}")
        assert answer is not None and answer.status == 421 and "--allow-host rebound.example" in answer.text(), path
    for how in ("simple", "get", "json"):
        assert page.evaluate(ASK, [f"http://rebound.example:{port}/predict", how])["status"] == 421, how
    assert served.calls() == []


def test_a_page_of_an_origin_that_may_reads_answers_and_errors(served: Served, site: str, page: Page) -> None:
    served.start("--cors", f"http://app.example:{site}")
    page.goto(f"http://app.example:{site}/")
    assert page.evaluate(ASK, [served.url, "simple"]) == {"status": 200, "text": '{"x":"1"}'}
    assert page.evaluate(ASK, [served.url, "get"]) == {"status": 200, "text": '{"x":"3"}'}
    assert page.evaluate(ASK, [served.url, "json"]) == {"status": 200, "text": '{"x":4}'}
    failed = page.evaluate(ASK, [served.url, "error"])
    assert failed["status"] == 500 and "error" in json.loads(failed["text"])
    nothing = page.evaluate(ASK, [served.url.replace("/predict", "/nothing"), "json"])
    assert nothing["status"] == 404 and "/predict" in nothing["text"]
    assert served.calls() == ["1", "3", "4", "9"]

    page.goto(f"http://other.example:{site}/")
    served.forget()
    for how in ("simple", "blind", "get", "json"):
        assert page.evaluate(ASK, [served.url, how])["status"] == 0, how
    assert served.calls() == []
