"""Builds wheel and source archive for pip, uv and `python -m build`: a PEP 517 backend that calls the Go build.

pyproject.toml names it. What goes into a wheel, and its metadata, is said by cmd/internal/wheel, as for `make wheel`;
this compiles the programs with the machine's own C compiler and gives the wheel the tag of this machine. Nothing is
downloaded beside the Go modules, so the backend needs no package. Python 3.10, standard library only.
"""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# The first time that a zip file can say, which the files of the wheel have too.
EPOCH = 315532800

Settings = dict[str, Any] | None


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Compiles the programs and packs them; the wheel's name."""
    check("go", "cc")
    with tempfile.TemporaryDirectory(prefix="metaml-build-") as folder:
        run("tools/build-programs", folder)
        path = run(*PACKER, "-bin", folder, "-out", str(Path(wheel_directory).absolute()))
    return Path(path.strip()).name


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings = None) -> str:
    """Writes what pip requires before it decides to build; the folder's name."""
    text = metadata()
    folder = Path(metadata_directory) / f"metaml-{version()}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(text)
    return folder.name


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Packs the files that git knows, as they are here, so that the wheel can be built from them; the archive's
    name.
    """
    text = metadata()
    base = f"metaml-{version()}"
    name = f"{base}.tar.gz"
    with (
        open(Path(sdist_directory) / name, "wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sources():
            data = (ROOT / path).read_bytes()
            add(archive, f"{base}/{path}", data, 0o755 if (ROOT / path).stat().st_mode & 0o100 else 0o644)
        add(archive, f"{base}/PKG-INFO", text.encode(), 0o644)
    return name


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), mode, EPOCH
    archive.addfile(entry, io.BytesIO(data))


def sources() -> list[str]:
    """The files of a source archive: those that git knows; of an archive that was unpacked, all that are there."""
    if (ROOT / "PKG-INFO").is_file():
        names = [
            path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file() and not path.is_symlink()
        ]
        return sorted(name for name in names if name != "PKG-INFO")
    if not (ROOT / ".git").exists():
        sys.exit("metaml: a source archive is made of the files that git knows, and this is no clone: git clone it.")
    names = run("git", "ls-files", "-z").split("\0")
    return sorted({name for name in names if name and (ROOT / name).is_file()})


PACKER = ("go", "run", "./cmd/internal/wheel")


def metadata() -> str:
    """METADATA of the wheel, which is PKG-INFO of the source archive."""
    check("go")
    return run(*PACKER, "-metadata")


def version() -> str:
    return (ROOT / "VERSION").read_text().strip()


def check(*parts: str) -> None:
    """Ends with one sentence if something that the build needs is not there."""
    if subprocess.run(["tools/prerequisites", *parts], cwd=ROOT, check=False).returncode != 0:
        sys.exit(1)


def run(*command: str) -> str:
    """Runs a command in the clone; its standard output."""
    result = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"metaml: {' '.join(command)} failed; its own message is above")
    return result.stdout
