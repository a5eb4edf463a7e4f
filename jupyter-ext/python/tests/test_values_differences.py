"""What is said of a value that is another one in a program than it was in the session, and that no more is said."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import json
import logging
import pathlib
import random
import threading
import types
import urllib.parse
import uuid
import xml.etree.ElementTree
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from metaml._values import content, described, differences

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
sparse = pytest.importorskip("scipy.sparse")
Image = pytest.importorskip("PIL.Image")
LinearRegression = pytest.importorskip("sklearn.linear_model").LinearRegression
StandardScaler = pytest.importorskip("sklearn.preprocessing").StandardScaler


def said(there: Any, here: Any, key: str = "") -> str:
    """What is said of `x`."""
    expected = json.loads(json.dumps({"v": 2, **described.session(["x"], {"x": there})}))
    return "".join(d["text"] for d in differences.differing(expected, {"x": here}, key))


class Plain:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Pair(NamedTuple):
    x: int
    y: int


class Slots:
    __slots__ = ("n",)

    def __init__(self, n: int) -> None:
        self.n = n


class Named(dict[str, int]):
    pass


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass
class Config:
    lr: float
    layers: list[int]


class Lazy:
    def __init__(self, n: int) -> None:
        self.n = n

    @functools.cached_property
    def square(self) -> int:
        return self.n**2


def looked_at(value: Lazy) -> Lazy:
    assert value.square
    return value


def cycle(n: int) -> list[Any]:
    value: list[Any] = [n]
    value.append(value)
    return value


def at_place(n: int) -> Iterator[int]:
    found = iter([1, 2, 3])
    for _ in range(n):
        next(found)
    return found


def read(n: int) -> io.BytesIO:
    stream = io.BytesIO(b"abc")
    stream.read(n)
    return stream


def seeded(draws: int) -> np.random.Generator:
    generator = np.random.default_rng(3)
    generator.random(draws)
    return generator


def adder(n: int) -> Callable[[int], int]:
    def add(x: int) -> int:
        return x + n

    add.__module__ = "__main__"
    return add


def of_a_cell(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__module__ = "__main__"
    return function


def klass(**attributes: Any) -> type:
    return type("Net", (), {"__module__": "__main__", **attributes})


def frame(**columns: Any) -> Any:
    return pd.DataFrame(columns)


def consolidated(table: Any) -> Any:
    table = table.copy()
    table["c"] = table["a"] + 1
    table._consolidate_inplace()
    return table


def grown(table: Any) -> Any:
    table = table.copy()
    table["c"] = table["a"] + 1
    return table


def picture(*, at: tuple[int, int] = (0, 0), mode: str = "RGB", size: tuple[int, int] = (300, 200)) -> Any:
    made = Image.new(mode, size)
    made.putpixel(at, 255 if mode in ("L", "F") else (255, 0, 0))
    return made


def opened(*, looked_at: bool) -> Any:
    stream = io.BytesIO()
    picture().save(stream, "PNG")
    found = Image.open(stream)
    if looked_at:
        assert found._repr_png_()
    return found


def moved() -> Any:
    found = collections.OrderedDict(a=1, b=2)
    found.move_to_end("a")
    return found


def advanced(iterator: Any) -> Any:
    next(iterator)
    return iterator


def spawned(n: int) -> Any:
    seeds = np.random.SeedSequence(3)
    seeds.spawn(n)
    return seeds


def noted(table: Any, **notes: int) -> Any:
    table.attrs.update(notes)
    return table


def tree(text: str) -> Any:
    return xml.etree.ElementTree.fromstring(text)


class Search:
    """As scikit-learn's: results, and how long it took."""

    def __init__(self, seconds: float, score: float) -> None:
        self.refit_time_ = seconds
        self.cv_results_ = {
            "mean_fit_time": np.array([seconds]),
            "std_score_time": np.array([seconds]),
            "score": np.array([score]),
        }


