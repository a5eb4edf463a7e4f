"""Install packages, and compile their sources as layers made without a builder have them.

argv: symbolic links of the environment [[path, where it leads] …] as JSON, since builders made before 2025 make none by
themselves; the folder of the packages, and the command that fills it. The sources of each package are compiled 200 in a
process, in the order of their names: what a process has compiled before may show in the bytes of what it compiles next.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import cache_from_source

AT_ONCE = 200
COMPILER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "compile.py")

folder = pathlib.Path(sys.argv[2])
command = sys.argv[3:]


def is_source(name):
    ours = name.endswith(".py") and "/tests/" not in f"/{name}" and not name.startswith(("/", ".."))
    return ours and (folder / name).is_file()


def compiled(names):
    """Compile some sources and write them where Python looks for them."""
    lines = "".join(f"{name}\t{name}\n" for name in names)
    out = subprocess.run(
        [sys.executable, "-S", "-s", COMPILER, folder, folder],
        input=lines.encode(),
        stdout=subprocess.PIPE,
        env={"PYTHONHASHSEED": "0"},
        cwd="/",
        check=True,
    ).stdout
    while out:
        head, _, out = out.partition(b"\n")
        name, size = head.decode().split("\t")
        to = pathlib.Path(cache_from_source(str(folder / name)))
        to.parent.mkdir(exist_ok=True)
        to.write_bytes(out[: int(size)])
        out = out[int(size) :]


for path, to in json.loads(sys.argv[1]):
    os.symlink(to, path)
code = subprocess.run(command, check=False).returncode
if code:
    sys.exit(code)
for lock in folder.parents[2].glob(".lock"):  # uv's own
    lock.unlink()
parts = []
for record in sorted(folder.glob("*.dist-info/RECORD")):
    with record.open(newline="", encoding="utf-8") as f:
        names = sorted({row[0] for row in csv.reader(f) if row and is_source(row[0])})
    parts += [names[i : i + AT_ONCE] for i in range(0, len(names), AT_ONCE)]
with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
    list(pool.map(compiled, parts))
