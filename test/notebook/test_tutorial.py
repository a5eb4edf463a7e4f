"""The tutorial's cells, executed in order in one notebook: what docs/tutorial shows is what happens."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import Notebook
from surroundings import BIN, install_kernel

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder of the tutorial's own: its pages name the first runs of their series."""
    home = tmp_path_factory.mktemp("tutorial")
    install_kernel(home)
    return home


def cells(page: str) -> list[str]:
    return FENCE.findall((TUTORIAL / page).read_text())


def test_every_cell_of_the_tutorial_runs(notebook: Notebook) -> None:
    for page in sorted(path.name for path in TUTORIAL.glob("[1-4]-*.md")):
        found = cells(page)
        assert found, f"{page} has no cells"
        for cell in found:
            # Runs are numbered in each series, and the name in the text is the second of its series.
            shown = notebook.run(cell)
            assert shown.status == "ok", f"{page}:\n{cell}\n{shown.plain}"
    assert notebook.run("run.name, run.best().parameters").results == [
        "('train-model-2', {'learning_rate': 1.0, 'dropout': 0.0})"
    ]
    assert notebook.run("server.name, server.predict(5) == 5 * weights").results == ["('predict-1', True)"]
    assert notebook.run("server.stop()").status == "ok"


def test_what_the_tutorial_calls_refused_is_refused(notebook: Notebook) -> None:
    notebook.run("import builtins")
    notebook.run("exec('vectorizer = object()')")
    shown = notebook.run("%%train\ndef train_model():\n    return vectorizer is None")
    assert shown.status == "error"
    said = (TUTORIAL / "1-first-run.md").read_text()
    assert "which no cell defines" in shown.plain
    assert "which no cell defines\nDefine it in a cell, or ship its value with --with vectorizer." in said


def test_the_script_of_the_tutorial_runs(notebook: Notebook, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    (code,) = cells("5-shell.md")
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**notebook.env, "METAML_BIN": str(BIN), "PYTHONPATH": str(TUTORIAL.parents[1] / "jupyter-ext" / "python")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("{'x': 2}")


def test_every_piece_of_python_in_the_pages_can_be_parsed() -> None:
    root = TUTORIAL.parents[1]
    found = 0
    for page in [root / "README.md", root / "CONTRIBUTING.md", *root.glob("docs/**/*.md")]:
        for piece in re.findall(r"^( *)```python\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL):
            code = "".join(line for line in textwrap.dedent(piece[1]).splitlines(keepends=True) if line[:2] != "%%")
            if code.strip() == 'if __name__ == "__main__":':
                continue
            found += 1
            try:
                ast.parse(code)
            except SyntaxError as error:
                raise AssertionError(f"{page.relative_to(root)}: {error}\n{code}") from None
    assert found > 30