class Study:
    """As Optuna's: a name that nobody gave, and when it began."""

    def __init__(self, score: float) -> None:
        self.name = f"no-name-{uuid.uuid4()}"
        self.ids = {self.name: 0}
        self.began = datetime.datetime.now().replace(microsecond=1 + int(score))
        self.score = score


def trials(score: float) -> Any:
    now = pd.Timestamp.now()
    return frame(value=[score], datetime_start=[now], datetime_complete=[now], duration=[now - now.normalize()])


BIG = np.random.default_rng(0).random(300_000)
changed = BIG.copy()
changed[123_457] += 1
shuffled = np.sort(BIG)

SAME = {
    "a number": (1, 1),
    "nan": (float("nan"), float("nan")),
    "a dict in another order": ({"a": 1, "b": 2.5}, {"b": 2.5, "a": 1}),
    "a set in another order": ({"b", "a", "c"}, {"c", "b", "a"}),
    "a set of tuples": ({(1, 2.5), (2, "x")}, {(2, "x"), (1, 2.5)}),
    "a Counter": (collections.Counter("ab"), collections.Counter("ba")),
    "a defaultdict": (collections.defaultdict(list, a=[1]), collections.defaultdict(list, a=[1])),
    "a deque": (collections.deque([1, 2], 5), collections.deque([1, 2], 5)),
    "an object": (Plain(a=1, b=[2]), Plain(b=[2], a=1)),
    "an object that was looked at": (looked_at(Lazy(3)), Lazy(3)),
    "a cycle": (cycle(1), cycle(1)),
    "a shared part": ((lambda x: [x, x])([1]), [[1], [1]]),
    "a function": (adder(1), adder(1)),
    "a partial": (functools.partial(int, base=2), functools.partial(int, base=2)),
    "a class": (klass(n=1), klass(n=1)),
    "a lock": (threading.Lock(), threading.RLock()),
    "a logger": (logging.getLogger("a"), logging.getLogger("b")),
    "a generator": ((i for i in [1]), (i for i in [2])),
    "a text that names an object": ("<object at 0x7f0000000000>", "<object at 0x7f1111111111>"),
    "an object with a lock": (Plain(lock=threading.Lock(), n=1), Plain(lock=threading.Lock(), n=1)),
    "a file": (open(__file__, "rb"), open(__file__, "rb")),  # noqa: SIM115
    "an array": (BIG, BIG.copy()),
    "an array in another order of memory": (
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ),
    "an array of objects": (np.array(["a", None, 1], object), np.array(["a", None, 1], object)),
    "a table": (frame(a=[1, 2], s=["x", "y"]), frame(a=[1, 2], s=["x", "y"])),
    "a table in other blocks": (consolidated(frame(a=BIG, b=BIG)), grown(frame(a=BIG, b=BIG))),
    "texts": (pd.Series(["x", None, "é"]), pd.Series(["x", None, "é"])),
    "polars": (pl.DataFrame({"a": [1, None], "s": ["x", "y"]}), pl.DataFrame({"a": [1, None], "s": ["x", "y"]})),
    "a fitted model": (LinearRegression().fit([[1], [2]], [1, 2]), LinearRegression().fit([[1], [2]], [1, 2])),
    "a generator of numbers": (seeded(2), seeded(2)),
    "a date": (datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),) * 2,
    "a path": (pathlib.Path("a/b"), pathlib.Path("a/b")),
    "scipy's sparse": (sparse.csr_matrix(np.eye(3)), sparse.csr_matrix(np.eye(3))),
    "a module": (json, types),
    "a builtin": (len, len),
    "a namedtuple": (Pair(1, 2), Pair(1, 2)),
    "an order that was put back": (moved(), collections.OrderedDict(b=2, a=1)),
    "an enumeration": (advanced(enumerate([1, 2])), advanced(enumerate([1, 2]))),
    "intervals": (pd.interval_range(0, 3), pd.interval_range(0, 3)),
    "a context": (decimal.Context(prec=5), decimal.Context(prec=5)),
    "seeds": (spawned(2), spawned(2)),
    "an offset": (pd.offsets.MonthEnd(2), pd.offsets.MonthEnd(2)),
    "a tree": (tree("<a><b c='1'/>x</a>"), tree("<a><b c='1'/>x</a>")),
    "a study": (Study(1.0), Study(1.0)),
    "a table of trials": (trials(1.0), trials(1.0)),
    "the date of an answer": (
        {"Date": "Mon, 30 Nov 2026 02:55:13 GMT", "Server": "a"},
        {"Date": "Mon, 30 Nov 2026 02:55:12 GMT", "Server": "a"},
    ),
    "a picture": (picture(), picture()),
    "a picture of a file that was looked at": (opened(looked_at=True), opened(looked_at=False)),
    "how long a search took": (Search(1.5, 3.0), Search(2.5, 3.0)),
    "a table of how long it took": (
        pd.DataFrame(Search(1.5, 3.0).cv_results_),
        pd.DataFrame(Search(2.5, 3.0).cv_results_),
    ),
    "what the script is called": (Plain(prog="ipykernel_launcher.py"), Plain(prog="main.py")),
    "a million": (list(range(1_000_000)), list(range(1_000_000))),
}


