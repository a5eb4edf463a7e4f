"""A script that jupytext keeps for a notebook is run as the notebook."""

from __future__ import annotations

import json
import subprocess
import sys

from conftest import Notebook
from surroundings import BIN

PERCENT = """\
# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---
# Run it anywhere.

# %% [markdown]
# # A sweep

# %%
import os
# %env FACTOR=3
grid = {"k": [1, 2]}


# %%
# %%train --hyper-parameters grid --parallelism 2 --name swept
def fit(k):
    return {"v": k * int(os.environ["FACTOR"])}


# %%
# %%serve --name answering
def answer(x: int):
    return x
"""
LIGHT = PERCENT.replace("name: percent", "name: light").replace("# %% [markdown]\n", "").replace("# %%\n", "# +\n")


def test_plan_and_run(notebook: Notebook) -> None:
    for name, text in (("percent.py", PERCENT), ("light.py", LIGHT)):
        (notebook.folder / name).write_text(text)
        assert "parallelism = 2 (cell)" in notebook.metaml("plan", name)
        shown = notebook.metaml("run", name, "--again")
        assert "2 trials   succeeded" in shown, shown
        trials = json.loads(notebook.metaml("show", "last", "--json"))["trials"]
        assert sorted(trial["metrics"]["v"] for trial in trials) == [3, 6]
        assert "Those are: 2, 3." in notebook.metaml("plan", name, "--cell", "1")
        assert "answering" in notebook.metaml("plan", name, "--kind", "serve")


def test_convert(notebook: Notebook) -> None:
    (notebook.folder / "script.py").write_text(PERCENT)
    convert = [str(BIN / "metaml-nbconvert"), "script.py", "--function", "fit", "-o", "out.py"]
    done = subprocess.run(convert, cwd=notebook.folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    ran = subprocess.run(
        [sys.executable, "out.py", "--k", "4"], cwd=notebook.folder, capture_output=True, text=True, check=False
    )
    assert json.loads(ran.stdout) == {"v": 12}, ran.stderr
