"""What IPython itself makes of cells: its code, the magics in it, and whether it compiles. JSON in, JSON out."""

import ast
import json
import sys
import warnings

from IPython.core.inputtransformer2 import TransformerManager

warnings.simplefilter("ignore")
MAGIC = {"run_line_magic": "line", "run_cell_magic": "cell", "system": "shell", "getoutput": "shell"}


def look(source: str) -> dict:
    code = TransformerManager().transform_cell(source)
    magics = []
    try:
        tree = compile(code, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        compiles = True
        calls = [
            n
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Call)
            and isinstance(n.func.value.func, ast.Name) and n.func.value.func.id == "get_ipython" and n.func.attr in MAGIC
        ]
        for n in sorted(calls, key=lambda n: (n.lineno, n.col_offset)):
            args = [a.value for a in n.args]
            kind = MAGIC[n.func.attr]
            if kind == "shell":
                magics.append(["shell", "", args[0]])
            elif args[0] in ("pinfo", "pinfo2", "psearch"):
                magics.append(["help", "", args[1]])
            elif args[0] in ("sx", "system") and kind == "line":
                magics.append(["shell", "", args[1]])
            else:
                magics.append([kind, args[0], args[1]])
    except (SyntaxError, ValueError):
        compiles = False
    return {"code": code, "magics": magics, "compiles": compiles}


def parses(source: str) -> bool:
    try:
        compile(source, "<cell>", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


answers = []
for case in json.load(sys.stdin):
    answer = look(case["source"])
    answer["ours_compiles"] = parses(case["ours"])
    answers.append(answer)
json.dump(answers, sys.stdout)