@pytest.mark.parametrize("case", SAME)
def test_nothing_is_said_of_what_is_the_same(case: str) -> None:
    assert said(*SAME[case]) == ""


DIFFERENT = {
    "a number": (1, 2, "`x` is 2 here and 1 in the notebook"),
    "a truth": (1, True, "`x` is True here and 1 in the notebook"),
    "a large number": (1 << 700, 1 << 701, "`x` has another content here than in the notebook"),
    "a text": ("é", "e", "`x` is 'e' here and 'é' in the notebook"),
    "a long text": ("a" * 300, "a" * 301, "`x` has 301 characters here and 300 in the notebook"),
    "nothing": (None, 3, "`x` is 3 here and None in the notebook"),
    "a type": ([1], {}, "`x` is a dict here and a list in the notebook"),
    "a list": ([1, 2, 3], [1], "`x` has 1 element here and 3 in the notebook"),
    "an element": ([1, 2], [1, 3], "`x[1]` is 3 here and 2 in the notebook"),
    "an element far away": (
        list(range(1000)),
        [*range(999), 0],
        "`x` has another content here than in the notebook",
    ),
    "a tuple": ((1, "a"), (1, "b"), "`x[1]` is 'b' here and 'a' in the notebook"),
    "a dict": ({"a": 1, "b": 2}, {}, "`x` has 0 entries here and 2 in the notebook"),
    "a value": ({"lr": 1}, {"lr": 0}, '`x["lr"]` is 0 here and 1 in the notebook'),
    "a key": ({"a": 1}, {"b": 1}, '`x["a"]` is not there here, and is in the notebook'),
    "a dict in a dict": (
        {"a": {"b": 1}},
        {"a": {}},
        '`x["a"]` has 0 entries here and 1 in the notebook',
    ),
    "a set": ({1, 2}, {1}, "`x` has 1 element here and 2 in the notebook"),
    "a frozenset": (frozenset("ab"), frozenset("ac"), "`x` has another content here than in the notebook"),
    "a Counter": (
        collections.Counter("aab"),
        collections.Counter("ab"),
        '`x["a"]` is 1 here and 2 in the notebook',
    ),
    "the factory of a defaultdict": (
        collections.defaultdict(list),
        collections.defaultdict(set),
        "`x` has another content here than in the notebook",
    ),
    "the order of an OrderedDict": (
        collections.OrderedDict(a=1, b=2),
        collections.OrderedDict(b=2, a=1),
        "`x` has another content here than in the notebook",
    ),
    "a deque": (collections.deque([1, 2]), collections.deque(), "`x` has 0 elements here and 2 in the notebook"),
    "a dict of one's own": (Named(a=1), Named(), "`x` has 0 entries here and 1 in the notebook"),
    "an attribute": (Plain(n=2), Plain(n=0), "`x.n` is 0 here and 2 in the notebook"),
    "a missing attribute": (Plain(n=2), Plain(), "`x.n` is not there here, and is in the notebook"),
    "a slot": (Slots(2), Slots(0), "`x.n` is 0 here and 2 in the notebook"),
    "a dataclass": (Config(0.1, [3]), Config(0.1, [3, 4]), "`x.layers` has 2 elements here and 1 in the notebook"),
    "an enum": (Colour.RED, Colour.BLUE, "`x` is Colour.BLUE here and Colour.RED in the notebook"),
    "a cycle": (cycle(1), cycle(2), "`x[0]` is 2 here and 1 in the notebook"),
    "bytes": (b"abc", b"ab", "`x` has 2 bytes here and 3 in the notebook"),
    "a buffer": (io.BytesIO(b"abc"), io.BytesIO(), "`x` has 0 bytes here and 3 in the notebook"),
    "a buffer's position": (read(2), read(0), "`x` has another content here than in the notebook"),
    "a text buffer": (io.StringIO("abc"), io.StringIO(), "`x` has 0 characters here and 3 in the notebook"),
    "an iterator's place": (at_place(1), at_place(0), "`x` has another content here than in the notebook"),
    "a counter's place": (itertools.count(3), itertools.count(), "`x` has another content here than in the notebook"),
    "a path": (pathlib.Path("a"), pathlib.Path("b"), "`x` is b here and a in the notebook"),
    "a date": (
        datetime.date(2026, 1, 2),
        datetime.date(2026, 1, 3),
        "`x` is 2026-01-03 here and 2026-01-02 in the notebook",
    ),
    "a decimal": (decimal.Decimal("1.5"), decimal.Decimal(2), "`x` has another content here than in the notebook"),
    "a fraction": (
        fractions.Fraction(1, 2),
        fractions.Fraction(1, 3),
        "`x._denominator` is 3 here and 2 in the notebook",
    ),
    "a uuid": (uuid.UUID(int=1), uuid.UUID(int=2), "`x.int` is 2 here and 1 in the notebook"),
    "a partial": (
        functools.partial(int, base=2),
        functools.partial(int, base=3),
        "`x` has another content here than in the notebook",
    ),
    "what a function closes over": (adder(1), adder(2), "`x` has another content here than in the notebook"),
    "a default": (
        of_a_cell(lambda x, seen=[1]: x),
        of_a_cell(lambda x, seen=[]: x),
        "`x` has another content here than in the notebook",
    ),
    "a class": (klass(n=1), klass(n=2), "`x` has another content here than in the notebook"),
    "random's generator": (
        random.Random(1),
        random.Random(2),
        "`x` has another content here than in the notebook",
    ),
    "numpy's generator": (seeded(1), seeded(2), "`x` has another content here than in the notebook"),
    "an array module's": (
        array.array("i", [1]),
        array.array("i", [2]),
        "`x` has another content here than in the notebook",
    ),
    "a shape": (np.zeros((2, 3)), np.zeros((2, 4)), "`x` is float64 2×4 here and float64 2×3 in the notebook"),
    "a length": (np.zeros(3), np.zeros(1), "`x` has 1 element here and 3 in the notebook"),
    "a dtype": (np.zeros(3), np.zeros(3, "f4"), "`x` is float32 3 here and float64 3 in the notebook"),
    "an array's element": (np.zeros(2), np.ones(2), "`x[0]` is 1.0 here and 0.0 in the notebook"),
    "an element of many": (BIG, changed, "`x` has another content here than in the notebook"),
    "an order": (BIG, shuffled, "`x` has another content here than in the notebook"),
    "an array of objects": (
        np.array(["a", None], object),
        np.array(["b", None], object),
        "`x` has another content here than in the notebook",
    ),
    "a number of numpy": (np.float32(1), np.float32(2), "`x` is 2.0 here and 1.0 in the notebook"),
    "columns": (frame(a=[1], b=[2]), frame(a=[1]), "`x` has 1 column here and 2 in the notebook"),
    "rows": (frame(a=[1, 2, 3]), frame(a=[1]), "`x` has 1 row here and 3 in the notebook"),
    "a column's name": (frame(a=[1]), frame(b=[1]), '`x["a"]` is not there here, and is in the notebook'),
    "a column's dtype": (frame(a=[1.0]), frame(a=[1]), '`x["a"]` is int64 here and float64 in the notebook'),
    "a column": (
        frame(a=[1], b=["x"]),
        frame(a=[1], b=["y"]),
        '`x["b"]` has another content here than in the notebook',
    ),
    "one of many": (frame(a=BIG), frame(a=changed), "`x` has another content here than in the notebook"),
    "an index": (
        frame(a=[1, 2]),
        frame(a=[1, 2]).set_axis([1, 0]),
        "`x` has another content here than in the notebook",
    ),
    "a series": (pd.Series(["a"]), pd.Series(["b"]), "`x` has another content here than in the notebook"),
    "categories": (
        pd.Series(["a"], dtype="category"),
        pd.Series(["b"], dtype="category"),
        "`x` has another content here than in the notebook",
    ),
    "polars' columns": (
        pl.DataFrame({"a": [1], "b": [2]}),
        pl.DataFrame({"a": [1]}),
        "`x` has 1 column here and 2 in the notebook",
    ),
    "a column of polars": (
        pl.DataFrame({"a": [1]}),
        pl.DataFrame({"a": [2]}),
        '`x["a"]` has another content here than in the notebook',
    ),
    "a model": (
        LinearRegression().fit([[1], [2]], [1, 2]),
        LinearRegression().fit([[1], [2]], [1, 3]),
        "`x.coef_` has another content here than in the notebook",
    ),
    "a model that is not fitted": (
        StandardScaler().fit([[1.0]]),
        StandardScaler(),
        "`x.n_features_in_` is not there here, and is in the notebook",
    ),
    "categories in another order": (
        pd.Series(pd.Categorical(["a", "b"], ["a", "b"])),
        pd.Series(pd.Categorical(["a", "b"], ["b", "a"])),
        "`x` has another content here than in the notebook",
    ),
    "the order that an OrderedDict got": (
        moved(),
        collections.OrderedDict(a=1, b=2),
        "`x` has another content here than in the notebook",
    ),
    "an enumeration's place": (
        advanced(enumerate([1, 2])),
        enumerate([1, 2]),
        "`x` has another content here than in the notebook",
    ),
    "the place of two together": (
        advanced(zip([1], [2], strict=True)),
        zip([1], [2], strict=True),
        "`x` has another content here than in the notebook",
    ),
    "a map's place": (advanced(map(str, [1])), map(str, [1]), "`x` has another content here than in the notebook"),
    "a filter's place": (
        advanced(filter(None, [1, 2])),
        filter(None, [1, 2]),
        "`x` has another content here than in the notebook",
    ),
    "a reversed place": (
        advanced(reversed([1, 2])),
        reversed([1, 2]),
        "`x` has another content here than in the notebook",
    ),
    "a reversed tuple's place": (
        advanced(reversed((1, 2))),
        reversed((1, 2)),
        "`x` has another content here than in the notebook",
    ),
    "the place among entries": (
        advanced(iter({1: 2}.items())),
        iter({1: 2}.items()),
        "`x` has another content here than in the notebook",
    ),
    "seeds": (spawned(2), spawned(0), "`x` has another content here than in the notebook"),
    "intervals": (
        pd.interval_range(0, 3),
        pd.interval_range(0, 3, closed="left"),
        "`x` is interval[int64, left] 3 here and interval[int64, right] 3 in the notebook",
    ),
    "an interval": (pd.Interval(0, 1), pd.Interval(0, 2), "`x` has another content here than in the notebook"),
    "a column of intervals": (
        frame(a=pd.cut([1, 9], [0, 5, 10])),
        frame(a=pd.cut([1, 9], [0, 4, 10])),
        '`x["a"]` has another content here than in the notebook',
    ),
    "a period": (pd.Period("2026-01"), pd.Period("2026-02"), "`x` is 2026-02 here and 2026-01 in the notebook"),
    "an offset": (pd.offsets.MonthEnd(2), pd.offsets.MonthEnd(3), "`x` has another content here than in the notebook"),
    "what is noted at a table": (
        noted(frame(a=[1]), unit=1),
        frame(a=[1]),
        "`x` has another content here than in the notebook",
    ),
    "what is noted at a column": (
        noted(pd.Series([1]), unit=1),
        pd.Series([1]),
        "`x` has another content here than in the notebook",
    ),
    "an address": (
        urllib.parse.urlparse("http://a/b"),
        urllib.parse.urlparse("http://a/c"),
        "`x` has another content here than in the notebook",
    ),
    "a tree": (tree("<a><b/></a>"), tree("<a/>"), "`x` has another content here than in the notebook"),
    "a context": (
        decimal.Context(prec=5),
        decimal.Context(prec=6),
        "`x` has another content here than in the notebook",
    ),
    "a picture": (picture(), picture(at=(77, 3)), "`x` has another content here than in the notebook"),
    "a pixel among many": (
        picture(size=(300, 200)),
        Image.new("RGB", (300, 200)),
        "`x` has another content here than in the notebook",
    ),
    "a picture's size": (picture(), picture(size=(30, 20)), "`x` is RGB 30×20 here and RGB 300×200 in the notebook"),
    "a picture's mode": (picture(), picture(mode="L"), "`x` is L 300×200 here and RGB 300×200 in the notebook"),
    "the score of a search": (
        Search(1.5, 3.0),
        Search(2.5, 4.0),
        "`x.cv_results_` has another content here than in the notebook",
    ),
    "a column beside how long it took": (
        pd.DataFrame(Search(1.5, 3.0).cv_results_),
        pd.DataFrame(Search(2.5, 4.0).cv_results_),
        '`x["score"]` has another content here than in the notebook',
    ),
    "a study's score": (Study(1.0), Study(2.0), "`x.score` is 2.0 here and 1.0 in the notebook"),
    "the score of trials": (
        trials(1.0),
        trials(2.0),
        '`x["value"]` has another content here than in the notebook',
    ),
    "a duration in a table": (
        frame(duration=[1.0]),
        frame(duration=[2.0]),
        '`x["duration"]` has another content here than in the notebook',
    ),
    "a time of one's own": (
        Plain(run_time=1.5),
        Plain(run_time=2.5),
        "`x.run_time` is 2.5 here and 1.5 in the notebook",
    ),
    "a sparse matrix": (
        sparse.csr_matrix(np.eye(3)),
        sparse.csr_matrix(np.eye(2)),
        "`x._shape` has another content here than in the notebook",
    ),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_is_different_is_said_in_words(case: str) -> None:
    there, here, words = DIFFERENT[case]
    assert said(there, here) == words


def test_a_name_may_be_missing() -> None:
    expected = {"v": 2, **described.session(["x"], {"x": [1]})}
    assert [d["text"] for d in differences.differing(expected, {})] == [
        "`x` is not defined here and is a list in the notebook"
    ]


def test_what_is_made_first_is_said_first() -> None:
    names = ("d", "b", "a", "c")
    values = described.session(names, dict.fromkeys(names, 1))
    for name, lines in {"b": [[1, 2]], "d": [[1, 2], [4, 4]], "c": [[1, 2], [4, 6]]}.items():
        values["values"][name]["lines"] = lines
    found = differences.differing({"v": 2, **values}, dict.fromkeys(names, 2))
    assert [d["name"] for d in found] == ["a", "b", "d", "c"]


class Elsewhere:
    """Compares with a description that was made on another processor."""

    def __init__(self, **versions: str) -> None:
        self.versions = versions

    def said(self, there: Any, here: Any) -> str:
        expected: dict[str, Any] = {"v": 2, **described.session(["x"], {"x": there})}
        expected["environment"]["machine"] = "another"
        expected["environment"]["packages"].update(self.versions)
        return "".join(d["text"] for d in differences.differing(json.loads(json.dumps(expected)), {"x": here}))


NUMBERS = np.random.default_rng(1).normal(size=1000)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda x: float(x[0]), id="a number"),
        pytest.param(lambda x: x, id="an array"),
        pytest.param(lambda x: x.astype("f4"), id="an array of single precision"),
        pytest.param(lambda x: x + 1j, id="complex numbers"),
        pytest.param(lambda x: {"k": [float(v) for v in x[:9]], "n": 1}, id="in containers"),
        pytest.param(lambda x: frame(a=x, b=["s"] * len(x)), id="a table"),
        pytest.param(lambda x: Plain(coef_=x, name="x"), id="an object"),
    ],
)
def test_on_another_processor_numbers_may_differ_in_their_last_digits(made: Callable[[Any], Any]) -> None:
    elsewhere = Elsewhere()
    assert elsewhere.said(made(NUMBERS), made(NUMBERS * (1 + 4e-7))) == ""
    assert elsewhere.said(made(NUMBERS), made(NUMBERS * (1 + 1e-5)))
    assert said(made(NUMBERS), made(NUMBERS * (1 + 4e-7))), "here they are the same bit by bit"


