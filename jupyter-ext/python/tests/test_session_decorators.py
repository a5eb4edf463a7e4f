"""`Train` and its siblings: the plain function where one expects it, a submission where one calls for it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import Peer, Turn, run_cell, well
from IPython.core.interactiveshell import InteractiveShell

import metaml
from metaml import DataIn, DataOut, Refused, Serve, Train

Make = Callable[[Turn], Peer]

SCRIPT = """
from pathlib import Path

from metaml import Train

def rows():
    yield {"lr": 0.1}
    yield {"lr": 0.2}

@Train(
    settings={"parallelism": 4, "hyper_parameters": rows(), "tensorboard": True,
              "distributed_settings": {"ps": 1, "workers": 2}, "env": {"A": 1, "B": None}, "cpu": 0.5,
              "mount": ["pvc:data:/data"], "pod_template": Path("pod.yaml")},
    package={"repository": "example.org/team", "name": "digits", "publish": True},
)
def train_model(lr=1.0):
    "Trains."
    return {"loss": lr}
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"script_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SCRIPT)
    return importlib.import_module(name)


def test_called_with_arguments_it_is_the_function(script: ModuleType) -> None:
    assert script.train_model(0.5) == {"loss": 0.5}
    assert script.train_model(lr=2) == {"loss": 2}
    assert (script.train_model.__name__, script.train_model.__doc__) == ("train_model", "Trains.")


def test_called_without_it_submits_and_returns_the_run(script: ModuleType, peer: Make) -> None:
    draw = {"name": "rows", "limit": 256, "parameters": ["lr"], "required": []}
    talk = peer(well("train-model-1", {"describe": ["train_model"]}, {"draw": draw}))
    next(rows := script.rows())  # a generator that somebody else uses is another one
    assert script.train_model() == metaml.Run("train-model-1")
    begin, request, describe, drawn, bound = talk.heard
    assert begin["settings"] == {
        "parallelism": "4",
        "hyper_parameters": "rows",
        "tensorboard": "true",
        "distributed_settings": {"ps": 1, "workers": 2},
        "env": {"A": 1, "B": None},
        "cpu": "0.5",
        "mount": ["pvc:data:/data"],
        "pod_template": "pod.yaml",
        "package.repository": "example.org/team",
        "package.name": "digits",
        "package.publish": "true",
    }
    assert (begin["function"], begin["source"], begin["line"]) == ("train_model", script.__file__, "")
    assert request["session"]["kind"] == "script"
    assert request["session"]["cells"][0]["source"] == SCRIPT
    assert describe["describe"]["train_model"]["qualname"] == "train_model"
    assert drawn["draw"]["rows"] == [[["lr", 0.1]], [["lr", 0.2]]]
    assert bound["type"] == "bound"
    rows.close()


