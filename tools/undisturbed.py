"""Runs a command in an empty home folder and checks that it leaves nothing behind.

    python3 tools/undisturbed.py COMMAND [ARGUMENT...]

The command gets a home, a folder for temporary files and a runtime folder of its own, all new, and a token in its
environment. When it has ended, a process that still carries the token, or a file that is left in one of the folders, is
named, and the exit code is 1. Caches are left alone, since they are made to be kept. Python 3.10, standard library.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = "METAML_UNDISTURBED"

# Processes that were signalled to end get this long, in seconds, to do so.
GRACE = 5.0


def go_env(name: str) -> str:
    return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True).stdout.strip()


def surroundings(base: Path, token: str) -> dict[str, str]:
    """The command's environment."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    kept = {
        "GOCACHE": go_env("GOCACHE"),
        "GOMODCACHE": go_env("GOMODCACHE"),
        "GOENV": go_env("GOENV"),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR") or str(Path(cache) / "pip"),
        "METAML_CLUSTER_CACHE": os.environ.get("METAML_CLUSTER_CACHE") or str(Path(cache) / "metaml-cluster"),
    }
    # A person's pip settings say where packages come from, and may be in the home folder.
    for settings in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if settings.is_file():
            kept.setdefault("PIP_CONFIG_FILE", os.environ.get("PIP_CONFIG_FILE", str(settings)))
    own = {
        "HOME": str(base / "home"),
        "TMPDIR": str(base / "tmp"),
        "XDG_RUNTIME_DIR": str(base / "run"),
        MARK: token,
        # What was started by a name in the PATH is the same Python that runs this.
        "PYTHON": sys.executable,
    }
    for path in (base / "home", base / "tmp", base / "run"):
        path.mkdir(mode=0o700)
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "JUPYTER_", "METAML_"))}
    for name in ("METAML_TEST_PYTHON", "METAML_TEST_PYTHON_OLDEST"):
        if name in os.environ:
            rest[name] = os.environ[name]
    return {**rest, **kept, **own}


def left_processes(token: str) -> dict[int, str]:
    """Processes that carry the token, by pid, with their command lines.

    A process that starts a program has no environment for a moment: only if it is read twice as none is there none.
    """
    found = carriers(token)
    if not found:
        time.sleep(0.05)
        found = carriers(token)
    return found


def carriers(token: str) -> dict[int, str]:
    """Processes in whose environment the token can be read now."""
    needle = f"{MARK}={token}"
    found: dict[int, str] = {}
    if Path("/proc/self/environ").exists():
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                if needle.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                    found[int(folder.name)] = command
            except OSError:  # it ended meanwhile, or is not ours
                continue
        return found
    listing = subprocess.run(["ps", "-axwwE", "-o", "pid=,command="], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        pid, _, command = line.strip().partition(" ")
        if needle in command and int(pid) != os.getpid():
            found[int(pid)] = command.split(" ", 3)[0]
    return found


def end(pids: dict[int, str]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def left_files(base: Path) -> list[Path]:
    # Caches are made to be kept. The go command counts its own calls, and rustup notes that pip asked for rustc's
    # version: neither is MetaML's.
    kept = (
        "home/.cache/",
        "home/.config/go/telemetry/",
        "home/.rustup/",
        "home/Library/Caches/",
        "home/Library/Application Support/go/telemetry/",
    )
    ours = (path for path in base.rglob("*") if not str(path.relative_to(base)).startswith(kept))
    return sorted(path for path in ours if path.is_symlink() or not path.is_dir())


def main() -> int:
    # A shell ignores Ctrl-C for what it starts in the background, and its children would too; some tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The path of a socket must be short, so this is /tmp even where TMPDIR names another folder.
    base = Path(tempfile.mkdtemp(prefix="metaml-test-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108
    token = secrets.token_hex(8)
    try:
        # Ctrl-C reaches the command too; what it leaves is checked all the same.
        child = subprocess.Popen(sys.argv[1:], env=surroundings(base, token))
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:
                continue
        deadline = time.monotonic() + GRACE
        while (processes := left_processes(token)) and time.monotonic() < deadline:
            time.sleep(0.1)
        files = left_files(base)
        for pid, command in processes.items():
            print(f"left behind: process {pid}: {command}", file=sys.stderr)
        for path in files[:20]:
            print(f"left behind: {path.relative_to(base)}", file=sys.stderr)
        if len(files) > 20:
            print(f"left behind: {len(files) - 20} files more", file=sys.stderr)
        end(processes)
        while left_processes(token) and time.monotonic() < deadline + GRACE:
            time.sleep(0.05)
        return code or int(bool(processes or files))
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
