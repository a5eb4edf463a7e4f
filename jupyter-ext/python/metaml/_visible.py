"""Text that is not ours, as it may be drawn: what Go's view.Visible does, for what this module says itself."""

from __future__ import annotations

import unicodedata

_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, formats (writing direction, no width), half pairs, separators
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    r"""The text with what a terminal would obey, or nobody would see, as an escape of Python: \x1b, \u202e.

    Line feeds and tabs stay, and joiners within words and emoji that need them.
    """
    if text.isprintable():
        return text
    shown = []
    before = " "
    for c in text.replace("\r\n", "\n"):
        joins = c in _JOINERS and before > "\xff"
        hidden = unicodedata.category(c) in _OBEYED and c not in "\n\t" and not joins
        shown.append(repr(c)[1:-1] if hidden else c)
        before = " " if hidden else c
    return "".join(shown)
