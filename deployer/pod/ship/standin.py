"""What a program calls of MetaML, for where MetaML is not: what it reports is printed, what it keeps is in ./output."""

import json
import os
from pathlib import Path

_seed = int(os.environ.get("SEED", int.from_bytes(os.urandom(4), "big")))


def report(step=None, **metrics):
    """Print metrics as a line of JSON."""
    print(json.dumps({"step": step, **{name: float(value) for name, value in metrics.items()}}), flush=True)


def output():
    """The folder for results, ./output."""
    folder = Path("output").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def checkpoint():
    """Nothing is to be done: what is in the folder stays there."""


def seed():
    """The variable SEED, or a random number that stays the same until the process ends."""
    return _seed


def trial():
    """None: this is no trial."""


def attempt():
    """None: this is no trial."""


def _decorates(*args, **options):
    if len(args) == 1 and not options and callable(args[0]):
        return args[0]
    return lambda function: function


Train = Serve = DataIn = DataOut = _decorates
