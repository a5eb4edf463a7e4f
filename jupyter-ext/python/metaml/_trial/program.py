"""A program folder's code: its top level, executed as the real ``__main__``, and its entry function."""

from __future__ import annotations

import ast
import json
import linecache
import os
import sys
import types
from collections.abc import Callable
from typing import Any

from metaml._errors import Refused
from metaml._trial import failure
from metaml._trial.draws import Draws
from metaml._trial.main_guard import is_guard

__all__ = ["Program"]


class Program:
    """A program folder's code and its entry function."""

    def __init__(self, load: dict[str, Any]) -> None:
        self.dir: str = load["dir"]
        self.main: str = load["main"]
        self.entry: str = load["entry"]
        self.load = load
        self.module = types.ModuleType("__main__")
        self._draws: Draws | None = None
        self.service: Any = None  # of a server: what ready() was given makes it

    def prepare(self) -> None:
        """Make this process look like ``python main.py``: path, arguments, folder, ``__main__``."""
        # What -m put first is the folder that the process was started in.
        sys.path[:] = [self.dir, *(self.load.get("path") or []), *sys.path[1:]]
        sys.argv[:] = [self.load.get("argv0") or self.main]
        os.environ.update(self.load.get("env") or {})
        if self.load.get("serve") is not None:
            from metaml._trial import output_streams

            output_streams.keep_going()
        if self.load.get("cwd"):
            os.chdir(self.load["cwd"])
        self.module.__dict__.update(__file__=self.main, __builtins__=__builtins__, __spec__=None, __cached__=None)
        # The old one is kept: its globals must outlive it.
        self._old_main = sys.modules["__main__"]
        sys.modules["__main__"] = self.module

    def run(self, after: Callable[[int], None] | None = None) -> None:
        """Execute the top level, without the ``__main__`` guard. What it raises passes through.

        after is called with the line of each statement that was executed.
        """
        with open(self.main, encoding="utf-8") as f:
            text = f.read()
        linecache.cache[self.main] = (len(text), None, text.splitlines(keepends=True), self.main)
        tree = ast.parse(text, self.main)
        body = [node for node in tree.body if not is_guard(node)]
        flags = 0
        for node in body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for alias in node.names:
                    flags |= getattr(__import__("__future__"), alias.name).compiler_flag
        if (doc := ast.get_docstring(tree, clean=False)) is not None:
            self.module.__doc__ = doc
        # From Python 3.14 on, the annotations of one compilation replace those of the one before.
        whole = sys.version_info >= (3, 14) and any(isinstance(node, ast.AnnAssign) for node in body)
        if self.compares():  # what random numbers made is another value each time
            self._draws = Draws(self.load["seed"])
        for part in [body] if whole else [[node] for node in body]:
            code = compile(ast.Module(part, []), self.main, "exec", flags, dont_inherit=True)
            exec(code, self.module.__dict__)  # noqa: S102 (the user's program is what this is for)
            if self._draws is not None:
                self._draws.after(part[0].lineno if part and not whole else 0)
            if after is not None:
                after(part[0].lineno if part else 0)

    def compares(self) -> bool:
        """Whether there is something to compare with."""
        return bool(self.load.get("expected"))

    def differs(self) -> list[dict[str, str]]:
        """Top-level names whose value is another one here than in the session which the program was cut from."""
        if not (path := self.load.get("expected")):
            return []
        from metaml._values import differences

        try:
            with open(path, encoding="utf-8") as f:
                return differences.differing(
                    json.load(f),
                    self.module.__dict__,
                    self.load.get("expected_key") or "",
                    self._draws.lines() if self._draws else {},
                )
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return []  # a damaged file of ours is no reason to run nothing

    def function(self) -> Any:
        """The entry function."""
        return getattr(self.module, self.entry)

    def ready(self, service: Callable[[Program, dict[str, Any]], Any]) -> None:
        """The top level was executed: look at the entry, and have service prepare what every worker of a server needs.

        Raises:
            Refused: the function cannot be served.
        """
        self.function()
        if (serve := self.load.get("serve")) is not None:
            self.service = service(self, serve)

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Why the program cannot be loaded, as data."""
        if not isinstance(error, Refused):
            return failure.describe(error, self.main)
        code = getattr(self.module.__dict__.get(self.entry), "__code__", None)
        frames = []
        if code is not None and code.co_filename == self.main:
            line = code.co_firstlineno
            text = linecache.getline(self.main, line).rstrip()
            frames = [
                {"file": os.path.basename(self.main), "line": line, "function": self.entry, "text": text, "mine": True}
            ]
        text = str(error)
        return {"type": "Refused", "origin": "metaml", "text": text, "frames": frames, "traceback": f"{text}\n"}
