"""The notebook's side: `%%train`, `%%serve`, `%metaml`, and the hooks behind them (docs/reference/rules.md §1).

A cell magic's first line becomes a call of `_metaml_begin`, the body stays in place, and a call of `_metaml_submit` is
appended. So the body is an ordinary cell: names expand, tracebacks point at its lines, `await` works, and the `Run` or
`Server` becomes Out[n].
"""

from __future__ import annotations

import linecache
import os
import re
import sys
import types
from typing import TYPE_CHECKING, Any

from metaml._binary import find, talk
from metaml._errors import Refused
from metaml._package import below_our_frames
from metaml._session import binding, complete, document, frontend, live
from metaml._session.line_magic import LineMagic

# The rest is imported by the first cell that needs it: this module is loaded while the kernel starts.
if TYPE_CHECKING:
    from metaml._binary.talk import Conversation
    from metaml._held.run import Run
    from metaml._held.server import Server
    from metaml._session.answers import Answers

KINDS = ("train", "serve")
_HEAD = re.compile(r"%%(train|serve)(?:[ \t]+(.*?))?\s*$")
_BEGIN = "get_ipython().run_line_magic('_metaml_begin', "
_SUBMIT = "get_ipython().run_line_magic('_metaml_submit', "
# Braces of a path are names of parameters, and no variables of the notebook, which IPython would put there: it gets
# other characters.
_PATH = re.compile(r"(?<=--url[ \t=])[ \t]*\S+")
_BRACES = str.maketrans("{}", "\ue000\ue001")
_BRACES_BACK = str.maketrans("\ue000\ue001", "{}")
_FUTURE = re.compile(r"from\s+__future__\s+import\s+[^(\\#;]+$")

_installed: _Extension | None = None


def load_ipython_extension(shell: Any) -> None:
    """Load MetaML into an IPython shell: `%load_ext metaml`. Our kernel does it by itself."""
    global _installed
    if _installed is not None and _installed.shell is shell:
        return
    _take_environment()
    _installed = _Extension(shell)
    _installed.install()
    live.current = _installed.live


def unload_ipython_extension(shell: Any) -> None:
    """Take MetaML out of a shell: `%unload_ext metaml`."""
    global _installed
    if _installed is not None and _installed.shell is shell:
        _installed.remove()
        _installed = live.current = None


def _take_environment() -> None:
    """Leave the user's own environment to what they start: our kernel's additions are not for it."""
    path = os.environ.pop("_METAML_SOCKET", "")
    if path:
        talk.kernel_socket = path
    find.remember(os.environ.pop("_METAML_BIN", ""))
    frontend.starter = os.environ.pop("_METAML_STARTER", "")
    before = os.environ.pop("_METAML_OLD_PYTHONPATH", None)
    if before is None:
        return
    if before:
        os.environ["PYTHONPATH"] = before
    else:
        os.environ.pop("PYTHONPATH", None)


def transform(lines: list[str]) -> list[str]:
    """The input transformer: runs after IPython has taken blank lines, indentation and prompts off, before cell
    magics.
    """
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        return lines
    line = f"{head[1]} {head[2] or ''}".strip()
    call = f"{_BEGIN}{_PATH.sub(lambda match: match[0].translate(_BRACES), line)!r})"
    body = _dedented(lines[1:])
    last = next((i for i, line in enumerate(body) if line.strip() and not line.lstrip().startswith("#")), None)
    future = None
    while last is not None and last < len(body) and _FUTURE.match(body[last]):
        future, last = last, last + 1
    if future is None:
        first = [call + "\n"]
    else:  # `from __future__ import …` must stay first
        first = ["\n"]
        body[future] = f"{body[future].rstrip()}; {call}\n"
    if body and not body[-1].endswith("\n"):
        body[-1] += "\n"
    if body and body[-1].rstrip().endswith("\\"):
        body.append("\n")  # else our line would continue the user's
    return [*first, *body, f"{_SUBMIT}'')\n"]


