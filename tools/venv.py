"""Makes a virtual environment from a lock file, once, and puts our wheel into it when the wheel changed.

    python3 tools/venv.py DIR LOCK [--wheel WHEEL]

DIR/.lock-stamp says what DIR was made from (the lock's content, the Python version, the folder), so that a second call
with the same inputs does nothing; a half-made folder has no stamp and is made again. Only pip talks to a network, as it
is configured on this machine. Python 3.10, standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def stamp_of_lock(folder: Path, lock: Path) -> str:
    """What an environment in `folder` made from `lock` is: a changed line makes another environment."""
    content = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{content} python {sys.version.split()[0]} {sys.platform} in {folder}\n"


def pip(folder: Path, *arguments: str) -> None:
    """Runs the environment's own pip; its output is the user's progress bar."""
    command = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]
    # A user's site packages or PIP_USER=1 must not leak in; where packages come from is pip's own configuration.
    environment = {**os.environ, "PYTHONNOUSERSITE": "1", "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    result = subprocess.run(command, env=environment, check=False)
    if result.returncode != 0:
        sys.exit(f"metaml: pip could not fill {folder}; its own message is above")


def make(folder: Path, lock: Path) -> None:
    """Makes `folder` from `lock`, unless it was made from just that already."""
    stamp = folder / ".lock-stamp"
    want = stamp_of_lock(folder, lock)
    if stamp.is_file() and stamp.read_text() == want:
        return
    print(f"metaml: making {os.path.relpath(folder)} from {os.path.relpath(lock)} (once)", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
    if made.returncode != 0:
        sys.exit(
            f"metaml: {sys.executable} could not make {folder}: install the venv module (apt-get install python3-venv)"
        )
    pip(folder, "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    stamp.write_text(want)


def put_wheel(folder: Path, wheel: Path) -> None:
    """Installs our wheel, when it is another than the one that is in there."""
    stamp = folder / ".wheel-stamp"
    want = hashlib.sha256(wheel.read_bytes()).hexdigest() + "\n"
    if stamp.is_file() and stamp.read_text() == want:
        return
    stamp.unlink(missing_ok=True)
    print(f"metaml: installing {wheel.name} into {os.path.relpath(folder)}", flush=True)
    pip(folder, "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall", str(wheel))
    stamp.write_text(want)


def main() -> None:
    parser = argparse.ArgumentParser(description="make a virtual environment from a lock file")
    parser.add_argument("folder", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--wheel", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    make(folder, arguments.lock.absolute())
    if arguments.wheel is not None:
        put_wheel(folder, arguments.wheel)


if __name__ == "__main__":
    main()
