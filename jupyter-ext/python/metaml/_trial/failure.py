"""An exception of the user's program as data: type, text, frames and traceback, without our own frames."""

from __future__ import annotations

import errno
import json
import os
import sys
import traceback
import types
from collections.abc import Iterator
from typing import Any

from metaml._package import FOLDER

__all__ = ["by_import", "describe", "disk_full", "in_cells", "placed", "safe_repr"]


_MAX_TRACEBACK = 64 * 1024


def safe_repr(value: Any, longest: int = 1000) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= longest else text[:longest] + "…"


def disk_full(error: BaseException | None) -> int:
    """The errno that says the disk is full, or the quota, if that is what the error comes from; else 0."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        number = getattr(error, "errno", None)
        if isinstance(error, OSError) and number in (errno.ENOSPC, errno.EDQUOT):
            return int(number)
        # Libraries in C that write files by themselves, HDF5 and SQLite, say it by their text alone.
        if type(error).__module__ not in ("builtins", "__main__") or isinstance(error, (OSError, RuntimeError)):
            text = str(error)
            if os.strerror(errno.ENOSPC) in text or "disk is full" in text:
                return errno.ENOSPC
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return 0


def describe(error: BaseException, main: str) -> dict[str, Any]:
    """An exception as data: type, text, frames and traceback, without our own frames.

    Args:
        main: path of the program's main.py; what stands in its folder is the user's.
    """
    folder = os.path.dirname(main)
    ours = FOLDER + os.sep
    tb = error.__traceback__
    while tb is not None and (tb.tb_frame.f_code.co_filename.startswith(ours) or _machinery(tb)):
        tb = tb.tb_next
    try:
        text = str(error)
    except Exception as other:
        text = f"<its text raised {type(other).__name__}>"
    frames = []
    for frame in _without(ours, traceback.extract_tb(tb)):
        mine = frame.filename.startswith(folder + os.sep)
        name = os.path.relpath(frame.filename, folder) if mine else frame.filename
        frames.append(
            {
                "file": name,
                "line": frame.lineno or 0,
                "function": frame.name,
                "text": (frame.line or "")[:500],
                "mine": mine,
            }
        )
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        mine = error.filename.startswith(folder + os.sep)
        name = os.path.relpath(error.filename, folder) if mine else error.filename
        line = (error.text or "").strip()[:500]
        frames.append({"file": name, "line": error.lineno, "function": "<module>", "text": line, "mine": mine})
    if len(frames) > 100:  # endless recursion
        frames = frames[:50] + frames[-50:]
    try:
        full = "".join(_formatted(type(error), error, tb, ours))
    except Exception as other:
        full = f"{type(error).__name__}: {text}\n(its traceback raised {type(other).__name__})\n"
    module = type(error).__module__
    name = type(error).__qualname__
    return {
        "type": name if module in ("builtins", "__main__") else f"{module}.{name}",
        "text": _bounded(text, 4096),
        "frames": frames,
        "traceback": _bounded(placed(full, main), _MAX_TRACEBACK),
        "errno": disk_full(error),
    }


def by_import(error: BaseException, main: str) -> bool:
    """Whether an import statement of the program's own raised it. A call such as import_module did not: what it looks
    up may come from an input.
    """
    import opcode

    folder = os.path.dirname(main) + os.sep
    innermost, tb = None, error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename.startswith(folder):
            innermost = tb
        tb = tb.tb_next
    if innermost is None:
        return False
    code = innermost.tb_frame.f_code.co_code
    return opcode.opname[code[innermost.tb_lasti]] in ("IMPORT_NAME", "IMPORT_FROM")


def _places(main: str) -> tuple[str, dict[int, tuple[int, int]]]:
    """The script's name, "" for a notebook, and by line of main.py the cell, as people call it, and its line, as
    map.json beside the program has them; nothing where it cannot be read.
    """
    try:
        with open(os.path.join(os.path.dirname(os.path.dirname(main)), "map.json"), encoding="utf-8") as f:
            source_map = json.load(f)
        source = os.path.basename(str(source_map.get("source") or ""))
        return source if source.endswith(".py") else "", {
            entry["script"]: (entry.get("label") or entry["cell"], entry["line"]) for entry in source_map["lines"]
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def in_cells(frames: list[dict[str, Any]], main: str) -> list[dict[str, Any]]:
    """Described frames, those in main.py with cell and line of the notebook, or with the line of the script."""
    script, places = _places(main)
    found = []
    for frame in frames:
        known = places.get(frame["line"]) if frame["mine"] and frame["file"] == os.path.basename(main) else None
        if known is None:
            found.append(frame)
        elif script:
            found.append({**frame, "file": script, "line": known[1]})
        else:
            found.append({**frame, "cell": known[0], "cell_line": known[1]})
    return found


def placed(trace: str, main: str) -> str:
    """A traceback whose lines of main.py are called by cell and line of the notebook, or by line of the script."""
    if main not in trace:
        return trace
    import re

    script, places = _places(main)

    def place(match: re.Match[str]) -> str:
        if (known := places.get(int(match[1]))) is None:
            return match[0]
        label, line = known
        return f'File "{script}", line {line}' if script else f"cell {label}, line {line}"

    return re.sub(rf'File "{re.escape(main)}", line (\d+)', place, trace)


def _formatted(
    kind: type[BaseException], error: BaseException, tb: types.TracebackType | None, ours: str
) -> Iterator[str]:
    """What traceback.format_exception gives, without our own frames below the program's."""
    whole = traceback.TracebackException(kind, error, tb, compact=True)
    left = [whole]
    while left:
        part = left.pop()
        _without(ours, part.stack)
        left += [
            other for other in (part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())) if other
        ]
    return whole.format()


def _without(ours: str, stack: traceback.StackSummary) -> traceback.StackSummary:
    """The frames without those at the end that are ours: what the program called us with is wrong, and its line says
    where.
    """
    while len(stack) > 1 and stack[-1].filename.startswith(ours):
        stack.pop()
    return stack


def _machinery(tb: types.TracebackType) -> bool:
    """Our own calls of ast and compile, above the program's."""
    return tb.tb_next is None and tb.tb_frame.f_code.co_filename == getattr(sys.modules.get("ast"), "__file__", None)


def _bounded(text: str, limit: int) -> str:
    """At most limit bytes of UTF-8; the middle goes."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    half = limit // 2 - 32
    return data[:half].decode("utf-8", "ignore") + "\n  […]\n" + data[-half:].decode("utf-8", "ignore")
