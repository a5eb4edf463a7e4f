"""What the user gets of a run's trials: :class:`Trial`, and :class:`Report`, one value that a trial reported."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from metaml._errors import MetaMLError
from metaml._held.fetch import fetched
from metaml._held.held import Held
from metaml._values.typed import decode
from metaml._visible import visible


class Report(NamedTuple):
    """One value that a trial reported."""

    step: int | float | None
    time: float  # seconds since 1970
    trial: int
    name: str
    value: float


@dataclass(frozen=True, repr=False)
class Trial:
    """One training with one set of hyperparameters.

    Attributes:
        index: its number, from 0; row `index` of the hyperparameters is its own.
        state: "pending", "running", "stopped", "failed" or "succeeded".
        reason: more about the state, or "": why it ended, such as "exception", "memory" or "evicted".
        text: what happened, where `error` is not it, or "".
        hint: what to do about it, or "".
        waiting: {"reason", "text", "hint", "since"} of what a pending trial waits for, on a cluster; None while nothing
            is known to hold it.
        attempt: which attempt it is at, from 1; 0 before the first.
        past: {"attempt", "state", "reason", "text"} of each earlier attempt whose end is known.
        seconds: how long the latest attempt took so far.
        parameters: its hyperparameters, by name.
        metrics: the last value of each metric, by name.
        error: {"type", "text", "frames", "traceback"} of the exception that ended it, or None.
        seed: seed of its random numbers.
        log: {"stdout", "stderr"}: paths.
        run: name of its run.
    """

    index: int
    state: str
    reason: str = ""
    text: str = ""
    hint: str = ""
    waiting: dict[str, Any] | None = None
    attempt: int = 0
    past: list[dict[str, Any]] = field(default_factory=list)
    started: datetime.datetime | None = None
    seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    seed: int | None = None
    log: dict[str, str] = field(default_factory=dict)
    run: str = ""
    _output: str = ""
    _of: Held | None = field(default=None, compare=False)

    @property
    def output(self) -> Path:
        """Folder of what it wrote into `metaml.output()`. Of a run on a cluster it is fetched when it is read first.

        Raises:
            MetaMLError: it is not kept, or cannot be fetched; and why.
        """
        if self._of is not None and (why := self._of._read().get("not_kept")):
            raise MetaMLError(str(why.get("text") or ""), str(why.get("hint") or ""))
        return fetched(self._output, self.run, self.index)

    @property
    def result(self) -> Any:
        """What its function returned, as it was: unpickled each time that it is read.

        Classes are found by name, those of the notebook or script in this one.

        Raises:
            MetaMLError: there is none (the trial has not succeeded, or what it returned could not be pickled or is
                larger than 64 MiB), or this process must not or cannot load it; and why.
        """
        from metaml._trial.returned import load

        if self._of is None:
            raise MetaMLError(f"trial {self.index} is of no run")
        return load(self.index, self._of.name, self._of._read())

    def __repr__(self) -> str:
        known = [f"{visible(name)}={value!r}" for name, value in self.parameters.items()]
        known += [f"{visible(name)} {short(value)}" for name, value in self.metrics.items()]
        return f"<Trial {self.index}: {', '.join([self._state(), *known])}>"

    def _state(self) -> str:
        """Its state, with what it waits for, what ended it if that was not its code, and which attempt it is."""
        text = self.state
        if self.waiting:
            text += f" ({visible(waits_for(self.waiting))})"
        elif self.state == "failed" and self.error is None and (self.text or self.reason):
            text += f" ({visible(self.text or self.reason)})"
        return f"{text}, attempt {self.attempt}" if self.attempt > 1 else text


def waits_for(waiting: dict[str, Any]) -> str:
    """What a trial waits for, in a few words."""
    return str(waiting.get("text") or waiting.get("reason") or "")


# Pickles and messages name them as people reach them, wherever they stand in here.
Report.__module__ = Trial.__module__ = "metaml"


def trial_of(entry: dict[str, Any], run: Held) -> Trial:
    """A trial as `metaml show --json` describes it."""
    started, waiting = entry.get("started"), entry.get("waiting")
    return Trial(
        index=int(entry["index"]),
        state=str(entry.get("state") or "pending"),
        reason=str(entry.get("reason") or ""),
        text=str(entry.get("text") or ""),
        hint=str(entry.get("hint") or ""),
        waiting={**waiting, "since": _time(waiting.get("since"))} if waiting else None,
        attempt=int(entry.get("attempt") or 0),
        past=[dict(attempt) for attempt in entry.get("past") or []],
        started=_time(started) if started else None,
        seconds=float(entry.get("seconds") or 0.0),
        parameters={name: _value(value) for name, value in (entry.get("parameters") or {}).items()},
        metrics={name: number(value) for name, value in (entry.get("metrics") or {}).items()},
        error=entry.get("error"),
        _output=str(entry.get("output") or ""),
        seed=entry.get("seed"),
        log=dict(entry.get("log") or {}),
        run=run.name,
        _of=run,
    )


def _time(text: Any) -> datetime.datetime | None:
    """A time as Go writes it: nanoseconds and Z, which Python 3.10 does not read."""
    head, _, tail = str(text).replace("Z", "+00:00").partition(".")
    zone_at = next((i for i, c in enumerate(tail) if c in "+-"), len(tail))
    digits, zone = tail[:zone_at], tail[zone_at:]
    try:
        return datetime.datetime.fromisoformat(f"{head}.{digits[:6]:0<6}{zone}" if digits else head)
    except ValueError:
        return None


def short(value: float) -> str:
    """A metric in few digits; a whole number keeps all of its own."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def number(value: Any) -> float:
    """A metric: a number, or "nan", "inf", "-inf"."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _value(data: Any) -> Any:
    """A hyperparameter; one that this process cannot import is shown by its name."""
    try:
        return decode(data)
    except (ImportError, AttributeError):
        return data.get("v") if isinstance(data, dict) else data
