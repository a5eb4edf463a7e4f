"""The `metaml` binary is found wherever pip may put it; else the error lists where it was searched for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import metaml
from metaml._binary import find

PACKAGE = Path(metaml.__file__).parent


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(find, "_found", None)
    monkeypatch.setenv("PATH", str(tmp_path / "no-such-folder"))
    monkeypatch.delenv("METAML_BIN", raising=False)


def binary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metaml"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_metaml_bin_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "given")
    for value in (str(path), str(path.parent)):
        monkeypatch.setenv("METAML_BIN", value)
        monkeypatch.setattr(find, "_found", None)
        assert find.metaml() == str(path)


def test_a_trial_has_the_binary_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "given")
    monkeypatch.setenv("_METAML_BIN", str(path))
    assert find.metaml() == str(path)


def test_the_path_is_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "on-path")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{path.parent}")
    assert list(find.candidates())[-1] == str(path)


def test_beside_the_interpreter_even_if_the_venv_is_not_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "venv" / "bin")
    monkeypatch.setattr(sys, "executable", str(path.parent / "python"))
    assert find.metaml() == str(path)


@pytest.mark.parametrize(
    ("site", "scripts"),
    [
        ("target", "target/bin"),  # pip install --target
        ("prefix/lib/python3.11/site-packages", "prefix/bin"),  # pip install --prefix
    ],
)
def test_beside_the_package(tmp_path: Path, site: str, scripts: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / site / "metaml", ignore=shutil.ignore_patterns("__pycache__"))
    path = binary(tmp_path / scripts)
    code = "from metaml._binary import find; print(find.metaml())"
    got = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / site), "PATH": "", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert got.stdout.strip() == str(path)


def test_in_the_users_scripts(tmp_path: Path) -> None:
    got = subprocess.run(
        [sys.executable, "-c", "from metaml._binary import find; print(*find.candidates())"],
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "PYTHONUSERBASE": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert str(tmp_path / "bin" / "metaml") in got.stdout.split()


def test_nowhere_lists_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METAML_BIN", str(tmp_path / "gone"))
    monkeypatch.setattr(find, "candidates", lambda: iter([str(tmp_path / "gone"), str(tmp_path / "bin")]))
    with pytest.raises(metaml.MetaMLError) as error:
        find.metaml()
    assert error.value.text == f"cannot find the `metaml` binary; looked for\n  {tmp_path}/gone\n  {tmp_path}/bin"
    assert "METAML_BIN" in error.value.hint


def test_an_error_of_the_binary_is_its_own_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "given")
    path.write_text('#!/bin/sh\necho "there is no run x" >&2\nexit 1\n')
    monkeypatch.setenv("METAML_BIN", str(path))
    with pytest.raises(metaml.MetaMLError, match=r"^there is no run x$"):
        metaml.run("x")


def test_objects_come_as_they_are_printed_and_an_error_is_raised_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = binary(tmp_path / "given")
    path.write_text("""#!/bin/sh
echo '{"came": 1}'
echo '{"came": 2}'
[ "$1" = whole ] || { echo "metaml: it broke" >&2; exit 1; }
""")
    monkeypatch.setenv("METAML_BIN", str(path))
    assert list(find.objects("whole")) == [{"came": 1}, {"came": 2}]
    objects = find.objects("torn")
    assert [next(objects), next(objects)] == [{"came": 1}, {"came": 2}]
    with pytest.raises(metaml.MetaMLError, match=r"^it broke$"):
        next(objects)


def test_who_stops_reading_objects_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = binary(tmp_path / "given")
    path.write_text("""#!/bin/sh
trap 'echo interrupted > "$1"; exit 130' INT
while :; do echo '{}'; sleep 0.01; done
""")
    monkeypatch.setenv("METAML_BIN", str(path))
    objects = find.objects(str(tmp_path / "said"))
    assert next(objects) == {}
    objects.close()
    assert (tmp_path / "said").read_text() == "interrupted\n"
