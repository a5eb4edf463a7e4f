"""Completion of our lines, as IPython gives it to a front end."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import metaml
from metaml._binary import find
from metaml._held.run import Run
from metaml._held.trial import Trial
from metaml._session import complete

TRAIN: list[dict[str, Any]] = [
    {"flag": "--parallelism", "name": "parallelism", "type": "integer", "help": "Trials at a time."},
    {"flag": "--hyper-parameters", "name": "hyper_parameters", "type": "name", "help": "What gives them."},
    {"flag": "--objective", "name": "objective", "type": "objective", "help": "The metric."},
    {"flag": "--function", "name": "function", "type": "name", "help": "The function."},
    {"flag": "--cwd", "name": "cwd", "type": "choice", "choices": ["session", "trial"], "help": "Where."},
    {"flag": "--with", "name": "with", "type": "names", "separator": ",", "help": "Names."},
    {"flag": "--env", "name": "env", "type": "variables", "separator": "\n", "help": "A variable."},
    {"flag": "--detach", "name": "detach", "type": "boolean", "help": "At once."},
    {"flag": "--into", "name": "into", "type": "name", "help": "The variable."},
]
SERVE = [{"flag": "--model", "name": "model", "type": "text", "help": "The run."}]
BODY = """
def fit(lr):
    for step in range(3):
        metaml.report(step=step, loss=float(lr), acc=1)
    return {"accuracy": 1, 'f1':
"""


@pytest.fixture
def completed(loaded: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The texts and their types that IPython gives at the end of a first line, with a body below it."""
    calls: list[tuple[str, ...]] = []

    def call(*words: str) -> str:
        calls.append(words)
        if words[0] == "settings":
            return json.dumps(TRAIN if words[-1] == "train" else SERVE)
        given = words[1:-1]
        return (
            "train-2\trunning\ntrain-1\tsucceeded\nlast\n" if given else "attach\tWatch a run\ninstall\tno\n"
        ) + ":4\n"

    monkeypatch.setattr(find, "call", call)
    loaded.user_ns.update(
        run=metaml.Run("f-1"),
        best=Trial(0, "running", run="f-1"),
        server=metaml.Server("s-1"),
        grid={"lr": [1]},
        scale=2.0,
        _hidden=1,
    )
    monkeypatch.setattr(Run, "trials", property(lambda _: [Trial(0, "succeeded", metrics={"auc": 1.0})]))

    def complete(line: str, body: str = BODY) -> dict[str, str]:
        with provisionalcompleter():
            return {c.text: str(c.type) for c in loaded.Completer.completions(line + body, len(line))}

    return complete


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%%train --", [entry["flag"] for entry in TRAIN]),
        ("%%train ", [entry["flag"] for entry in TRAIN]),
        ("%%train --par", ["--parallelism"]),
        ("  %%train --par", ["--parallelism"]),
        ("%%train --parallelism 2 --detach --p", []),
        ("%%train --detach --d", []),
        ("%%train --env A=1 --e", ["--env"]),
        ("%%train --parallelism ", []),
        ("%%train --cwd ", ["session", "trial"]),
        ("%%train --cwd=t", ["--cwd=trial"]),
        ("%%train --function ", ["fit"]),
        ("%%train --hyper-parameters ", ["best", "grid", "scale"]),
        ("%%train --hyper-parameters gr", ["grid"]),
        ("%%train --into ", ["run", "server"]),
        ("%%train --with grid,sc", ["grid,scale"]),
        (
            "%%train --objective ",
            [w + m for w in ("", "max:", "min:") for m in ("loss", "acc", "accuracy", "f1", "auc")],
        ),
        ("%%train --objective min:l", ["min:loss"]),
        ("%%serve --mo", ["--model"]),
        ("%%serve --model ", ["run", "best"]),
        ("%metaml ", ["attach"]),
        ("%metaml attach ", ["train-2", "train-1", "last", "run", "server"]),
        ("%metaml attach t", ["train-2", "train-1"]),
        ("%metaml plan --objective min:f", ["min:f1"]),
    ],
)
def test_options_and_their_values_and_only_they(completed: Any, line: str, found: list[str]) -> None:
    order = list if " --hyper-parameters " not in line and "--model " not in line else sorted
    assert order(completed(line)) == order(found)


def test_an_option_comes_with_its_help(completed: Any) -> None:
    assert completed("%%train --par") == {"--parallelism": "Trials at a time."}
    assert completed("%metaml attach train-2")["train-2"] == "running"


def test_other_lines_are_completed_as_without_us(completed: Any) -> None:
    assert "scale" in completed("x = sca", "")
    assert "scale" in completed("%%time\n%%train --x\nsca", "")
    assert "%%timeit" in completed("%%tim", "")


def test_the_older_way_to_ask(completed: Any, loaded: InteractiveShell) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        text, matches = loaded.complete("", "%%train --par", len("%%train --par"))
    assert (text, matches) == ("--par", ["--parallelism"])


def test_metaml_that_cannot_be_asked_completes_nothing(completed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: str) -> str:
        raise metaml.MetaMLError("there is no metaml")

    monkeypatch.setattr(find, "call", fails)
    assert completed("%%train --") == {}


def test_unloaded_it_is_gone(loaded: InteractiveShell) -> None:
    from metaml import unload_ipython_extension

    assert any(matcher.matcher_identifier == "metaml" for matcher in loaded.Completer.custom_matchers)
    unload_ipython_extension(loaded)
    assert loaded.Completer.custom_matchers == []


def test_metrics_of_a_cell_that_is_being_written() -> None:
    assert list(complete._metrics("report(loss=f(x=1), step=2)\nif a == b: return {'a': 1, 'b")) == ["loss", "x", "a"]