# IPython checks whether a cell is complete without transformers that have side effects; then its own rule for cell
# magics holds.
transform.has_side_effects = True  # type: ignore[attr-defined]


def _as_typed(frame: types.FrameType | None, head: str) -> None:
    """Show the cell in tracebacks as it was typed: without the calls that the transformer put into it. What stands in
    for the first line is a comment, since the lines must stay Python for those who look at them.
    """
    while frame is not None:
        name = frame.f_code.co_filename
        entry = linecache.cache.get(name, ())
        if len(entry) == 4 and any(_BEGIN in line for line in entry[2]):
            break
        frame = frame.f_back
    else:
        return
    size, modified, lines, full = entry
    shown = [_without_call(line, head) for line in lines]
    if shown and _SUBMIT in shown[-1]:
        shown.pop()
    linecache.cache[name] = (size, modified, shown, full)
    kept = getattr(linecache, "_ipython_cache", None)  # older IPythons put their cells back from there
    if kept is not None and name in kept:
        kept[name] = linecache.cache[name]


def _without_call(line: str, head: str) -> str:
    before, call, _ = line.partition(_BEGIN)
    if not call:
        return line
    return f"{before.removesuffix('; ')}\n" if before else f"# {head}\n"


def _dedented(body: list[str]) -> list[str]:
    first = next((line for line in body if line.strip()), "")
    space = first[: len(first) - len(first.lstrip())]
    if not space:
        return list(body)
    return [line[len(space) :] if line.startswith(space) else line for line in body]


class _Extension:
    """What is loaded into one shell."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.live = live.Live(shell)
        self._settings: dict[str, list[dict[str, Any]]] = {}
        self._complete: Any = None  # IPython's completer has it

    def install(self) -> None:
        shell = self.shell
        self.live.recorder.install()
        self.live.recorder.ended.append(_close_conversation)
        shell.events.register("pre_execute", binding.settle)
        shell.input_transformers_cleanup.append(transform)
        for kind in KINDS:
            shell.register_magic_function(_CellMagic(self, kind), "cell", kind)
        shell.register_magic_function(self._begin, "line", "_metaml_begin")
        shell.register_magic_function(self._submit, "line", "_metaml_submit")
        shell.register_magic_function(LineMagic(self.live), "line", "metaml")
        self._complete = complete.matcher(self.settings, shell.user_ns)
        shell.Completer.custom_matchers.append(self._complete)

    def remove(self) -> None:
        self.live.recorder.remove()
        self.shell.events.unregister("pre_execute", binding.settle)
        if self._complete in self.shell.Completer.custom_matchers:
            self.shell.Completer.custom_matchers.remove(self._complete)
        if transform in self.shell.input_transformers_cleanup:
            self.shell.input_transformers_cleanup.remove(transform)
        magics = self.shell.magics_manager.magics
        for kind in KINDS:
            magics["cell"].pop(kind, None)
        for name in ("_metaml_begin", "_metaml_submit", "metaml"):
            magics["line"].pop(name, None)

    # The two halves of a cell.

    def _begin(self, line: str) -> None:
        line = line.translate(_BRACES_BACK)
        kind, _, rest = line.partition(" ")
        _as_typed(sys._getframe(1), f"%%{line}")
        cell = self.live.recorder.current()
        if cell is None:
            raise Refused(f"%%{kind} works in a cell of a notebook or a console only")
        self.start(cell, kind, rest.strip())

    def start(self, cell: document.Cell, kind: str, line: str) -> None:
        """Open the conversation of a cell and resolve its options, before its body runs."""
        from metaml._binary.begin import begin
        from metaml._session.answers import Answers

        _close_conversation(cell)
        alone = self.live.alone(cell)
        conversation = self.live.open()
        answers = Answers(self.shell.user_ns)
        try:
            about = self.live.about(cell, alone)
            options = begin(conversation, kind, line, answers, cell=about, source=self.live.source())
        except BaseException:
            answers.close()
            conversation.close()
            raise
        cell.conversation = _Open(conversation, answers, options, alone)
        if kind == "serve" and options.get("type") == "options":
            from metaml._held import model

            named = options.get("model") or {}
            model.use(str(named.get("name") or ""), str(named.get("folder") or ""))

    def _submit(self, _line: str) -> Run | Server | None:
        cell = self.live.recorder.current()
        if cell is None or cell.conversation is None:
            raise Refused("there is nothing to submit: this line belongs to a %%train or %%serve cell")
        return self.finish(cell)

    def finish(self, cell: document.Cell) -> Run | Server | None:
        """Submit what a cell has begun."""
        opened: _Open = cell.conversation
        opened.answers.function = str(opened.options.get("function") or "") or _last_function(cell)
        try:
            return self._show_as_users(opened, cell.count)
        finally:
            _close_conversation(cell)

    def _show_as_users(self, opened: _Open, count: int) -> Run | Server | None:
        from metaml._session.submit import submit

        answers, session = opened.answers, self.live
        try:
            return submit(
                opened.conversation,
                opened.options,
                lambda: session.recorder.document(session.source()),
                answers,
                place=lambda run, into: session.place(run, into, count),
                show=session.show if session.renders() else None,
                held=session.holds(opened.alone),
                background=True,
            )
        except BaseException as error:
            if error is answers.raised:
                self._without_our_frames(error)
            raise

    def _without_our_frames(self, error: BaseException) -> None:
        """The user's own exception is shown as if the cell had raised it: with their frames alone."""
        trace = below_our_frames(error.__traceback__)
        lines = self.shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
        try:
            error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
        except AttributeError:  # an exception class with slots is shown with our frames
            return

    # Help and completion.

    def settings(self, kind: str) -> list[dict[str, Any]]:
        """Every setting of a kind as `metaml settings --json` describes it; read once."""
        if kind not in self._settings:
            from metaml._session.settings import described

            self._settings[kind] = described(kind)
        return self._settings[kind]


