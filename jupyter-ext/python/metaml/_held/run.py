"""What the user holds after a cell: :class:`Run`, and :func:`run`, :func:`runs` to find one again, or a server.

A run is read from `metaml show --json` each time something about it is asked. Of one that has ended it is kept for as
long as nothing happens to the run, wherever that is done.
"""

from __future__ import annotations

import datetime
import difflib
import json
import math
import operator
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from metaml._binary import find
from metaml._errors import Interrupted, MetaMLError
from metaml._held.record import Kept
from metaml._values.typed import decode
from metaml._visible import visible

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from metaml._held.compare import Comparison
    from metaml._held.server import Server

_FINAL = ("stopped", "failed", "succeeded")


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
        reason: more about the state, or "".
        attempt: how often it was started.
        seconds: how long the latest attempt took so far.
        parameters: its hyperparameters, by name.
        metrics: the last value of each metric, by name.
        error: {"type", "text", "frames", "traceback"} of the exception that ended it, or None.
        output: folder of what it wrote into `metaml.output()`, as a pathlib.Path.
        seed: seed of its random numbers.
        log: {"stdout", "stderr"}: paths.
        run: name of its run.
    """

    index: int
    state: str
    reason: str = ""
    attempt: int = 0
    started: datetime.datetime | None = None
    seconds: float = 0.0
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    output: Path = field(default_factory=Path)
    seed: int | None = None
    log: dict[str, str] = field(default_factory=dict)
    run: str = ""
    _of: Run | None = field(default=None, compare=False)

    @property
    def result(self) -> Any:
        """What its function returned, as it was: unpickled each time that it is asked for.

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
        known += [f"{visible(name)} {_short(value)}" for name, value in self.metrics.items()]
        return f"<Trial {self.index}: {', '.join([self.state, *known])}>"


_T = TypeVar("_T")
_Held = TypeVar("_Held", bound="Held")