def test_inside_a_trial_it_is_the_function(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_METAML_TRIAL", "3")
    assert script.train_model() == {"loss": 1.0}


def test_bare() -> None:
    @Train
    def f(a: int) -> int:
        return a + 1

    assert f(1) == 2


def test_in_a_notebook_it_waits_itself(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well("f-1"))
    run_cell(
        loaded,
        "from metaml import Train\nrows = [{'a': 1}]\n@Train(hyper_parameters=rows, parallelism=2)\ndef f(a): pass",
    )
    result = run_cell(loaded, "result = f()")
    assert result.success
    assert loaded.user_ns["result"] == metaml.Run("f-1")
    assert "run" not in loaded.user_ns  # the call's value is what the user has
    begin, request, _ = talk.heard
    assert begin["cell"]["alone"] is False
    assert begin["settings"] == {"hyper_parameters": "hyper_parameters", "parallelism": "2"}
    assert request["session"]["kind"] == "live"
    assert [cell["seq"] for cell in request["session"]["cells"]] == [1, 2]


@pytest.mark.parametrize(
    ("decorate", "text"),
    [
        (lambda: Train(settings={"paralelism": 1}), "@Train has no setting 'paralelism'\nDid you mean 'parallelism'?"),
        (lambda: Train(hyper_parameter=1), "@Train has no setting 'hyper_parameter'\nDid you mean 'hyper_parameters'?"),
        (lambda: Train(package={"repo": 1}), "package of @Train has no setting 'repo'"),
        (lambda: Serve(settings={"replica": 1}), "@Serve has no setting 'replica'\nDid you mean 'replicas'?"),
        (lambda: Train(settings={"seed": object()}), "the decorator's 'seed' is a object"),
        (lambda: Train(env={"A": object()}), "the decorator's 'env' has a object in it"),
        (lambda: Train(env=[float("nan")]), "the decorator's 'env' has nan in it"),
        (lambda: Serve(example=[float("inf")]), "the decorator's 'example' has infinity at [0], which cannot be JSON"),
        (lambda: Serve(model=metaml.Server("s-1")), "the decorator's 'model' is a Server"),
        (lambda: Train(5), "@Train goes over a function, not over a int"),  # type: ignore[arg-type]
        (lambda: Train()(), "this @Train has no function yet"),
    ],
)
def test_a_wrong_decorator_is_refused_at_once(decorate: Callable[[], Any], text: str) -> None:
    with pytest.raises(Refused) as refused:
        decorate()
    assert str(refused.value).startswith(text)


SERVING = """
from metaml import Run, Serve

@Serve(
    settings={"url": "/predict", "port": 80, "replicas": 2, "model": Run("fit-1"), "example": {"x": [1, 2]}},
    package={"repository": "example.org/team"},
)
def serve(x=1):
    return x + 1
"""


def test_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, peer: Make) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"serving_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SERVING)
    talk = peer(well("serve-1", kind="serve"))
    serve = importlib.import_module(name).serve
    assert (serve(1), serve(x=2), talk.heard) == (2, 3, [])
    assert serve() == metaml.Server("serve-1")
    begin = talk.heard[0]
    assert (begin["kind"], begin["function"]) == ("serve", "serve")
    assert begin["settings"] == {
        "url": "/predict",
        "port": "80",
        "replicas": "2",
        "model": "fit-1",
        "example": '{"x":[1,2]}',
        "package.repository": "example.org/team",
    }
    monkeypatch.setenv("_METAML_TRIAL", "0")
    assert serve() == 2


def test_serve_in_a_notebook(loaded: InteractiveShell, peer: Make) -> None:
    talk = peer(well("serve-1", kind="serve", before=[{"runs": ["run"]}]))
    run_cell(loaded, "from metaml import Run, Serve\nrun = Run('fit-1')\n@Serve(model='run')\ndef serve(x): return x")
    assert run_cell(loaded, "s = serve()").success
    assert loaded.user_ns["s"] == metaml.Server("serve-1")
    assert "server" not in loaded.user_ns
    assert talk.said("have")[0]["runs"] == {"run": "fit-1"}


def test_data_passes_paths_and_refuses_urls_when_called() -> None:
    @DataIn(train="data/train.csv")
    @DataOut
    def f(a: int) -> int:
        return a + 1

    assert f(1) == 2

    @DataIn(train="s3://key:secret@bucket/train.csv?token=x")
    def g() -> None:
        raise AssertionError("was called")

    with pytest.raises(Refused) as refused:
        g()
    assert refused.value.text == (
        "@DataIn of `g`: `train` is at s3://bucket/train.csv, and this version of MetaML does not move data by URL"
    )


def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    root = str(Path(metaml.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {root!r}); from metaml import Train\n@Train\ndef f(): pass\nf()"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert got.returncode == 1
    assert got.stderr == (
        "Refused: @Train of `f`: there is neither a notebook nor a file that defines it\n"
        "Put it into a file, or load MetaML into the notebook first: %load_ext metaml.\n"
    )