class _Open:
    """The conversation of a running cell."""

    def __init__(self, conversation: Conversation, answers: Answers, options: dict[str, Any], alone: bool) -> None:
        self.conversation = conversation
        self.answers = answers
        self.options = options
        self.alone = alone


def _close_conversation(cell: document.Cell) -> None:
    """A cell ended. If it did not submit (its body raised), the other side sees the end and starts nothing."""
    opened, cell.conversation = cell.conversation, None
    if opened is None:
        return
    opened.answers.close()
    if not opened.conversation.handed_over:
        opened.conversation.close()
    if model := sys.modules.get("metaml._held.model"):
        model.ended()


def _last_function(cell: document.Cell) -> str:
    """The function that a cell defines last: its entry, unless `--function` says otherwise."""
    import ast

    try:
        tree = ast.parse("\n".join(line for line in cell.source.splitlines() if not line.lstrip().startswith("%")))
    except SyntaxError:
        return ""
    names = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return names[-1] if names else ""


class _CellMagic:
    """`%%train` and `%%serve` for help, and for `run_cell_magic`, where no transformer sees the cell."""

    def __init__(self, extension: _Extension, kind: str) -> None:
        self._extension = extension
        self._kind = kind
        self.__name__ = kind

    def getdoc(self) -> str:
        """What `%%train?` shows."""
        from metaml._session.settings import usage

        return usage(self._kind)

    def __call__(self, line: str, cell: str = "") -> Run | Server | None:
        extension, shell = self._extension, self._extension.shell
        code = shell.input_transformer_manager.transform_cell(cell)
        record = extension.live.recorder.add(f"%%{self._kind} {line}\n{cell}", code="\n" + code)
        try:
            extension.start(record, self._kind, line.strip())
            name = shell.compile.cache(code, shell.execution_count, raw_code=cell)
            # The user's own cell, as IPython would run it.
            exec(shell.compile(shell.compile.ast_parse(code, filename=name), name, "exec"), shell.user_ns)  # noqa: S102
            record.ok = True
            return extension.finish(record)
        except BaseException:
            record.ok = record.ok or False
            raise
        finally:
            _close_conversation(record)
