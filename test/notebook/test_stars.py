"""What a star import brought to the session, it brings to the program."""

from __future__ import annotations

import pytest
from conftest import Notebook

CASES = {
    "a constant": ("from math import *", "pi * e", "math.pi * math.e"),
    "numpy's": ("from numpy import *", "sum([[1, 2], [3, 4]], axis=1)[0] + pi + random.rand() * 0", "3 + math.pi"),
    "of a folder": ("from os.path import *", "len(join('a', sep))", "1"),
    "of one's own": (
        "import pathlib\n_ = pathlib.Path('mine_s.py').write_text('__all__ = [\"one\"]\\none, two = 11, 12\\n')\n"
        "two = 2\nfrom mine_s import *",
        "one + two",
        "13",
    ),
    "rebound": ("from math import *\npi = 3", "pi", "3"),
    "brought back": ("pi = 3\nfrom math import *", "pi", "math.pi"),
    "two": ("from numpy import *\nfrom math import *", "log(e)", "1.0"),
    "pylab": ("%pylab inline", "linspace(0, 1, 3)[1] + np.pi", "0.5 + math.pi"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_trial_has_what_the_session_has(notebook: Notebook, case: str) -> None:
    cell, value, expected = CASES[case]
    notebook.run("%reset -f")
    notebook.run("%load_ext metaml")
    shown = notebook.run(cell)
    assert shown.status == "ok", shown.plain
    shown = notebook.run(f"%%train --name starred\ndef f():\n    return float({value})")
    assert shown.status == "ok", shown.plain
    answered = notebook.run(f"import math\nmath.isclose(run.trials[0].metrics['value'], {expected})").results
    assert answered == ["True"], notebook.run("run.trials[0].metrics").plain
