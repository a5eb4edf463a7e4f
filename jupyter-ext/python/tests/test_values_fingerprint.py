"""What is compared between the session and where a program runs."""

from __future__ import annotations

from typing import Any

import pytest

from metaml._values import fingerprint

# deployer/pod/ship/expected_test.go has the same: it is made there and compared here.
CODE = "680e2eba89022f73cd9f6839808c7dc67b9bfa683072823688272f2b2e32c3ea"


@pytest.mark.parametrize(
    ("expected", "value", "live", "here"),
    [
        pytest.param({"repr": "'é'"}, "é", None, "", id="the same"),
        pytest.param({"repr": "1"}, 2, "1", "2", id="another number"),
        pytest.param({"type": "builtins.list"}, "a text", "builtins.list", "'a text'", id="another type"),
    ],
)
def test_values_are_compared(expected: dict[str, Any], value: Any, live: str | None, here: str) -> None:
    differs = [] if live is None else [{"name": "x", "live": live, "here": here}]
    assert fingerprint.differing({"x": expected}, {"x": value}) == differs


@pytest.mark.parametrize(
    ("expected", "value", "live", "here"),
    [
        pytest.param({"mac": CODE, "type": "builtins.str"}, "é", None, "", id="the same"),
        pytest.param({"mac": CODE, "type": "builtins.str"}, "a token", "another", "one str", id="another value"),
        pytest.param({"mac": CODE, "type": "builtins.str"}, "x" * 300, "another", "one str", id="a long text"),
        pytest.param({"mac": CODE, "type": "builtins.str"}, 424242, "one str", "one int", id="another type"),
        pytest.param({"type": "builtins.list"}, "a token", "one list", "one str", id="a value of what had none"),
        pytest.param({"shape": [], "dtype": "int64"}, 3, "int64 a single number", "one int", id="a number"),
    ],
)
def test_with_a_key_codes_are_compared_and_no_value_is_said(
    expected: dict[str, Any], value: Any, live: str | None, here: str
) -> None:
    differs = [] if live is None else [{"name": "x", "live": live, "here": here}]
    assert fingerprint.differing({"x": expected}, {"x": value}, "key") == differs


def test_with_a_key_a_name_may_be_missing() -> None:
    differs = [{"name": "x", "live": "one str", "here": "not defined"}]
    assert fingerprint.differing({"x": {"mac": CODE, "type": "builtins.str"}}, {}, "key") == differs


def test_codes_without_their_key_are_left_out() -> None:
    expected = {"x": {"mac": CODE, "type": "builtins.str"}, "y": {"repr": "1"}}
    assert fingerprint.differing(expected, {"x": "other", "y": 1}) == []
