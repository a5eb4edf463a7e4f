"""What the process of an attempt is for: a trial, or a server's worker.

``python -m metaml._loader.attempt`` is an attempt of a program that may not be forked: it loads the program, then runs
the trial or serves.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from metaml._loader.channel import Channel
from metaml._trial import identity, output_order, report
from metaml._trial.process import PROGRAM, Process, cannot, say
from metaml._trial.program import Program
from metaml._trial.seeds import Seeds

if TYPE_CHECKING:
    from metaml._worker.service import Service

__all__ = ["import_role", "main", "service", "work"]


def import_role(load: dict[str, Any]) -> None:
    """Import what the processes of this program are for, and not the other. It is done before the program is executed,
    which may change where modules are found, and before it is forked, so that the processes share it.
    """
    if load.get("serve") is None:
        from metaml._trial import trial  # noqa: F401
    else:
        from metaml._worker import worker  # noqa: F401


def service(program: Program, serve: dict[str, Any]) -> Service:
    """What every worker of a server needs, made before they are forked.

    Raises:
        Refused: the function cannot be served.
    """
    from metaml._worker.service import Service

    made = Service(program, serve)
    if made.signature.concurrent:  # its loop and asyncio, which the workers then share
        from metaml._worker import concurrent  # noqa: F401
    return made


def work(program: Program, start: dict[str, Any]) -> int:
    """What the process of an attempt is for: a trial, or a server's worker. Gives the exit status."""
    if "socket" in start:
        from metaml._worker import worker

        return worker.work(program, start)
    from metaml._trial.trial import Trial

    return Trial(program, start).run()


def main() -> int:
    """A trial in a process of its own: load the program, then run the trial."""
    process = Process()
    output_order.install()
    channel = Channel(3)
    load, start = channel.receive(), channel.receive()
    if load is None or start is None:
        return PROGRAM
    fds = channel.descriptors(3)
    channel.sock.close()
    program = Program(load)
    try:
        process.adopt(start, fds, None)
    except OSError as error:
        report.send(cannot(error))
        raise
    begin = time.monotonic()
    try:
        import_role(load)
        program.prepare()
        identity.loading(load["seed"])
        if start.get("cwd"):
            os.chdir(start["cwd"])
        with Seeds(load["seed"], load.get("self_seeded") or []):
            program.run()
        program.ready(service)
    except BaseException as error:
        described = program.failure(error)
        report.send({"type": "error", "program": True, "error": described})
        say(described["traceback"])
        return PROGRAM
    seconds = time.monotonic() - begin
    if load.get("strict") and (differs := program.differs()):
        report.send({"type": "error", "program": True, "differs": differs})
        return PROGRAM
    first = start["trial"] == 0 and start["attempt"] == 1
    report.send({"type": "loaded", "seconds": seconds, "differs": program.differs() if first else []})
    if first:
        from metaml._loader import lock

        report.send({"type": "modules", "modules": lock.modules()})
    return work(program, start)


if __name__ == "__main__":
    # Once more under its own name: the program is going to be __main__.
    from metaml._loader import attempt

    sys.exit(attempt.main())
