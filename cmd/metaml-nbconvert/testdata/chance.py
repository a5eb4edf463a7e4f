"""Runs notebooks, or the scripts made of them, each in a fork: `chance.py notebook|script`.

Each line of the standard input is a list of cases as JSON: {"folder", "cells": [{"source", "tags"}]} or {"folder",
"script"}. Each line of the standard output is the list of what they gave: {"printed", "figures", "values", "failed",
"stderr"}.

A notebook runs in IPython's shell, as a kernel has it: all cells within a running loop, and what they show is text.
"""

import json
import os
import sys
import traceback
import types

AT_ONCE = 3


def described(value, depth=6):
    """A value as text, where two processes can agree on it; None where they cannot."""
    kind = type(value)
    if depth == 0:
        return None
    if value is None or kind in (int, float, str, bool, bytes, complex, range, slice):
        return repr(value)
    if kind in (list, tuple, set, frozenset) or kind.__name__ in ("_metaml_lines", "SList", "deque"):
        parts = [described(one, depth - 1) for one in value]
        if None in parts:
            return None
        name = "list" if isinstance(value, list) else kind.__name__
        return name + str(sorted(parts) if isinstance(value, (set, frozenset)) else parts)
    if isinstance(value, dict):
        parts = [(described(k, depth - 1), described(v, depth - 1)) for k, v in value.items()]
        return None if any(None in part for part in parts) else kind.__name__ + str(parts)
    if kind.__module__ == "numpy":
        return f"{kind.__name__} {getattr(value, 'dtype', '')} {value!r}"
    if kind.__module__.startswith("pandas."):
        return f"{kind.__name__} {value!r}"
    own = kind.__module__ == "__main__" and kind.__name__[:8] != "_metaml_"
    if own and isinstance(getattr(value, "__dict__", None), dict):
        return f"{kind.__name__} {described(vars(value), depth - 1)}"
    return None


def values(names):
    """The values of names at the end."""
    found = {
        name: described(value)
        for name, value in list(names.items())
        if name[:1] != "_" and name not in ("In", "Out", "exit", "quit", "get_ipython", "open")
    }
    return {name: text for name, text in found.items() if text is not None}


def failure(error):
    """An exception as text."""
    text = "" if error is None else f"{type(error).__name__}: {error}"
    # What a command gives has a type with another name, and a syntax error says where it is.
    text = text.replace("SList", "_metaml_lines")
    return text.rpartition(" (")[0] if isinstance(error, SyntaxError) and text.endswith(")") else text


def run_script(case):
    """Runs a script as `python script` does."""
    path = os.path.join(case["folder"], "script.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(case["script"])
    main = types.ModuleType("__main__")
    main.__file__ = "script.py"
    sys.modules["__main__"], sys.argv, sys.path[0] = main, ["script.py"], case["folder"]
    error = None
    try:
        exec(compile(case["script"], "script.py", "exec", dont_inherit=True), main.__dict__)  # noqa: S102
    except BaseException as raised:
        error = raised
        traceback.print_exc()
    sys.stdout.flush()
    return {"failed": failure(error), "values": values(vars(main))}


def make_shell():
    """IPython's shell, which shows values as a notebook does."""
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shows:
        figures = 0

        def show(self, data):
            if "image/png" in data:
                Shows.figures += 1
                return
            print(data.get("text/plain", ""))

    class Hook(DisplayHook):
        def write_output_prompt(self):
            pass

        def write_format_data(self, data, md_dict=None):
            had = "image/png" in data
            Shows().show(data)
            if had:
                print(data["text/plain"])

        def finish_displayhook(self):
            pass

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, **options):
            Shows().show(data)

        def clear_output(self, wait=False):
            pass

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None):
            pass

        def _inspect(self, *args, **options):
            """What `name?` shows is for people."""

    config = Config()
    config.HistoryManager.enabled = False
    Shell.displayhook_class, Shell.display_pub_class = Hook, Publisher
    shell = Shell.instance(config=config)
    shell.shows = Shows

    def shown(kind, error, lines):
        shell.failures.append(failure(error))
        print(*lines, sep="\n", file=sys.__stderr__)

    shell.failures, shell._showtraceback = [], shown
    return shell


def run_notebook(case):
    """Runs the cells of a notebook as a kernel does, up to one that fails."""
    import asyncio

    shell = make_shell.made
    sys.path[0] = ""
    shell.user_ns["_dh"][:] = [os.getcwd()]
    error = None

    async def run():
        for cell in case["cells"]:
            if {"remove-cell", "metaml-skip", "active-ipynb"} & set(cell["tags"]):
                continue
            code, wrong = cell["source"], None
            try:
                transformed = shell.transform_cell(code)
            except Exception:
                transformed, wrong = code, sys.exc_info()
            if shell.should_run_async(code, transformed_cell=transformed, preprocessing_exc_tuple=wrong):
                done = await shell.run_cell_async(
                    code, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=wrong
                )
                shell.events.trigger("post_execute")
            else:
                done = shell.run_cell(code, store_history=True)
            raised = done.error_before_exec or done.error_in_exec
            if raised and "raises-exception" not in cell["tags"]:
                return raised
        return None

    error = asyncio.run(run())
    sys.stdout.flush()
    answer = {"failed": failure(error), "values": values(shell.user_ns), "figures": shell.shows.figures}
    # %%capture shows an error and says nothing of it to the kernel.
    expected = sum("raises-exception" in cell["tags"] for cell in case["cells"]) + (error is not None)
    return {**answer, "hidden": len(shell.failures) > expected}


def child(case, run):
    """A fork for a case."""
    os.chdir(case["folder"])
    for stream, name in ((sys.stdout, "STDOUT"), (sys.stderr, "STDERR")):
        file = os.open(f"{case['folder']}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, stream.fileno())
    answer = run(case)
    with open(case["folder"] + ".ANSWER", "w", encoding="utf-8") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    sys.stderr.flush()


def answer(case):
    """What a case gave, read from its files."""
    given = {}
    for name in ("STDOUT", "STDERR", "ANSWER"):
        path = case["folder"] + "." + name
        given[name] = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                given[name] = file.read().replace(case["folder"], "FOLDER")
    if not given["ANSWER"]:
        return {"failed": "its process ended", "printed": given["STDOUT"], "stderr": given["STDERR"], "values": {}}
    return {"printed": given["STDOUT"], "stderr": given["STDERR"], **json.loads(given["ANSWER"])}


def main():
    import numpy  # noqa: F401
    import pandas  # noqa: F401

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = run_script
    if sys.argv[1] == "notebook":
        run, make_shell.made = run_notebook, make_shell()
    requests = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for line in iter(requests.readline, ""):
        cases, running = json.loads(line), set()
        for case in cases:
            if len(running) == AT_ONCE:
                running.discard(os.wait()[0])
            pid = os.fork()
            if not pid:
                try:
                    child(case, run)
                except BaseException:
                    traceback.print_exc()
                os._exit(0)
            running.add(pid)
        while running:
            running.discard(os.wait()[0])
        json.dump([answer(case) for case in cases], replies)
        replies.write("\n")
        replies.flush()


main()
