"""Compile sources of a wheel, without importing or executing any of them.

argv: the wheel, or a folder with what it has, and the folder in which an image has its packages. Standard input has a
line for each source: its name in the wheel, a tab, and its path below that folder. Standard output gets, for each that
compiles, a line with its path, a tab and a size, and then as many bytes: what lies in __pycache__, marked as not to be
checked against the source (PEP 552). A source for another Python is left out, as an import of it would fail.
"""

import importlib._bootstrap_external as bootstrap
import importlib.util
import os
import sys
import warnings
import zipfile

warnings.simplefilter("ignore")
wheel, folder = sys.argv[1:]
out = sys.stdout.buffer


def read_file(name):
    with open(os.path.join(wheel, name), "rb") as f:
        return f.read()


read = read_file if os.path.isdir(wheel) else zipfile.ZipFile(wheel).read
for line in sys.stdin.buffer.read().decode().splitlines():
    name, path = line.split("\t")
    source = read(name)
    try:
        code = compile(source, f"{folder}/{path}", "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        continue
    data = bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False)
    out.write(f"{path}\t{len(data)}\n".encode())
    out.write(data)