def test_on_another_processor_all_else_is_still_compared() -> None:
    elsewhere = Elsewhere()
    assert elsewhere.said({"a": 1.5, "n": 1}, {"a": 1.5, "n": 2}) == '`x["n"]` is 2 here and 1 in the notebook'
    assert elsewhere.said(NUMBERS, NUMBERS[::-1].copy())
    assert elsewhere.said(np.zeros(3), np.array([0.0, 0.0, np.nan]))
    assert elsewhere.said(np.array([np.nan, 1.0]), np.array([np.nan, 1.0])) == ""
    assert elsewhere.said(frame(a=[1, 2]), frame(a=[1])) == "`x` has 1 row here and 2 in the notebook"


def test_objects_of_a_package_in_another_version_are_not_compared() -> None:
    fitted, other = StandardScaler().fit([[1.0]]), StandardScaler().fit([[2.0]])
    assert Elsewhere().said(fitted, other)
    assert Elsewhere(sklearn="0.1").said(fitted, other) == ""
    assert Elsewhere(pandas="0.1").said(frame(a=[1, 2]), frame(a=[1.0, 2.0])) == ""
    assert Elsewhere(pandas="0.1").said(frame(a=[1, 2]), frame(a=[1])) == "`x` has 1 row here and 2 in the notebook"


