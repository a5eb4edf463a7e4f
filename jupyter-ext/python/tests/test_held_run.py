"""What the user holds: a Run, read from what `metaml show --json` says."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import IPython
import pytest

import metaml
from metaml import MetaMLError, Run
from metaml._binary import find

SHOWN: dict[str, Any] = {
    "v": 1,
    "name": "fit-1",
    "state": "succeeded",
    "reason": "",
    "objective": {"metric": "accuracy", "mode": "max"},
    "best": 0,
    "directions": {"accuracy": "max", "loss": "min"},
    "tensorboard": "",
    "trials": [
        {
            "index": 0,
            "state": "succeeded",
            "attempt": 1,
            "started": "2026-11-24T07:52:23.164940123Z",
            "seconds": 1.5,
            "parameters": {
                "lr": 0.1,
                "n": {"$": "int", "v": "9007199254740993"},
                "f": {"$": "ref", "v": "gone_module:f"},
            },
            "metrics": {"accuracy": 0.5, "loss": 2.0, "lr": 1},
            "output": "/runs/fit-1/trials/00000/output",
            "seed": 7,
        },
        {"index": 1, "state": "succeeded", "parameters": {"lr": 0.2}, "metrics": {"accuracy": 0.5, "loss": 3.0}},
        {"index": 2, "state": "succeeded", "parameters": {"lr": 0.3}, "metrics": {"accuracy": "nan", "loss": "-inf"}},
        {
            "index": 3,
            "state": "failed",
            "reason": "error",
            "metrics": {"accuracy": 0.9, "only": 1},
            "error": {"type": "E", "text": "x"},
        },
    ],
    "history": [[0, 1.5, 0, "loss", 2.5], [None, 2.5, 0, "loss", "nan"]],
}


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    calls: list[tuple[str, ...]] = []
    (tmp_path / "events.jsonl").write_text("{}")
    record = {"file": str(tmp_path / "events.jsonl"), "size": 2}

    def call(*args: str) -> str:
        import json

        calls.append(args)
        if args[0] == "runs":
            return json.dumps(
                [{"name": "fit-1", "state": "succeeded", "done": 4, "trials": 5, "stopped": 1, "record": record}]
            )
        return json.dumps({**SHOWN, "record": record} if args[0] == "show" else {})

    monkeypatch.setattr(find, "call", call)
    return calls


def test_trials(commands: list[tuple[str, ...]]) -> None:
    first, *_, last = Run("fit-1").trials
    assert first.started == datetime.datetime(2026, 11, 24, 7, 52, 23, 164940, tzinfo=datetime.timezone.utc)
    assert (first.index, first.seconds, first.seed, first.output) == (
        0,
        1.5,
        7,
        Path("/runs/fit-1/trials/00000/output"),
    )
    assert first.parameters == {"lr": 0.1, "n": 9007199254740993, "f": "gone_module:f"}
    assert (last.state, last.reason, last.error) == ("failed", "error", {"type": "E", "text": "x"})
    assert math.isnan(Run("fit-1").trials[2].metrics["accuracy"])


def test_a_run_that_has_ended_is_read_once(commands: list[tuple[str, ...]]) -> None:
    run = Run("fit-1")
    assert (run.state, run.reason, len(run.trials), run.tensorboard) == ("succeeded", "", 4, None)
    assert repr(run) == "<Run fit-1: succeeded, 4 of 4 trials, 1 failed, best accuracy 0.5 (trial 0)>"
    run.stop()  # does nothing
    assert commands == [("show", "fit-1", "--json")]


def test_what_happens_to_a_run_that_has_ended_is_read(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    run = Run("fit-1")
    assert (run.state, len(run.history), run.state, len(run.history)) == ("succeeded", 2, "succeeded", 2)
    assert len(commands) == 2
    (tmp_path / "events.jsonl").write_text("{}\n")
    assert (run.state, len(run.history)) == ("succeeded", 2)
    assert len(commands) == 4


def test_history(commands: list[tuple[str, ...]]) -> None:
    first, second = Run("fit-1").history
    assert (first.step, first.time, first.trial, first.name, first.value) == (0, 1.5, 0, "loss", 2.5)
    assert second.step is None
    assert math.isnan(second.value)


@pytest.mark.parametrize(
    ("arguments", "index"),
    [
        ({}, 0),
        ({"metric": "loss"}, 2),
        ({"metric": "loss", "mode": "max"}, 1),
        ({"metric": "accuracy", "mode": "min"}, 0),
    ],
)
def test_best(commands: list[tuple[str, ...]], arguments: dict[str, str], index: int) -> None:
    assert Run("fit-1").best(**arguments).index == index


def test_best_of_nothing_is_refused_by_name(commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    for metric, text in (
        ("acuracy", "no trial of fit-1 has a metric 'acuracy'\nDid you mean 'accuracy'?"),
        ("only", "no trial of fit-1 that did not fail has a metric 'only'"),
    ):
        with pytest.raises(MetaMLError) as error:
            Run("fit-1").best(metric)
        assert str(error.value) == text
    with pytest.raises(ValueError, match="mode is 'max' or 'min', not 'most'"):
        Run("fit-1").best(mode="most")
    monkeypatch.setitem(SHOWN, "best", None)
    monkeypatch.setitem(SHOWN, "no_best", "the sentence of the table")
    with pytest.raises(
        MetaMLError, match=r"^the sentence of the table\nOr say which way: run\.best\('accuracy', mode='min'\)"
    ):
        Run("fit-1").best()


def test_a_direction_is_the_one_that_metaml_gives(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SHOWN, "directions", {"accuracy": "min"})
    assert Run("fit-1").best("accuracy").index == 0
    with pytest.raises(MetaMLError, match="the name `loss` does not say whether more or less of it is better"):
        Run("fit-1").best("loss")
    assert Run("fit-1").best("lr").index == 0  # only one trial has it


def test_listing_calls_nothing_more(commands: list[tuple[str, ...]]) -> None:
    assert repr(metaml.runs()) == "[<Run fit-1: succeeded, 4 of 5 trials, 1 stopped>]"
    assert commands == [("runs", "--json")]


def test_found_by_name(commands: list[tuple[str, ...]]) -> None:
    assert metaml.run().name == "fit-1"
    assert commands == [("show", "last", "--json")]
    assert metaml.run("fit") == Run("fit-1")
    assert len({metaml.run("fit"), Run("fit-1")}) == 1


@pytest.mark.skipif(IPython.version_info < (9,), reason="only in the newest environment, which has pandas")
def test_to_pandas(commands: list[tuple[str, ...]]) -> None:
    table = Run("fit-1").to_pandas()
    assert table.index.name == "trial"
    assert list(table.columns) == [
        "lr",
        "n",
        "f",
        "accuracy",
        "loss",
        "metric_lr",
        "state",
        "reason",
        "seconds",
        "only",
    ]
    assert table.loc[1, "lr"] == 0.2
    assert table["loss"].tolist()[:3] == [2.0, 3.0, -math.inf]


def test_a_run_that_cannot_be_read_still_has_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*_: str) -> str:
        raise MetaMLError('there is no run "x"')

    monkeypatch.setattr(find, "call", call)
    assert repr(Run("x")) == '<Run x: there is no run "x">'


WAITING: dict[str, Any] = {"reason": "unschedulable", "text": "no node has 2 free GPUs", "hint": "Ask for fewer."}


def test_what_a_trial_waits_for(commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"state": "pending", "waiting": {**WAITING, "since": "2026-11-24T07:52:23.5Z"}}
    trials = [{"index": i, **entry} for i in range(3)] + [{"index": 3, "state": "running"}]
    monkeypatch.setitem(SHOWN, "trials", trials)
    monkeypatch.setitem(SHOWN, "state", "running")
    monkeypatch.setitem(SHOWN, "best", None)
    run = Run("fit-1@lab/team")
    since = datetime.datetime(2026, 11, 24, 7, 52, 23, 500000, tzinfo=datetime.timezone.utc)
    assert run[0].waiting == {**WAITING, "since": since}
    assert run[3].waiting is None
    assert repr(run[0]) == "<Trial 0: pending (no node has 2 free GPUs)>"
    assert repr(run) == "<Run fit-1@lab/team: running, 0 of 4 trials, 3 wait: no node has 2 free GPUs>"


@pytest.mark.parametrize(
    ("entry", "want"),
    [
        ({"reason": "memory", "text": "killed for memory at 2 of 2 GiB"}, "failed (killed for memory at 2 of 2 GiB)"),
        ({"reason": "evicted", "attempt": 2}, "failed (evicted), attempt 2"),
        ({"reason": "exception", "error": {"type": "E", "text": "x"}}, "failed"),
    ],
    ids=["memory", "evicted again", "an exception"],
)
def test_what_ended_a_trial(
    commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], want: str
) -> None:
    past = [{"attempt": 1, "state": "failed", "reason": "evicted", "text": ""}]
    trial = {"index": 0, "state": "failed", "hint": "Try --memory 4Gi.", "past": past, **entry}
    monkeypatch.setitem(SHOWN, "trials", [trial])
    only = Run("fit-1")[0]
    assert repr(only) == f"<Trial 0: {want}>"
    assert (only.hint, only.past) == ("Try --memory 4Gi.", past)


def test_a_history_of_last_values_says_so(commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHOWN, "last_only", True)
    with pytest.warns(UserWarning, match=r"not every report of fit-1 is known"):
        assert len(Run("fit-1").history) == 2


def test_what_a_run_has_not_kept_is_refused(commands: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    trial = {"index": 0, "state": "succeeded", "output": "", "result": ""}
    monkeypatch.setitem(SHOWN, "trials", [trial])
    monkeypatch.setitem(
        SHOWN, "not_kept", {"text": "what the trials wrote went with their pods", "hint": "Use --mount."}
    )
    only = Run("fit-1")[0]
    for read in ("output", "result"):
        with pytest.raises(MetaMLError, match=r"went with their pods\nUse --mount\."):
            getattr(only, read)


def test_the_files_of_a_trial_on_a_cluster_are_fetched_when_they_are_read(
    commands: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def objects(*args: str) -> Iterator[dict[str, Any]]:
        commands.append(args)
        yield {"came": 1_000_000, "all": 2_000_000, "text": "trial 3  ██░░  1.0 MB of 2.0 MB"}
        yield {"folder": str(tmp_path / "output")}

    monkeypatch.setattr(find, "objects", objects)
    monkeypatch.setitem(SHOWN, "name", "fit-1@there/team")
    monkeypatch.setitem(SHOWN, "trials", [{"index": 3, "state": "succeeded", "output": str(tmp_path / "output")}])
    only = Run("fit-1@there/team")[0]
    before = list(commands)
    assert only.output == tmp_path / "output"
    assert [c for c in commands if c not in before] == [("pull", "fit-1@there/team", "--trial", "3", "--json")]
    assert capsys.readouterr().err == "\rtrial 3  ██░░  1.0 MB of 2.0 MB\r                               \r"
    (tmp_path / "output").mkdir()
    assert only.output == tmp_path / "output"
    assert sum(c[0] == "pull" for c in commands) == 1
