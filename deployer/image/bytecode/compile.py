"""Compile sources of a wheel, without importing or executing any of them.

argv: the wheel, and the folder in which an image has its packages. Standard input has a line for each source: its name
in the wheel, a tab, and its path below that folder. Standard output gets, for each that compiles, a line with its path,
a tab and a size, and then as many bytes: what lies in __pycache__, marked as not to be checked against the source
(PEP 552). A source for another Python is left out, as an import of it would fail.
"""

import importlib._bootstrap_external as bootstrap
import importlib.util
import sys
import warnings
import zipfile

warnings.simplefilter("ignore")
wheel, folder = sys.argv[1:]
out = sys.stdout.buffer
with zipfile.ZipFile(wheel) as archive:
    for line in sys.stdin.buffer.read().decode().splitlines():
        name, path = line.split("\t")
        source = archive.read(name)
        try:
            code = compile(source, f"{folder}/{path}", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            continue
        data = bootstrap._code_to_hash_pyc(code, importlib.util.source_hash(source), checked=False)
        out.write(f"{path}\t{len(data)}\n".encode())
        out.write(data)
