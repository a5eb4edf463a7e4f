"""Loads a program once and forks its trials and workers (docs/internals/engine.md).

It is started as ``python -m metaml._loader``; descriptor 3 is the supervisor.

The program's top level is executed as the real ``__main__``, statement by statement, so that whatever forbids a fork
can be reported with the line that caused it. What the loader says and hears is in docs/internals/protocols.md §5.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import random
import select
import sys
import time
import traceback
from typing import Any, NoReturn

from metaml._loader.attempt import import_role, service, work
from metaml._loader.channel import Channel
from metaml._loader.comparison import Comparison
from metaml._loader.watcher import Watcher
from metaml._trial import identity, output_order, report
from metaml._trial.process import Process, cannot, finish, keep_exit_handlers, say, settle, start_time
from metaml._trial.program import Program
from metaml._trial.seeds import Seeds

__all__ = ["main"]


class Limits:
    """How many files the loader may have open: as many as the system lets it, for a descriptor of each trial. Trials
    get what their user has set.
    """

    def __init__(self) -> None:
        import resource

        self._module = resource
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._given = (soft, hard)
        self.most = 1 << 20
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):
            pass  # a system that does not take its own limit
        if soft != resource.RLIM_INFINITY:
            self.most = max(soft - 32, 16)

    def restore(self) -> None:
        """Set what was there before."""
        with contextlib.suppress(OSError, ValueError):
            self._module.setrlimit(self._module.RLIMIT_NOFILE, self._given)


class Loader:
    """The loop that forks trials on request and reports how they ended."""

    def __init__(self, channel: Channel, program: Program, process: Process) -> None:
        self.channel = channel
        self.program = program
        self.process = process
        self.trials: dict[int, tuple[dict[str, Any], int]] = {}  # pid → its start message and a pidfd, or -1
        # Python seeds this anew in every fork; a program that seeds it itself wants its own state.
        self.random_state = random.getstate()
        self.limits = Limits()
        self.poll = select.poll()
        self.poll.register(channel.sock, select.POLLIN)
        self.comparison: Comparison | None = None  # while it goes on

    def serve(self) -> None:
        """Until the supervisor is gone."""
        modules_sent = False
        load = self.program.load
        compared = not self.program.compares() or load.get("strict") or load.get("serve") is not None
        while True:
            while (message := self.channel.take()) is not None:
                if message["type"] == "start":
                    if message.get("become") and not modules_sent:
                        if not compared:
                            self.say_differs(self.program.differs())
                        self.tell_modules()
                    self.start(message, self.channel.descriptors(3))
            if self.trials and not modules_sent:  # after the first forks, so that these need not wait for it
                if not compared:
                    self.compare()
                    compared = True
                self.tell_modules()
                modules_sent = True
            if not self.wait():
                return

    def wait(self) -> bool:
        """Wait for a message, for the end of a trial, or for that of the comparison, before which no trial is said to
        have ended. False when the supervisor is gone.
        """
        if self.comparison is not None:
            poll = select.poll()
            for fd in (self.comparison.fd, self.channel.sock.fileno()):
                poll.register(fd, select.POLLIN)
            ready = [fd for fd, _ in poll.poll()]
            if self.comparison.fd in ready and self.comparison.read():
                self.say_differs(self.comparison.end())
                self.comparison = None
            return self.channel.sock.fileno() not in ready or self.channel.fill()
        blind = any(fd < 0 for _, fd in self.trials.values())
        ready = [fd for fd, _ in self.poll.poll(20 if blind else None)]
        if self.channel.sock.fileno() in ready and not self.channel.fill():
            return False
        if blind or ready:
            self.reap()
        return True

    def start(self, message: dict[str, Any], fds: list[int]) -> None:
        """Fork one trial, or become it."""
        if message.get("become"):
            self.become(message, fds)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            if -1 in fds:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
        except OSError as error:  # too many processes, no memory: others will end
            self.tell("unstarted", message, errno=error.errno or errno.EAGAIN)
            pid = -1
        if pid == 0:
            self.forked(message, fds)
        for fd in fds:
            if fd >= 0:
                os.close(fd)
        if pid < 0:
            return
        pidfd = -1
        if hasattr(os, "pidfd_open"):
            try:
                pidfd = os.pidfd_open(pid)
                if pidfd >= self.limits.most:
                    os.close(pidfd)
                    raise OSError  # the rest is for messages and what they bring
                self.poll.register(pidfd, select.POLLIN)
            except OSError:
                pidfd = -1
        self.trials[pid] = (message, pidfd)
        self.tell("started", message, pid=pid, start_time=start_time(pid))

    def forked(self, message: dict[str, Any], fds: list[int]) -> NoReturn:
        """The life of a forked trial."""
        code = 70
        ready = False
        try:
            parent = self.process.pid
            self.close()
            self.limits.restore()
            self.process.adopt(message, fds, parent)
            random.setstate(self.random_state)
            keep_exit_handlers()
            ready = True
            code = work(self.program, message)
            code = finish(code)
        except BaseException as error:
            if not ready:
                report.send(cannot(error))
            say(traceback.format_exc())
        finally:
            os._exit(code)

    def close(self) -> None:
        """Close, in a fork, what the loader alone uses."""
        self.channel.close()
        for _, pidfd in self.trials.values():
            if pidfd >= 0:
                os.close(pidfd)
        if self.comparison is not None:
            os.close(self.comparison.fd)

    def become(self, message: dict[str, Any], fds: list[int]) -> NoReturn:
        """This process, which cannot be forked but is loaded, is the trial itself."""
        self.channel.close()
        self.limits.restore()
        self.process.adopt(message, fds, None)
        sys.exit(work(self.program, message))

    def compare(self) -> None:
        """Begin to find out what is otherwise than in the session that the program was cut from."""
        try:
            self.comparison = Comparison(self.program, self.close)
        except OSError:  # too many processes
            self.say_differs(self.program.differs())

    def say_differs(self, differs: list[dict[str, Any]]) -> None:
        if differs:
            self.channel.send(type="differs", differs=differs)

    def tell_modules(self) -> None:
        """Say what is loaded, for the run's lock."""
        from metaml._loader import lock

        self.channel.send(type="modules", modules=lock.modules())

    def reap(self) -> None:
        for pid in list(self.trials):
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                done, status = pid, 0xFF00  # the program's own SIGCHLD handler was faster
            if done:
                message, pidfd = self.trials.pop(pid)
                if pidfd >= 0:
                    self.poll.unregister(pidfd)
                    os.close(pidfd)
                self.tell("exited", message, pid=pid, status=status)

    def tell(self, kind: str, message: dict[str, Any], **more: Any) -> None:
        self.channel.send(type=kind, trial=message["trial"], attempt=message["attempt"], **more)


