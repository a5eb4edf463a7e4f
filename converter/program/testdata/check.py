"""Executes notebooks and the programs made of them, and says whether they agree. A line of JSON on standard input has
cases, a line on standard output their answers.
"""

import __future__

import ast
import asyncio
import contextlib
import gc
import importlib
import inspect
import io
import json
import marshal
import os
import signal
import sys
import types
import warnings

import values

warnings.simplefilter("ignore")


def module() -> types.ModuleType:
    m = types.ModuleType("__main__")
    m.__file__ = "main.py"
    sys.modules["__main__"] = m
    return m


def without_guard(source: str) -> ast.Module:
    tree = ast.parse(source)
    last = tree.body.pop()
    assert isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'", (
        "the guard is not the last statement"
    )
    assert not any(isinstance(n, ast.If) and ast.unparse(n.test) == "__name__ == '__main__'" for n in tree.body)
    return tree


def call(space: dict, entry: str) -> object:
    value = space[entry]
    if callable(value):
        value = value()
    if inspect.iscoroutine(value):
        value = asyncio.new_event_loop().run_until_complete(value)
    return value


def executed_notebook(cells: list[str]) -> dict:
    loop = asyncio.new_event_loop()
    space = module().__dict__
    future = 0  # holds for later cells, too
    for source in cells:
        code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | future, dont_inherit=True)
        future |= code.co_flags & __future__.annotations.compiler_flag
        made = eval(code, space)
        if inspect.iscoroutine(made):
            loop.run_until_complete(made)
    return space


def executed_program(main: str) -> dict:
    space = module().__dict__
    exec(compile(without_guard(main), "main.py", "exec", dont_inherit=True), space)
    return space


def apart(does, seconds: int = 20) -> tuple:
    """What a function gives in a process of its own: settings of modules, registries and global streams are the
    notebook's alone, or the program's. An error is its text.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reading)
            signal.alarm(seconds)
            quiet = io.StringIO()
            with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
                try:
                    answer = (does(), None)
                except BaseException as e:
                    answer = (None, f"{type(e).__name__}: {e}")
            with os.fdopen(writing, "wb") as out:
                marshal.dump(answer, out)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as into:
        text = into.read()
    os.waitpid(child, 0)
    try:
        return marshal.loads(text)
    except (EOFError, ValueError, TypeError):
        return None, "it ended without an answer"


def looked_at(space: dict, entry: str) -> tuple:
    """All values that the entry may reach, and what it returns."""
    names = values.reached(space, entry)
    writer = values.Writer()
    there = [[name, writer.write(space[name])] for name in names]
    try:
        returned = writer.write(call(space, entry))
    except Exception as e:  # then it does so in both
        returned = ["raises", type(e).__name__, str(e)]
    return there, returned


def differs(one: tuple, two: tuple) -> str:
    """The first value that differs, and in what; "" if all are the same."""
    mine, its = dict(one[0]), dict(two[0])
    for name in mine:
        if name not in its:
            return f"{name} is not in the program, or the program does not reach it"
        if text := values.difference(mine[name], its[name]):
            return f"{name}{text}"
    return f"the returned value{text}" if (text := values.difference(one[1], two[1])) else ""


def run(case: dict) -> dict:
    """Whether the values of a program are those of its notebook."""
    entry = case["entry"]
    notebook, error = apart(lambda: looked_at(executed_notebook(case["cells"]), entry))
    if error:
        return {"notebook_error": error}
    if notebook[1][0] == "raises":
        return {"notebook_error": ": ".join(notebook[1][1:])}
    program, error = apart(lambda: looked_at(executed_program(case["main"]), entry))
    if error:
        return {"program_error": error}
    text = differs(notebook, program)
    if text:
        again, _ = apart(lambda: looked_at(executed_notebook(case["cells"]), entry))
        if again is None or differs(notebook, again):
            return {"notebook_error": "it gives other values each time"}
    return {"compared": len(notebook[0]), "differs": text}


def needless(case: dict) -> dict:
    """The statements of a program without which every value that its entry reaches is the same."""
    entry = case["entry"]
    whole = without_guard(case["main"])
    program, error = apart(lambda: looked_at(executed_program(case["main"]), entry))
    if error:
        return {"needless": []}
    found = []
    for i, statement in enumerate(whole.body):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            continue

        def without(i: int = i) -> tuple:
            space = module().__dict__
            tree = ast.Module(whole.body[:i] + whole.body[i + 1 :], [])
            exec(compile(tree, "main.py", "exec", dont_inherit=True), space)
            return looked_at(space, entry)

        other, error = apart(without)
        if not error and not differs(program, other):
            found.append(ast.unparse(statement))
    return {"needless": found, "statements": len(whole.body)}


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
    kinds = {"run": run, "needless": needless, "map": mapped, "compile": compiles}
    for line in sys.stdin:
        cases = json.loads(line)
        # Each is executed in a process of its own, which would import these again.
        for name in ("numpy", "pandas", "sklearn.ensemble", "sklearn.pipeline", "matplotlib.pyplot", "PIL.Image", "joblib"):
            top = name.partition(".")[0]
            if any(top in cell for case in cases for cell in case.get("cells", ())):
                importlib.import_module(name)
        gc.freeze()
        print(json.dumps([kinds[case["kind"]](case) for case in cases]), flush=True)


main()
