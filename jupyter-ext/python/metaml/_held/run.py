"""What the user holds after a `%%train` cell: :class:`Run`.

A run is read from `metaml show --json` with each of its attributes. Of one that has ended it is kept for as long as
nothing happens to the run, wherever that is done.
"""

from __future__ import annotations

import difflib
import math
import operator
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, overload

from metaml._binary import find
from metaml._errors import Interrupted, MetaMLError
from metaml._held.held import Held
from metaml._held.record import ENDED, Kept, kept, show_json
from metaml._held.trial import Report, Trial, number, short, trial_of, waits_for
from metaml._visible import visible

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from metaml._held.compare import Comparison


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
        return [trial_of(entry, self) for entry in self._read().get("trials") or []]

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
            return [trial_of(entry, self) for entry in entries[index]]
        try:
            at = operator.index(index)
        except TypeError:
            raise TypeError(f"a trial is named by its number, not by {index!r}") from None
        if not -len(entries) <= at < len(entries):
            there = f"only 0 to {len(entries) - 1}" if entries else "and none at all"
            raise IndexError(f"{self.name} has no trial {at}, {there}")
        return trial_of(entries[at], self)

    @property
    def history(self) -> list[Report]:
        """Every report of every trial: step, time (seconds since 1970), trial, name, value; in the order of arrival.

        Of a run on a cluster at most one report a second is known, with the last values; where some are missing, a
        warning says so.
        """
        if self._reports is not None and self._reports.holds():
            return self._reports.value
        data = show_json(self.name, "--history")
        if data.get("last_only"):
            warnings.warn(
                f"not every report of {self.name} is known: of each second only the last values are", stacklevel=2
            )
        reports = [
            Report(entry[0], float(entry[1]), int(entry[2]), str(entry[3]), number(entry[4]))
            for entry in data.get("history") or []
        ]
        self._reports = kept(data, reports)
        return reports

    @property
    def objective(self) -> tuple[str, str] | None:
        """Name of the metric that decides, and "max" or "min"; None when no metric does."""
        objective = self._read().get("objective")
        return (str(objective["metric"]), str(objective["mode"])) if objective else None

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
            raise MetaMLError("to_pandas() needs pandas", "Install it with `pip install pandas`.") from None
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

        if isinstance(other, str):
            data = show_json(other)
            other = Run(str(data["name"])) if data.get("kind") != "serve" else other
        if not isinstance(other, Run):
            raise TypeError(f"compare() takes another Run or its name, not {other!r}")
        return compare(self, other)

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
            _, stderr = child.communicate(timeout=timeout)
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
        while self.state not in ENDED:
            if child.returncode != 0:
                raise MetaMLError(stderr.decode("utf-8", "replace").strip() or f"waiting for {self.name} failed")
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{self.name} goes on after {timeout:g} s")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Stop it: trials get SIGTERM and 30 s to save before they are killed. Stopping a run that has ended does
        nothing.
        """
        if self.state not in ENDED:
            find.call("stop", self.name)

    def _summary(self, data: dict[str, Any]) -> str:
        trials = data.get("trials") or []
        states = [trial.get("state") for trial in trials]
        text = (
            f"{data.get('state')}, "
            f"{progress(len(states), states.count('succeeded'), states.count('failed'), states.count('stopped'))}"
        )
        waiting = Counter(waits_for(trial["waiting"]) for trial in trials if trial.get("waiting"))
        for reason, count in waiting.most_common(1):
            text += f", {count} {'waits' if count == 1 else 'wait'}: {visible(reason)}"
        objective, best = data.get("objective"), data.get("best")
        if objective and isinstance(best, int) and objective["metric"] in trials[best].get("metrics", {}):
            value = trials[best].get("metrics", {}).get(objective["metric"])
            text += f", best {visible(objective['metric'])} {short(number(value))} (trial {best})"
        return text


Run.__module__ = "metaml"  # pickles and messages name it as people import it


def progress(trials: int, succeeded: int, failed: int, stopped: int) -> str:
    """How many of the trials have ended, and how."""
    text = f"{succeeded + failed} of {trials} {'trial' if trials == 1 else 'trials'}"
    return text + (f", {failed} failed" if failed else "") + (f", {stopped} stopped" if stopped else "")


def _another_way(metrics: list[str]) -> str:
    """What to do where no trial is the best by itself."""
    return f"Or say which way: run.best({metrics[0]!r}, mode='min') or mode='max'." if metrics else ""
