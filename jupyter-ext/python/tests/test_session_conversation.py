"""Whole conversations of a live shell, with a peer that plays `metaml` by a script."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import HANG_UP, Line, Peer, Turn, run_cell, well
from IPython.core.interactiveshell import InteractiveShell

import metaml
from metaml import _errors
from metaml._binary import talk as talks
from metaml._held import show
from metaml._held.trial import Trial
from metaml._session import submit
from metaml._session.answers import Answers

Make = Callable[[Turn], Peer]


def test_the_run_becomes_the_value_of_the_cell(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well("f-1"))
    result = run_cell(loaded, "%%train --parallelism 2\ndef f():\n    return 1")
    assert isinstance(result.result, metaml.Run)
    assert result.result.name == "f-1"
    assert loaded.user_ns["run"] is loaded.user_ns["_"] is loaded.user_ns["Out"][1] is result.result
    assert [line["type"] for line in talk.heard] == ["begin", "request", "bound"]
    begin, request, _ = talk.heard
    assert (begin["kind"], begin["line"], begin["cwd"]) == ("train", "--parallelism 2", os.getcwd())
    assert begin["cell"] == {"seq": 1, "count": 1, "id": "", "parent": "", "alone": False, "lines": False}
    assert request["session"]["cells"][0]["source"] == "%%train --parallelism 2\ndef f():\n    return 1"
    assert talk.ended.wait(10)


def test_on_a_terminal_the_value_is_one_line(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metaml.Run, "_read", lambda run: {"state": "succeeded", "trials": []})
    peer(well("f-1"))
    run_cell(loaded, "%%train\ndef f(): pass")
    assert capsys.readouterr().out == "Out[1]: <Run f-1: succeeded, 0 of 0 trials>\n"


def test_names_expand_in_the_line(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well())
    run_cell(loaded, "n = 3")
    run_cell(loaded, "%%train --parallelism {n} --seed $n\ndef f(): pass")
    assert talk.heard[0]["line"] == "--parallelism 3 --seed 3"


def test_the_body_is_an_ordinary_cell(loaded: InteractiveShell, peer: Make) -> None:
    import inspect

    peer(well())
    run_cell(loaded, "import asyncio")
    assert run_cell(loaded, "%%train\nvalue = await asyncio.sleep(0, 7)\ndef f():\n    return value").success
    assert loaded.user_ns["value"] == 7
    assert inspect.getsource(loaded.user_ns["f"]) == "def f():\n    return value\n"


def test_a_body_that_raises_is_shown_once_and_starts_nothing(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = peer(well())
    result = run_cell(loaded, "%%train\nx = 1\n1/0")
    assert isinstance(result.error_in_exec, ZeroDivisionError)
    assert capsys.readouterr().out.count("ZeroDivisionError: division by zero") == 1
    assert talk.ended.wait(10)
    assert [line["type"] for line in talk.heard] == ["begin"]


def test_a_syntax_error_is_ipythons(loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]) -> None:
    talk = peer(well())
    result = run_cell(loaded, "%%train\ndef f(:\n    pass")
    assert isinstance(result.error_before_exec, SyntaxError)
    assert result.error_before_exec.lineno == 2
    assert "_metaml" not in capsys.readouterr().out
    assert talk.heard == []


def refusing(at: str, **fields: Any) -> Turn:
    other = well()

    def turn(line: Line) -> list[Line] | None:
        if line["type"] == at:
            return [
                {
                    "type": "refused",
                    "code": "c",
                    "text": "%%train: no",
                    "hint": "Do this.",
                    "cell": 2,
                    "line": 3,
                    **fields,
                }
            ]
        return other(line)

    return turn


@pytest.mark.parametrize("at", ["begin", "request"])
def test_a_refusal_is_a_sentence_without_a_stack(
    loaded: InteractiveShell, peer: Make, at: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peer(refusing(at))
    result = run_cell(loaded, "%%train --x\ndef f(): pass")
    error = result.error_in_exec
    assert isinstance(error, metaml.Refused)
    assert (error.text, error.hint, error.code, error.cell, error.line) == ("%%train: no", "Do this.", "c", 2, 3)
    assert "Refused: %%train: no\nDo this." in capsys.readouterr().out
    assert ("f" in loaded.user_ns) is (at == "request")  # the line is checked before the body runs
    assert "run" not in loaded.user_ns


def test_a_peer_that_dies_is_named(loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]) -> None:
    peer(lambda line: [HANG_UP])
    result = run_cell(loaded, "%%train\ndef f(): pass")
    assert isinstance(result.error_in_exec, metaml.MetaMLError)
    assert str(result.error_in_exec) == "metaml ended without an answer"


def test_how_a_run_ends_is_how_the_cell_ends(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] != "bound":
            return well()(line)
        error = {"ename": turn.ename, "evalue": "all failed", "traceback": ["the user's", "lines"]}  # type: ignore[attr-defined]
        return [{"type": "done", "state": "failed", "error": error}]

    peer(turn)
    for ename, kind in (
        ("TrialsFailed", metaml.TrialsFailed),
        ("Detached", metaml.Detached),
        ("KeyboardInterrupt", KeyboardInterrupt),
        ("ServerFailed", metaml.ServerFailed),
        ("Stopped", metaml.MetaMLError),
        ("SubmissionFailed", metaml.MetaMLError),
    ):
        turn.ename = ename  # type: ignore[attr-defined]
        result = run_cell(loaded, "%%train\ndef f(): pass")
        assert isinstance(result.error_in_exec, kind)
        assert type(result.error_in_exec).__name__ == ename
        assert capsys.readouterr().out.strip() == "the user's\nlines"


def test_the_module_knows_every_ending_that_metaml_names() -> None:
    """Those of `metaml` are constants of one file."""
    source = (Path(__file__).resolve().parents[3] / "internal" / "launch" / "watch" / "end.go").read_text()
    named = set(re.findall(r'Ending = "(\w+)"', source))
    assert "Detached" in named and named <= set(_errors._ENDINGS)


def test_an_ending_of_a_newer_metaml_is_a_metaml_error() -> None:
    error = _errors.from_done({"ename": "Postponed", "evalue": "it starts tomorrow", "traceback": []})
    assert type(error) is metaml.MetaMLError and str(error) == "it starts tomorrow"


def test_what_is_asked_is_answered(loaded: InteractiveShell, peer: Make) -> None:
    draw = {"name": "rows", "limit": 256, "completions": 0, "parallelism": 1, "parameters": ["a"], "required": ["a"]}
    talk = peer(
        well(
            "f-1",
            {"describe": ["x", "f", "gone"]},
            {"distributions": ["numpy", "json", "no_such_module"]},
            {"with": ["x"]},
            {"draw": {**draw, "limit": 0}},
            {"draw": draw},
            {"something": "new"},
        )
    )
    import numpy

    run_cell(loaded, "import numpy\nx = {3, 1, 2}\ndef rows():\n    yield {'a': 1}\n    yield {'a': numpy.array([2])}")
    assert run_cell(loaded, "%%train\ndef f(a): pass").success
    describe, packages, shipped, named, drawn, unknown = talk.said("have")
    assert [have["id"] for have in talk.said("have")] == [0, 1, 2, 3, 4, 5]
    assert sorted(describe["describe"]) == ["f", "x"]
    assert packages["distributions"] == {"numpy": {"name": "numpy", "version": numpy.__version__}}
    assert shipped["with"]["x"]["size"] > 0
    assert not Path(shipped["with"]["x"]["file"]).exists()  # the other side has copied it by the end
    assert "rows" not in named["draw"]
    assert drawn["draw"]["rows"] == [[["a", 1]], [["a", 2]]]
    assert unknown["error"]["code"] == "unknown-need"


def test_the_users_exception_in_a_generator_is_raised_as_it_is(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    script = well("f-1", {"draw": {"name": "rows"}})

    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "have":
            return [{"type": "refused", "code": "hyper-parameters", "text": line["error"]["text"]}]
        return script(line)

    talk = peer(turn)
    run_cell(loaded, "def rows():\n    yield {'a': 1}\n    raise KeyError('lost')")
    result = run_cell(loaded, "%%train\ndef f(a): pass")
    assert isinstance(result.error_in_exec, KeyError)
    shown = capsys.readouterr().out
    assert "raise KeyError('lost')" in shown
    assert "draw.py" not in shown
    (have,) = talk.said("have")
    assert have["error"]["text"] == "`rows` raised KeyError: 'lost'"
    assert have["error"]["traceback"].endswith("KeyError: 'lost'\n")


def test_a_name_that_is_the_users_is_left_alone(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    peer(well())
    run_cell(loaded, "run = 5")
    assert run_cell(loaded, "%%train\ndef f(): pass").success
    assert loaded.user_ns["run"] == 5
    assert "`run` is yours, so the run is in Out[2]; --into NAME gives it a name." in capsys.readouterr().out
    run_cell(loaded, "del run")
    for _ in range(2):
        run_cell(loaded, "%%train\ndef f(): pass")
        assert isinstance(loaded.user_ns["run"], metaml.Run)


def test_a_server_becomes_the_value_of_the_cell(loaded: InteractiveShell, peer: Make, tmp_path: Path) -> None:
    before = [{"runs": ["run", "best", "tmp", "gone"]}]
    talk = peer(
        well("serve-1", {"json": "x"}, before=before, model={"name": "fit-1:2", "folder": str(tmp_path)}, kind="serve")
    )
    run_cell(loaded, "import metaml, numpy\nrun = metaml.Run('fit-1')\ntmp = 1\nx = {'a': numpy.arange(2)}")
    loaded.user_ns["best"] = Trial(2, "succeeded", run="fit-1")
    cell = "%%serve --model run --example x\nfolder = metaml.model()\nother = metaml.model('x')\ndef serve(input): pass"
    result = run_cell(loaded, cell)
    assert isinstance(result.result, metaml.Server)
    assert loaded.user_ns["server"] is loaded.user_ns["_"] is loaded.user_ns["Out"][2] is result.result
    assert loaded.user_ns["folder"] == loaded.user_ns["other"] == tmp_path
    assert loaded.user_ns["run"] == metaml.Run("fit-1")
    assert [line["type"] for line in talk.heard] == ["begin", "have", "request", "have", "bound"]
    runs, example = talk.said("have")
    assert (talk.heard[0]["kind"], talk.heard[0]["line"]) == ("serve", "--model run --example x")
    assert runs == {"v": 1, "type": "have", "id": 100, "runs": {"run": "fit-1", "best": "fit-1:2"}}
    assert example["json"] == '{"a":[0,1]}'
    assert run_cell(loaded, "metaml.model()").result == tmp_path
    peer_of_next = well("serve-1", kind="serve")
    talk._turn = peer_of_next
    run_cell(loaded, "%%serve\ndef serve(input): pass")
    with pytest.raises(metaml.MetaMLError, match="no --model names one"):
        metaml.model()


@pytest.mark.parametrize(
    ("need", "code", "text"),
    [
        ({"json": "xs"}, "example", "--example xs: there is no `xs` here"),
        ({"json": "f"}, "example", "--example f: `f` is a function, which cannot be JSON"),
        ({"json": "x"}, "example", "--example x: `x` has infinity at [0], which cannot be JSON"),
        ({"runs": ["s"]}, "model", "--model s: `s` is the server serve-1, and a model comes from a training run"),
    ],
)
def test_what_a_serving_line_names_is_looked_at(need: Line, code: str, text: str) -> None:
    answers = Answers({"x": [float("inf")], "s": metaml.Server("serve-1"), "f": well})
    error = answers.answer({"id": 1, **need})["error"]
    assert (error["code"], error["text"]) == (code, text)


def test_variables_are_those_that_cells_have_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODE", "fast")
    monkeypatch.delenv("GONE", raising=False)
    answer = Answers({}).answer({"id": 1, "environment": ["MODE", "GONE"]})
    assert answer == {"id": 1, "environment": {"MODE": "fast"}}
    monkeypatch.setenv("RAW", "\udcff")  # bytes that are no text
    everything = Answers({}).answer({"id": 2, "environment": ["*"]})["environment"]
    assert everything["MODE"] == "fast"
    assert "RAW" not in everything
    assert set(os.environ) - set(everything) == {"RAW"}


def test_a_name_of_the_users_keeps_its_value(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    peer(well("serve-1", kind="serve"))
    run_cell(loaded, "server = 5")
    run_cell(loaded, "%%serve\ndef serve(input): pass")
    assert loaded.user_ns["server"] == 5
    assert "`server` is yours, so the server is in Out[2]; --into NAME gives it a name." in capsys.readouterr().out


def ending(name: str, ename: str = "", *, submitted: bool = True, **accepted: Any) -> Turn:
    """A conversation that is accepted, and ends as its script says."""
    other = well(name, **accepted)

    def turn(line: Line) -> list[Line] | None:
        if line["type"] != "bound":
            return other(line)
        error = {"ename": ename, "evalue": f"{name} did not", "traceback": []} if ename else None
        first: list[Line] = [{"type": "submitted", "run": name}] if submitted else []
        return [*first, {"type": "done", "state": "", "error": error}]

    return turn


@pytest.mark.parametrize("kind", ["train", "serve"])
@pytest.mark.parametrize("into", ["", "mine"])
def test_what_was_never_submitted_is_bound_to_nothing(
    loaded: InteractiveShell, peer: Make, kind: str, into: str
) -> None:
    name = into or ("run" if kind == "train" else "server")
    talk = peer(ending("f-1", "SubmissionFailed", submitted=False, kind=kind, into=into))
    cell = f"%%{kind}{' --into ' + into if into else ''}\ndef f(x=1): pass"
    failed = run_cell(loaded, cell)
    assert type(failed.error_in_exec).__name__ == "SubmissionFailed"
    assert name not in loaded.user_ns and 1 not in loaded.user_ns["Out"]
    talk._turn = ending("f-1", kind=kind, into=into)
    assert run_cell(loaded, cell).success
    before = loaded.user_ns[name]
    # The same for who does not wait.
    talk._turn = ending("f-2", "SubmissionFailed", submitted=False, kind=kind, into=into, detach=True)
    assert type(run_cell(loaded, cell).error_in_exec).__name__ == "SubmissionFailed"
    assert loaded.user_ns[name] is before


def test_a_server_is_bound_when_it_answers(
    loaded: InteractiveShell, peer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = "%%serve\ndef f(x): pass"
    monkeypatch.setattr(
        metaml.Server, "state", property(lambda server: "failed" if "bad" in server.name else "running")
    )
    talk = peer(ending("bad-1", "ServerFailed", kind="serve"))
    assert isinstance(run_cell(loaded, cell).error_in_exec, metaml.ServerFailed)
    assert loaded.user_ns["server"].name == "bad-1", "a free name: its logs say why"
    talk._turn = ending("bad-2", "ServerFailed", kind="serve")
    assert isinstance(run_cell(loaded, cell).error_in_exec, metaml.ServerFailed)
    assert loaded.user_ns["server"].name == "bad-2"
    talk._turn = ending("bad-2", "ServerFailed", kind="serve", into="mine")
    loaded.user_ns["mine"] = 5
    assert isinstance(run_cell(loaded, cell + "\nmine = 5").error_in_exec, metaml.ServerFailed)
    assert loaded.user_ns["mine"] == 5
    for name, ename, bound in [
        ("good-1", "", "good-1"),
        ("bad-2", "ServerFailed", "good-1"),
        ("bad-3", "KeyboardInterrupt", "good-1"),
        ("bad-4", "Stopped", "good-1"),
        ("left-1", "Detached", "left-1"),  # it goes on starting
    ]:
        talk._turn = ending(name, ename, kind="serve")
        assert run_cell(loaded, cell).success is not bool(ename)
        assert loaded.user_ns["server"].name == bound
    talk._turn = ending("later-1", kind="serve", detach=True)
    assert run_cell(loaded, cell).success
    assert loaded.user_ns["server"].name == "later-1"
    # A run that failed is there: its trials say why.
    talk._turn = ending("f-1", "TrialsFailed")
    assert isinstance(run_cell(loaded, "%%train\ndef f(): pass").error_in_exec, metaml.TrialsFailed)
    assert loaded.user_ns["run"].name == "f-1"


def test_an_interrupt_while_a_server_starts_gives_it_up(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "bound":
            os.kill(os.getpid(), signal.SIGINT)
            return [{"type": "submitted", "run": "serve-1"}]
        if line["type"] == "stop":
            return [{"type": "done", "state": "stopped", "error": {"ename": "KeyboardInterrupt", "evalue": "given up"}}]
        return well("serve-1", kind="serve")(line)

    talk = peer(turn)
    result = run_cell(loaded, "%%serve\ndef serve(input): pass")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert [line["now"] for line in talk.said("stop")] == [False]
    assert capsys.readouterr().out.strip() == "KeyboardInterrupt: given up"


def test_into_gives_it_a_name(loaded: InteractiveShell, peer: Make) -> None:
    peer(well("f-1", into="mine"))
    run_cell(loaded, "mine = 5")
    run_cell(loaded, "%%train --into mine\ndef f(): pass")
    assert loaded.user_ns["mine"] == metaml.Run("f-1")
    assert "run" not in loaded.user_ns


def test_the_name_may_change_when_it_is_submitted(loaded: InteractiveShell, peer: Make) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "bound":
            return [{"type": "submitted", "run": "f-2"}, {"type": "done", "state": "succeeded", "error": None}]
        return well("f-1")(line)

    peer(turn)
    assert run_cell(loaded, "%%train\ndef f(): pass").result.name == "f-2"


def test_an_interrupt_while_it_runs_stops_and_a_second_stops_now(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "bound":
            os.kill(os.getpid(), signal.SIGINT)
            return [{"type": "submitted", "run": "f-1"}]
        if line["type"] == "stop" and not line["now"]:
            os.kill(os.getpid(), signal.SIGINT)
            return None
        if line["type"] == "stop":
            return [
                {
                    "type": "done",
                    "state": "stopped",
                    "error": {"ename": "KeyboardInterrupt", "evalue": "f-1 was stopped"},
                }
            ]
        return well()(line)

    talk = peer(turn)
    result = run_cell(loaded, "%%train\ndef f(): pass")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert [line["now"] for line in talk.said("stop")] == [False, True]
    assert capsys.readouterr().out.strip() == "KeyboardInterrupt: f-1 was stopped"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_before_the_run_has_its_name_counts(
    loaded: InteractiveShell, peer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "bound":
            os.kill(os.getpid(), signal.SIGINT)
            return None
        if line["type"] == "stop" and not line["now"]:
            return [{"type": "submitted", "run": "f-1"}, {"type": "display", "bundle": {"text/plain": "table"}}]
        if line["type"] == "stop":
            return [{"type": "done", "state": "stopped", "error": {"ename": "KeyboardInterrupt", "evalue": "stopped"}}]
        return well()(line)

    # What is shown comes after the name, so the second interrupt does too.
    monkeypatch.setattr(submit, "_show", lambda _show, _message: os.kill(os.getpid(), signal.SIGINT))
    talk = peer(turn)
    result = run_cell(loaded, "%%train\ndef f(): pass")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert [line["now"] for line in talk.said("stop")] == [False, True]


def test_an_interrupt_before_submission_starts_nothing(
    loaded: InteractiveShell, peer: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "request":
            os.kill(os.getpid(), signal.SIGINT)
            return None
        return well()(line)

    talk = peer(turn)
    result = run_cell(loaded, "%%train\ndef f(): pass")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert capsys.readouterr().out.strip() == "KeyboardInterrupt: nothing was started"
    assert talk.ended.wait(10)
    assert not talk.said("bound")


def test_a_cell_magic_called_by_its_name(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well())
    result = run_cell(loaded, "get_ipython().run_cell_magic('train', '--seed 1', 'def f():\\n    return 1\\n')")
    assert isinstance(result.result, metaml.Run)
    assert loaded.user_ns["f"]() == 1
    nested = talk.said("request")[0]["session"]["cells"][1]
    assert nested["source"] == "%%train --seed 1\ndef f():\n    return 1\n"
    assert "parent" not in nested  # its text is in no other cell
    assert talk.heard[0]["cell"]["seq"] == nested["seq"]


def test_under_another_magic_the_inner_cell_stands_for_both(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well())
    run_cell(loaded, "x = 1")
    run_cell(loaded, "%%capture\n%%train\ndef f():\n    return x")
    begin, request = talk.heard[:2]
    assert [(cell["seq"], cell["source"].strip()) for cell in request["session"]["cells"]] == [
        (1, "x = 1"),
        (3, "%%train\ndef f():\n    return x"),
    ]
    assert begin["cell"]["seq"] == 3
    run_cell(loaded, "%%train\ndef g(): pass")
    assert [(cell["seq"], cell.get("parent")) for cell in talk.said("request")[1]["session"]["cells"]] == [
        (1, None),
        (2, None),
        (3, 2),
        (4, None),
    ]


def test_attach_is_a_conversation_without_a_session(loaded: InteractiveShell, peer: Make) -> None:
    def turn(line: Line) -> list[Line] | None:
        if line["type"] == "begin":
            return [{"type": "accepted", "run": "f-1", "attached": True}]
        return well()(line)

    talk = peer(turn)
    assert run_cell(loaded, "%metaml attach f-1").result == metaml.Run("f-1")
    assert [line["type"] for line in talk.heard] == ["begin", "bound"]
    assert (talk.heard[0]["kind"], talk.heard[0]["line"]) == ("attach", "f-1")
    run_cell(loaded, "%metaml attach run")  # the variable that holds it
    assert talk.heard[2]["line"] == "f-1"
    loaded.user_ns["server"] = metaml.Server("serve-1")
    run_cell(loaded, "%metaml attach server")
    assert talk.heard[4]["line"] == "serve-1"


@pytest.mark.parametrize(
    ("cell", "kind", "says"),
    [
        ("%metaml attach f-1", "attach", "KeyboardInterrupt: what runs goes on, and %metaml attach f-1 shows it"),
        ("%metaml attach", "attach", "KeyboardInterrupt: what runs goes on, and %metaml attach shows it"),
        ("run._ipython_display_()", "show", "KeyboardInterrupt"),
        ("%metaml plan", "train", "KeyboardInterrupt: nothing was started"),
        ("%metaml build", "train", "KeyboardInterrupt: nothing was started"),
        ("%%train\ndef g(): pass", "train", "KeyboardInterrupt: nothing was started"),
    ],
)
def test_an_interrupt_at_the_beginning_says_what_stands(
    loaded: InteractiveShell,
    peer: Make,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cell: str,
    kind: str,
    says: str,
) -> None:
    talk = peer(well())
    run_cell(loaded, "%%train\ndef f(): pass")
    capsys.readouterr()

    def interrupt(line: Line) -> list[Line] | None:
        if line["type"] == "begin":
            os.kill(os.getpid(), signal.SIGINT)
        return None

    monkeypatch.setattr(talk, "_turn", interrupt)
    for module in (talks, show):
        monkeypatch.setattr(module, "connect", lambda **_: talks._socket(talks.kernel_socket))
    result = run_cell(loaded, cell)
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert capsys.readouterr().out.strip() == says
    assert talk.said("begin")[-1]["kind"] == kind
    assert not talk.said("bound")[1:]


def test_a_plan_is_of_the_last_cell_of_ours(
    loaded: InteractiveShell, peer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = peer(well("serve-1", kind="serve"))
    run_cell(loaded, "%%train\ndef f(): pass")
    run_cell(loaded, "%%serve\ndef serve(input): pass")
    run_cell(loaded, "def helper(): pass")
    monkeypatch.setattr(talks, "connect", lambda **_: talks._socket(talks.kernel_socket))
    run_cell(loaded, "%metaml plan --replicas 2")
    begin = talk.said("begin")[2]
    assert (begin["kind"], begin["line"], begin["cell"]["seq"]) == ("serve", "--replicas 2", 2)


def test_shipped_values_are_equal_for_equal_values(tmp_path: Path) -> None:
    from metaml._session.names import ship

    one = ship("x", {"x": {"b": {1, 2, 300}, "a": [{"y": 1, "x": 2}]}}, str(tmp_path))
    data = pickle.loads(Path(one["file"]).read_bytes())
    two = ship("x", {"x": {"b": {300, 2, 1}, "a": [{"y": 1, "x": 2}]}}, str(tmp_path))
    assert data == {"a": [{"x": 2, "y": 1}], "b": {300, 2, 1}}
    assert list(data) == ["b", "a"], "the order of a dict is part of its value"
    assert one["digest"] == two["digest"]
    for value, text in ((lambda: 1, "cannot be pickled"), (open(os.devnull), "cannot be pickled")):  # noqa: SIM115
        with pytest.raises(metaml.Refused, match=text):
            ship("x", {"x": value}, str(tmp_path))
        if hasattr(value, "close"):
            value.close()


def test_shipped_values_keep_what_is_one_object(tmp_path: Path) -> None:
    from metaml._session.names import ship

    inner: list[Any] = [1]
    loop: list[Any] = [inner, (inner, {"a": inner})]
    loop.append(loop)
    data = pickle.loads(Path(ship("x", {"x": loop}, str(tmp_path))["file"]).read_bytes())
    assert data[0] is data[1][0] is data[1][1]["a"]
    assert data[2] is data


def test_a_line_that_is_cut_anywhere_is_read_whole(tmp_path: Path) -> None:
    read, write = os.pipe()
    talk = talks.Conversation(read, write, lambda: "")
    text = json.dumps({"v": 1, "type": "x", "text": "é" * 100_000}).encode() + b"\n"
    import threading

    def slowly() -> None:
        for at in range(0, 2 * len(text), 9973):
            os.write(write, (text + text)[at : at + 9973])

    thread = threading.Thread(target=slowly)
    thread.start()
    assert talk.receive()["text"] == talk.receive()["text"] == "é" * 100_000
    thread.join()
    os.close(write)
    with pytest.raises(talks.Closed):
        talk.receive()
    os.close(read)
