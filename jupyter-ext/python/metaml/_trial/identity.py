"""Which trial this is: :func:`trial`, :func:`attempt` and :func:`seed`. They also answer outside a trial, and in
processes that a trial starts.
"""

from __future__ import annotations

import os

__all__ = ["attempt", "seed", "trial"]

#: The seed of a program's top level while it is executed, else one of this process's own.
_here: int | None = None


def seed() -> int:
    """The seed of the trial, the same for all its attempts: made of ``--seed``, else of the run's name, and of the
    trial's number::

        rng = np.random.default_rng(metaml.seed())

    MetaML seeds ``random``, ``numpy.random``, ``torch`` and ``tensorflow`` by itself; this is for what it does not
    seed, and for functions that seed them themselves. It is below 2**32. Outside a trial it is a random number, the
    same until the process ends; at a program's top level it is the same in every process that executes it.
    """
    global _here
    if own := os.environ.get("_METAML_SEED"):
        return int(own)
    if _here is None:
        _here = int.from_bytes(os.urandom(4), "big")
    return _here


def trial() -> int | None:
    """The number of the trial, from 0; None outside a trial."""
    return _number("_METAML_TRIAL")


def attempt() -> int | None:
    """Which attempt of the trial this is, from 1; None outside a trial.

    It is the number that the record has, but for one case: a queue on a cluster (``--queue``) may take a trial back for
    others and start it again later. The cluster does not count that, and nobody tells the pod, so this number stays the
    same; the record counts it as another attempt. That something of the trial was done before is better read from what
    it kept: a file of its :func:`checkpoint`, or on a volume.
    """
    return _number("_METAML_ATTEMPT")


def _number(name: str) -> int | None:
    value = os.environ.get(name)
    # Only a trial that was set up has a seed: neither a server's worker nor a program's top level, which trials share.
    return int(value) if value and "_METAML_SEED" in os.environ else None


def entered(own: int) -> None:
    """The trial with this seed begins."""
    os.environ["_METAML_SEED"] = str(own)


def loading(own: int) -> None:
    """A program's top level is executed, with this seed."""
    global _here
    _here = own
