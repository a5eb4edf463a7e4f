"""Finding a run or a server again: :func:`run`, :func:`runs`."""

from __future__ import annotations

import json

from metaml._binary import find
from metaml._held.record import kept, show_json
from metaml._held.run import Run, progress
from metaml._held.server import Server


def run(name: str = "last") -> Run | Server:
    """Find a run or a server by its name, its series (the newest run of it), the unique beginning of its name, or
    "last".

    Raises:
        MetaMLError: there is none, with the nearest name; or several begin so.
    """
    data = show_json(name)
    named = held(str(data["name"]), str(data.get("kind") or ""))
    if isinstance(named, Run):
        named._known = kept(data, data)
    return named


def runs() -> list[Run | Server]:
    """All runs and servers, newest first."""
    listed = json.loads(find.call("runs", "--json"))
    if isinstance(listed, dict):
        listed = listed.get("runs")
    listing = []
    for entry in listed or []:
        run = held(str(entry["name"]), str(entry.get("kind") or ""))
        line = str(entry.get("state") or "")
        if isinstance(run, Run):
            done, failed, stopped = (int(entry.get(name) or 0) for name in ("done", "failed", "stopped"))
            line += f", {progress(int(entry.get('trials') or 0), done - failed, failed, stopped)}"
        run._listed = kept(entry, line)
        listing.append(run)
    return listing


def held(name: str, kind: str) -> Run | Server:
    """What the user gets for a run of a kind, "train" or "serve"."""
    return Server(name) if kind == "serve" else Run(name)
