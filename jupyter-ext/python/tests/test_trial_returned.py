"""What a training function returned is kept as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from metaml._trial.returned import LIMIT, NAME, WHY, keep


class Looks:
    """It looks, while it is pickled, what is kept of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[bool] = []

    def __reduce__(self) -> Any:
        self.seen.append((self.folder / NAME).exists())
        return (str, ())


def test_nobody_sees_half_of_it(tmp_path: Path) -> None:
    looks = Looks(tmp_path)
    keep(str(tmp_path), looks)
    assert looks.seen == [False]
    assert [file.name for file in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("result", "why"), [(lambda: 1, "cannot be pickled"), (bytes(LIMIT + 1), "larger than 64 MiB")]
)
def test_of_what_cannot_be_kept_the_reason_is(tmp_path: Path, result: Any, why: str) -> None:
    keep(str(tmp_path), result)
    assert [file.name for file in tmp_path.iterdir()] == [NAME + WHY]
    assert why in (tmp_path / (NAME + WHY)).read_text()
