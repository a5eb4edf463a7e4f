"""The facade: `__all__` is true, and importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import metaml

ROOT = str(Path(metaml.__file__).parent.parent)


def test_all_is_what_there_is() -> None:
    assert metaml.__all__ == sorted(metaml.__all__)
    assert set(metaml._HOME) == set(metaml.__all__)
    for name in metaml.__all__:
        assert getattr(metaml, name).__doc__, f"{name} has no documentation"
    assert set(metaml.__all__) <= set(dir(metaml))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'metaml' has no attribute 'Trian'"):
        metaml.Trian  # noqa: B018


def test_importing_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import metaml; print(sorted(set(sys.modules) - before))"
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert got.stdout.strip() == "['metaml']"