# deployer/pod/ship/expected_test.go makes the same codes.
MASKED = {
    "type": "float",
    "digest": "0aabf02190f99e3f81054b00a5528bd14f2584150fd135a119e3ead83470cebd",
    "numbers": [
        [
            "978ceaf6a046118943867ececb20129fd02cf30d111f982270a1203a3e42e15e",
            "727e0aa1f499b15ce5298efe1964f145b57ecddaa20216c35d433f7931eeec00",
        ]
    ],
}


def test_codes_are_compared_where_no_value_may_leave_the_session() -> None:
    compare = differences._Compare("key", described.Secrets({}), exact=False, other=set())
    assert compare.code("é", "d") == MASKED["digest"]
    assert [[compare.code("é\0" + str(i), n) for i, n in enumerate((1, -2))]] == MASKED["numbers"]
    now = {"type": "float", "digest": "d", "numbers": [[1, 7]], "repr": "1.5"}
    assert compare.words("é", "é", MASKED, now) == ""
    other = {"type": "float", "digest": "e", "frame": "f", "numbers": [[2, 7]], "repr": "1.5"}
    assert compare.words("é", "é", MASKED, other) == "`é` is another number here than in the notebook"


def test_with_a_key_no_value_is_said() -> None:
    compare = differences._Compare("key", described.Secrets({}), exact=False, other=set())
    secrets = described.Secrets({})
    for value in ("planted", 424242, {"planted": 424242}, ["planted"], b"planted", Plain(planted="planted")):
        then = {"type": "list", "digest": "0", "visits": 32}
        words = compare.words("x", "x", then, described.describe(value, 100, secrets))
        assert words.startswith("`x` ") and "planted" not in words and "424242" not in words
        same_type = {**then, "type": described.type_name(type(value))}
        words = compare.words("x", "x", same_type, described.describe(value, 100, secrets))
        assert words.startswith("`x` ") and "planted" not in words and "424242" not in words


