"""Compares _metaml_show with IPython's own printer for values by seed: FILE of the helper, first seed, how many."""

import collections
import contextlib
import io
import random
import re
import sys
import types

import IPython
from IPython.lib.pretty import pretty

space = {}
exec(compile(open(sys.argv[1], encoding="utf-8").read(), "show.py", "exec"), space)


class Own:
    def __init__(self, lines):
        self.lines = lines

    def __repr__(self):
        return "\n".join(["Own"] + ["  " + "y" * (i * 7 + 3) for i in range(self.lines)])


class MyList(list):
    pass


class MyDict(dict):
    def __repr__(self):
        return "MyDict(...)"


class MyTuple(tuple):
    pass


class Plain:
    pass


class Pretty:
    """Does by chance what a _repr_pretty_ can do."""

    def __init__(self, seed, items):
        self.seed, self.items = seed, items

    def _repr_pretty_(self, p, cycle):
        r = random.Random(self.seed)
        if cycle:
            p.text("Pretty(...)")
            return
        with p.group(r.randint(0, 9), "Pretty(", ")") if r.random() < 0.7 else p.indent(r.randint(1, 5)):
            for i, item in enumerate(self.items):
                if i:
                    p.text(",")
                    r.choice([p.breakable, p.breakable, p.break_, lambda: p.breakable("")])()
                if r.random() < 0.3:
                    p.begin_group(2, "<")
                    p.text("n" * r.randint(0, 30))
                    p.breakable(" | ")
                    p.pretty(item)
                    p.end_group(2, ">")
                elif r.random() < 0.3:
                    with p.indent(3), p.group(1):
                        p.pretty(item)
                        p.breakable()
                        p.text("last")
                else:
                    p.pretty(item)


Named = collections.namedtuple("Named", "a b")
ATOMS = [
    lambda r: r.randint(-5, 10 ** r.randint(0, 12)), lambda r: r.random(), lambda r: "x" * r.randint(0, 40),
    lambda r: None, lambda r: r.random() < 0.5, lambda r: b"a" * r.randint(0, 9), lambda r: 1j, lambda r: range(3),
    lambda r: Own(r.randint(0, 3)), lambda r: r.choice([int, Own, len, sorted, re.compile("a", re.I), re.compile("b")]),
    lambda r: "line\nof two", lambda r: Ellipsis, lambda r: Named(1, "b"), lambda r: slice(1, 2),
]


def value(r, depth):
    if depth == 0 or r.random() < 0.25:
        return r.choice(ATOMS)(r)
    items = [value(r, depth - 1) for _ in range(r.choice([0, 1, 2, 3, 5, 12]))]
    keys = [r.choice([i, "key" * r.randint(1, 6) + str(i), (i, "k")]) for i in range(len(items))]
    pairs = dict(zip(keys, items))
    made = r.choice([
        lambda: items, lambda: tuple(items), lambda: pairs, lambda: set(keys), lambda: frozenset(keys),
        lambda: MyList(items), lambda: MyDict(pairs), lambda: MyTuple(items), lambda: collections.OrderedDict(pairs),
        lambda: collections.deque(items, r.choice([None, 20])), lambda: types.MappingProxyType(pairs),
        lambda: collections.defaultdict(r.choice([None, int, list]), pairs),
        # Before IPython 9 the most common one did not stand first.
        lambda: (collections.Counter if IPython.version_info >= (9,) else dict)({k: i % 3 for i, k in enumerate(keys)}), lambda: items, lambda: pairs, lambda: items,
        lambda: Pretty(r.randint(0, 999), items), lambda: Pretty(r.randint(0, 999), items),
    ])()
    if r.random() < 0.05:
        items.append(made)
    return made


first, count = int(sys.argv[2]), int(sys.argv[3])
wrong = 0
for seed in range(first, first + count):
    one = value(random.Random(seed), 1 + seed % 4)
    if one is None:
        continue
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        space["_metaml_show"](one)
    if out.getvalue() != pretty(one) + "\n":
        wrong += 1
        if wrong <= 3:
            print(f"seed {seed}:\n{out.getvalue()}want\n{pretty(one)}")
if wrong:
    sys.exit(f"{wrong} of {count} values are shown in other ways")
