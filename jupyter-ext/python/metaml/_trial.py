"""One trial: a process of its own, its random numbers, its parameters, its end (docs/internals/engine.md).

A trial is a fork of the loader (``_loader.py``) or, where the program may not be forked, ``python -m metaml._trial``.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
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
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from metaml import _drive, _order, _report, _result, _which
from metaml._typed import decode

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

    from metaml._loader import Program

__all__ = [
    "Process",
    "Seeds",
    "Trial",
    "cannot",
    "describe",
    "finish",
    "keep_exit_handlers",
    "on_term",
    "reseed",
    "say",
    "settle",
    "start_time",
    "work",
]

EXCEPTION = 42  # the entry function raised
PROGRAM = 44  # the program's top level raised, or the trial could not be set up

_MAX_TRACEBACK = 64 * 1024
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
        _report._events = events
        os.set_inheritable(events, False)
        self._lock(start["folder"])
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
            os.close(source)
        _order.begin(start["folder"])
        settle()
        environ = os.environ  # one by one: update() asks abc what it was given, which touches many pages
        for name, value in (start.get("env") or {}).items():
            environ[name] = value
        environ["_METAML_TRIAL"] = str(start["trial"])
        environ["_METAML_ATTEMPT"] = str(start["attempt"])
        environ["_METAML_OUTPUT"] = start["output"]
        environ["_METAML_TOKEN"] = start["token"]
        if start.get("cwd"):
            os.chdir(start["cwd"])
        if "socket" not in start:  # a worker has its own way to end
            _interrupt_on_term()

    def _mark(self, token: str) -> None:
        """Put the token where others look for it: a fork's environment, as the system shows it, is that of the first process
        until it is overwritten in place."""
        if self._token_at and len(token) == len(self._token):
            there = ctypes.string_at(self._token_at, len(self._token))
            if there == self._token.encode():
                ctypes.memmove(self._token_at, token.encode(), len(token))

    def _lock(self, folder: str) -> None:
        fd = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _report.send({"type": "refused", "text": "another process of this attempt is still running"})
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
    """A request to end is a KeyboardInterrupt, so that ``finally`` and ``except KeyboardInterrupt`` can save something. A handler
    of the program's own stays; children of the trial die of the signal as usual."""
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

    # Python forgets what a child received before it was a process of its own, so a child that is ended at once, such as a worker
    # of multiprocessing.Pool, would live, and its parent wait for ever. The signal is held back until the child can die of it.
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


class Seeds:
    """Seeds the libraries' random numbers: those that are loaded now, and each of the others when it is imported.

    As a context manager it stops watching imports at its end; without that it watches for good.
    """

    def __init__(self, seed: int, self_seeded: Sequence[str]) -> None:
        self.seed = seed
        self.modules: dict[str, Callable[[Any], None]] = {
            module: plant
            for library, module, plant in (
                ("random", "random", lambda m: m.seed(seed)),
                ("numpy", "numpy.random", lambda m: m.seed(seed % 2**32)),
                ("torch", "torch", lambda m: m.manual_seed(seed)),
                ("tensorflow", "tensorflow", lambda m: m.random.set_seed(seed)),
            )
            if library not in self_seeded
        }
        waiting = set()
        for name, plant in self.modules.items():
            if name in sys.modules:
                self._plant(plant, sys.modules[name])
            else:
                waiting.add(name)
        self._finder = _SeedOnImport(self, waiting)
        if waiting:
            sys.meta_path.insert(0, self._finder)

    @staticmethod
    def _plant(plant: Callable[[Any], None], module: Any) -> None:
        try:
            plant(module)
        except Exception as error:  # a module of that name that is something else
            print(f"metaml: {getattr(module, '__name__', module)} was not seeded: {error}", file=sys.stderr)

    def loaded(self, name: str, module: Any) -> None:
        self._plant(self.modules[name], module)

    def __enter__(self) -> Seeds:
        return self

    def __exit__(self, *_: object) -> None:
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)


class _SeedOnImport:
    """A finder for ``sys.meta_path``. It has no base class, since importing importlib.abc takes 8 ms."""

    def __init__(self, seeds: Seeds, waiting: set[str]) -> None:
        self.seeds = seeds
        self.waiting = waiting

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        self.waiting.discard(fullname)
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                break
        else:
            return None
        execute = getattr(spec.loader, "exec_module", None)
        if execute is not None:

            def exec_module(module: types.ModuleType) -> None:
                execute(module)
                self.seeds.loaded(fullname, module)

            with contextlib.suppress(AttributeError):
                spec.loader.exec_module = exec_module  # type: ignore[method-assign, union-attr]
        return spec


def reseed(module: types.ModuleType, names: Sequence[str], seed: int) -> None:
    """Reseed top-level generators in place, each with a seed of its own."""
    if not names:
        return
    from metaml import _generators

    for name in names:
        try:
            _generators.sow(getattr(module, name, None), _generators.derived(seed, name))
        except Exception as error:
            _report.send({"type": "note", "code": "reseed", "text": f"{name} was not reseeded: {error}"})


