"""What may follow on the line of `%%train`, `%%serve` or `%metaml`: options with their help, and the values that an
option takes.

:func:`matcher` is what IPython calls. On such a line nothing else is a completion, and the others are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from metaml._binary import find
from metaml._errors import MetaMLError

# The settings of a kind, as `metaml settings --json` describes them.
Settings = Callable[[str], "list[dict[str, Any]]"]

_LINE = re.compile(r"\s*(?:%%(train|serve)|%(metaml))\s")


class Item(NamedTuple):
    """A completion, and what it is: front ends show that beside it."""

    text: str
    what: str = ""


class _Alone(list[Any]):
    """Completions beside which there are no others. IPython calls the others when it counts none, so an empty list has
    one.
    """

    def __len__(self) -> int:
        return max(super().__len__(), 1)


def matcher(settings: Settings, namespace: Mapping[str, Any]) -> Callable[[Any], dict[str, Any]]:
    """Make the matcher of one shell."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    def metaml_matcher(context: Any) -> dict[str, Any]:
        lines = context.full_text.splitlines() or [""]
        line = context.text_until_cursor
        head = _LINE.match(line)
        # A cell magic is the first line of its cell that is not blank.
        if head is None or (head[1] and any(text.strip() for text in lines[: context.cursor_line])):
            return {"completions": []}
        word = re.split(r"\s", line)[-1]
        try:
            items = complete(line.lstrip(), word, settings, namespace, "\n".join(lines[context.cursor_line + 1 :]))
        except (MetaMLError, OSError, ValueError):
            items = []
        return {
            "completions": _Alone(SimpleCompletion(item.text, type=item.what) for item in items),
            "matched_fragment": word,
            "suppress": True,
            "ordered": True,
        }

    return cast("Callable[[Any], dict[str, Any]]", context_matcher(identifier="metaml")(metaml_matcher))


def complete(line: str, word: str, settings: Settings, namespace: Mapping[str, Any], body: str = "") -> list[Item]:
    """What may stand for `word`, the last of a line up to the cursor.

    Args:
        line: the line up to the cursor, from its `%`.
        body: the lines below it.
    """
    before = line[: len(line) - len(word)].split()
    magic, *given = before
    if magic == "%metaml":
        items = _command(given, word, settings, namespace, body)
    else:
        items = _options(settings(magic.lstrip("%")), given, word, namespace, body)
    return [item for item in items if item.text.startswith(word)]


def _options(
    settings: list[dict[str, Any]], given: list[str], word: str, namespace: Mapping[str, Any], body: str
) -> Iterator[Item]:
    options = {str(entry.get("flag")): entry for entry in settings}
    flag, joined, _ = word.partition("=")
    if joined and flag in options:
        for item in _values(options[flag], namespace, body):
            yield Item(f"{flag}={item.text}", item.what)
        return
    before = options.get(given[-1]) if given else None
    if before is not None and before.get("type") != "boolean":
        # A list with commas is completed at its last item.
        done = word[: word.rfind(",") + 1] if before.get("separator") == "," else ""
        yield from (Item(done + item.text, item.what) for item in _values(before, namespace, body))
        return
    for flag, entry in options.items():
        if flag not in given or entry.get("separator"):
            yield Item(flag, str(entry.get("help") or ""))


def _values(option: Mapping[str, Any], namespace: Mapping[str, Any], body: str) -> Iterator[Item]:
    from metaml._held.held import Held
    from metaml._held.run import Run
    from metaml._held.trial import Trial

    if option.get("name") == "objective":
        names = dict.fromkeys([*_metrics(body), *_known_metrics(namespace)])
        yield from (Item(name, "metric") for name in names)
        yield from (Item(way + name, "metric") for way in ("max:", "min:") for name in names)
        return
    yield from (Item(str(choice), "choice") for choice in option.get("choices") or [])
    if option.get("name") == "function":
        yield from (Item(name, "function") for name in re.findall(r"^(?:async )?def (\w+)", body, re.MULTILINE))
    if option.get("name") not in ("hyper_parameters", "with", "example", "into", "model"):
        return
    for name, value in namespace.items():
        held = isinstance(value, Held)
        wanted = {"model": isinstance(value, (Run, Trial)), "into": held}.get(str(option["name"]), not held)
        if wanted and name.isidentifier() and not name.startswith("_") and name not in _IPYTHONS:
            yield Item(name, type(value).__name__)


_IPYTHONS = ("In", "Out", "exit", "quit", "get_ipython", "open")


def _metrics(body: str) -> Iterator[str]:
    """The metrics that a cell's text reports and returns. It may be half written, so it is not parsed."""
    for call in re.findall(r"\breport\s*\(([^()]*(?:\([^()]*\)[^()]*)*)", body):
        yield from (name for name in re.findall(r"\b(\w+)\s*=(?!=)", call) if name != "step")
    for returned in re.findall(r"\breturn\s*\{([^}]*)", body):
        yield from re.findall(r"[\"']([^\"']+)[\"']\s*:", returned)


def _known_metrics(namespace: Mapping[str, Any]) -> list[str]:
    """The metrics of the run that was last given to the user."""
    from metaml._held.run import Run

    run = namespace.get("run")
    try:
        return sorted({name for trial in run.trials for name in trial.metrics}) if isinstance(run, Run) else []
    except (MetaMLError, OSError):
        return []


def _command(
    given: list[str], word: str, settings: Settings, namespace: Mapping[str, Any], body: str
) -> Iterator[Item]:
    from metaml._held.held import Held
    from metaml._session.line_magic import COMMANDS

    if given and given[0] in ("plan", "build"):
        yield from _options(settings("train"), given[1:], word, namespace, body)
        return
    # The command completes itself: verbs, flags, the names of runs.
    completions = [
        line.split("\t") for line in find.call("__complete", *given, word).splitlines() if not line.startswith(":")
    ]
    for text, *what in completions:
        if given or text in COMMANDS:
            yield Item(text, what[0] if what else "")
    if given and not word.startswith("-") and completions:
        yield from (
            Item(name, value.name) for name, value in namespace.items() if isinstance(value, Held) and name[0] != "_"
        )
