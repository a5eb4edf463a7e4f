"""`metaml._session.standalone [PROGRAM_DIR]`: answers for a notebook or script that is not running (`metaml run FILE`).

It executes the top level of PROGRAM_DIR/code/main.py, without what stands under `if __name__ == "__main__"`, and then
reads `need` lines from standard input and writes `have` lines to standard output, until its input ends. What the
program prints goes to standard error.
"""

from __future__ import annotations

import ast
import json
import os
import select
import sys
import threading
import time
import traceback
import types
from typing import Any

from metaml._errors import Refused
from metaml._session.answers import Answers
from metaml._trial.main_guard import is_guard


def load(program: str) -> dict[str, Any]:
    """Execute a program's top level as `__main__`, and return its names.

    Raises:
        Exception: whatever the program raises.
    """
    code = os.path.join(os.path.abspath(program), "code")
    path = os.path.join(code, "main.py")
    with open(path, "rb") as file:
        tree = ast.parse(file.read(), path)
    tree.body = [node for node in tree.body if not is_guard(node)]
    module = types.ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module
    sys.path[:0] = [code, os.getcwd()]  # like a notebook, it finds the modules that lie beside it
    exec(compile(tree, path, "exec"), module.__dict__)  # noqa: S102 - the user's own program
    return module.__dict__


def main(program: str) -> int:
    """Answer until the input ends. Returns the exit code."""
    needs = os.fdopen(os.dup(0), "rb")
    haves = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # nothing that the program prints may end up between our lines
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_the_input, args=(needs.fileno(),), daemon=True).start()
    failed: dict[str, Any] | None = None
    namespace: dict[str, Any] = {}
    path = list(sys.path)  # a program adds folders of its own
    try:
        if program:
            namespace = load(program)
    except Refused as refused:
        failed = {"code": refused.code, "text": refused.text, "hint": refused.hint}
    except (Exception, SystemExit) as error:
        from metaml._session.answers import trim

        trim(error)
        failed = {
            "code": "program",
            "text": f"the top level of the program raised {type(error).__name__}: {error}",
            "hint": "Correct it and run it again.",
            "traceback": "".join(traceback.format_exception(error)),
        }
    answers = Answers(namespace, _entry(program), path=path)
    try:
        for line in needs:
            need = json.loads(line)
            if need.get("type") != "need":
                continue
            have = {"id": need.get("id"), "error": failed} if failed else answers.answer(need)
            haves.write(json.dumps({"v": 1, "type": "have", **have}, separators=(",", ":")).encode() + b"\n")
    finally:
        answers.close()
    return 0


_PATIENCE = 1.0  # seconds for an orderly end, when nobody requests anything any more


def _end_with_the_input(fd: int) -> None:
    """Whoever sent the request was killed: then what the program draws, which may take for ever, is of no use."""
    hung_up = select.poll()
    hung_up.register(fd, 0)  # the other end alone, and not what is there to read
    hung_up.poll()
    time.sleep(_PATIENCE)
    os._exit(1)


def _entry(program: str) -> str:
    """Name of the entry function, for the annotations of its parameters."""
    if not program:
        return ""
    try:
        with open(os.path.join(program, "code", "program.json"), encoding="utf-8") as file:
            return str(json.load(file).get("entry") or "")
    except (OSError, ValueError):
        return ""


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit("usage: metaml._session.standalone [PROGRAM_DIR]")
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