def ran(*_: Any) -> Any:
    raise RuntimeError("its code ran")


def trapped(base: type, *names: str) -> Any:
    """A class of which whatever runs its code is seen."""
    return type("Trapped", (base,), {f"__{name}__": ran for name in names} | {"shape": property(ran), "encode": ran})


ASKED = ("eq", "hash", "repr", "str", "reduce_ex", "getstate")
Held = trapped(object, *ASKED)
Trapped = trapped(
    object, *ASKED, "getattribute", "getattr", "len", "iter", "bool", "contains", "getitem", "array", "float"
)
TrappedDict = trapped(dict, *ASKED, "iter", "len", "getitem", "contains")
TrappedList = trapped(list, *ASKED, "iter", "len", "getitem")
TrappedText = trapped(str, *ASKED, "len", "getitem")
Posing = type("Posing", (), {"__class__": property(ran), "n": 1})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Trapped(), id="an object"),
        pytest.param(Posing(), id="an object that poses as another"),
        pytest.param([Trapped()], id="in a list"),
        pytest.param({"k": Trapped()}, id="in a dict"),
        pytest.param(Plain(inner=Trapped()), id="in an object"),
        pytest.param(TrappedDict(a=1), id="a dict"),
        pytest.param(TrappedList([1]), id="a list"),
        pytest.param(TrappedText("a"), id="a text"),
        pytest.param(np.array([Held()], dtype=object), id="in an array"),
        pytest.param(pd.Series([1, 2], dtype=object).map(lambda _: Held()), id="in a table"),
        pytest.param(functools.partial(print, Trapped()), id="in a partial"),
    ],
)
def test_no_code_of_a_value_runs(value: Any) -> None:
    about = described.session(["x"], {"x": value})["values"]["x"]
    assert "opaque" not in about and about["digest"], "something was raised"


