"""Which sources Python compiles. JSON in, JSON out."""

import json
import sys
import warnings

warnings.simplefilter("ignore")


def compiles(source: str) -> bool:
    try:
        compile(source, "<cell>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return False
    return True


json.dump([compiles(source) for source in json.load(sys.stdin)], sys.stdout)
