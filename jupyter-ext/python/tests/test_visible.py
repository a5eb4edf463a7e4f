"""What a terminal would obey is shown instead."""

from __future__ import annotations

import pytest

from metaml._errors import MetaMLError
from metaml._held.trial import Trial
from metaml._visible import visible

CASES = {
    "plain, ünïcode, 日本語, 🙂\n\ttab\xa0x": "plain, ünïcode, 日本語, 🙂\n\ttab\xa0x",
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x9b2J\x7f": r"\x9b2J\x7f",
    "over\rwritten\r\n": "over\\rwritten\n",
    "a\u202eb\u2066c": r"a\u202eb\u2066c",
    "one\u2028two": r"one\u2028two",
    "pay\u200bload\ufeff": r"pay\u200bload\ufeff",
    "a\u200cb": r"a\u200cb",
    "می\u200cخواهم": "می\u200cخواهم",
    "👩\u200d💻": "👩\u200d💻",
    "half \ud83d": r"half \ud83d",
}


@pytest.mark.parametrize("text", CASES)
def test_visible(text: str) -> None:
    assert visible(text) == CASES[text]


def test_what_the_module_says_is_visible() -> None:
    error = MetaMLError("no \x1b[2J", "try \u202e")
    assert (str(error), error._render_traceback_()) == (
        "no \\x1b[2J\ntry \\u202e",
        ["MetaMLError: no \\x1b[2J\ntry \\u202e"],
    )
    trial = Trial(0, "succeeded", parameters={"\x1bx": "\x1b"}, metrics={"a\x07": 1234567.0, "b": 0.123456})
    assert repr(trial) == r"<Trial 0: succeeded, \x1bx='\x1b', a\x07 1234567, b 0.1235>"
