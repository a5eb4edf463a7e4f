"""The session document: what was executed in this session and what is alive.

docs/reference/rules.md §2 says what is in it, converter/session/session.go reads it.

:class:`Recorder` notes every executed cell by IPython's hooks, in microseconds; everything else is looked up when a
document is made.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import site
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from typing import Any

from metaml._binary.cell import request
from metaml._package import FOLDER, SITE
from metaml._session.names import name_of

VERSION = 1

# Names that belong to Python and IPython: __name__, the last results and inputs.
_IPYTHONS = re.compile(r"__\w+__|_{1,3}|_i{0,3}|_i?\d+|_exit_code|_[dio]h")

_OURS = re.compile(r"\A\s*%%(train|serve)\b")
_FUNCTION = re.compile(r"^(async )?def \w", re.MULTILINE)


class Cell:
    """One execution of one cell, as it goes."""

    __slots__ = (
        "code",
        "conversation",
        "count",
        "failed_line",
        "id",
        "info",
        "message",
        "ok",
        "origin",
        "parent",
        "seconds",
        "seq",
        "source",
        "started",
    )

    def __init__(self, seq: int, source: str, info: Any = None) -> None:
        self.seq = seq
        self.source = source
        self.info = info  # IPython's own object: how the end of a cell is matched with its start
        self.code: str | None = None
        self.count = 0
        self.id = ""
        self.ok: bool | None = None
        self.failed_line = 0
        self.seconds = 0.0
        self.parent = 0
        self.origin = ""
        self.message = ""  # id of the execute_request
        self.started = 0.0
        self.conversation: Any = None  # closed when the cell ends, if it is still open then


class _Pending:
    """A cell between `pre_execute` and `pre_run_cell`; a silent one never gets to the second."""

    __slots__ = ("source", "started")

    def __init__(self, source: str) -> None:
        self.source = source
        self.started = time.perf_counter()


class Recorder:
    """Keeps the cells of one shell. :meth:`install` it once; :meth:`remove` takes it out again."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.cells: list[Cell] = []
        self.ended: list[Callable[[Cell], None]] = []  # called with each cell that ends
        self._seq = 0
        self._stacks: dict[int, list[Cell | _Pending]] = {}  # by thread: subshells run cells side by side
        self._typed = ""
        self._origin = ""
        self._modules: dict[str, float] = {}
        self._known_modules = 0
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Start recording. What ran before comes from history and from the startup files."""
        self._earlier()
        events = self.shell.events
        for name, function in (
            ("pre_execute", self._pre_execute),
            ("pre_run_cell", self._pre_run_cell),
            ("post_execute", self._post_execute),
            ("post_run_cell", self._post_run_cell),
        ):
            events.register(name, function)
            self._undo.append(functools.partial(events.unregister, name, function))
        # First in line, so that it sees what was typed. IPython leaves transformers with side effects out when it only
        # checks whether a cell is complete.
        self._see_typed.__func__.has_side_effects = True  # type: ignore[attr-defined]
        cleanup = self.shell.input_transformers_cleanup
        cleanup.insert(0, self._see_typed)
        self._undo.append(lambda: cleanup.remove(self._see_typed))
        for name in ("safe_execfile", "safe_execfile_ipy", "safe_run_module"):
            self._wrap(name)
        if self.cells:
            self._see_modules()
        self._known_modules = len(sys.modules)

    def remove(self) -> None:
        """Stop recording."""
        while self._undo:
            self._undo.pop()()

    # What happens while cells run.

    def current(self) -> Cell | None:
        """The innermost cell that is running in this thread."""
        for entry in reversed(self._stack()):
            if isinstance(entry, Cell):
                return entry
        return None

    def outermost(self) -> Cell | None:
        """The cell that the front end executes."""
        for entry in self._stack():
            if isinstance(entry, Cell):
                return entry
        return None

    def add(self, source: str, *, code: str | None = None, origin: str = "") -> Cell:
        """Record something that no hook is called for; it belongs to the cell that is running."""
        self._seq += 1
        cell = Cell(self._seq, source)
        cell.code = code
        cell.origin = origin
        running = self.current()
        cell.parent = running.seq if running else 0
        self.cells.append(cell)
        return cell

    def last_entry(self) -> tuple[str, int]:
        """Kind and number of the latest cell with a magic of ours over it, or else of the latest that defines a
        function, as one to train; 0 if there is none.
        """
        for pattern in (_OURS, _FUNCTION):
            for cell in reversed(self.cells):
                if magic := pattern.search(cell.source):
                    return (magic[1] if pattern is _OURS else "train"), cell.seq
        return "train", 0

    def _stack(self) -> list[Cell | _Pending]:
        return self._stacks.setdefault(threading.get_ident(), [])

    def _see_typed(self, lines: list[str]) -> list[str]:
        self._typed = "".join(lines)
        return lines

    def _pre_execute(self) -> None:
        stack = self._stack()
        message = self._message()
        if stack and isinstance(stack[0], Cell) and stack[0].message != message:
            # An interrupt inside `await` can end a cell without its hooks.
            self._drop(stack)
        stack.append(_Pending(self._typed))

    def _pre_run_cell(self, info: Any) -> None:
        stack = self._stack()
        started = time.perf_counter()
        if stack and isinstance(stack[-1], _Pending):
            started = stack.pop().started
        cell = self.add(info.raw_cell, code=getattr(info, "transformed_cell", None), origin=self._origin)
        cell.info = info
        cell.id = getattr(info, "cell_id", None) or ""
        if info.store_history:
            cell.count = len(self.shell.history_manager.input_hist_raw)
        cell.message = self._message()
        cell.started = started
        stack.append(cell)

    def _post_execute(self) -> None:
        stack = self._stack()
        if stack and isinstance(stack[-1], _Pending):  # a silent cell
            pending = stack.pop()
            cell = self.add(pending.source, origin=self._origin)
            cell.ok = bool(self.shell.last_execution_succeeded)
            cell.seconds = time.perf_counter() - pending.started

    def _post_run_cell(self, result: Any) -> None:
        info = getattr(result, "info", None)
        stack = self._stack()
        at = next((i for i, entry in enumerate(stack) if isinstance(entry, Cell) and entry.info is info), None)
        if at is None:
            self._first_result(result)
            return
        self._drop(stack, at + 1)
        cell = stack.pop()
        assert isinstance(cell, Cell)  # noqa: S101 - found as one above
        cell.seconds = time.perf_counter() - cell.started
        cell.info = None
        self._finish(cell, result)
        if len(sys.modules) != self._known_modules:
            self._see_modules()

    def _finish(self, cell: Cell, result: Any) -> None:
        cell.ok = bool(result.success)
        history = self.shell.history_manager
        if cell.code is None and history is not None and 0 < cell.count < len(history.input_hist_parsed):
            cell.code = history.input_hist_parsed[cell.count]
        if not cell.ok:
            cell.failed_line = self._failed_line(cell, result)
        for function in self.ended:
            function(cell)

    def _drop(self, stack: list[Cell | _Pending], keep: int = 0) -> None:
        while len(stack) > keep:
            lost = stack.pop()
            if isinstance(lost, Cell):
                lost.info = None
                for function in self.ended:
                    function(lost)

    def _first_result(self, result: Any) -> None:
        """The cell that loaded us ends: it is the last one from history."""
        info = getattr(result, "info", None)
        if info is None or not self.cells:
            return
        last = self.cells[-1]
        if last.origin == "history" and last.ok is None and last.source == getattr(info, "raw_cell", None):
            self._finish(last, result)

    def _failed_line(self, cell: Cell, result: Any) -> int:
        if result.error_before_exec is not None:
            return 1  # nothing of it ran
        trace = getattr(result.error_in_exec, "__traceback__", None)
        while trace is not None:
            if trace.tb_frame.f_globals is self.shell.user_ns:
                return int(trace.tb_lineno) + _leading_blank_lines(cell.source)
            trace = trace.tb_next
        return 0

    def _message(self) -> str:
        """Id of the request that is being answered, "" outside of ipykernel."""
        return str(request(self.shell).get("header", {}).get("msg_id", ""))

    # What hooks do not tell.

    def _wrap(self, name: str) -> None:
        inner = getattr(self.shell, name)
        recorder = self

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            origin = "run" if recorder.outermost() is not None else "startup"
            cell = None
            if name != "safe_execfile_ipy":
                path = _module_file(args[0]) if name == "safe_run_module" else args[0]
                text = _read(path)
                if text is not None:
                    cell = recorder.add(text, origin=origin)
                    cell.code = text
            before, recorder._origin = recorder._origin, origin
            started = time.perf_counter()
            try:
                result = inner(*args, **kwargs)
                if cell is not None:
                    cell.ok = None if origin == "startup" else True
                return result
            except BaseException:
                if cell is not None:
                    cell.ok = False
                raise
            finally:
                recorder._origin = before
                if cell is not None:
                    cell.seconds = time.perf_counter() - started

        setattr(self.shell, name, wrapped)
        self._undo.append(lambda: delattr(self.shell, name))

    def _earlier(self) -> None:
        """Cells from before we were loaded: success unknown. The last of them may be the one that loads us."""
        history = getattr(self.shell, "history_manager", None)
        raw = list(getattr(history, "input_hist_raw", [])) if history is not None else []
        if len(raw) > 1:
            for path in _startup_files(self.shell):
                text = _read(path)
                if text is not None:
                    self.add(text, code=text if path.endswith(".py") else None, origin="startup")
        parsed = list(getattr(history, "input_hist_parsed", [])) if history is not None else []
        for count in range(1, len(raw)):
            cell = self.add(raw[count], code=parsed[count] if count < len(parsed) else None, origin="history")
            cell.count = count

    def _see_modules(self) -> None:
        """Note when the user's own modules were last changed, at the end of the cell that imported them."""
        self._known_modules = len(sys.modules)
        for name, file in _own_modules():
            if name not in self._modules:
                try:
                    self._modules[name] = os.stat(file).st_mtime
                except OSError:
                    self._modules[name] = 0.0

    # The document.

    def document(self, source: str) -> dict[str, Any]:
        """The session as it is now, as JSON-ready data."""
        self._see_modules()
        return {
            **surroundings("live", source),
            "memory": _memory(),
            "cells": self._cells(),
            "names": self._names(),
            "modules": self._module_list(),
        }

    def _cells(self) -> list[dict[str, Any]]:
        by_seq = {cell.seq: cell for cell in self.cells}
        hidden = set()
        running = self.current()
        while running is not None and running.parent:
            # `%%capture` over `%%train`: while the inner cell submits, it stands for the outer one, whose body it is.
            outer = by_seq[running.parent]
            if _is_body(running, outer):
                hidden.add(outer.seq)
            running = outer
        cells = []
        for cell in self.cells:
            if cell.seq in hidden:
                continue
            entry = self._cell(cell)
            # What a call of run_cell executed is in no other cell. The body of a cell magic is in its parent, and is
            # not replayed beside it.
            parent = by_seq.get(cell.parent)
            if parent is not None and parent.seq not in hidden and (cell.origin == "run" or _is_body(cell, parent)):
                entry["parent"] = cell.parent
            cells.append(entry)
        return cells

    def _cell(self, cell: Cell) -> dict[str, Any]:
        if cell.code is None:
            cell.code = self._transformed(cell.source)
        entry: dict[str, Any] = {"seq": cell.seq, "source": cell.source, "code": cell.code, "ok": cell.ok}
        for key in ("count", "id", "failed_line", "origin"):
            if getattr(cell, key):
                entry[key] = getattr(cell, key)
        if cell.seconds:
            entry["seconds"] = round(cell.seconds, 6)
        return entry

    def _transformed(self, source: str) -> str:
        try:
            return str(self.shell.input_transformer_manager.transform_cell(source))
        except Exception:  # a syntax error, or a transformer of the user's
            return ""

    def _names(self) -> dict[str, Any]:
        hidden = self.shell.user_ns_hidden
        nothing = object()
        return {
            name: name_of(value)
            for name, value in list(self.shell.user_ns.items())
            if isinstance(name, str) and not _IPYTHONS.fullmatch(name) and hidden.get(name, nothing) is not value
        }

    def _module_list(self) -> list[dict[str, Any]]:
        reloaded = _reloaded(self.shell)
        modules = []
        for name, file in _own_modules():
            entry: dict[str, Any] = {
                "name": name,
                "file": file,
                "modified": reloaded.get(name, self._modules.get(name, 0.0)),
            }
            if hasattr(sys.modules.get(name), "__path__"):
                entry["package"] = True
            modules.append(entry)
        return modules


