"""The errors that the module writes: a text is one clause, a hint is full sentences, as internal/usererror has it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import metaml

MODULE = Path(metaml.__file__).parent

#: Stands in a wording for what only the running program knows.
HOLE = "…"

#: What a sentence may begin with in lower case: a command or an expression, as one types it.
TYPED = re.compile(r"(metaml |[a-z_]+\.[a-z_]+\()")


def wordings(node: ast.expr, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """What an expression may say, with holes for what is not literal; what it calls in the same file says it, too."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
    elif isinstance(node, ast.BinOp):
        for left in wordings(node.left, functions):
            yield from (left + right for right in wordings(node.right, functions))
    elif isinstance(node, ast.IfExp):
        yield from wordings(node.body, functions)
        yield from wordings(node.orelse, functions)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from wordings(value, functions)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
        for inner in ast.walk(functions[node.func.id]):
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from wordings(inner.value, {})
    else:
        yield HOLE


def takers(trees: list[ast.Module]) -> dict[str, int]:
    """By the name of a function or a class, which of its arguments is a hint."""
    found: dict[str, int] = {}

    def add(name: str, function: ast.FunctionDef) -> None:
        names = [argument.arg for argument in function.args.args if argument.arg != "self"]
        if "hint" in names:
            found[name] = names.index("hint")

    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef) and node.name != "__init__":
            add(node.name, node)
        elif isinstance(node, ast.ClassDef):
            for base in node.bases:  # which stands above it
                if isinstance(base, ast.Name) and base.id in found:
                    found[node.name] = found[base.id]
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
                    add(node.name, inner)
    return found


def hints(tree: ast.Module, taking: dict[str, int]) -> Iterator[ast.expr]:
    """The expressions that stand where a hint is meant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in taking and taking[name] < len(node.args):
                yield node.args[taking[name]]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "hint")
        elif isinstance(node, ast.Assign):
            if any(isinstance(target, ast.Name) and target.id == "hint" for target in node.targets):
                yield node.value
        elif isinstance(node, ast.Dict):
            yield from (
                value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and key.value == "hint"
            )


def texts(tree: ast.Module, taking: dict[str, int]) -> Iterator[ast.expr]:
    """The texts of what is raised with a hint or could be."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and taking.get(node.func.id) == 1:
            yield node.args[0]


def fault(hint: str) -> str:
    """What keeps a hint from being full sentences, or ""."""
    for sentence in hint.split(". "):
        if sentence[:1].islower() and not TYPED.match(sentence):
            return "begins a sentence in lower case"
    return "" if hint.endswith((".", "?")) else "does not end with a full stop or a question mark"


def test_every_hint_is_sentences_and_every_text_is_not() -> None:
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(MODULE.rglob("*.py"))}
    taking = takers(list(trees.values()))
    wrong, count = [], 0
    for path, tree in trees.items():
        functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        for node in hints(tree, taking):
            for hint in wordings(node, functions):
                if " " in hint:  # else it is none, or made elsewhere
                    count += 1
                    if why := fault(hint):
                        wrong.append(f"{path.name}:{node.lineno}: the hint {hint!r} {why}")
        for node in texts(tree, taking):
            wrong += [
                f"{path.name}:{node.lineno}: the text {text!r} ends with a full stop"
                for text in wordings(node, functions)
                if text.endswith(".")
            ]
    assert not wrong
    assert count >= 60, "some are written in a way that this test does not see"


@pytest.mark.parametrize(
    ("hint", "right"),
    [
        ("Run the cell again.", True),
        ("run.wait() waits for it.", True),
        ("%metaml stop --now kills it.", True),
        ("Did you mean 'loss'?", True),
        ("pip install pandas", False),
        ("Install pandas", False),
        ("It failed. run it again.", False),
    ],
)
def test_what_is_wrong_with_a_hint(hint: str, right: bool) -> None:
    assert (fault(hint) == "") == right


def test_a_text_and_its_hint_are_two_lines() -> None:
    assert str(metaml.MetaMLError("no run yet", "Run a cell.")) == "no run yet\nRun a cell."
    assert str(metaml.MetaMLError("no run yet")) == "no run yet"
