"""What a program's top level leaves behind that a fork would not survive, and which line did it."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from typing import Any

__all__ = ["Watcher"]


_HARMLESS = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}


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
        causes: list[dict[str, Any]] = []
        pids: set[int] = set()
        fds: set[int] = set()
        if self._has_child():
            from metaml._loader import leftovers

            pids, fds = leftovers.trackers()
        for thread in threading.enumerate():
            if thread is not threading.main_thread():
                line = self.thread_line.get(thread.native_id or 0, 0)
                causes.append({"text": f"thread {thread.name!r} is running", "line": line})
        if not causes:
            causes += self._foreign_threads()
        if self._has_child() and self._children() - pids:
            causes.append({"text": "a child process is running", "line": self.child_line})
        causes += self._open_files(fds)
        return [cause for i, cause in enumerate(causes) if cause not in causes[:i]]

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
        # Some libraries stop their threads before a fork and start them again on demand (OpenBLAS); others cannot
        # (OpenMP).
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
            {
                "text": f"{n} thread{'s' * (n > 1)} of a compiled library {'are' if n > 1 else 'is'} running",
                "line": line,
            }
            for line, n in sorted(lines.items())
        ]

    def _open_files(self, known: set[int]) -> list[dict[str, Any]]:
        mapped = _mapped_files()
        by_file: dict[tuple[int, int], int] = {}
        descriptors: list[tuple[int, str, tuple[int, int] | None]] = []
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
            descriptors.append((fd, target, key if read_only else None))
        causes = []
        for fd, target, readable in descriptors:
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
