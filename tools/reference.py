"""Writes docs/reference/python.md from the docstrings of the module `metaml`.

    python tools/reference.py            # writes the page
    python tools/reference.py --check    # ends with 1 and a diff if the page is not what it would write

Docstrings have the sections of Google's style (Args, Returns, Raises, Attributes) and reStructuredText's roles and
literal blocks (``::``). Python 3.10, standard library.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "python.md"
sys.path.insert(0, str(ROOT / "jupyter-ext" / "python"))

WIDTH = 118
SECTIONS = ("Args", "Returns", "Raises", "Attributes")
HEAD = """# Python API

<!-- Made from the docstrings by: python tools/reference.py -->

Everything is a member of the module `metaml`. Importing it costs almost nothing: each name is loaded when it is first
used.
"""

GROUPS = {
    "Inside a training function": ("report", "output", "checkpoint", "trial", "attempt", "seed"),
    "Runs": ("run", "runs", "Run", "Trial", "Report", "Comparison"),
    "Serving": ("model", "Server", "Worker", "Response", "HTTPError"),
    "Decorators": ("Train", "Serve", "DataIn", "DataOut"),
    "Exceptions": ("MetaMLError", "Refused", "TrialsFailed", "ServerFailed", "RequestFailed", "Detached"),
    "IPython": ("load_ipython_extension", "unload_ipython_extension"),
}
# What people get from a public name, and do not import.
FOUND = {"Trial": "Run", "Report": "Run", "Worker": "Server", "Comparison": "Run"}


def find(name: str) -> Any:
    """A public name, or one that a public name gives, wherever in the module it is defined."""
    import metaml

    if name not in FOUND:
        return getattr(metaml, name)
    getattr(metaml, FOUND[name])  # loads what defines it
    if name == "Comparison":
        import_comparison()
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and module.__name__.startswith("metaml.") and name in vars(module):
            return vars(module)[name]
    raise LookupError(f"no module of metaml defines {name}")


def import_comparison() -> None:
    """The module of Comparison is loaded by its first use alone."""
    import importlib
    import pkgutil

    import metaml

    for module in pkgutil.walk_packages(metaml.__path__, "metaml."):
        if module.name.endswith("compare"):
            importlib.import_module(module.name)


def prose(text: str) -> str:
    """A line of a docstring as Markdown has it."""
    text = re.sub(r":(?:func|class|meth):`~?(?:metaml\.)?([^`]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return re.sub(r"(?<![\w`])(docs/[\w/-]+\.md)", lambda found: f"[{Path(found[1]).name}]({relative(found[1])})", text)


def relative(page: str) -> str:
    return "../" * 2 + page if not page.startswith("docs/") else "../" + page.removeprefix("docs/")


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """A paragraph in lines; spans of code and links are kept whole."""
    lines, line = [], first
    for word in re.findall(r"(?:`[^`]*`|\[[^\]]*\]\([^)]*\)|\S)+", text):
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            lines.append(line)
            line = rest
        line += word if line in (first, rest) else " " + word
    return [*lines, line]


def paragraphs(lines: list[str]) -> list[str]:
    """Paragraphs and literal blocks."""
    out: list[str] = []
    text: list[str] = []

    def flush() -> bool:
        """Write the paragraph; gives whether a literal block follows."""
        if not text:
            return False
        joined = prose(" ".join(text))
        literal = joined.endswith("::")
        text.clear()
        out.extend([*wrapped(joined[:-1] if literal else joined), ""])
        return literal

    index = 0
    while index < len(lines):
        line = lines[index]
        if line.strip():
            text.append(line.strip())
            index += 1
            if not text[-1].endswith("::"):
                continue
        else:
            index += 1
        if flush():
            while index < len(lines) and not lines[index].strip():
                index += 1
            block = []
            while index < len(lines) and (lines[index].startswith("    ") or not lines[index].strip()):
                block.append(lines[index][4:])
                index += 1
            while block and not block[-1].strip():
                block.pop()
            out.extend(["```python", *block, "```", ""])
    flush()
    return out


def items(lines: list[str]) -> list[str]:
    """The entries of a section: a line each, further lines are deeper."""
    entries: list[str] = []
    for line in lines:
        if not line.strip():
            continue
        if line.startswith(" ") and entries:
            entries[-1] += " " + line.strip()
        else:
            entries.append(line.strip())
    out: list[str] = []
    for entry in entries:
        name, colon, text = entry.partition(": ")
        head = f"`{name}`: " if colon and re.fullmatch(r"[\w, ()]+", name) else ""
        out += wrapped(prose(text if head else entry), f"- {head}", "  ")
    return [*out, ""]


def docstring(value: Any) -> list[str]:
    text = value.__doc__ or ""
    lines = inspect.cleandoc(text).splitlines()
    out: list[str] = []
    part: list[str] = []
    section = ""

    def flush() -> None:
        if section in ("", "Returns"):
            if section:
                out.extend(["Returns:", ""])
            out.extend(paragraphs(inspect.cleandoc("\n" + "\n".join(part)).splitlines() if section else part))
        else:
            out.extend([f"{section}:", "", *items(inspect.cleandoc("\n" + "\n".join(part)).splitlines())])
        part.clear()

    for line in lines:
        if line.rstrip(":") in SECTIONS and line.endswith(":"):
            flush()
            section = line.rstrip(":")
        else:
            part.append(line)
    flush()
    return out


def signature(name: str, value: Any, drop_self: bool = False) -> str:
    """A call as people write it: names and defaults, without annotations."""
    parameters = list(inspect.signature(value).parameters.values())
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters[1 if drop_self else 0 :]]
    return f"{name}{inspect.Signature(plain)}"


def members(owner: type) -> list[str]:
    """Public methods and properties of a class and of its own bases, in the order of definition."""
    seen: dict[str, Any] = {}
    for base in owner.__mro__:
        if base.__module__.startswith("metaml") and not issubclass(base, (BaseException, tuple)):
            for name, value in vars(base).items():
                shown = not name.startswith("_") or name in ("__len__", "__iter__", "__getitem__")
                if shown and isinstance(value, (FunctionType, property)) and value.__doc__:
                    seen.setdefault(name, value)
    called = owner.__name__.lower()
    spelled = {"__len__": f"len({called})", "__iter__": f"iter({called})", "__getitem__": f"{called}[index]"}
    out: list[str] = []
    for name, value in seen.items():
        if name in spelled:
            title = spelled[name]
        elif isinstance(value, property):
            title = f"{called}.{name}"
        else:
            title = signature(f"{called}.{name}", value, drop_self=True)
        out += [f"**`{title}`**", "", *docstring(value)]
    return out


def entry(name: str) -> list[str]:
    value = find(name)
    out = [f"### {name}", ""]
    if isinstance(value, FunctionType):
        return [*out, f"**`metaml.{signature(name, value)}`**", "", *docstring(value)]
    out += docstring(value)
    return out + ([] if issubclass(value, BaseException) else members(value))


def page() -> str:
    import metaml

    listed = {name for names in GROUPS.values() for name in names}
    missing = set(metaml.__all__) - listed
    if missing:
        raise SystemExit(f"tools/reference.py: name a group for {', '.join(sorted(missing))}")
    lines = [HEAD]
    for group, names in GROUPS.items():
        lines += [f"## {group}", ""]
        for name in names:
            lines += entry(name)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    want = page()
    if arguments == ["--check"]:
        have = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sys.stdout.writelines(
            difflib.unified_diff(have.splitlines(True), want.splitlines(True), str(PAGE), "the docstrings")
        )
        return int(have != want)
    PAGE.write_text(want, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
