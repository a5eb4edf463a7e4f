"""What a program's top level is without: the block that only a real command line runs."""

from __future__ import annotations

import ast


def is_guard(node: ast.stmt) -> bool:
    """Whether a statement is ``if __name__ == "__main__":`` and nothing else; one with an ``else`` is the
    user's own.
    """
    if not isinstance(node, ast.If) or node.orelse or not isinstance(node.test, ast.Compare):
        return False
    sides = [node.test.left, *node.test.comparators]
    return (
        len(sides) == 2
        and isinstance(node.test.ops[0], ast.Eq)
        and any(isinstance(s, ast.Name) and s.id == "__name__" for s in sides)
        and any(isinstance(s, ast.Constant) and s.value == "__main__" for s in sides)
    )
