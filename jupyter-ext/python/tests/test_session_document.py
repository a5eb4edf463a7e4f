"""The session document: what was executed is in it, once each, as typed and as transformed."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from conftest import run_cell
from IPython.core.interactiveshell import InteractiveShell

from metaml._session import live
from metaml._session.document import script


def document() -> dict[str, Any]:
    session = live.current
    assert session is not None
    return session.recorder.document("")


def cells() -> list[dict[str, Any]]:
    return list(document()["cells"])


def test_each_execution_is_a_cell(loaded: InteractiveShell) -> None:
    run_cell(loaded, "x = 1")
    run_cell(loaded, "x += 1", cell_id="abc")
    run_cell(loaded, "x += 1", cell_id="abc")
    loaded.run_cell("y = %pwd", store_history=False)
    got = cells()
    assert [cell["source"] for cell in got] == ["x = 1", "x += 1", "x += 1", "y = %pwd"]
    assert [cell["seq"] for cell in got] == [1, 2, 3, 4]
    assert [cell.get("count") for cell in got] == [1, 2, 3, None]
    assert [cell.get("id") for cell in got] == [None, "abc", "abc", None]
    assert got[3]["code"].strip() == "y = get_ipython().run_line_magic('pwd', '')"
    assert all(cell["ok"] is True and cell["seconds"] > 0 for cell in got)


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        ("1\n2\n1/0\n3", 3),
        ("\n\n1\n1/0", 4),
        ("def f():\n  1/0\n\nf()", 4),
        ("def (", 1),
        ("1\nimport no_such_module", 2),
    ],
)
def test_a_failed_cell_tells_its_line(
    loaded: InteractiveShell, cell: str, line: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run_cell(loaded, cell)
    (got,) = cells()
    assert got["ok"] is False
    assert got["failed_line"] == line


def test_nested_cells_have_a_parent(loaded: InteractiveShell) -> None:
    run_cell(loaded, "%%capture\nz = 1")
    run_cell(loaded, "get_ipython().run_cell('only_here = 1')")
    assert [(cell["source"].strip(), cell.get("parent")) for cell in cells()] == [
        ("%%capture\nz = 1", None),
        ("z = 1", 1),
        ("get_ipython().run_cell('only_here = 1')", None),
        ("only_here = 1", None),  # its text is in no other cell
    ]


def test_silent_cells_are_there(loaded: InteractiveShell) -> None:
    run_cell(loaded, "hidden = 1", silent=True)
    run_cell(loaded, "shown = 1")
    assert [cell["source"].strip() for cell in cells()] == ["hidden = 1", "shown = 1"]


def test_empty_cells_are_not(loaded: InteractiveShell) -> None:
    run_cell(loaded, "")
    run_cell(loaded, "%%capture\n\n")
    run_cell(loaded, "x = 1")
    assert [cell["source"] for cell in cells()] == ["%%capture\n\n", "x = 1"]


def test_files_that_run_executes_are_cells(
    loaded: InteractiveShell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain.py").write_text("from_file = 1\n")
    (tmp_path / "special.ipy").write_text("from_ipy = %pwd\n")
    (tmp_path / "broken.py").write_text("1/0\n")
    for name in ("plain.py", "special.ipy", "broken.py"):
        run_cell(loaded, f"%run {name}")
    got = [(cell["source"].strip(), cell["ok"], cell.get("origin"), cell.get("parent")) for cell in cells()]
    assert got[:2] == [("%run plain.py", True, None, None), ("from_file = 1", True, "run", 1)]
    assert got[2:4] == [("%run special.ipy", True, None, None), ("from_ipy = %pwd", True, "run", 3)]
    assert got[5][0] == "1/0"


def test_what_ran_before_we_were_loaded_is_of_unknown_success(shell: InteractiveShell) -> None:
    run_cell(shell, "early = %pwd")
    run_cell(shell, "%load_ext metaml")
    run_cell(shell, "late = 1")
    got = cells()
    assert [(cell["source"], cell["ok"], cell.get("origin")) for cell in got] == [
        ("early = %pwd", None, "history"),
        ("%load_ext metaml", True, "history"),
        ("late = 1", True, None),
    ]
    assert "run_line_magic('pwd'" in got[0]["code"]


def test_startup_files_are_read_when_we_come_later(shell: InteractiveShell, tmp_path: Path) -> None:
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    (startup / "00-first.py").write_text("started = 1\n")
    run_cell(shell, "x = 1")
    run_cell(shell, "%load_ext metaml")
    assert next((cell["source"].strip(), cell.get("origin")) for cell in cells()) == ("started = 1", "startup")


def test_startup_files_are_seen_when_we_are_first(loaded: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "start.py").write_text("started = 1\n")
    loaded.safe_execfile(str(tmp_path / "start.py"), loaded.user_ns)
    assert [(cell["source"].strip(), cell.get("origin")) for cell in cells()] == [("started = 1", "startup")]


def test_names_are_the_users(loaded: InteractiveShell) -> None:
    run_cell(loaded, "import math as m\nfrom json import dumps\nclass C: pass\ndef _f(): pass\nx = C()\nn = 1.5")
    run_cell(loaded, "n")
    assert document()["names"] == {
        "m": {"kind": "module", "module": "math"},
        "dumps": {"kind": "function", "module": "json", "qualname": "dumps", "type": "builtins.function"},
        "C": {"kind": "class", "module": "__main__", "qualname": "C", "type": "builtins.type"},
        "_f": {"kind": "function", "module": "__main__", "qualname": "_f", "type": "builtins.function"},
        "x": {"kind": "value", "type": "__main__.C"},
        "n": {"kind": "value", "type": "builtins.float"},
    }


def test_our_own_things_are_named_by_their_public_name(loaded: InteractiveShell) -> None:
    run_cell(
        loaded, "import metaml\nfrom metaml import Train, run as find\nrun = metaml.Run('x-1')\n@Train\ndef f(): pass"
    )
    names = document()["names"]
    assert names["run"] == {"kind": "metaml", "type": "metaml.Run"}
    assert names["find"]["module"] == "metaml"
    assert names["f"] == {"kind": "function", "module": "__main__", "qualname": "f", "type": "builtins.function"}


def test_the_users_modules_are_listed_with_their_time(
    loaded: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_module.py").write_text("a = 1\n")
    run_cell(loaded, "import own_module")
    imported = (tmp_path / "own_module.py").stat().st_mtime
    (tmp_path / "own_module.py").write_text("a = 2\n")
    mine = [module for module in document()["modules"] if module["name"] == "own_module"]
    assert mine == [{"name": "own_module", "file": str(tmp_path / "own_module.py"), "modified": imported}]


def named(name: str, **attributes: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(attributes)
    return module


@pytest.mark.parametrize(
    ("name", "above", "file"),
    [
        ("IPython.odd", "IPython", "_odd.py"),  # as torch.ops
        ("IPython.own", "IPython", "{folder}/IPython/own.py"),  # part of a package that is installed
        ("made_up", None, "_made_up.py"),
        ("made_up", None, None),
        ("made_up", None, "{folder}/gone.py"),
        ("zipped", None, "{folder}/z.zip/zipped.py"),
        ("compiled", None, "{folder}/compiled.so"),
    ],
)
def test_a_module_that_is_no_source_file_of_the_users_is_not_theirs(
    loaded: InteractiveShell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    above: str | None,
    file: str | None,
) -> None:
    (tmp_path / "IPython").mkdir()
    for there in ("IPython/own.py", "compiled.so", "_odd.py", "_made_up.py"):
        (tmp_path / there).write_text("")
    if above is not None:
        assert above in sys.modules
    monkeypatch.setitem(sys.modules, name, named(name, __file__=file and file.format(folder=tmp_path), __name__=name))
    assert name not in [module["name"] for module in document()["modules"]]


def test_parts_of_a_namespace_are_the_users(
    loaded: InteractiveShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "space").mkdir()
    (tmp_path / "space" / "part.py").write_text("a = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "space", raising=False)
    monkeypatch.delitem(sys.modules, "space.part", raising=False)
    run_cell(loaded, "import space.part")
    mine = [module["file"] for module in document()["modules"] if module["name"] == "space.part"]
    assert mine == [str(tmp_path / "space" / "part.py")]


def test_interpreter_and_place(loaded: InteractiveShell, tmp_path: Path) -> None:
    got = document()
    assert (got["v"], got["kind"], got["cwd"]) == (1, "live", str(tmp_path))
    assert got["interpreter"]["path"] == sys.executable
    assert got["interpreter"]["version"] in sys.version
    ours = str(Path(sys.modules["metaml"].__file__ or "").parent)
    assert ours not in got["path"]


def test_a_script_is_one_cell(tmp_path: Path) -> None:
    path = tmp_path / "s.py"
    path.write_bytes(b"# coding: latin-1\nx = '\xe9'\n")
    got = script(str(path))
    assert (got["kind"], got["source"]) == ("script", str(path))
    assert got["cells"] == [{"seq": 1, "source": "# coding: latin-1\nx = 'é'\n", "ok": None}]


def test_a_cell_looks_at_nothing_else(loaded: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and modules are read when a document is made, never after each cell."""
    run_cell(loaded, "x = 1")

    def never(*_: Any) -> Any:
        raise AssertionError("was read")

    monkeypatch.setattr("metaml._session.document.name_of", never)
    monkeypatch.setattr("metaml._session.document._own_modules", never)
    assert run_cell(loaded, "y = 2").success
    monkeypatch.undo()
    assert [cell["source"] for cell in cells()] == ["x = 1", "y = 2"]


def test_a_lazy_proxy_is_not_loaded(loaded: InteractiveShell) -> None:
    def load(_: Any) -> Any:
        raise AssertionError("was loaded")

    loaded.user_ns["proxy"] = type("Proxy", (), {"__class__": property(load)})()
    assert document()["names"]["proxy"]["kind"] == "value"


def test_it_says_how_much_memory_the_session_has_in_use(loaded: InteractiveShell) -> None:
    before = document()["memory"]
    held = bytearray(b"x") * (64 << 20)
    assert 1 << 20 < before < document()["memory"] - len(held) // 2
