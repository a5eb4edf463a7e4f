"""`metaml.model()`: the folder of the model that a server serves, the same in the notebook and in the server's
workers.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from metaml._errors import MetaMLError
from metaml._held.fetch import fetched

if TYPE_CHECKING:
    from metaml._held.run import Run
    from metaml._held.trial import Trial

_named = ("", "")  # what `--model` of the latest serving cell named: RUN:TRIAL, and the folder of its files
_serving = False  # that cell is running: what it names is for its whole body


def use(name: str, folder: str) -> None:
    """A serving cell begins: its `--model`, as RUN:TRIAL, decides from now on; "" is none."""
    global _named, _serving
    _named = (name, folder)
    _serving = True


def ended() -> None:
    """The serving cell has ended. Its model stays what :func:`model` gives until the next one begins."""
    global _serving
    _serving = False


def model(run: Run | Trial | str | None = None) -> Path:
    """The folder of the files that a training run left in ``metaml.output()``::

        net = joblib.load(metaml.model() / "net.joblib")

    In a `%%serve` cell it is what `--model` names, resolved before the body runs. Files of a run on a cluster are
    fetched when this is called first. A server keeps its own copy of them, and its workers get that one, whatever the
    argument says.

    Args:
        run: without `--model`, and in scripts, the training run: its name, its series, the unique beginning of it or
            "last", with ":TRIAL" or ":best" if you like, or the Run or Trial itself. Without a trial it is the best
            one.

    Raises:
        MetaMLError: nothing says which run, or it has no such trial, or the trial left no files, or they cannot be
            fetched.
    """
    given = os.environ.get("_METAML_MODEL", "")
    if given:
        return Path(given)
    name, folder = _named
    if folder and (run is None or _serving):
        of, which = cut_trial(name)
        return fetched(folder, of, int(which))
    if run is None:
        raise MetaMLError(
            "metaml.model() does not know which run: no --model names one",
            'Put --model RUN on the line of the %%serve cell, or name the run here: metaml.model("train-model").',
        )
    return _resolved(run)


def _resolved(run: Run | Trial | str) -> Path:
    from metaml._held.run import Run
    from metaml._held.trial import Trial

    if isinstance(run, Trial):
        return _kept(run)
    name, which = cut_trial(run.name if isinstance(run, Run) else str(run))
    training = run if isinstance(run, Run) else _training(name)
    trials = training.trials
    if which == "" and len(trials) == 1:
        return _kept(trials[0])
    if which in ("", "best"):
        return _kept(training.best())
    if not which.isdecimal():
        raise MetaMLError(f"metaml.model() takes RUN, RUN:TRIAL or RUN:best, not {run!r}")
    if int(which) >= len(trials):
        raise MetaMLError(f"{training.name} has no trial {which}, only 0 to {len(trials) - 1}")
    return _kept(trials[int(which)])


def cut_trial(text: str) -> tuple[str, str]:
    """Split RUN[:TRIAL] into run and trial, "" where there is none. A place, behind "@", may have colons of its own."""
    name, colon, which = text.rpartition(":")
    if "@" not in text:
        name, _, which = text.partition(":")
    elif not colon or not (which == "best" or which.isdecimal()):
        name, which = text, ""
    return name, which


def _training(name: str) -> Run:
    from metaml._held.lookup import run, runs
    from metaml._held.run import Run

    if name == "last":  # a server does not come between
        last = next((entry for entry in runs() if isinstance(entry, Run)), None)
        if last is None:
            raise MetaMLError("there is no training run yet, so there is no model to serve")
        return last
    named = run(name)
    if not isinstance(named, Run):
        raise MetaMLError(f"{named.name} is no training run, so it has no model to serve")
    return named


def _kept(trial: Trial) -> Path:
    """The folder of a trial's files."""
    if trial.state in ("pending", "running"):
        raise MetaMLError(f"trial {trial.index} of {trial.run} has not ended yet, so its model is not there")
    if not trial.output.is_dir() or not any(trial.output.iterdir()):
        raise MetaMLError(
            f"trial {trial.index} of {trial.run} kept no files, so it has no model to serve",
            "What the training function writes into metaml.output() is kept.",
        )
    return trial.output