class Trial:
    """The call of the entry function and what becomes of it."""

    def __init__(self, program: Program, start: dict[str, Any]) -> None:
        self.program = program
        self.start = start
        self.told = False  # that something yielded is no number

    def run(self) -> int:
        """Call the entry function, tell what it returned or raised; gives the exit status."""
        load = self.program.load
        _which.entered(self.start["seed"])
        try:
            Seeds(self.start["seed"], load.get("self_seeded") or [])
            reseed(self.program.module, load.get("reseed") or [], self.start["seed"])
            function = self.program.function()
            arguments = {name: decode(v) for name, v in (self.start.get("row") or {}).items()}
            if whole := self.start.get("whole"):
                arguments = {whole: arguments}
            result = function(**arguments)
            if _drive.waits(result):
                result = _drive.drive(result, self.yielded)
            _result.keep(self.start["folder"], result)
            self.returned(result)
        except SystemExit as error:
            return self.exited(error)
        except BaseException as error:
            return self.raised(error)
        return 0

    def yielded(self, value: Any) -> None:
        """What a function yields is a report: a dict of numbers, with its ``step`` if it has one, or a number."""
        if value is None:
            return
        metrics, left_out = metrics_of(value)
        step = metrics.pop("step", None)
        if metrics:
            _report.report(step, **metrics)
        if (left_out or not metrics) and not self.told:
            self.told = True
            names = "not reported, since not numbers: " + ", ".join(left_out[:10])
            text = names if metrics else f"the function yielded {_no_numbers(value)}"
            _report.send({"type": "note", "code": "yielded", "text": text})

    def returned(self, result: Any) -> None:
        """A dict of numbers is the trial's metrics, a number is the metric ``value``, anything else is kept as its repr."""
        metrics, left_out = metrics_of(result)
        if result is not None and not metrics:
            text = f"the function returned {_no_numbers(result)}"
            _report.send({"type": "note", "code": "returned", "text": text})
        elif left_out:
            names = ", ".join(left_out[:10])
            _report.send({"type": "note", "code": "returned", "text": f"left out of the result, since not numbers: {names}"})
        _report.send({"type": "result", "metrics": _report.encode_metrics(metrics)})

    def exited(self, error: SystemExit) -> int:
        """``sys.exit``: without a complaint it is an end like any other."""
        if error.code is None or error.code == 0:
            _report.send({"type": "result", "metrics": {}})
            return 0
        code = error.code if isinstance(error.code, int) else 1
        _report.send({"type": "error", "error": describe(error, self.program)})
        if not isinstance(error.code, int):
            say(f"{error.code}\n")
        return code & 0xFF or 1

    def raised(self, error: BaseException) -> int:
        described = describe(error, self.program)
        _report.send({"type": "error", "error": described})
        say(described["traceback"])
        return EXCEPTION


def work(program: Program, start: dict[str, Any]) -> int:
    """What the process of an attempt is for: a trial, or a server's worker. Gives the exit status."""
    if "socket" in start:
        from metaml import _serving

        return _serving.work(program, start)
    return Trial(program, start).run()


def metrics_of(value: Any) -> tuple[dict[str, float], list[str]]:
    """The numbers in what a function gave, by name, and the names of what is no number."""
    history = getattr(value, "history", None)
    if isinstance(history, dict) and hasattr(value, "epoch"):  # keras' History: the values of the last epoch
        value = {k: v[-1] for k, v in history.items() if isinstance(v, list) and v}
    metrics: dict[str, float] = {}
    left_out: list[str] = []
    for name, one in value.items() if isinstance(value, dict) else (("value", value),):
        plain = _report.number(one)
        if plain is not None:
            metrics[str(name)] = plain
        elif isinstance(value, dict):
            left_out.append(str(name))
    return metrics, left_out


def _no_numbers(value: Any) -> str:
    return f"a {type(value).__name__}, not numbers: {safe_repr(value, 200)}"


def safe_repr(value: Any, longest: int = 1000) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= longest else text[:longest] + "…"


def say(text: str) -> None:
    """Print to standard error, after what was printed before. What cannot be written, since the disk is full, is left out: it
    was told to the supervisor first."""
    for stream, last in ((sys.stdout, ""), (sys.stderr, text + "\n" if text and not text.endswith("\n") else text)):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed by the program, set to None
            stream.write(last)
            stream.flush()


def cannot(error: BaseException) -> dict[str, Any]:
    """The message that the trial cannot be run, which is not its program's doing."""
    text = f"the trial could not be set up: {type(error).__name__}: {error}"
    return {"type": "refused", "text": text, "errno": getattr(error, "errno", None) or 0}


