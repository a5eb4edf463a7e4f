"""What IPython makes of commands and of their output, beside what our functions make of them. JSON in, the differences out."""

import json
import os
import sys

from IPython.utils.process import getoutput
from IPython.utils.text import DollarFormatter, SList

given = json.load(sys.stdin)
space: dict = {"x": 3, "name": "a b", "d": {"k": [1, 2, 3]}, "words": ["u", "v"], "s": "text"}
for source in given["sources"]:
    exec(source, space)

wrong = []
for case in given["cases"]:
    try:
        theirs = DollarFormatter().vformat(case["command"], args=[], kwargs=dict(space))
    except Exception:
        theirs = case["command"]
    ours = eval(case["code"], space)
    if theirs != ours:
        wrong.append(f"{case['command']!r}: IPython gives {theirs!r}, {case['code']} gives {ours!r}")

looks = [
    lambda l: l, lambda l: l.n, lambda l: l.s, lambda l: l.l, lambda l: l.list, lambda l: l.nlstr, lambda l: l.p, lambda l: l.grep("B"),
    lambda l: l.grep("b", prune=True), lambda l: l.grep("2", field=1), lambda l: l.grep(lambda t: "a" in t), lambda l: l.grep("a").grep("1").n,
    lambda l: l.fields(), lambda l: l.fields(0), lambda l: l.fields(1, 0), lambda l: l.fields(-1).s, lambda l: l.fields(7), lambda l: l.sort(),
    lambda l: l.sort(0), lambda l: l.sort(1, nums=True), lambda l: l.sort(nums=True), lambda l: l.grep("x", field=9),
]
for command in ["printf 'b 20 z\\na 3 y\\nB 100\\n\\nc'", "echo one; echo two >&2", "true", "printf 'é\\n'", "echo $0", "cat", "printf 'a\\r\\nb'", f"echo {os.getcwd()}"]:
    theirs, ours = SList(getoutput(command).splitlines()), space["_metaml_lines"](command)
    for i, look in enumerate(looks):
        if look(theirs) != look(ours):
            wrong.append(f"{command!r}, look {i}: IPython gives {look(theirs)!r}, we give {look(ours)!r}")
json.dump(wrong, sys.stdout)
