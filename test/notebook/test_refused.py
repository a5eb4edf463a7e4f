"""Bad input is refused under the cell, in one sentence, before anything starts; and what fails later fails the cell."""

from __future__ import annotations

import pytest
from conftest import Notebook

CONTEXT = """
import random, threading

def good():
    while True:
        yield {'x': random.random()}

def raises():
    raise KeyError('no file')
    yield {}

def wrong_type():
    yield 3

def nothing():
    return
    yield

def misspelt():
    while True:
        yield {'y': 1}

def lock():
    while True:
        yield {'x': threading.Lock()}

started = good()
next(started)
rows = [{'x': 1}, {'x': 2}]
"""
TRAIN = "\ndef train(x):\n    return x"

REFUSED = {
    "unknown option": (
        "%%train --paralelism 4" + TRAIN,
        "there is no option --paralelism\nDid you mean --parallelism?",
    ),
    "wrong type": ("%%train --parallelism four" + TRAIN, '--parallelism takes a whole number, not "four"'),
    "parallelism 0": ("%%train --parallelism 0" + TRAIN, "--parallelism must be from 1 to 10,000, not 0"),
    "completions 0": ("%%train --completions 0" + TRAIN, "--completions must be from 1 to 100,000, not 0"),
    "completions negative": ("%%train --completions -1" + TRAIN, "--completions must be from 1 to 100,000, not -1"),
    "completions no number": ("%%train --completions many" + TRAIN, '--completions takes a whole number, not "many"'),
    "completions too many": (
        "%%train --completions 100001" + TRAIN,
        "--completions must be from 1 to 100,000, not 100001",
    ),
    "no function": ("%%train\nx = 1", "defines no function"),
    "no source of parameters": ("%%train" + TRAIN, "train needs a value for x"),
    "no such source": ("%%train --hyper-parameters goood" + TRAIN, "Did you mean `good`?"),
    "generator yields no dict": ("%%train --hyper-parameters wrong_type" + TRAIN, "wrong_type"),
    "generator yields nothing": ("%%train --hyper-parameters nothing" + TRAIN, "nothing"),
    "keys do not match": ("%%train --hyper-parameters misspelt" + TRAIN, "y"),
    "started generator": ("%%train --hyper-parameters started" + TRAIN, "started"),
    "value cannot travel": ("%%train --hyper-parameters lock" + TRAIN, "lock"),
    "more than a list has": ("%%train --hyper-parameters rows --completions 3" + TRAIN, "rows"),
    "name without source": ("%%train\ndef train():\n    return unknown_name", "unknown_name"),
    "another target": ("%%train --target kubernetes" + TRAIN, "kubernetes"),
    "a setting of a cluster": (
        "%%train --repository example/team" + TRAIN,
        "--repository means nothing on target local",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def context(notebook: Notebook) -> None:
    assert notebook.run(CONTEXT).error == ""


@pytest.mark.parametrize("name", REFUSED)
def test_refused(notebook: Notebook, name: str) -> None:
    cell, text = REFUSED[name]
    before = notebook.metaml("runs", "--json")
    shown = notebook.run(cell)
    assert shown.status == "error"
    assert shown.error.startswith("Refused: %%train: "), shown.error
    assert text in shown.error
    assert "Traceback" not in shown.traceback, "a user's mistake shows no stack of ours"
    assert len(shown.traceback.splitlines()) <= 3
    assert notebook.metaml("runs", "--json") == before, "nothing was started"


def test_a_generator_that_raises_shows_its_own_error(notebook: Notebook) -> None:
    shown = notebook.run("%%train --hyper-parameters raises" + TRAIN)
    assert shown.error == "KeyError: 'no file'"
    assert "raise KeyError('no file')" in shown.traceback
    assert "metaml" not in shown.traceback


def test_a_syntax_error_is_ipythons(notebook: Notebook) -> None:
    shown = notebook.run("%%train\ndef train(:\n    pass")
    assert shown.error.startswith("SyntaxError: ")
    assert "line 2" in shown.traceback
    assert "metaml" not in shown.traceback


def test_all_trials_failed_is_an_error_of_the_cell(notebook: Notebook) -> None:
    shown = notebook.run(
        "%%train --parallelism 2\ndef deep():\n    raise ValueError('no good')\n\ndef train():\n    deep()"
    )
    assert shown.status == "error"
    assert shown.error.startswith("TrialsFailed: all 2 trials of train-")
    assert "ValueError: no good" in shown.error
    assert f"cell {shown.count}, line 3, in deep" in shown.traceback


def test_what_all_trials_raise_is_shown_once(notebook: Notebook) -> None:
    shown = notebook.run("%%train --completions 4 --name alike\ndef train():\n    raise ValueError('the same for all')")
    assert shown.traceback.count("raise ValueError('the same for all')") == 1
    assert len(shown.displays) == 2, "the slice and the table"
    said = notebook.metaml("show", "alike")
    assert said.count("raise ValueError('the same for all')") == 1
    assert "trials 0, 1, 2 and 3 failed alike" in said


def test_an_error_in_the_cell_itself_shows_the_cell(notebook: Notebook) -> None:
    shown = notebook.run("%%train --completions 4\nhere = 1 / 0\ndef train():\n    return here")
    assert "here = 1 / 0" in shown.traceback
    assert "_metaml" not in shown.traceback


def test_a_failed_run_is_no_success_for_those_that_wait(notebook: Notebook) -> None:
    first = notebook.client.execute("%%train\ndef train():\n    1 / 0")
    second = notebook.client.execute("print('not reached')")
    replies: dict[str, str] = {}
    while len(replies) < 2:
        reply = notebook.client.get_shell_msg(timeout=30)
        replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    assert replies == {first: "error", second: "aborted"}


def test_some_failed_is_a_warning_and_the_run_is_usable(notebook: Notebook) -> None:
    shown = notebook.run(
        "%%train --hyper-parameters rows\ndef train(x):\n    if x == 2: raise ValueError('two is bad')\n    "
        "return {'loss': x}"
    )
    assert shown.status == "ok"
    assert "2 trials, 1 failed" in shown.plain
    assert "ValueError: two is bad" in shown.plain
    assert notebook.run("run.best().parameters").results == ["{'x': 1}"]


def test_a_trial_killed_by_a_signal_says_so(notebook: Notebook) -> None:
    shown = notebook.run(
        "%%train --retries 0\nimport os, signal\ndef train():\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert "killed by signal 9 (SIGKILL)" in shown.error


def test_a_program_whose_top_level_fails(notebook: Notebook) -> None:
    notebook.run("import sys\nhere = {'IPython': 1}")
    shown = notebook.run(
        "%%train\nbroken = here[[m for m in sys.modules if m in ('IPython', 'metaml._trial.trial')][0]]\ndef "
        "train():\n    return broken"
    )
    assert "could not be loaded: KeyError: 'metaml._trial.trial'" in shown.error
    assert f"cell {shown.count}, line 2" in shown.traceback


def test_100_mb_of_output_is_bounded(notebook: Notebook) -> None:
    shown = notebook.run(
        "%%train\ndef train():\n    for _ in range(100):\n        print('x' * (1 << 20))\n    return 1"
    )
    assert shown.status == "ok", shown.error
    assert len(shown.plain) < 10_000


def test_a_function_that_never_returns_can_be_stopped(notebook: Notebook) -> None:
    def stop(shown: object) -> None:
        if "●" in shown.plain and not interrupted:  # type: ignore[attr-defined]
            interrupted.append(True)
            notebook.manager.interrupt_kernel()

    interrupted: list[bool] = []
    shown = notebook.run("%%train\nimport time\ndef train():\n    while True: time.sleep(0.01)", when=stop)
    assert interrupted, shown
    assert shown.error.startswith("KeyboardInterrupt: train-")
    assert notebook.run("1 + 1").results == ["2"]


def test_a_run_that_does_not_exist(notebook: Notebook) -> None:
    notebook.run("%%train --name nearly\ndef train():\n    return 1")
    shown = notebook.run("import metaml; metaml.run('neerly-1')")
    assert 'there is no run "neerly-1"; the nearest name is "nearly-1"' in shown.error


def test_a_settings_file_with_a_mistake(notebook: Notebook) -> None:
    file = notebook.folder / "metaml.toml"
    file.write_text("# ours\nparalelism = 3\n")
    try:
        shown = notebook.run("%%train\ndef train():\n    return 1")
        assert f'{file}:2: there is no setting "paralelism"\nDid you mean "parallelism"?' in shown.error
        file.write_text("parallelism = 'two'\n")
        assert f"{file}:1: parallelism takes an integer" in notebook.run("%%train\ndef train():\n    return 1").error
    finally:
        file.unlink()


def test_help_is_no_error(notebook: Notebook) -> None:
    shown = notebook.run("%%train --help\ndef train():\n    return 1")
    assert shown.status == "ok"
    assert "--hyper-parameters NAME" in shown.plain