def test_streams_iterators_and_generators_stay_where_they_are() -> None:
    stream, text = io.BytesIO(b"abc"), io.StringIO("abc")
    stream.seek(1)
    text.seek(2)
    numbers, made, counter = iter([1, 2, 3]), (i for i in [1, 2]), itertools.count(3)
    mapped, zipped = map(str, [1, 2]), zip([1], [2], strict=True)
    with open(__file__, encoding="utf-8") as file:
        file.readline()
        at = file.tell()
        values = dict(enumerate((stream, text, numbers, made, counter, mapped, zipped, file)))
        described.session(["x", "y"], {"x": values, "y": numbers})
        assert (stream.tell(), text.tell(), file.tell()) == (1, 2, at)
    assert (list(numbers), list(made), next(counter)) == ([1, 2, 3], [1, 2], 3)
    assert (list(mapped), list(zipped)) == (["1", "2"], [(1, 2)])


def test_looking_at_a_table_keeps_nothing_of_it() -> None:
    table = frame(a=[1, 2], s=["x", "y"])
    before = table["a"]._mgr.blocks[0].refs.has_reference() if hasattr(table["a"]._mgr.blocks[0], "refs") else False
    described.session(["x"], {"x": table})
    after = table["a"]._mgr.blocks[0].refs.has_reference() if hasattr(table["a"]._mgr.blocks[0], "refs") else False
    assert before == after


def test_a_look_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    wide = [[[[i, j] for j in range(30)] for i in range(30)] for _ in range(300)]
    huge = {i: {"a": [i] * 5} for i in range(100_000)}
    names = {"deep": deep, "wide": wide, "huge": huge, "text": "é" * 5_000_000, "bytes": bytes(50_000_000)}
    about = described.session(names, names)["values"]
    assert all(about[name]["sampled"] for name in names)
    assert len(json.dumps(about)) < 50_000
    visited: list[Any] = []
    walk = content.Walk(1000)
    walk.visit(wide)
    visited.append(walk.left)
    assert walk.left > -2000, "a container's own elements alone go beyond what may be visited"