def main() -> None:
    """Load what the supervisor says, tell how that went, fork trials."""
    process = Process()
    output_order.install()
    channel = Channel(3)
    load = channel.receive()
    if load is None:
        return
    program = Program(load)
    begin = time.monotonic()
    watcher = Watcher()
    try:
        import_role(load)
        program.prepare()
        identity.loading(load["seed"])
        with Seeds(load["seed"], load.get("self_seeded") or []):
            program.run(watcher.after)
        program.ready(service)
    except BaseException as error:
        described = program.failure(error)
        channel.send(type="load_failed", error=described)
        say(described["traceback"])
        channel.receive()
        os._exit(44)
    causes = watcher.causes()
    if causes and watcher.linux:
        from metaml._loader import leftovers

        leftovers.end()
        causes = watcher.causes()
    seconds = time.monotonic() - begin
    early = load.get("strict") or load.get("serve") is not None  # a cell ends as soon as its server is ready
    if early and (differs := program.differs()):
        channel.send(type="load_failed" if load.get("strict") else "differs", differs=differs)
        if load.get("strict"):
            channel.receive()
            os._exit(44)
    settle()
    # What was loaded stays, so the collector need not touch (and copy) its pages in every trial.
    gc.freeze()
    channel.send(type="ready", fork=not causes, causes=causes, seconds=seconds)
    Loader(channel, program, process).serve()
