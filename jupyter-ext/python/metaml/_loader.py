"""Loads a program once and forks its trials (docs/internals/engine.md).

It is started as ``python -m metaml._loader``; descriptor 3 is the supervisor.

The program's top level is executed as the real ``__main__``, statement by statement, so that whatever forbids a fork can be
told with the line that caused it. What the loader says and hears is in docs/internals/protocols.md §5.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import gc
import json
import linecache
import os
import random
import select
import socket
import struct
import sys
import threading
import time
import traceback
import types
import warnings
from typing import TYPE_CHECKING, Any, NoReturn

from metaml import _order, _report, _trial, _which
from metaml._errors import Refused
from metaml._guard import is_guard

if TYPE_CHECKING:
    from metaml._serving import Service

__all__ = ["main"]

_MAX_FRAME = 16 << 20
_HARMLESS = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}


class Channel:
    """Messages from and to the supervisor: u32 little-endian length, then JSON; descriptors come along."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self.sock = socket.socket(fileno=fd)
        self._bytes = bytearray()
        self._fds: list[int] = []

    def take(self) -> dict[str, Any] | None:
        """The next message that is here already, or None."""
        if len(self._bytes) < 4:
            return None
        (size,) = struct.unpack_from("<I", self._bytes)
        if size > _MAX_FRAME:
            raise ValueError(f"a message of {size} bytes")
        if len(self._bytes) < 4 + size:
            return None
        message: dict[str, Any] = json.loads(self._bytes[4 : 4 + size])
        del self._bytes[: 4 + size]
        return message

    def fill(self) -> bool:
        """Read what is there, waiting for something; False at the end."""
        data, fds, flags, _ = socket.recv_fds(self.sock, 1 << 16, 16, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
        for fd in fds:
            os.set_inheritable(fd, False)
        if flags & socket.MSG_CTRUNC:  # there is no room for all of a message's three
            for fd in fds:
                os.close(fd)
            fds = [-1] * 3
        self._bytes += data
        self._fds += fds
        return bool(data)

    def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        while (message := self.take()) is None:
            if not self.fill():
                return None
        return message

    def descriptors(self, count: int) -> list[int]:
        """The descriptors that came with the message just taken."""
        fds, self._fds = self._fds[:count], self._fds[count:]
        return fds

    def close(self) -> None:
        """Close it, with descriptors that came for others: one that stayed open would keep their channels from ending."""
        for fd in self._fds:
            if fd >= 0:
                os.close(fd)
        self._fds.clear()
        self.sock.close()

    def send(self, **message: Any) -> None:
        data = json.dumps(message).encode()
        self.sock.sendall(struct.pack("<I", len(data)) + data)


class Watcher:
    """Sees what the top level leaves behind that a fork would not survive, and which line did it."""

    def __init__(self) -> None:
        self.linux = sys.platform.startswith("linux")
        self.before = set(self._fds())
        self.fd_line: dict[int, int] = {}
        self.thread_line: dict[int, int] = {}
        self.child_line = 0
        self._seen_fds = sorted(self.before)
        self._seen_threads = self._threads()

    def _fds(self) -> list[int]:
        if not self.linux:
            return []
        at = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return [fd for fd in map(int, os.listdir(at)) if fd != at]
        finally:
            os.close(at)

    def _threads(self) -> list[int]:
        return sorted(map(int, os.listdir("/proc/self/task"))) if self.linux else []

    def after(self, line: int) -> None:
        """A statement that begins at line was executed."""
        if not self.linux:
            return
        fds = sorted(self._fds())
        if fds != self._seen_fds:
            for fd in set(fds) - set(self._seen_fds):
                self.fd_line[fd] = line
            self._seen_fds = fds
        threads = self._threads()
        if threads != self._seen_threads:
            for tid in set(threads) - set(self._seen_threads):
                self.thread_line[tid] = line
            self._seen_threads = threads
        if not self.child_line and self._has_child():
            self.child_line = line

    @staticmethod
    def _has_child() -> bool:
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        return True

    def causes(self) -> list[dict[str, Any]]:
        """Why trials may not be forks, with lines of main.py (0 is unknown). Empty if they may."""
        if not self.linux:
            return [{"text": f"forks are not safe on {sys.platform}", "line": 0}]
        found: list[dict[str, Any]] = []
        pids: set[int] = set()
        fds: set[int] = set()
        if self._has_child():
            from metaml import _leftovers

            pids, fds = _leftovers.trackers()
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                line = self.thread_line.get(thread.native_id or 0, 0)
                found.append({"text": f"thread {thread.name!r} is running", "line": line})
        if not found:
            found += self._foreign_threads()
        if self._has_child() and self._children() - pids:
            found.append({"text": "a child process is running", "line": self.child_line})
        found += self._open_files(fds)
        return [cause for i, cause in enumerate(found) if cause not in found[:i]]

    @staticmethod
    def _children() -> set[int]:
        """The child processes; {0} where the system does not list them."""
        listed: set[int] = set()
        for tid in os.listdir("/proc/self/task"):
            try:
                with open(f"/proc/self/task/{tid}/children") as f:
                    listed.update(map(int, f.read().split()))
            except FileNotFoundError:
                return {0}
        return listed

    def _foreign_threads(self) -> list[dict[str, Any]]:
        # Some libraries stop their threads before a fork and start them again on demand (OpenBLAS); others cannot (OpenMP).
        for wait in (0.05, 0.2, 0.5, 1.0, 0.0):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    pid = os.fork()
                break
            except OSError as error:  # too many processes, no memory: perhaps only now
                if not wait:
                    return [{"text": f"a fork failed ({error.strerror})", "line": 0}]
                time.sleep(wait)
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        alive = [tid for tid in self._threads() if tid != os.getpid()]
        lines: dict[int, int] = {}
        for tid in alive:
            line = self.thread_line.get(tid, 0)
            lines[line] = lines.get(line, 0) + 1
        return [
            {"text": f"{n} thread{'s' * (n > 1)} of a compiled library {'are' if n > 1 else 'is'} running", "line": line}
            for line, n in sorted(lines.items())
        ]

    def _open_files(self, known: set[int]) -> list[dict[str, Any]]:
        mapped = _mapped_files()
        by_file: dict[tuple[int, int], int] = {}
        found: list[tuple[int, str, tuple[int, int] | None]] = []
        for fd in sorted(set(self._fds()) - self.before - known):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
                info = os.fstat(fd)
                with open(f"/proc/self/fdinfo/{fd}") as f:
                    flags = next((int(row.split()[1], 8) for row in f if row.startswith("flags:")), 0)
            except OSError:
                continue
            if target in _HARMLESS or (target.startswith("/") and target.endswith(" (deleted)")):
                continue
            key = (info.st_dev, info.st_ino)
            read_only = flags & os.O_ACCMODE == os.O_RDONLY
            if read_only:
                by_file[key] = by_file.get(key, 0) + 1
            found.append((fd, target, key if read_only else None))
        causes = []
        for fd, target, readable in found:
            # A mapping keeps a descriptor of its own, which nobody reads through.
            if readable is not None and by_file[readable] <= mapped.get(readable, 0):
                continue
            causes.append({"text": _open_text(target), "line": self.fd_line.get(fd, 0)})
        return causes


def _open_text(target: str) -> str:
    if target.startswith("/dev/nvidia"):
        return f"the GPU is in use ({target} is open)"
    if target.startswith("socket:"):
        return "a socket is open"
    if target.startswith("pipe:"):
        return "a pipe is open"
    if target.startswith("anon_inode:"):
        return "an event loop is open"
    return f"{os.path.basename(target)} is open"


def _mapped_files() -> dict[tuple[int, int], int]:
    """How many mappings there are of each file that is mapped, none of them writable and shared."""
    mapped: dict[tuple[int, int], int] = {}
    shared: set[tuple[int, int]] = set()
    with open("/proc/self/maps") as f:
        for row in f:
            fields = row.split(None, 5)
            if fields[4] == "0":
                continue
            major, minor = fields[3].split(":")
            key = (os.makedev(int(major, 16), int(minor, 16)), int(fields[4]))
            mapped[key] = mapped.get(key, 0) + 1
            if fields[1].endswith("s") and "w" in fields[1]:
                shared.add(key)
    return {key: n for key, n in mapped.items() if key not in shared}


class Program:
    """A program folder's code and its entry function."""

    def __init__(self, load: dict[str, Any]) -> None:
        self.dir: str = load["dir"]
        self.main: str = load["main"]
        self.entry: str = load["entry"]
        self.load = load
        self.module = types.ModuleType("__main__")
        self.service: Service | None = None  # of a server

    def prepare(self) -> None:
        """Make this process look like ``python main.py``: path, arguments, folder, ``__main__``."""
        # What -m put first is the folder that the process was started in.
        sys.path[:] = [self.dir, *(self.load.get("path") or []), *sys.path[1:]]
        sys.argv[:] = [self.load.get("argv0") or self.main]
        os.environ.update(self.load.get("env") or {})
        if self.load.get("serve") is not None:
            from metaml import _streams

            _streams.keep_going()
        if self.load.get("cwd"):
            os.chdir(self.load["cwd"])
        self.module.__dict__.update(__file__=self.main, __builtins__=__builtins__, __spec__=None, __cached__=None)
        # The old one is kept: its globals must outlive it.
        self._old_main = sys.modules["__main__"]
        sys.modules["__main__"] = self.module

    def run(self, watcher: Watcher | None = None) -> None:
        """Execute the top level, without the ``__main__`` guard. What it raises passes through."""
        with open(self.main, encoding="utf-8") as f:
            text = f.read()
        linecache.cache[self.main] = (len(text), None, text.splitlines(keepends=True), self.main)
        tree = ast.parse(text, self.main)
        body = [node for node in tree.body if not is_guard(node)]
        flags = 0
        for node in body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for alias in node.names:
                    flags |= getattr(__import__("__future__"), alias.name).compiler_flag
        if (doc := ast.get_docstring(tree, clean=False)) is not None:
            self.module.__doc__ = doc
        # From Python 3.14 on, the annotations of one compilation replace those of the one before.
        whole = sys.version_info >= (3, 14) and any(isinstance(node, ast.AnnAssign) for node in body)
        for part in [body] if whole else [[node] for node in body]:
            code = compile(ast.Module(part, []), self.main, "exec", flags, dont_inherit=True)
            exec(code, self.module.__dict__)  # noqa: S102 (the user's program is what this is for)
            if watcher is not None:
                watcher.after(part[0].lineno if part else 0)

    def differs(self) -> list[dict[str, str]]:
        """Top-level names that look otherwise here than in the session which the program was cut from."""
        if not (path := self.load.get("expected")):
            return []
        from metaml import _looks

        try:
            with open(path, encoding="utf-8") as f:
                return _looks.differing(json.load(f), self.module.__dict__)
        except (OSError, ValueError, AttributeError):
            return []  # a damaged file of ours is no reason to run nothing

    def placed(self, trace: str) -> str:
        """A traceback whose lines of main.py are called by cell and line of the notebook, or by line of the script, as map.json
        beside the program has them."""
        if self.main not in trace:
            return trace
        import re

        try:
            with open(os.path.join(os.path.dirname(self.dir), "map.json"), encoding="utf-8") as f:
                told = json.load(f)
            source = os.path.basename(str(told.get("source") or ""))
            script = source if source.endswith(".py") else ""
            places = {entry["script"]: (entry.get("label") or entry["cell"], entry["line"]) for entry in told["lines"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return trace

        def place(match: re.Match[str]) -> str:
            if (found := places.get(int(match[1]))) is None:
                return match[0]
            return f'File "{script}", line {found[1]}' if script else f"cell {found[0]}, line {found[1]}"

        return re.sub(rf'File "{re.escape(self.main)}", line (\d+)', place, trace)

    def function(self) -> Any:
        """The entry function."""
        return getattr(self.module, self.entry)

    def ready(self) -> None:
        """The top level was executed: look at the entry, and prepare what every worker of a server needs.

        Raises:
            Refused: the function cannot be served.
        """
        self.function()
        if (serve := self.load.get("serve")) is not None:
            from metaml import _serving

            self.service = _serving.Service(self, serve)

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Why the program cannot be loaded, as data."""
        if not isinstance(error, Refused):
            return _trial.describe(error, self)
        code = getattr(self.module.__dict__.get(self.entry), "__code__", None)
        frames = []
        if code is not None and code.co_filename == self.main:
            line = code.co_firstlineno
            text = linecache.getline(self.main, line).rstrip()
            frames = [{"file": os.path.basename(self.main), "line": line, "function": self.entry, "text": text, "mine": True}]
        return {"type": "Refused", "text": str(error), "frames": frames, "traceback": f"{error}\n"}


class Limits:
    """How many files the loader may have open: as many as the system lets it, for a descriptor of each trial. Trials get what their
    user has set."""

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
    """The loop that forks trials on request and tells how they ended."""

    def __init__(self, channel: Channel, program: Program, process: _trial.Process) -> None:
        self.channel = channel
        self.program = program
        self.process = process
        self.trials: dict[int, tuple[dict[str, Any], int]] = {}  # pid → its start message and a pidfd, or -1
        # Python seeds this anew in every fork; a program that seeds it itself wants its own state.
        self.random_state = random.getstate()
        self.limits = Limits()
        self.poll = select.poll()
        self.poll.register(channel.sock, select.POLLIN)

    def serve(self) -> None:
        """Until the supervisor is gone."""
        told = False
        while True:
            while (message := self.channel.take()) is not None:
                if message["type"] == "start":
                    if message.get("become") and not told:
                        self.tell_modules()
                    self.start(message, self.channel.descriptors(3))
            if self.trials and not told:  # after the first forks, so that these need not wait for it
                self.tell_modules()
                told = True
            blind = any(fd < 0 for _, fd in self.trials.values())
            ready = self.poll.poll(20 if blind else None)
            if any(fd == self.channel.sock.fileno() for fd, _ in ready) and not self.channel.fill():
                return
            if blind or len(ready) > 0:
                self.reap()

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
        self.tell("started", message, pid=pid, start_time=_trial.start_time(pid))

    def forked(self, message: dict[str, Any], fds: list[int]) -> NoReturn:
        """The life of a forked trial."""
        code = 70
        ready = False
        try:
            parent = self.process.pid
            self.channel.close()
            for _, pidfd in self.trials.values():
                if pidfd >= 0:
                    os.close(pidfd)
            self.limits.restore()
            self.process.adopt(message, fds, parent)
            random.setstate(self.random_state)
            _trial.keep_exit_handlers()
            ready = True
            code = _trial.work(self.program, message)
            code = _trial.finish(code)
        except BaseException as error:
            if not ready:
                _report.send(_trial.cannot(error))
            _trial.say(traceback.format_exc())
        finally:
            os._exit(code)

    def become(self, message: dict[str, Any], fds: list[int]) -> NoReturn:
        """This process, which cannot be forked but is loaded, is the trial itself."""
        self.channel.close()
        self.limits.restore()
        self.process.adopt(message, fds, None)
        sys.exit(_trial.work(self.program, message))

    def tell_modules(self) -> None:
        """Say what is loaded, for the run's lock."""
        from metaml import _lock

        self.channel.send(type="modules", modules=_lock.modules())

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
    process = _trial.Process()
    _order.install()
    channel = Channel(3)
    load = channel.receive()
    if load is None:
        return
    program = Program(load)
    begin = time.monotonic()
    watcher = Watcher()
    try:
        program.prepare()
        _which.loading(load["seed"])
        with _trial.Seeds(load["seed"], load.get("self_seeded") or []):
            program.run(watcher)
        program.ready()
    except BaseException as error:
        described = program.failure(error)
        channel.send(type="load_failed", error=described)
        _trial.say(described["traceback"])
        channel.receive()
        os._exit(44)
    causes = watcher.causes()
    if causes and watcher.linux:
        from metaml import _leftovers

        _leftovers.end()
        causes = watcher.causes()
    seconds = time.monotonic() - begin
    differs = program.differs()
    _trial.settle()
    # What was loaded stays, so the collector need not touch (and copy) its pages in every trial.
    gc.freeze()
    channel.send(type="ready", fork=not causes, causes=causes, seconds=seconds, differs=differs)
    Loader(channel, program, process).serve()


if __name__ == "__main__":
    # Once more under its own name: the program is going to be __main__.
    from metaml import _loader

    _loader.main()