class Held:
    """What is common to a run and a server: a name, and what is read under that name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._listed: Kept[str] | None = None  # what a listing said of one that has ended
        self._shown: object = None  # the cell under which it is on the screen already

    def _rename(self, name: str) -> None:
        self.name = name

    def resume(self: _Held) -> _Held:
        """Go on with what was left unfinished after a stop, a crash or a restart of the machine, and return it.

        It does not wait: :meth:`wait` does.

        Raises:
            MetaMLError: nothing is unfinished, or it goes on already.
        """
        find.call("resume", self.name, "--detach")
        return self

    def delete(self) -> None:
        """Remove it with its outputs and logs. One that still goes on must be stopped first.

        Raises:
            MetaMLError: it goes on, or it is gone already.
        """
        find.call("delete", self.name)

    def _ipython_display_(self) -> None:
        """Show how it is; not when that stands above already, in the same cell."""
        from metaml._binary.cell import this_cell
        from metaml._held.show import renders, show_run

        first, self._shown = self._shown is not None and self._shown == this_cell(), None
        if first and renders():
            return
        if first or not show_run(self):  # a terminal has written "Out[1]: " already
            print(repr(self))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and getattr(other, "name", None) == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.name,))


class Run(Held):
    """A training run. Make one with a `%%train` cell, `metaml.run(NAME)` or a function under `@Train`.

    Attributes:
        name (str): its name, such as "train-model-7".
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._known: Kept[dict[str, Any]] | None = None  # what a run that has ended looks like
        self._reports: Kept[list[Report]] | None = None

    def _read(self) -> dict[str, Any]:
        if self._known is not None and self._known.holds():
            return self._known.value
        data = show_json(self.name)
        self._known = kept(data, data)
        return data

    @property
    def state(self) -> str:
        """ "pending", "running", "stopped", "failed" or "succeeded"."""
        return str(self._read().get("state", ""))

    @property
    def reason(self) -> str:
        """More about the state, or ""."""
        return str(self._read().get("reason") or "")

    @property
    def trials(self) -> list[Trial]:
        """Its trials, as they are now, by index."""
        return [_trial(entry, self) for entry in self._read().get("trials") or []]

    def __len__(self) -> int:
        """How many trials it has."""
        return len(self._read().get("trials") or [])

    def __bool__(self) -> bool:
        return True  # also one without trials, or that is gone

    def __iter__(self) -> Iterator[Trial]:
        """Its trials, as they are now."""
        return iter(self.trials)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        """`run[3]` is trial 3, `run[-1]` the last one, `run[:3]` the first three."""
        entries = self._read().get("trials") or []
        if isinstance(index, slice):
            return [_trial(entry, self) for entry in entries[index]]
        try:
            at = operator.index(index)
        except TypeError:
            raise TypeError(f"a trial is named by its number, not by {index!r}") from None
        if not -len(entries) <= at < len(entries):
            there = f"only 0 to {len(entries) - 1}" if entries else "and none at all"
            raise IndexError(f"{self.name} has no trial {at}, {there}")
        return _trial(entries[at], self)

    @property
    def history(self) -> list[Report]:
        """Every report of every trial: step, time (seconds since 1970), trial, name, value; in the order of arrival."""
        if self._reports is not None and self._reports.holds():
            return self._reports.value
        data = show_json(self.name, "--history")
        reports = [
            Report(entry[0], float(entry[1]), int(entry[2]), str(entry[3]), _number(entry[4]))
            for entry in data.get("history") or []
        ]
        self._reports = kept(data, reports)
        return reports

    @property
    def objective(self) -> tuple[str, str] | None:
        """Name of the metric that decides, and "max" or "min"; None when no metric does."""
        found = self._read().get("objective")
        return (str(found["metric"]), str(found["mode"])) if found else None

    @property
    def tensorboard(self) -> str | None:
        """Address of the run's TensorBoard, or None."""
        return self._read().get("tensorboard") or None

    def best(self, metric: str | None = None, *, mode: str | None = None) -> Trial:
        """The best trial.

        Args:
            metric: name of the metric that decides; without it the run's objective. If only one trial succeeded, it is
                the best whatever its metrics.
            mode: "max" or "min"; without it the direction that the metric's name has, as in the table
                (docs/reference/rules.md §4). NaN is never best, nor is a trial that failed or was stopped; of equals
                the first is.

        Raises:
            MetaMLError: the run has no objective, the metric's name has no direction, or no trial has that metric.
        """
        if mode not in (None, "max", "min"):
            raise ValueError(f"mode is 'max' or 'min', not {mode!r}")
        data, trials, objective = self._read(), self.trials, self.objective
        known = sorted({name for trial in trials for name in trial.metrics})
        if metric is None and mode is None:
            if isinstance(data.get("best"), int):
                return trials[int(data["best"])]
            raise MetaMLError(str(data.get("no_best")), _another_way(known))
        if metric is None:
            if objective is None:
                raise MetaMLError(str(data.get("no_best")), _another_way(known))
            metric = objective[0]
        values = [
            (trial.metrics[metric], trial)
            for trial in trials
            if trial.state not in ("failed", "stopped") and not math.isnan(trial.metrics.get(metric, math.nan))
        ]
        if not values:
            near = difflib.get_close_matches(metric, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(known)}." if known else ""
            whose = "that did not fail has" if metric in known else "has"
            raise MetaMLError(
                f"no trial of {self.name} {whose} a metric {metric!r}", hint if metric not in known else ""
            )
        if len(values) == 1:
            return values[0][1]
        mode = mode or (data.get("directions") or {}).get(metric)
        if mode is None:
            raise MetaMLError(
                f"the name `{metric}` does not say whether more or less of it is better", _another_way([metric])
            )
        pick = max if mode == "max" else min
        return pick(values, key=lambda pair: pair[0])[1]

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each trial, indexed by trial: its hyperparameters, its metrics, state, reason and seconds.

        A metric that has the name of a hyperparameter gets the prefix "metric_".

        Raises:
            MetaMLError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise MetaMLError("to_pandas() needs pandas", "pip install pandas") from None
        rows = []
        for trial in self.trials:
            row: dict[str, Any] = dict(trial.parameters)
            for name, value in trial.metrics.items():
                row[f"metric_{name}" if name in trial.parameters else name] = value
            row.update(state=trial.state, reason=trial.reason, seconds=trial.seconds)
            rows.append(row)
        index = pandas.RangeIndex(len(rows), name="trial")
        table: pandas.DataFrame = pandas.DataFrame(rows, index=index)
        return table

    def plot(self, metric: str | None = None) -> Figure:
        """The courses of its metrics by step, and how hyperparameters and results go together: parallel coordinates, or
        a scatter for one hyperparameter. A notebook shows the figure; `run.plot().savefig("run.png")` keeps it.

        Args:
            metric: the only one to show; without it the run's objective decides, and others are shown beside it.

        Raises:
            MetaMLError: matplotlib is not installed, or there is nothing to show.
        """
        from metaml._held.plot import plot

        return plot(self, metric)

    def compare(self, other: Run | str) -> Comparison:
        """What this run and another have otherwise: settings, hyperparameters, packages, code and the metrics of the
        best trials.

        Args:
            other: a Run, or the name of one.
        """
        from metaml._held.compare import compare

        found = run(other) if isinstance(other, str) else other
        if not isinstance(found, Run):
            raise TypeError(f"compare() takes another Run or its name, not {found!r}")
        return compare(self, found)

    def logs(self, trial: int = 0, stream: str = "both") -> str:
        """What a trial printed so far, in the order of writing.

        Args:
            trial: its index.
            stream: "stdout", "stderr" or "both".

        Raises:
            MetaMLError: there is no such trial.
        """
        return find.call("logs", self.name, "--trial", str(int(trial)), "--stream", stream)

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until the run has ended, and return it, however it ended.

        Args:
            timeout: seconds; None waits without end.

        Raises:
            TimeoutError: it goes on.
            KeyboardInterrupt: you interrupted the waiting; the run goes on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        # `attach` starts a monitor again that has died, which looking never does.
        child = subprocess.Popen(
            [find.metaml(), "attach", self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} goes on after {timeout:g} s") from None
        except KeyboardInterrupt:
            raise Interrupted(f"{self.name} goes on") from None
        finally:
            if child.poll() is None:
                child.kill()  # watching leaves nothing to clean up
                child.wait()
            if child.stderr is not None:
                child.stderr.close()
        while self.state not in _FINAL:
            if child.returncode != 0:
                raise MetaMLError(said.decode("utf-8", "replace").strip() or f"waiting for {self.name} failed")
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{self.name} goes on after {timeout:g} s")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop it: trials get SIGTERM and 30 s to save before they are killed. Stopping a run that has ended does
        nothing.
        """
        if self.state not in _FINAL:
            find.call("stop", self.name)

    def __repr__(self) -> str:
        if self._listed is not None and self._listed.holds():
            return f"<Run {self.name}: {self._listed.value}>"
        try:
            data = self._read()
        except (MetaMLError, OSError) as error:
            return f"<Run {self.name}: {str(error).splitlines()[0] if str(error) else 'unknown'}>"
        trials = data.get("trials") or []
        states = [trial.get("state") for trial in trials]
        text = (
            f"{data.get('state')}, "
            f"{_progress(len(states), states.count('succeeded'), states.count('failed'), states.count('stopped'))}"
        )
        objective, best = data.get("objective"), data.get("best")
        if objective and isinstance(best, int) and objective["metric"] in trials[best].get("metrics", {}):
            value = trials[best].get("metrics", {}).get(objective["metric"])
            text += f", best {visible(objective['metric'])} {_short(_number(value))} (trial {best})"
        return f"<Run {self.name}: {text}>"


def run(name: str = "last") -> Run | Server:
    """Find a run or a server by its name, its series (the newest run of it), the unique beginning of its name, or
    "last".

    Raises:
        MetaMLError: there is none, with the nearest name; or several begin so.
    """
    data = show_json(name)
    found = held(str(data["name"]), str(data.get("kind") or ""))
    if isinstance(found, Run):
        found._known = kept(data, data)
    return found


def runs() -> list[Run | Server]:
    """All runs and servers, newest first."""
    listed = json.loads(find.call("runs", "--json"))
    if isinstance(listed, dict):
        listed = listed.get("runs")
    found = []
    for entry in listed or []:
        one = held(str(entry["name"]), str(entry.get("kind") or ""))
        line = str(entry.get("state") or "")
        if isinstance(one, Run):
            done, failed, stopped = (int(entry.get(name) or 0) for name in ("done", "failed", "stopped"))
            line += f", {_progress(int(entry.get('trials') or 0), done - failed, failed, stopped)}"
        one._listed = kept(entry, line)
        found.append(one)
    return found


def held(name: str, kind: str) -> Run | Server:
    """What the user gets for a run of a kind, "train" or "serve"."""
    from metaml._held.server import Server

    return Server(name) if kind == "serve" else Run(name)


def kept(data: dict[str, Any], value: _T) -> Kept[_T] | None:
    """What was read of a run, to be used again if the run has ended."""
    return Kept(value, data.get("record") or {}) if data.get("state") in _FINAL else None


def _progress(trials: int, succeeded: int, failed: int, stopped: int) -> str:
    text = f"{succeeded + failed} of {trials} {'trial' if trials == 1 else 'trials'}"
    return text + (f", {failed} failed" if failed else "") + (f", {stopped} stopped" if stopped else "")


def show_json(name: str, *more: str) -> dict[str, Any]:
    """What `metaml show --json` says of a run or a server."""
    text = find.call("show", name, "--json", *more)
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict) or "name" not in data:
        raise MetaMLError(f"metaml show {name} --json gave something else than a run")
    return data


def _trial(entry: dict[str, Any], run: Run) -> Trial:
    started = entry.get("started")
    return Trial(
        index=int(entry["index"]),
        state=str(entry.get("state") or "pending"),
        reason=str(entry.get("reason") or ""),
        attempt=int(entry.get("attempt") or 0),
        started=_time(started) if started else None,
        seconds=float(entry.get("seconds") or 0.0),
        parameters={name: _value(value) for name, value in (entry.get("parameters") or {}).items()},
        metrics={name: _number(value) for name, value in (entry.get("metrics") or {}).items()},
        error=entry.get("error"),
        output=Path(str(entry.get("output") or "")),
        seed=entry.get("seed"),
        log=dict(entry.get("log") or {}),
        run=run.name,
        _of=run,
    )


def _another_way(metrics: list[str]) -> str:
    """What to do where no trial is the best by itself."""
    return f"Or say which way: run.best({metrics[0]!r}, mode='min') or mode='max'." if metrics else ""


def _time(text: Any) -> datetime.datetime | None:
    """A time as Go writes it: nanoseconds and Z, which Python 3.10 does not read."""
    head, _, tail = str(text).replace("Z", "+00:00").partition(".")
    zone_at = next((i for i, c in enumerate(tail) if c in "+-"), len(tail))
    digits, zone = tail[:zone_at], tail[zone_at:]
    try:
        return datetime.datetime.fromisoformat(f"{head}.{digits[:6]:0<6}{zone}" if digits else head)
    except ValueError:
        return None


def _short(value: float) -> str:
    """A metric in few digits; a whole number keeps all of its own."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e15 else f"{value:.4g}"


def _number(value: Any) -> float:
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
