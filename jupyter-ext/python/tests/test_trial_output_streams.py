"""The streams of a server's processes on a disk that is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import metaml

# A file may have so many bytes: what is beyond fails as it does on a full disk, and a file that is made shorter has
# room again.
PROGRAM = """
import logging, os, resource, signal, sys
sys.path.insert(0, {path!r})
from metaml._trial import output_streams
output_streams.keep_going()
logging.basicConfig(stream=sys.{stream})
kept = sys.{stream}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
print("twelve bytes", file=kept)
print("cut in the middle", file=kept)
print("lost", file=sys.{stream}, flush=True)
logging.error("lost too")
sys.{stream}.writelines(["a\\n", "b\\n"])
if os.fork() == 0:
    os.dup2(os.open("other", os.O_WRONLY | os.O_CREAT), {fd})
    print("of a fork", file=kept)
    os._exit(0)
os.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print("here again", file=kept)
print("and again", file=kept)
"""


@pytest.mark.parametrize(("stream", "fd"), [("stdout", 1), ("stderr", 2)])
def test_what_cannot_be_written_costs_the_line(tmp_path: Path, stream: str, fd: int) -> None:
    program = PROGRAM.format(path=str(Path(metaml.__file__).parent.parent), stream=stream, fd=fd)
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, **{stream: log})  # type: ignore[call-overload]
    assert done.returncode == 0
    assert (tmp_path / "log").read_text() == (
        "twelve bytes\ncut in \nmetaml: 5 lines could not be written here: File too large\nhere again\nand again\n"
    )
    assert (tmp_path / "other").read_text() == "of a fork\n"
