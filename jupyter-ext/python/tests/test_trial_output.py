"""`metaml.output()` outside a trial."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

import metaml
from metaml._trial import report


def test_a_folder_beside_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert metaml.output() == tmp_path / "output"
    assert (tmp_path / "output").is_dir()


def test_a_private_temporary_folder_where_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may have made a link by any name that can be guessed; nothing is written through it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "_made", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "output").write_text("a file is in the way")
    (tmp_path / "victim").mkdir()
    (tmp_path / f"metaml-output-{os.getpid()}").symlink_to(tmp_path / "victim")
    folder = metaml.output()
    (folder / "model").write_text("weights")
    assert not list((tmp_path / "victim").iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert metaml.output() == folder
