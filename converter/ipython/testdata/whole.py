"""Compares what becomes of cells in a script with what IPython makes of them: JSON in, the differences as JSON out.

Cases are {"source", "code", "magics": [{"kind", "name", "args", "target", "line", "fate"}]}. The answer of a case is
{"compiles", "magics" (how many IPython finds), "differs" (a text, "" where nothing does)}.
"""

import ast
import json
import sys
import warnings

from IPython.core.inputtransformer2 import TransformerManager

warnings.simplefilter("ignore")
FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
KINDS = {"run_line_magic": "line", "run_cell_magic": "cell", "system": "shell", "getoutput": "shell",
         "show_usage": "help"}
WITHIN = {"time", "capture", "prun", "train"}  # cell magics whose body is a cell
STATEMENTS = {"time", "prun", "lprun", "mprun"}  # line magics whose text is Python


def parsed(code):
    try:
        return compile(code, "<cell>", "exec", flags=FLAGS, dont_inherit=True)
    except (SyntaxError, ValueError):
        return None


def call(node):
    """The call of IPython's object that an expression is, as [kind, name, text, body]; None where it is none."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Call)
        and isinstance(node.func.value.func, ast.Name)
        and node.func.value.func.id == "get_ipython"
        and node.func.attr in KINDS
    ):
        args = [a.value for a in node.args]
        kind = KINDS[node.func.attr]
        if kind == "help":
            return ["help", "", "", ""]
        if kind == "shell":
            return ["shell", "", args[0], ""]
        if args[0] in ("pinfo", "pinfo2", "psearch"):
            return ["help", "", args[1], ""]
        if args[0] in ("sx", "system") and kind == "line":
            return ["shell", "", args[1], ""]
        return [kind, args[0], args[1], args[2] if kind == "cell" else ""]
    return None


def statements(tree):
    """All statements in their order, those in blocks behind the one that has the block."""
    for node in tree.body if hasattr(tree, "body") else []:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(getattr(node, part, None), list):
                yield from statements(ast.Module(getattr(node, part), []))


def head(node):
    """A statement without its blocks, as text."""
    fields = [
        (name, [ast.dump(v) for v in value] if isinstance(value, list) else ast.dump(value) if isinstance(value, ast.AST) else value)
        for name, value in ast.iter_fields(node)
        if name not in ("body", "orelse", "finalbody", "handlers")
    ]
    return f"{type(node).__name__} {fields}"


def theirs(source):
    """What IPython finds in a cell: its magics with what they are assigned to, and the Python; None is no Python."""
    try:
        tree = parsed(TransformerManager().transform_cell(source))
    except SyntaxError:  # of an indent
        return None
    if tree is None:
        return None
    magics, python = [], []
    for node in statements(tree):
        found, target = None, ""
        if isinstance(node, ast.Expr):
            found = call(node.value)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            found = call(node.value)
            if found:
                target = targets(node)
        if found is None:
            if not isinstance(node, ast.Pass):
                python.append(head(node))
            continue
        kind, name, text, body = found
        if kind == "line" and (name == "" or name[0] == "%"):
            return None  # there is no such magic
        if kind == "line" and name in STATEMENTS and parsed(text) is None:
            return None  # it is Python to IPython's transformer, and fails then
        magics.append([kind, name, " ".join(text.split()), target])
        if kind == "cell" and name in WITHIN:
            inner = theirs(body)
            if inner is None:
                return None
            magics += inner[0]
            python += inner[1]
    return magics, python


def targets(node):
    """What an assignment assigns to, as ast.unparse writes it."""
    return " = ".join(map(ast.unparse, node.targets if isinstance(node, ast.Assign) else [node.target]))


def canonical(target):
    """The same of a target as it is written."""
    tree = parsed(f"{target} = 0") if target else None
    return targets(tree.body[0]) if tree else target


def ours(case):
    """The same of what the converter found."""
    tree = parsed(case["code"])
    if tree is None:
        return None
    magics, lines, source = [], set(), case["source"].split("\n")
    for m in case["magics"]:
        if m["kind"] == "autocall":
            continue
        first = m["line"]
        lines.add(first)
        while first > 1 and source[first - 2].endswith("\\"):
            first -= 1
            lines.add(first)
        name = m["name"] if m["kind"] in ("line", "cell") else ""
        kind = m["kind"]
        if kind == "line" and name in ("sx", "system"):
            kind, name = "shell", ""
        target = "" if kind == "cell" else canonical(m["target"])
        magics.append([kind, name, " ".join(m["args"].split()), target])
    python = []
    for node in statements(tree):
        inside = any(hasattr(node, part) for part in ("body", "handlers"))
        last = node.lineno if inside else node.end_lineno
        if not lines & set(range(node.lineno, last + 1)) and not isinstance(node, ast.Pass):
            python.append(head(node))
    return magics, python


def compared(case, rules):
    want = theirs(case["source"])
    if want is None:
        return {"compiles": False, "magics": 0, "differs": ""}
    got, differs = ours(case), ""
    if got is None:
        differs = "our code is no Python"
    elif want[0] != got[0]:
        differs = f"magics: want {want[0]}, got {got[0]}"
    elif want[1] != got[1]:
        differs = f"Python: want {want[1]}, got {got[1]}"
    for m in case["magics"]:
        sign = {"line": "%", "cell": "%%"}.get(m["kind"])
        if sign and not m["target"] and m["name"] not in ("train", "store"):
            rule = rules.get(sign + m["name"], "refused")
            if m["fate"] != rule and (rule == "refused" or m["fate"] not in ("dropped", "translated", "refused")):
                differs += f"\nfate: {sign}{m['name']} is {m['fate']}, the table says {rule}"
        if sign is None and m["fate"] == "refused":
            differs += f"\nfate: {m['args']} is refused"
    return {"compiles": True, "magics": len(want[0]), "differs": differs}


given = json.load(sys.stdin)
json.dump([compared(case, given["rules"]) for case in given["cases"]], sys.stdout)
