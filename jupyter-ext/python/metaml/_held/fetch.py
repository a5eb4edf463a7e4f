"""Files of a run on a cluster, fetched when they are read first."""

from __future__ import annotations

import sys
from pathlib import Path

from metaml._binary import find


def fetched(folder: str, run: str, trial: int) -> Path:
    """The folder of what a trial wrote into ``metaml.output()``; a bar on stderr shows how much of it has come.

    Raises:
        MetaMLError: it cannot be fetched; and why.
    """
    if "@" in run and not Path(folder).exists():  # on a cluster
        width = 0
        for one in find.objects("pull", run, "--trial", str(trial), "--json"):
            if text := one.get("text"):
                sys.stderr.write(f"\r{text:<{width}}")
                sys.stderr.flush()
                width = max(width, len(text))
        if width:
            sys.stderr.write(f"\r{'':<{width}}\r")
    return Path(folder)
