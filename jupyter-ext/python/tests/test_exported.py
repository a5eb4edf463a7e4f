"""The facade: `__all__` is true, and importing it costs next to nothing."""

from __future__ import annotations

import pickle
import pickletools
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


def test_pickles_name_only_the_module() -> None:
    """A pickle outlives a move of what is private."""
    run = metaml.Run("fit-1")
    trial = metaml.Trial(0, "succeeded", metrics={"loss": 0.5}, run="fit-1", _of=run)
    values = [
        run,
        trial,
        metaml.Server("serve-1"),
        metaml.Worker(0, 1),
        metaml.Report(1, 2.0, 0, "loss", 0.5),
        metaml.Comparison(("a-1", "b-1")),
        metaml.Response("text", status=201),
        *(value for name in metaml.__all__ if isinstance(value := getattr(metaml, name), type)),
    ]
    for value in values:
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(value, protocol)
            texts = [str(text) for _, text, _ in pickletools.genops(pickled)]
            assert any(text.split()[0] == "metaml" for text in texts if text), value
            assert not [text for text in texts if "metaml." in text], value
    again = pickle.loads(pickle.dumps(trial))
    assert again == trial and again.run == "fit-1" and again._of == run
    assert repr(pickle.loads(pickle.dumps(values[6]))) == repr(values[6])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'metaml' has no attribute 'Trian'"):
        metaml.Trian  # noqa: B018


def test_importing_loads_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import metaml; print(sorted(set(sys.modules) - before))"
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert got.stdout.strip() == "['metaml']"