def disk_full(error: BaseException | None) -> int:
    """The errno that says the disk is full, or the quota, if that is what the error comes from; else 0."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        number = getattr(error, "errno", None)
        if isinstance(error, OSError) and number in (errno.ENOSPC, errno.EDQUOT):
            return int(number)
        # Libraries in C that write files by themselves: HDF5, SQLite.
        if type(error).__module__ not in ("builtins", "__main__") or isinstance(error, (OSError, RuntimeError)):
            text = str(error)
            if os.strerror(errno.ENOSPC) in text or "disk is full" in text:
                return errno.ENOSPC
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return 0


def describe(error: BaseException, program: Program) -> dict[str, Any]:
    """An exception as data: type, text, frames and traceback, without our own frames."""
    ours = os.path.dirname(os.path.abspath(__file__)) + os.sep
    tb = error.__traceback__
    while tb is not None and (tb.tb_frame.f_code.co_filename.startswith(ours) or _machinery(tb)):
        tb = tb.tb_next
    try:
        text = str(error)
    except Exception as other:
        text = f"<its text raised {type(other).__name__}>"
    frames = []
    for frame in _without(ours, traceback.extract_tb(tb)):
        mine = frame.filename.startswith(program.dir + os.sep)
        name = os.path.relpath(frame.filename, program.dir) if mine else frame.filename
        frames.append(
            {"file": name, "line": frame.lineno or 0, "function": frame.name, "text": (frame.line or "")[:500], "mine": mine}
        )
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        mine = error.filename.startswith(program.dir + os.sep)
        name = os.path.relpath(error.filename, program.dir) if mine else error.filename
        line = (error.text or "").strip()[:500]
        frames.append({"file": name, "line": error.lineno, "function": "<module>", "text": line, "mine": mine})
    if len(frames) > 100:  # endless recursion
        frames = frames[:50] + frames[-50:]
    try:
        full = "".join(_formatted(type(error), error, tb, ours))
    except Exception as other:
        full = f"{type(error).__name__}: {text}\n(its traceback raised {type(other).__name__})\n"
    module = type(error).__module__
    name = type(error).__qualname__
    return {
        "type": name if module in ("builtins", "__main__") else f"{module}.{name}",
        "text": _bounded(text, 4096),
        "frames": frames,
        "traceback": _bounded(program.placed(full), _MAX_TRACEBACK),
        "errno": disk_full(error),
    }


def _formatted(kind: type[BaseException], error: BaseException, tb: types.TracebackType | None, ours: str) -> Iterator[str]:
    """What traceback.format_exception gives, without our own frames below the program's."""
    whole = traceback.TracebackException(kind, error, tb, compact=True)
    left = [whole]
    while left:
        one = left.pop()
        _without(ours, one.stack)
        left += [other for other in (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ())) if other]
    return whole.format()


def _without(ours: str, stack: traceback.StackSummary) -> traceback.StackSummary:
    """The frames without those at the end that are ours: what the program called us with is wrong, and its line says where."""
    while len(stack) > 1 and stack[-1].filename.startswith(ours):
        stack.pop()
    return stack


def _machinery(tb: types.TracebackType) -> bool:
    """Our own calls of ast and compile, above the program's."""
    return tb.tb_next is None and tb.tb_frame.f_code.co_filename == getattr(sys.modules.get("ast"), "__file__", None)


def _bounded(text: str, limit: int) -> str:
    """At most limit bytes of UTF-8; the middle goes."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    half = limit // 2 - 32
    return data[:half].decode("utf-8", "ignore") + "\n  […]\n" + data[-half:].decode("utf-8", "ignore")


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
    for thing in gc.get_objects():
        try:
            if isinstance(thing, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)) and not thing.closed:
                thing.flush()
        except Exception:  # noqa: S112 (a broken stream of the user's must not stop the others)
            continue
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S112
            continue
    return code


def main() -> int:
    """A trial in a process of its own: load the program, then run the trial."""
    import time

    from metaml._loader import Channel, Program

    process = Process()
    _order.install()
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
        _report.send(cannot(error))
        raise
    begin = time.monotonic()
    try:
        program.prepare()
        _which.loading(load["seed"])
        if start.get("cwd"):
            os.chdir(start["cwd"])
        with Seeds(load["seed"], load.get("self_seeded") or []):
            program.run()
        program.ready()
    except BaseException as error:
        described = program.failure(error)
        _report.send({"type": "error", "program": True, "error": described})
        say(described["traceback"])
        return PROGRAM
    seconds = time.monotonic() - begin
    first = start["trial"] == 0 and start["attempt"] == 1
    _report.send({"type": "loaded", "seconds": seconds, "differs": program.differs() if first else []})
    if first:
        from metaml import _lock

        _report.send({"type": "modules", "modules": _lock.modules()})
    return work(program, start)


if __name__ == "__main__":
    # Once more under its own name: the program is going to be __main__.
    from metaml import _trial

    sys.exit(_trial.main())
