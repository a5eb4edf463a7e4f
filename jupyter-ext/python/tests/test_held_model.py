"""`metaml.model()`: the same folder in a cell, a script and a worker, or a sentence that says what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import metaml
from metaml import MetaMLError
from metaml._binary import find
from metaml._held import model


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_named", ("", ""))
    monkeypatch.setattr(model, "_serving", False)


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The outputs of fit-1's trials; the last has none. serve-1 is a newer server."""
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    for folder in folders[:2]:
        (folder / "net.bin").touch()
    trials = [
        {"index": i, "state": "succeeded", "metrics": {"accuracy": [0.5, 0.9, 0.1][i]}, "output": str(folder)}
        for i, folder in enumerate(folders)
    ]
    trials.append({"index": 3, "state": "running"})
    runs: dict[str, Any] = {
        "serve-1": {"name": "serve-1", "kind": "serve", "state": "running"},
        "fit-1": {
            "name": "fit-1",
            "state": "running",
            "objective": {"metric": "accuracy", "mode": "max"},
            "best": 1,
            "trials": trials,
        },
    }

    def call(*args: str) -> str:
        listed = [{"name": one["name"], "kind": one.get("kind"), "state": one["state"]} for one in runs.values()]
        return json.dumps(listed if args[0] == "runs" else runs[args[1]])

    monkeypatch.setattr(find, "call", call)
    return folders


def test_nobody_says_which() -> None:
    with pytest.raises(MetaMLError) as error:
        metaml.model()
    assert str(error.value) == (
        "metaml.model() does not know which run: no --model names one\n"
        'Put --model RUN on the line of the %%serve cell, or name the run here: metaml.model("train-model").'
    )


@pytest.mark.parametrize(
    ("run", "trial"),
    [("fit-1", 1), ("fit-1:best", 1), ("fit-1:0", 0), ("last", 1), ("last:0", 0)],
)
def test_by_name(outputs: list[Path], run: str, trial: int) -> None:
    assert metaml.model(run) == outputs[trial]


def test_by_what_one_holds(outputs: list[Path]) -> None:
    run = metaml.run("fit-1")
    assert isinstance(run, metaml.Run)
    assert [metaml.model(run), metaml.model(run.trials[0])] == [outputs[1], outputs[0]]


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("fit-1:2", "trial 2 of fit-1 kept no files, so it has no model to serve"),
        ("fit-1:3", "trial 3 of fit-1 has not ended yet, so its model is not there"),
        ("fit-1:9", "fit-1 has no trial 9, only 0 to 3"),
        ("fit-1:first", "metaml.model() takes RUN, RUN:TRIAL or RUN:best, not 'fit-1:first'"),
        ("serve-1", "serve-1 is no training run, so it has no model to serve"),
    ],
)
def test_refused_by_name(outputs: list[Path], run: str, text: str) -> None:
    with pytest.raises(MetaMLError) as error:
        metaml.model(run)
    assert error.value.text == text


def test_a_worker_has_its_own_copy(outputs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_METAML_MODEL", str(tmp_path))
    assert metaml.model() == metaml.model("fit-1") == metaml.model("no such run") == tmp_path


def test_the_option_of_a_cell_is_for_its_whole_body(outputs: list[Path], tmp_path: Path) -> None:
    model.use("other-1:0", str(tmp_path))
    assert metaml.model() == metaml.model("fit-1") == tmp_path
    model.ended()
    assert (metaml.model(), metaml.model("fit-1")) == (tmp_path, outputs[1])
    model.use("", "")
    with pytest.raises(MetaMLError):
        metaml.model()


def test_the_files_of_a_run_on_a_cluster_are_fetched_when_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, pulled = tmp_path / "output", []

    def objects(*args: str) -> Iterator[dict[str, Any]]:
        pulled.append(args)
        folder.mkdir()
        yield {"folder": str(folder)}

    monkeypatch.setattr(find, "objects", objects)
    model.use("fit-1@there/team:3", str(folder))
    assert not pulled
    assert metaml.model() == metaml.model() == folder
    assert pulled == [("pull", "fit-1@there/team", "--trial", "3", "--json")]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("train-7", ("train-7", "")),
        ("train-7:3", ("train-7", "3")),
        ("train-7:best", ("train-7", "best")),
        ("train-7@a/b", ("train-7@a/b", "")),
        ("train-7@arn:a:b", ("train-7@arn:a:b", "")),
        ("train-7@arn:a:b:3", ("train-7@arn:a:b", "3")),
        ("train-7@arn:a:b:best", ("train-7@arn:a:b", "best")),
    ],
)
def test_the_place_of_a_run_may_have_colons(text: str, parts: tuple[str, str]) -> None:
    assert model.cut_trial(text) == parts
