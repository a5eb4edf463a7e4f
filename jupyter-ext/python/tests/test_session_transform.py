"""The input transformer, in one-line cases: which cells are ours, and what becomes of them."""

from __future__ import annotations

import linecache
import sys

import pytest
from conftest import run_cell
from IPython.core.interactiveshell import InteractiveShell

import metaml
from metaml._session import magics

BEGIN = "get_ipython().run_line_magic('_metaml_begin', {!r})"
SUBMIT = "get_ipython().run_line_magic('_metaml_submit', '')"


def transformed(shell: InteractiveShell, cell: str) -> list[str]:
    return str(shell.input_transformer_manager.transform_cell(cell)).splitlines()


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("%%train\nx", "train"),
        ("%%train   --parallelism 4  \nx", "train --parallelism 4"),
        ("\n \n%%train --a\nx", "train --a"),
        ("  %%train --a\n  x", "train --a"),
        ("%%train --a\n  x", "train --a"),
        (">>> %%train --a\n>>> x", "train --a"),
        ("In [3]: %%train --a\n   ...: x", "train --a"),
        ("%%serve --url /p\nx", "serve --url /p"),
    ],
)
def test_ours_as_ipython_sees_cell_magics(loaded: InteractiveShell, cell: str, line: str) -> None:
    assert transformed(loaded, cell) == [BEGIN.format(line), "x", SUBMIT]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--url /items/{id} --port {n}", "--url /items/{id} --port 7"),
        ("--url=/{id}:read --port $n", "--url=/{id}:read --port 7"),
        ("--into {n} --url  /a/{n}/{id}", "--into 7 --url  /a/{n}/{id}"),
    ],
)
def test_braces_of_a_path_are_no_variables(loaded: InteractiveShell, line: str, expected: str) -> None:
    call = eval(transformed(loaded, f"%%serve {line}\nx")[0].removeprefix(BEGIN.partition("{")[0]).removesuffix(")"))
    loaded.user_ns |= {"n": 7, "id": 1}
    assert loaded.var_expand(call).translate(magics._BRACES_BACK) == f"serve {expected}"


@pytest.mark.parametrize(
    "cell", ["# first\n%%train\nx", "x = 1\n%%train", "%%trainer\nx", "%%train?", "%train\nx", "%%capture\n%%train\nx"]
)
def test_not_ours(loaded: InteractiveShell, cell: str) -> None:
    assert "_metaml_begin" not in "\n".join(transformed(loaded, cell))


def test_a_body_keeps_its_lines(loaded: InteractiveShell) -> None:
    body = ["", "def f():", "    return 1  # é", "", "%time x", "# last"]
    got = transformed(loaded, "%%train\n" + "\n".join(body))
    assert got[1:4] == body[:3]
    assert got[5] == "get_ipython().run_line_magic('time', 'x')"
    assert len(got) == len(body) + 2


def test_a_backslash_at_the_end_does_not_swallow_the_submission(loaded: InteractiveShell) -> None:
    assert transformed(loaded, "%%train\nx = 1 + \\")[-2:] == ["", SUBMIT]


def test_future_imports_stay_first(loaded: InteractiveShell) -> None:
    got = transformed(loaded, "%%train --a\n# why\nfrom __future__ import annotations\nx")
    assert got == ["", "# why", f"from __future__ import annotations; {BEGIN.format('train --a')}", "x", SUBMIT]
    compile("\n".join(got), "cell", "exec")


def test_a_console_waits_for_the_empty_line(loaded: InteractiveShell) -> None:
    assert loaded.check_complete("%%train\ndef f(): pass")[0] == "incomplete"
    assert loaded.check_complete("%%train\ndef f(): pass\n\n")[0] == "complete"


def test_unloading_takes_everything_out(loaded: InteractiveShell) -> None:
    metaml.unload_ipython_extension(loaded)
    assert "_metaml_begin" not in "\n".join(transformed(loaded, "%%train\nx"))
    assert loaded.find_line_magic("metaml") is None
    assert "safe_execfile" not in vars(loaded)
    assert run_cell(loaded, "1").success


@pytest.mark.parametrize(
    "cell",
    [
        "%%train --completions 3\nx = 1 / 0\n",
        "%%train --completions 3\nfrom __future__ import annotations\nx = 1 / 0\n",
    ],
)
def test_tracebacks_show_the_cell_as_it_was_typed(
    loaded: InteractiveShell, cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cells: list[str] = []

    def begin(line: str) -> None:
        before = dict(linecache.cache)
        magics._as_typed(sys._getframe(1), f"%%{line}")
        cells.extend(name for name, entry in linecache.cache.items() if entry is not before.get(name))

    loaded.register_magic_function(begin, "line", "_metaml_begin")  # type: ignore[arg-type]
    assert isinstance(run_cell(loaded, cell).error_in_exec, ZeroDivisionError)
    shown = capsys.readouterr().out
    assert "x = 1 / 0" in shown
    assert "_metaml" not in shown
    linecache.checkcache()  # an older IPython puts its cells back then
    assert all("_metaml" not in line for line in linecache.getlines(cells[-1]))
