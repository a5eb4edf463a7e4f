"""`python -m metaml._session.standalone`: a program's names and hyperparameters without a live session."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import metaml
from metaml._session.names import describe, distributions

ROOT = str(Path(metaml.__file__).parent.parent)

PROGRAM = """
import math
print("noise")
import os
os.write(1, b"more noise")

class Net:
    pass

def rows():
    yield {"lr": 0.1, "net": 3}
    raise ValueError("no more")

def good():
    yield from ({"size": [i]} for i in range(2))

n = 5

if __name__ == "__main__":
    raise SystemExit("was executed")
"""


def answers(tmp_path: Path, program: str, *needs: dict[str, Any]) -> list[dict[str, Any]]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(program)
    got = subprocess.run(
        [sys.executable, "-m", "metaml._session.standalone", str(tmp_path)],
        input="".join(json.dumps({"v": 1, "type": "need", "id": i, **need}) + "\n" for i, need in enumerate(needs)),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in got.stdout.splitlines()]
    assert [line["id"] for line in lines] == list(range(len(needs)))
    return lines


def test_the_top_level_runs_and_the_guard_does_not(tmp_path: Path) -> None:
    about, good, bad = answers(
        tmp_path, PROGRAM, {"describe": ["n", "Net"]}, {"draw": {"name": "good"}}, {"draw": {"name": "rows"}}
    )
    assert about["describe"]["n"] == {"kind": "value", "type": "builtins.int", "repr": "5", "size": 5}
    assert about["describe"]["Net"]["module"] == "__main__"
    assert good["draw"]["rows"] == [[["size", [0]]], [["size", [1]]]]
    assert bad["error"]["text"] == "`rows` raised ValueError: no more"
    assert 'raise ValueError("no more")' in bad["error"]["traceback"]


def test_a_top_level_that_raises_is_the_answer(tmp_path: Path) -> None:
    (got,) = answers(tmp_path, "x = 1\n1/0\n", {"describe": ["x"]})
    assert got["error"]["text"] == "the top level of the program raised ZeroDivisionError: division by zero"
    assert "line 2" in got["error"]["traceback"]
    assert "standalone.py" not in got["error"]["traceback"]


def test_describe() -> None:
    import collections

    import numpy as np

    namespace: dict[str, Any] = {
        "od": collections.OrderedDict,
        "loads": json.loads,
        "np": np,
        "f": lambda: 1,
        "a": np.zeros((2, 3), dtype="f4"),
        "t": "x" * 1000,
        "lock": __import__("threading").Lock(),
        "tanh": np.tanh,
    }
    about = {name: describe(name, namespace) or {} for name in namespace}
    assert about["od"] | {"type": ""} == {
        "kind": "class",
        "module": "collections",
        "qualname": "OrderedDict",
        "type": "",
        "importable": True,
    }
    assert about["loads"]["importable"] is True
    assert about["np"] == {"kind": "module", "module": "numpy", "importable": True}
    assert "importable" not in about["f"]
    assert (about["a"]["shape"], about["a"]["dtype"], about["a"]["size"]) == ([2, 3], "float32", 24)
    assert "repr" not in about["t"]
    assert about["t"]["size"] > 1000
    assert about["lock"]["size"] == -1
    assert about["tanh"]["importable"] is True
    assert describe("gone", namespace) is None


def test_distributions() -> None:
    from importlib import import_module
    from importlib.metadata import version

    import numpy

    import_module("dateutil")  # of what is not loaded nothing is written
    got = distributions(["numpy", "dateutil", "sys", "json", "IPython.display", "metaml_no_such"])
    assert got["numpy"] == {"name": "numpy", "version": numpy.__version__}
    assert got["dateutil"] == {"name": "python-dateutil", "version": version("python-dateutil")}
    assert got["IPython.display"]["name"] == "ipython"
    assert len(got) == 3


@pytest.mark.parametrize(
    ("code", "guard"),
    [
        ('if __name__ == "__main__": f()', True),
        ('if "__main__" == __name__: f()', True),
        ('if __name__ != "__main__": f()', False),
        ('if __name__ == "__main__": f()\nelse: g()', False),
        ("if f: g()", False),
    ],
)
def test_only_the_guard_itself_is_left_out(code: str, guard: bool) -> None:
    import ast

    from metaml._trial.main_guard import is_guard

    assert is_guard(ast.parse(code).body[0]) is guard


def test_the_lock_of_a_file_is_that_of_its_interpreter(tmp_path: Path) -> None:
    import numpy

    (got,) = answers(tmp_path, "", {"lock": ["numpy"]})
    (package,) = got["lock"]["packages"]
    assert (package["name"], package["version"]) == ("numpy", numpy.__version__)
    assert (package["root"], package["loaded"]) == (True, False)
