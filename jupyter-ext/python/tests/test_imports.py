"""The packages of the module stand on floors: each imports only what is below it, also inside its functions.

The table is the architecture of the Python side; test/architecture/imports_test.go has the Go side's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import metaml

ROOT = Path(metaml.__file__).parent

#: What each package, or module of the top folder, may import within `metaml`, and why not more.
MAY: dict[str, tuple[str, ...]] = {
    "_visible": (),
    "_package": (),
    "_errors": ("_visible",),
    # Finding the binary and speaking with it: needs nothing of runs or sessions.
    "_binary": ("_errors", "_package"),
    # What values are: the same in a notebook, in a trial and in a worker.
    "_values": ("_errors",),
    # A trial has no notebook and no server.
    "_trial": ("_errors", "_package", "_values"),
    # A worker is the process of an attempt, with a function that is called many times.
    "_worker": ("_trial", "_values"),
    # The processes that execute a program know what they are for: a trial or a worker.
    "_loader": ("_package", "_trial", "_worker"),
    # What the user holds reads runs through the binary; of a trial it has what the function returned.
    "_held": ("_binary", "_errors", "_trial", "_values", "_visible"),
    # The notebook's half is on top; it never serves and never forks.
    "_session": ("_binary", "_errors", "_held", "_package", "_trial", "_values"),
    # The facade names what is public.
    "__init__": ("_errors", "_held", "_session", "_trial", "_values"),
}


def box(path: Path) -> str:
    """The package of a file, or the module of the top folder."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The parts of `metaml` that a file imports, with lines; what is there for types alone counts as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}:{node.lineno}: write the whole name, from metaml…"
            if node.module == "metaml":
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif (node.module or "").startswith("metaml."):
                yield node.lineno, str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name.split(".")[1]) for alias in node.names if alias.name.startswith("metaml.")
            )


def test_imports_run_downward() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sorted(ROOT.rglob("*.py"))
        for line, name in imports(path)
        if name != box(path) and name not in MAY[box(path)]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_table_has_no_circle_and_nothing_that_is_not_there() -> None:
    order = list(MAY)
    assert set(order) == {box(path) for path in ROOT.rglob("*.py")}
    for name, below in MAY.items():
        assert all(order.index(other) < order.index(name) for other in below), f"{name} imports what stands above it"


def test_no_modules_import_each_other() -> None:
    """Within a package there is no circle either: not by imports inside functions, nor by those for types alone."""
    modules = {".".join(("metaml", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}
    below = {name: needed(path, modules) - {name} for name, path in modules.items()}
    while True:
        free = [name for name, needs in below.items() if not needs & set(below)]
        if not free:
            break
        for name in free:
            del below[name]
    assert not below, f"these import each other, or one that does: {', '.join(sorted(below))}"


def needed(path: Path, modules: dict[str, Path]) -> set[str]:
    """The modules that a file imports, also for types alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                names.add(whole if whole in modules else str(node.module))
    return names & set(modules)


def test_every_package_says_what_it_is_for() -> None:
    for path in ROOT.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"
