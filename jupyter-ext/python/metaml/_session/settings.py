"""The settings, as `metaml settings --json` describes them: completion, help, and the check of a decorator's names."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Mapping
from typing import Any

from metaml._binary import find
from metaml._errors import MetaMLError, Refused


def check(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse names that do not exist.

    Raises:
        Refused: with the nearest name that does.
    """
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}."
        raise Refused(f"{where} has no setting {name!r}", hint, code="unknown-setting")


def plain(name: str, value: Any) -> Any:
    """A decorator's value as the other side reads it: the text that a cell would have, or a list or a dict of texts,
    numbers and booleans.

    Raises:
        Refused: it is neither.
    """
    if name == "example" and not isinstance(value, str):  # a text is JSON already, or the name of a variable
        from metaml._values.json_text import NotJSON, to_json

        try:
            return to_json(value).decode()
        except NotJSON as error:
            raise Refused(
                f"the decorator's 'example' {'has' if error.place else 'is'} {error}", code="setting"
            ) from None
    if name == "model" and not isinstance(value, str) and (named := _run(value)):
        return named
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (str, dict, list, tuple, os.PathLike)):
        return _item(name, value)
    raise Refused(
        f"the decorator's {name!r} is a {type(value).__name__}",
        "Give it a text, a number, a boolean, a list or a dict.",
        code="setting",
    )


def _item(name: str, value: Any) -> Any:
    """A value in a list or a dict, as JSON can have it."""
    if isinstance(value, dict):
        return {str(key): _item(name, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_item(name, item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if value is None or isinstance(value, (str, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    what = str(value) if isinstance(value, float) else f"a {type(value).__name__}"
    raise Refused(f"the decorator's {name!r} has {what} in it", "Give it texts, numbers and booleans.", code="setting")


def _run(value: Any) -> str:
    """A Run or a Trial as the setting `model` names it, or ""."""
    from metaml._held.run import Run
    from metaml._held.trial import Trial

    if isinstance(value, Run):
        return value.name
    return f"{value.run}:{value.index}" if isinstance(value, Trial) else ""


def described(kind: str = "train") -> list[dict[str, Any]]:
    """Ask `metaml` for every setting: name, flag, type, default, choices, help."""
    entries = json.loads(find.call("settings", "--json", "--kind", kind))
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


_FIRST = {
    "train": "Run the function of this cell, once for each set of hyperparameters.",
    "serve": "Serve the function of this cell over HTTP.",
}


def usage(kind: str) -> str:
    """Help for a cell magic."""
    lines = [_FIRST[kind], "", f"    %%{kind} [OPTIONS]", "    def function(…): …", ""]
    try:
        settings = described(kind)
    except (MetaMLError, OSError, ValueError) as error:
        return "\n".join([*lines, f"Options: {error}"])
    lines.append("Options (in metaml.toml, the environment and decorators too: docs/reference/settings.md)")
    for entry in settings:
        value = entry.get("value") or ""
        head = f"  {entry.get('flag')} {value}".rstrip()
        default = f" [{entry['default']}]" if entry.get("default") else ""
        lines.append(f"{head:<34}{entry.get('help', '')}{default}")
    return "\n".join(lines)
