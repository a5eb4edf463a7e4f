"""Finding and calling the `metaml` binary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator, Iterator
from typing import Any

from metaml._errors import MetaMLError
from metaml._package import SITE

_found: str | None = None


def metaml() -> str:
    """Path of the `metaml` binary.

    Raises:
        MetaMLError: it is in none of the places; the error lists them.
    """
    global _found
    if _found is None or not os.path.exists(_found):
        _found = _find()
    return _found


def remember(path: str) -> None:
    """Use the binary that a conversation was held with: it is the one that made the run."""
    global _found
    if path and os.path.isfile(path):
        _found = path


def _find() -> str:
    tried: list[str] = []
    for path in candidates():
        if path in tried:
            continue
        tried.append(path)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise MetaMLError(
        "cannot find the `metaml` binary; looked for\n" + "\n".join(f"  {path}" for path in tried),
        "Install it with `pip install metaml`, or set METAML_BIN to its path.",
    )


def candidates() -> Iterator[str]:
    """Where the binary may be, best first: METAML_BIN, what started this trial, every place in which pip puts scripts,
    PATH.
    """
    name = "metaml" + (sysconfig.get_config_var("EXE") or "")
    for given in filter(None, map(os.environ.get, ("METAML_BIN", "_METAML_BIN"))):
        yield os.path.join(given, name) if os.path.isdir(given) else given
    # Beside the interpreter, as it was started (a venv's python is a link).
    if sys.executable:
        yield os.path.join(os.path.dirname(sys.executable), name)
    yield os.path.join(sysconfig.get_path("scripts"), name)
    # pip install --target DIR and --prefix DIR put scripts beside the package or above lib/pythonX.Y/site-packages.
    yield os.path.join(SITE, "bin", name)
    if os.path.basename(SITE) in ("site-packages", "dist-packages"):
        yield os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(SITE))), "bin", name)
    # pip install --user, and an interpreter outside its venv.
    yield os.path.join(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")), name)
    if sys.base_prefix != sys.prefix:
        base = {"base": sys.base_prefix, "platbase": sys.base_prefix}
        yield os.path.join(sysconfig.get_path("scripts", vars=base), name)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder:
            yield os.path.join(folder, name)


def call(*args: str) -> str:
    """Run ``metaml ARGS`` and return its standard output.

    Raises:
        MetaMLError: it ended with an error; the sentence is its own.
    """
    done = subprocess.run(
        [metaml(), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise _failed(args, done.returncode, done.stderr)
    return done.stdout.decode("utf-8", "replace")


def objects(*args: str) -> Generator[dict[str, Any], None, None]:
    """Run ``metaml ARGS``, which prints one JSON object a line, and return them as they come.

    Raises:
        MetaMLError: it ended with an error; the sentence is its own.
    """
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([metaml(), *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        with child:
            try:
                for line in child.stdout or ():
                    yield json.loads(line)
                child.wait()
            finally:
                if child.poll() is None:  # whoever reads them has stopped, as by an interrupt
                    child.send_signal(signal.SIGINT)
        if child.returncode != 0:
            said.seek(0)
            raise _failed(args, child.returncode, said.read())


def _failed(args: tuple[str, ...], code: int, said: bytes) -> MetaMLError:
    """Return the error for a call that has failed, and has said why."""
    text = said.decode("utf-8", "replace").strip().removeprefix("metaml: ")
    return MetaMLError(text or f"`metaml {' '.join(args)}` ended with code {code}")
