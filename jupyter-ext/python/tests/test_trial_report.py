"""What `metaml.report` takes."""

from __future__ import annotations

from typing import Any

import pytest

from metaml import report


@pytest.mark.parametrize("given", [0.25, {"loss": 0.25}])
def test_metrics_are_given_by_name(given: Any) -> None:
    with pytest.raises(TypeError, match=r"metrics by name: report\(step=3, loss=0.2\), or report\(\*\*metrics\)"):
        report(given)


def test_a_metric_is_a_number() -> None:
    with pytest.raises(TypeError, match="a str is not a number"):
        report(loss="0.25")
    with pytest.raises(TypeError, match="not a finite number"):
        report(step=float("nan"), loss=0.25)