def _memory() -> int:
    """Bytes that this process has in memory now; where the system does not say that, the most that it ever had."""
    import resource

    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def surroundings(kind: str, source: str) -> dict[str, Any]:
    """The part of a session document that is not about cells."""
    return {
        "v": VERSION,
        "kind": kind,
        "interpreter": {
            "path": sys.executable,
            "version": platform.python_version(),
            "platform": sysconfig.get_platform(),
            "prefix": sys.prefix,
        },
        "cwd": os.getcwd(),
        "path": _search_path(),
        "source": source,
    }


def script(path: str) -> dict[str, Any]:
    """The session document of a script: its file as one cell.

    Raises:
        OSError, SyntaxError: the file cannot be read.
    """
    import tokenize

    with tokenize.open(path) as file:
        text = file.read()
    return {**surroundings("script", os.path.abspath(path)), "cells": [{"seq": 1, "source": text, "ok": None}]}


def _search_path() -> list[str]:
    # The folder that our kernel put there for this very module is not the user's.
    installed = os.path.basename(SITE) in ("site-packages", "dist-packages")
    return [str(entry) for entry in sys.path if installed or os.path.abspath(str(entry)) != SITE]


def _is_body(inner: Cell, outer: Cell) -> bool:
    """Whether a cell is the body of the cell magic that executed it."""
    return outer.source.lstrip().startswith("%%") and outer.source.rstrip().endswith(inner.source.strip())


