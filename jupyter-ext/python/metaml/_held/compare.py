"""What two runs have otherwise: :meth:`metaml.Run.compare`."""

from __future__ import annotations

import difflib
import html
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaml._errors import MetaMLError
from metaml._held.results import Results

_CODE = ("program", "code")
_LONGEST = 60  # characters of a cell in the table

Pair = tuple[str, str]


@dataclass(frozen=True, repr=False)
class Comparison:
    """What two runs have otherwise. A notebook shows it as tables, print() as text.

    Attributes:
        names: the two runs.
        about: state, trials and time of each.
        settings: those that differ, by name.
        parameters: the values of each hyperparameter, where they differ.
        packages: versions of the distributions that the programs loaded, where they differ.
        metrics: of the best trial of each, else the range over its trials.
        code: the diff of the programs, as `diff -u` writes it; "" if they are the same.
    """

    names: Pair
    about: dict[str, Pair] = field(default_factory=dict)
    settings: dict[str, Pair] = field(default_factory=dict)
    parameters: dict[str, Pair] = field(default_factory=dict)
    packages: dict[str, Pair] = field(default_factory=dict)
    metrics: dict[str, Pair] = field(default_factory=dict)
    code: str = ""

    def _sections(self) -> list[tuple[str, dict[str, Pair]]]:
        named = [
            ("", self.about),
            ("settings", self.settings),
            ("hyperparameters", self.parameters),
            ("packages", self.packages),
            ("metrics", self.metrics),
        ]
        return [(title, rows) for title, rows in named if rows]

    def __repr__(self) -> str:
        rows = [("", *self.names)]
        for title, pairs in self._sections():
            if title:
                rows.append((title, "", ""))
            rows += [(f"  {name}" if title else name, _short(a), _short(b)) for name, (a, b) in pairs.items()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, "", self.code.rstrip() if self.code else "the same code"])

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], tag: str = "td") -> str:
            text = (f"<{tag} style='text-align:left'>{html.escape(_short(cell))}</{tag}>" for cell in cells)
            return f"<tr>{''.join(text)}</tr>"

        body = [row(("", *self.names), "th")]
        for title, pairs in self._sections():
            if title:
                body.append(f"<tr><th colspan='3' style='text-align:left'>{title}</th></tr>")
            body += [row((name, *pair)) for name, pair in pairs.items()]
        code = "<p>the same code</p>"
        if self.code:
            code = f"<details open><summary>code</summary><pre>{html.escape(self.code)}</pre></details>"
        return f"<table>{''.join(body)}</table>{code}"


Comparison.__module__ = "metaml"  # pickles and messages name it as people import it


def compare(first: Results, second: Results) -> Comparison:
    """What two runs have otherwise."""
    a, b = first._read(), second._read()
    return Comparison(
        names=(first.name, second.name),
        about={
            "state": (str(a.get("state")), str(b.get("state"))),
            "trials": (str(len(a.get("trials") or [])), str(len(b.get("trials") or []))),
            "seconds": (_number(a.get("seconds")), _number(b.get("seconds"))),
            **_differing({"from": str(a.get("source"))}, {"from": str(b.get("source"))}),
        },
        settings=_differing(_settings(a), _settings(b)),
        parameters=_differing(_values(first), _values(second)),
        packages=_differing(_packages(a), _packages(b)),
        metrics=_both(_metrics(first), _metrics(second)),
        code=_diff(a, b),
    )


def _both(first: dict[str, str], second: dict[str, str]) -> dict[str, Pair]:
    names = [*first, *(name for name in second if name not in first)]
    return {name: (first.get(name, "–"), second.get(name, "–")) for name in names}


def _differing(first: dict[str, str], second: dict[str, str]) -> dict[str, Pair]:
    return {name: pair for name, pair in _both(first, second).items() if pair[0] != pair[1]}


def _settings(data: dict[str, Any]) -> dict[str, str]:
    return {str(s.get("name")): str(s.get("value")) for s in data.get("settings") or []}


def _values(run: Results) -> dict[str, str]:
    """What each hyperparameter was: the value, all of a few, or from where to where."""
    seen: dict[str, list[Any]] = {}
    for trial in run.trials:
        for name, value in trial.parameters.items():
            known = seen.setdefault(name, [])
            if not any(value is k or (type(value) is type(k) and value == k) for k in known[:100]):
                known.append(value)
    return {name: _range(values) for name, values in seen.items()}


def _range(values: list[Any]) -> str:
    if len(values) <= 4:
        return ", ".join(_number(v) if isinstance(v, float) else repr(v) for v in values)
    try:
        low, high = min(values), max(values)
    except TypeError:  # texts and numbers
        return f"{len(values)} values"
    return f"{_number(low)} … {_number(high)} ({len(values)} values)"


def _metrics(run: Results) -> dict[str, str]:
    trials = run.trials
    try:
        best = run.best()
    except MetaMLError:  # nothing says which
        seen: dict[str, list[float]] = {}
        for trial in trials:
            for name, value in trial.metrics.items():
                if not math.isnan(value):
                    seen.setdefault(name, []).append(value)
        return {
            name: _number(min(v)) if min(v) == max(v) else f"{_number(min(v))} … {_number(max(v))}"
            for name, v in seen.items()
        }
    of = f" (trial {best.index})" if len(trials) > 1 else ""
    return {name: _number(value) + of for name, value in best.metrics.items()}


def _packages(data: dict[str, Any]) -> dict[str, str]:
    versions = {}
    for line in _text(Path(str(data.get("folder") or ""), "lock.txt")).splitlines():
        name, equal, version = line.partition("==")
        if equal:
            versions[name] = version
    return versions


def _diff(a: dict[str, Any], b: dict[str, Any]) -> str:
    """The diff of the programs' files."""
    first, second = (Path(str(data.get("folder") or ""), *_CODE) for data in (a, b))
    files = sorted({path.relative_to(folder) for folder in (first, second) for path in folder.rglob("*.py")})
    lines: list[str] = []
    for file in files:
        before, after = _text(first / file).splitlines(), _text(second / file).splitlines()
        names = f"{a.get('name')}/{file}", f"{b.get('name')}/{file}"
        lines += difflib.unified_diff(before, after, *names, lineterm="")
    return "\n".join(lines)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
