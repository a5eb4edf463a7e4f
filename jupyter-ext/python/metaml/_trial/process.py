"""The process of an attempt: how it becomes one, how it is signalled to end, what it says at its end
(docs/internals/engine.md).
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import io
import os
import signal
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Callable
from typing import Any

from metaml._trial import output_order, report

__all__ = ["PROGRAM", "Process", "cannot", "finish", "keep_exit_handlers", "on_term", "say", "settle", "start_time"]


PROGRAM = 44  # the program's top level raised, or the trial could not be set up


_PR_SET_PDEATHSIG = 1


def start_time(pid: int) -> int:
    """When a process was started, in clock ticks since the start of the machine; 0 where that is unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return int(f.read().rpartition(b")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


class Process:
    """What makes a process that of one attempt. To be made before anything else touches the environment."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._token_at = 0
        self._libc: ctypes.CDLL | None = None
        self._prctl: Callable[..., int] | None = None
        self._token = os.environ.get("_METAML_TOKEN", "")
        try:
            self._libc = ctypes.CDLL(None)
            self._libc.getenv.restype = ctypes.c_void_p
            self._token_at = self._libc.getenv(b"_METAML_TOKEN") or 0
            if sys.platform.startswith("linux"):
                # Looked up here, since each page that a fork touches first is copied for it, in 4 µs.
                self._prctl = self._libc.prctl
        except (OSError, AttributeError):
            pass  # a Python without it is supervised less closely

    def adopt(self, start: dict[str, Any], fds: list[int], parent: int | None) -> None:
        """Become the process of the attempt: session, death with the parent, token, lock, streams, environment, folder.

        parent is the process that this one was forked from; None if it was started for the attempt.
        """
        if parent is not None:
            os.setsid()
            if self._prctl is not None:
                self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(128 + signal.SIGKILL)  # it died before we could ask
        self._mark(start["token"])
        out, err, events = fds
        report._events = events
        os.set_inheritable(events, False)
        self._lock(start["folder"])
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
            os.close(source)
        output_order.begin(start["folder"])
        settle()
        environ = os.environ  # one by one: update() checks by abc what it was given, which touches many pages
        for name, value in (start.get("env") or {}).items():
            environ[name] = value
        environ["_METAML_TRIAL"] = str(start["trial"])
        environ["_METAML_ATTEMPT"] = str(start["attempt"])
        environ["_METAML_OUTPUT"] = start["output"]
        environ["_METAML_TOKEN"] = start["token"]
        if start.get("cwd"):
            os.chdir(start["cwd"])
        if "socket" not in start:  # a worker has its own way to end, and no checkpoints
            report._folder = start["folder"]
            _interrupt_on_term()

    def _mark(self, token: str) -> None:
        """Put the token where others look for it: a fork's environment, as the system shows it, is that of the first
        process until it is overwritten in place.
        """
        if self._token_at and len(token) == len(self._token):
            there = ctypes.string_at(self._token_at, len(self._token))
            if there == self._token.encode():
                ctypes.memmove(self._token_at, token.encode(), len(token))

    def _lock(self, folder: str) -> None:
        fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            report.send({"type": "refused", "text": "another process of this attempt is still running"})
            os._exit(PROGRAM)
        self._lock_fd = fd  # held until the process ends


def settle() -> None:
    """Streams that are written line by line, and a traceback for who crashes. A loader does it once for its forks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.line_buffering:
            stream.reconfigure(line_buffering=True)
    if not faulthandler.is_enabled():
        faulthandler.enable()


def _interrupt_on_term() -> None:
    """A request to end is a KeyboardInterrupt, so that ``finally`` and ``except KeyboardInterrupt`` can save something.
    A handler of the program's own stays; children of the trial die of the signal as usual.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        on_term(_interrupt)


def _interrupt() -> None:
    raise KeyboardInterrupt


def on_term(act: Callable[[], None]) -> None:
    """Call act on a request to end. Children of this process die of the signal as usual."""
    me = os.getpid()

    def handle(signum: int, frame: types.FrameType | None) -> None:
        if os.getpid() == me:
            act()
            return
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, handle)

    # Python forgets what a child received before it was a process of its own, so a child that is ended at once, such as
    # a worker of multiprocessing.Pool, would live, and its parent wait for ever. The signal is held back until the
    # child can die of it.
    blocked: list[set[signal.Signals | int]] = []

    def before() -> None:
        blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))

    def after() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked.pop())

    def default() -> None:
        if signal.getsignal(signal.SIGTERM) is handle:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        after()

    os.register_at_fork(before=before, after_in_parent=after, after_in_child=default)


def say(text: str) -> None:
    """Print to standard error, after what was printed before. What cannot be written, since the disk is full, is left
    out: it was sent to the supervisor first.
    """
    for stream, last in ((sys.stdout, ""), (sys.stderr, text + "\n" if text and not text.endswith("\n") else text)):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed by the program, set to None
            stream.write(last)
            stream.flush()


def cannot(error: BaseException) -> dict[str, Any]:
    """The message that the trial cannot be run, which is not its program's doing."""
    text = f"the trial could not be set up: {type(error).__name__}: {error}"
    return {"type": "refused", "text": text, "errno": getattr(error, "errno", None) or 0}


def keep_exit_handlers() -> None:
    """In a fork: forget the loader's exit handlers, but keep those that every Python process needs."""
    atexit._clear()
    if weakref.finalize._registry:  # type: ignore[attr-defined]
        for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
            finalizer.atexit = False  # the loader's, such as its temporary folders
    if weakref.finalize._registered_with_atexit:  # type: ignore[attr-defined]
        atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    logging = sys.modules.get("logging")
    if logging is not None:
        atexit.register(logging.shutdown)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        atexit.register(util._exit_function)


def finish(code: int) -> int:
    """In a fork: what an interpreter does at its end, without taking every module apart."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except SystemExit:
        pass
    except BaseException:
        say(traceback.format_exc())
    # Files that the trial opened and left open: what existed before the fork was frozen and is not among these.
    for value in gc.get_objects():
        try:
            if isinstance(value, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)) and not value.closed:
                value.flush()
        except Exception:  # noqa: S112 (a broken stream of the user's must not stop the others)
            continue
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S112
            continue
    return code
