"""Executes notebooks and the programs made of them, and says whether they agree. JSON on stdin, JSON on stdout."""

import __future__

import ast
import asyncio
import contextlib
import inspect
import io
import json
import sys
import types
import warnings

warnings.simplefilter("ignore")


def module() -> types.ModuleType:
    m = types.ModuleType("__main__")
    m.__file__ = "main.py"
    sys.modules["__main__"] = m
    return m


def without_guard(source: str) -> ast.Module:
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'", "the guard is not the last statement"
    assert not any(isinstance(n, ast.If) and ast.unparse(n.test) == "__name__ == '__main__'" for n in tree.body)
    return tree


def show(value: object, depth: int = 0) -> object:
    if depth > 6:
        return "..."
    if isinstance(value, dict):
        return {repr(k): show(v, depth + 1) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [show(v, depth + 1) for v in value]
    if type(value).__module__ == "__main__" and hasattr(value, "__dict__"):
        return [type(value).__name__, show(vars(value), depth + 1)]
    if callable(value):
        return "callable"
    return repr(value)


def call(space: dict, entry: str) -> object:
    value = space[entry]
    if callable(value):
        value = value()
    if inspect.iscoroutine(value):
        value = asyncio.new_event_loop().run_until_complete(value)
    return show(value)


def run(case: dict) -> dict:
    out: dict = {}
    quiet = io.StringIO()
    loop = asyncio.new_event_loop()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        try:
            space = module().__dict__
            future = 0  # holds for later cells, too
            for source in case["cells"]:
                code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | future, dont_inherit=True)
                future |= code.co_flags & __future__.annotations.compiler_flag
                made = eval(code, space)
                if inspect.iscoroutine(made):
                    loop.run_until_complete(made)
            out["notebook"] = call(space, case["entry"])
        except BaseException as e:
            out["notebook_error"] = f"{type(e).__name__}: {e}"
        try:
            space = module().__dict__
            exec(compile(without_guard(case["main"]), "main.py", "exec", dont_inherit=True), space)
            out["program"] = call(space, case["entry"])
        except BaseException as e:
            out["program_error"] = f"{type(e).__name__}: {e}"
    return out


def mapped(case: dict) -> dict:
    """Every line of the program that has a cell must be in that cell, at that line."""
    wrong = []
    lines = case["main"].split("\n")
    seen = set()
    for m in case["map"]:
        seen.add(m["script"])
        text = lines[m["script"] - 1].strip()
        cell = case["typed"][str(m["cell"])].split("\n")[m["line"] - 1]
        if text.startswith(("async def _metaml_await_", "_metaml_loop.")):
            continue
        if "_metaml_" in text and ("!" in cell or "%" in cell):
            continue
        if text not in cell and not (case.get("magic")):
            wrong.append(f"line {m['script']} {text!r} is not in cell {m['cell']}, line {m['line']}: {cell!r}")
    first = next((i for i, l in enumerate(lines) if l.startswith("if __name__ ==")), 0)
    for i, l in enumerate(lines[:first], 1):
        if l.strip() and i not in seen and not case.get("generated"):
            wrong.append(f"line {i} {l!r} comes from nowhere")
    return {"wrong": wrong}


def compiles(case: dict) -> dict:
    try:
        compile(case["main"], "main.py", "exec", dont_inherit=True)
    except SyntaxError as e:
        return {"error": f"{e} in\n{case['main']}"}
    return {}


def main() -> None:
    kinds = {"run": run, "map": mapped, "compile": compiles}
    stdout = sys.stdout
    answers = [kinds[c["kind"]](c) for c in json.load(sys.stdin)]
    json.dump(answers, stdout)


main()
