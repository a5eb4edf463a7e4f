"""Pictures of a run: :meth:`metaml.Run.plot`. matplotlib is imported when one is drawn."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from metaml._errors import MetaMLError
from metaml._held.results import Results
from metaml._held.trial import Report, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Courses = dict[int, list[tuple[float, float]]]  # the points of each trial

_MOST_CURVES = 4  # metrics with a picture of their own, when none is named
_MOST_AXES = 10  # hyperparameters beside each other
_MOST_NAMED = 10  # trials with a name in the legend
_APART = 0.08  # of an axis, between two values that are written out
_MOST_TICKS = 8  # values of a text parameter that are written out
_GREY = "0.7"


def plot(run: Results, metric: str | None) -> Figure:
    """The courses of metrics, and how hyperparameters and results go together.

    Raises:
        MetaMLError: matplotlib is not installed, or there is nothing to show.
    """
    try:
        import matplotlib as mpl
        from matplotlib import pyplot
    except ImportError:
        raise MetaMLError("plot() needs matplotlib", "Install it with `pip install matplotlib`.") from None
    trials = run.trials
    known = sorted({name for trial in trials for name in trial.metrics})
    if metric is not None and metric not in known:
        raise MetaMLError(
            f"no trial of {run.name} has a metric {metric!r}", f"There are {', '.join(known)}." if known else ""
        )
    if not known:
        raise MetaMLError(f"{run.name} has no metric yet, so there is nothing to plot")
    objective = run.objective
    decides = metric or (objective[0] if objective and objective[0] in known else known[0])
    courses = _courses(run.history)
    drawn = [name for name in [decides, *known] if name in courses]
    drawn = [decides] if metric is not None else list(dict.fromkeys(drawn))[:_MOST_CURVES]
    drawn = [name for name in drawn if name in courses]
    varying = _varying(trials)[:_MOST_AXES]
    colours = _Colours(trials, decides, mpl)
    best = _best(run, decides)
    below = bool(varying) or not drawn
    figure = pyplot.figure(figsize=(9, 3.2 * (bool(drawn) + below)), layout="constrained")
    rows = figure.subfigures(bool(drawn) + below, 1, squeeze=False)[:, 0]
    if drawn:
        for axes, name in zip(rows[0].subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
            _curves(axes, name, courses[name], trials, colours, best)
        named = rows[0].axes[0].get_legend_handles_labels()
        if named[0]:
            rows[0].legend(*named, loc="outside right upper", fontsize="x-small")
    if below:
        if len(varying) > 1:
            _parallel(rows[-1].subplots(), varying, trials, decides, colours, best)
        else:
            _scatter(rows[-1].subplots(), varying[0] if varying else "", trials, decides, colours, best)
    figure.suptitle(f"{run.name}   {run.state}")
    if "inline" in mpl.get_backend():
        pyplot.close(figure)  # it is shown as the value of the cell, and not a second time at its end
    return figure


def _best(run: Results, metric: str) -> int:
    try:
        objective = run.objective
        return run.best().index if objective is None or objective[0] == metric else run.best(metric).index
    except MetaMLError:
        return -1


def _courses(history: list[Report]) -> dict[str, _Courses]:
    """The points (step, value) of each metric and trial; without steps they are counted. One point is no course."""
    courses: dict[str, _Courses] = {}
    for report in history:
        points = courses.setdefault(report.name, {}).setdefault(report.trial, [])
        points.append((float(len(points)) if report.step is None else float(report.step), report.value))
    return {name: trials for name, trials in courses.items() if any(len(points) > 1 for points in trials.values())}


def _varying(trials: list[Trial]) -> list[str]:
    """The hyperparameters that are not the same for all trials."""
    values: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.parameters.items():
            values.setdefault(name, set()).add(repr(value))
    return [name for name, seen in values.items() if len(seen) > 1]


class _Colours:
    """Trials by how they came out; grey where that is not known."""

    def __init__(self, trials: list[Trial], metric: str, mpl: Any) -> None:
        values = [v for trial in trials if math.isfinite(v := trial.metrics.get(metric, math.nan))]
        self.metric = metric
        self.scale = mpl.cm.ScalarMappable(
            mpl.colors.Normalize(min(values, default=0), max(values, default=1)), mpl.colormaps["viridis"]
        )

    def of(self, trial: Trial) -> Any:
        value = trial.metrics.get(self.metric, math.nan)
        return self.scale.to_rgba(value) if math.isfinite(value) else _GREY


def _label(trial: Trial, best: int) -> str:
    known = ", ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in trial.parameters.items()
    )
    text = f"{trial.index}: {known}" if known else f"trial {trial.index}"
    return (text if len(text) <= 32 else text[:31] + "…") + (" (best)" if trial.index == best else "")


def _curves(axes: Axes, name: str, courses: _Courses, trials: list[Trial], colours: _Colours, best: int) -> None:
    from matplotlib.ticker import MaxNLocator

    few = len(courses) <= _MOST_NAMED
    for index, points in sorted(courses.items()):
        trial = trials[index] if index < len(trials) else None
        chosen = index == best
        axes.plot(
            *zip(*points, strict=True),
            color=f"C{index % 10}" if few else colours.of(trial) if trial else _GREY,
            linewidth=2.5 if chosen else 1.2,
            alpha=1 if few or chosen else 0.6,
            zorder=3 if chosen else 2,
            label=_label(trial, best) if trial and (few or chosen) else None,
        )
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    if all(step == int(step) for points in courses.values() for step, _ in points):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


class _Axis:
    """One hyperparameter, or the metric, as numbers: by its values, by their logarithms, or by their order if they are
    no numbers.
    """

    def __init__(self, name: str, values: list[Any]) -> None:
        self.name = name
        numbers = [float(v) for v in values if _is_number(v)]
        self.texts: list[str] = []
        if len(numbers) < sum(v is not None for v in values) or not numbers:
            self.texts = sorted({_text(v) for v in values})
        self.log = not self.texts and min(numbers) > 0 and max(numbers) / min(numbers) >= 100
        self.few = sorted(set(numbers)) if len(set(numbers)) <= _MOST_TICKS else []
        self.low, self.high = (
            (0.0, len(self.texts) - 1.0) if self.texts else (self._number(min(numbers)), self._number(max(numbers)))
        )

    def _number(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def place(self, value: Any) -> float:
        """From 0 to 1; NaN where it has none."""
        if self.texts:
            at = float(self.texts.index(_text(value)))
        elif _is_number(value):
            at = self._number(float(value))
        else:
            return math.nan
        return 0.5 if self.high == self.low else (at - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        if self.texts:
            step = max(1, math.ceil(len(self.texts) / _MOST_TICKS))
            return [(self.place(text), text) for text in self.texts[::step]]
        few = [self.place(value) for value in self.few]
        if few and min((b - a for a, b in itertools.pairwise(few)), default=1) > _APART:
            return [(at, f"{value:.3g}") for at, value in zip(few, self.few, strict=True)]
        if self.high == self.low:
            return [(0.5, f"{self.few[0]:.3g}")]
        at = [self.low + i * (self.high - self.low) / 4 for i in range(5)]
        return [(i / 4, f"{10**v if self.log else v:.3g}") for i, v in enumerate(at)]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 16 else text[:15] + "…"


def _parallel(axes: Axes, names: list[str], trials: list[Trial], metric: str, colours: _Colours, best: int) -> None:
    """Parallel coordinates: each trial is a line through its hyperparameters to what came of it."""
    with_metric = [t for t in trials if math.isfinite(t.metrics.get(metric, math.nan))]
    scales = [_Axis(name, [t.parameters.get(name) for t in trials]) for name in names]
    if with_metric:
        scales.append(_Axis(metric, [t.metrics[metric] for t in with_metric]))
    for trial in trials:
        values = [trial.parameters.get(name) for name in names]
        if with_metric:
            values.append(trial.metrics.get(metric, math.nan))
        chosen = trial.index == best
        axes.plot(
            range(len(scales)),
            [scale.place(value) for scale, value in zip(scales, values, strict=True)],
            color=colours.of(trial),
            linewidth=3 if chosen else 1.2,
            alpha=1 if chosen or len(trials) <= 50 else 0.5,
            zorder=3 if chosen else 2,
            label=f"trial {trial.index} (best)" if chosen else None,
        )
    for x, scale in enumerate(scales):
        axes.axvline(x, color="0.3", linewidth=1, zorder=1)
        for y, text in scale.ticks():
            axes.annotate(
                text,
                (x, y),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize="x-small",
                va="center",
                zorder=4,
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5},
            )
    axes.set_xticks(range(len(scales)), [scale.name + (" (log)" if scale.log else "") for scale in scales])
    axes.set_yticks([])
    axes.set_xlim(-0.2, len(scales) - 0.6)
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(False)
    if with_metric:
        axes.figure.colorbar(colours.scale, ax=axes, label=metric)
    if best >= 0:
        axes.legend(fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, 1))


def _scatter(axes: Axes, name: str, trials: list[Trial], metric: str, colours: _Colours, best: int) -> None:
    """What came of each value of the one hyperparameter; without one, of each trial."""
    from matplotlib.ticker import MaxNLocator

    shown = [t for t in trials if math.isfinite(t.metrics.get(metric, math.nan))]
    scale = _Axis(name, [t.parameters.get(name) for t in shown]) if name and shown else None
    for trial in shown:
        value = trial.parameters.get(name) if name else trial.index
        x: Any = value if scale is None or not scale.texts else scale.texts.index(_text(value))
        chosen = trial.index == best
        axes.scatter(
            x,
            trial.metrics[metric],
            color=[colours.of(trial)],
            s=90 if chosen else 36,
            zorder=3 if chosen else 2,
            edgecolors="black" if chosen else "none",
            label=f"trial {trial.index} (best)" if chosen else None,
        )
    if scale is not None and scale.texts:
        axes.set_xticks(range(len(scale.texts)), scale.texts)
    elif scale is not None and scale.log:
        axes.set_xscale("log")
    elif not name:
        axes.set_xlim(-0.5, len(trials) - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(name or "trial")
    axes.set_ylabel(metric)
    axes.grid(alpha=0.3)
    if best >= 0:
        axes.legend(fontsize="x-small")