def _leading_blank_lines(source: str) -> int:
    return next((i for i, line in enumerate(source.splitlines()) if line.strip()), 0)


def _read(path: Any) -> str | None:
    import tokenize

    try:
        with tokenize.open(os.path.expanduser(os.fspath(path))) as file:
            return file.read()
    except (OSError, SyntaxError, TypeError, ValueError):
        return None


def _module_file(name: Any) -> str | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(str(name))
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except (ImportError, AttributeError, ValueError):
        return None
    return spec.origin if spec is not None else None


def _startup_files(shell: Any) -> list[str]:
    folder = os.path.join(getattr(getattr(shell, "profile_dir", None), "location", ""), "startup")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if name.endswith((".py", ".ipy"))]


@functools.cache
def _foreign() -> tuple[str, ...]:
    """Folders of the interpreter and of installed packages."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {sys.prefix + "/lib", sys.base_prefix + "/lib", FOLDER}
    if site.ENABLE_USER_SITE:
        paths.add(site.getusersitepackages())
    return tuple({os.path.join(p, "") for path in paths for p in (path, os.path.realpath(path))})


def _own_modules() -> list[tuple[str, str]]:
    """Loaded modules of the user's: name and source file."""
    tops: dict[str, bool] = {}  # whether a top-level module is the user's
    modules = []
    for name, module in list(sys.modules.items()):
        if name in ("__main__", "__mp_main__", "ipykernel_launcher"):
            continue
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not _is_own(file):
            continue
        top = name.partition(".")[0]
        if top not in tops:
            above = getattr(sys.modules.get(top), "__file__", None)
            tops[top] = not isinstance(above, str) or _is_own(above)  # a namespace has none
        if tops[top]:
            modules.append((name, file))
    return modules


def _is_own(file: str) -> bool:
    """Whether a module's `__file__` is a source file that lies outside of the interpreter's folders.

    A module that was made by code may say anything: that of torch.ops is "_ops.py".
    """
    return (
        os.path.isabs(file)
        and file.endswith(".py")
        and not file.startswith(_foreign())
        and "/site-packages/" not in file
        and "/dist-packages/" not in file
        and os.path.isfile(file)
    )


def _reloaded(shell: Any) -> dict[str, float]:
    """When `%autoreload` last loaded each module, if it is on."""
    magics = getattr(shell.magics_manager, "registry", {}).get("AutoreloadMagics")
    times = getattr(getattr(magics, "_reloader", None), "modules_mtimes", None)
    return dict(times) if isinstance(times, dict) else {}
