"""What stands in the table under a cell, in every form of it."""

from __future__ import annotations

import json

import pytest
from conftest import Notebook

TYPED = """%%train --hyper-parameters typed
typed = [{'layers': (64,), 'n': 3, 'f': 64.0, 'same': (1, 2)}, {'layers': (64, 32), 'n': 4, 'f': 0.1, 'same': (1, 2)}]
def kept(layers, n, f, same):
    assert (type(layers), type(n), type(f)) == (tuple, int, float)
    return {'accuracy': f, 'parameters': 1234567}
"""


@pytest.fixture(scope="module")
def shown(notebook: Notebook) -> dict[str, str]:
    shown = notebook.run(TYPED)
    assert shown.status == "ok", shown.error
    html = "".join(bundle.get("text/html", "") for bundle in shown.displays.values())
    return {"HTML": html, "text": shown.plain, "terminal": notebook.metaml("show", "kept")}


@pytest.mark.parametrize("where", ["HTML", "text", "terminal"])
def test_values_stay_what_they_are(shown: dict[str, str], where: str) -> None:
    words = shown[where].replace("<td>", " ").replace("</td>", " ")
    for value in (
        " (64,) ",
        " (64, 32) ",
        " 3 ",
        " 4 ",
        " 64.0 ",
        " 0.1 ",
        "the same in all: same (1, 2)",
        " 1234567 ",
    ):
        assert value in words, value


@pytest.mark.parametrize("where", ["text", "terminal"])
def test_what_decides_stands_first(shown: dict[str, str], where: str) -> None:
    head = next(line for line in shown[where].splitlines() if line.startswith("trial "))
    assert head.split() == ["trial", "accuracy", "↑", "layers", "n", "f", "parameters", "time"]


def test_values_stay_what_they_are_for_programs(shown: dict[str, str], notebook: Notebook) -> None:
    first, second = json.loads(notebook.metaml("show", "kept", "--json"))["trials"]
    assert first["parameters"] == {
        "layers": {"$": "tuple", "v": [64]},
        "n": 3,
        "f": 64.0,
        "same": {"$": "tuple", "v": [1, 2]},
    }
    assert '"n": 3,' in notebook.metaml("show", "kept", "--json")
    assert second["parameters"]["layers"]["v"] == [64, 32]
    assert notebook.run("run.trials[0].parameters").results == ["{'layers': (64,), 'n': 3, 'f': 64.0, 'same': (1, 2)}"]
    assert "parameters 1234567" in notebook.run("print(run.trials[1])").text


def test_every_trial_is_there_on_demand(notebook: Notebook) -> None:
    notebook.run("many = [{'x': i} for i in range(25)]")
    shown = notebook.run("%%train --hyper-parameters many\ndef often(x):\n    return {'loss': x}")
    html = "".join(bundle.get("text/html", "") for bundle in shown.displays.values())
    assert "<summary>all 25 trials, the best first</summary>" in html
    assert "20 of 25 trials shown" in shown.plain
    assert notebook.metaml("show", "often").count(" ✓ ") == 20
    assert notebook.metaml("show", "often", "--all").count(" ✓ ") == 25
