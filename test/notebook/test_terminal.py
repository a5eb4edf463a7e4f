"""What a terminal is sent of what is not ours: colours in logs, and nothing else that it would obey."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest
from conftest import Notebook
from surroundings import BIN

CELL = r"""%%train --hyper-parameters rows
rows = [{'x': 1}, {'x': 2}]
def noisy(x):
    print('\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202e', flush=True)
    if x == 2:
        raise ValueError('\x1b[2J \x9b \u202e')
    return {'\x1b[2J\u202e': 1, 'loss': 2}
"""
OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[AJK]|\r\n|\r")  # colours, and what redraws a table
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def on_a_terminal(notebook: Notebook, *arguments: str) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [BIN / "metaml", *arguments], env=notebook.env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as child:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 1 << 16):
                said += piece
        except OSError:  # the last one has closed it
            pass
        os.close(ours)
        child.wait(30)
    return said.decode()


@pytest.fixture(scope="module", autouse=True)
def run(notebook: Notebook) -> None:
    shown = notebook.run(CELL)
    assert shown.status == "ok", shown.error
    assert not OBEYED.search(shown.plain), shown.plain
    html = "".join(bundle.get("text/html", "") for bundle in shown.displays.values())
    assert r"\x1b[2J\u202e" in html
    assert not OBEYED.search(html)


@pytest.mark.parametrize("arguments", [("attach", "noisy"), ("show", "noisy"), ("runs",), ("show", "noisy", "--json")])
def test_what_is_said_of_a_run_is_visible(notebook: Notebook, arguments: tuple[str, ...]) -> None:
    said = on_a_terminal(notebook, *arguments)
    assert "noisy-1" in said
    assert not OBEYED.search(OURS.sub("", said)), repr(said)


def test_a_log_keeps_its_colours_on_a_terminal_and_all_in_a_pipe(notebook: Notebook) -> None:
    said = on_a_terminal(notebook, "logs", "noisy", "--trial", "0")
    assert said == "\x1b[31mred\x1b[0m \\x1b]0;title\\x07 \\x9b2J \\u202e\r\n\x1b[0m"
    assert notebook.metaml("logs", "noisy", "--trial", "0") == "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202e\n"


def test_what_a_run_says_of_itself_is_visible(notebook: Notebook) -> None:
    for code in ("run", "run.trials", "print(run.trials[0])", "run.best('nothing')"):
        shown = notebook.run(code)
        assert not OBEYED.search(shown.plain + shown.error), repr(shown.plain)
