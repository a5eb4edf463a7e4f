"""Drawing hyperparameters: from whatever a person gives to a table of typed rows (docs/reference/rules.md §4).

:class:`Source` reads the object and remembers how to start it anew; :func:`draw` makes the rows. Both are plain
functions of what they are given; nothing here knows notebooks.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import inspect
import itertools
import json
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from metaml._errors import MetaMLError, Refused
from metaml._session import distributions
from metaml._trial import lent_generators
from metaml._values.typed import a_kind_of, encode, kind_of

LIMIT_ROWS = 256  # without completions: rows drawn from a source before it counts as endless
LIMIT_SECONDS = 2.0  # without completions: time before it counts as endless
MOST_LITERAL = 1_000_000  # rows of a literal source that are read

Row = dict[str, Any]


class UserError(MetaMLError):
    """The user's own code raised while rows were drawn; the exception is ``__cause__``."""


class Source:
    """Where hyperparameters come from.

    Attributes:
        name (str): what it is called in messages.
        literal (bool): its rows are known by value; else it is code that is called anew whenever it ends, or a dict
            with distributions, which never ends.
    """

    def __init__(self, given: Any, name: str) -> None:
        self.name = name
        self.literal = False
        self._rows: list[Row] = []
        self._space: dict[str, list[Any]] = {}  # of a dict with distributions: what each name may be
        self._start: Callable[[], Any] = list
        self._code: list[bytes] = []
        self.functions: list[types.FunctionType] = []  # the user's own that are called for each row
        self._look(given)

    def _look(self, given: Any) -> None:
        if isinstance(given, types.GeneratorType):
            self._start = self._remade(given)
            return
        if inspect.isasyncgen(given) or inspect.isasyncgenfunction(given) or inspect.iscoroutinefunction(given):
            raise self._no("is asynchronous", f"Make `{self.name}` a plain generator function.")
        if callable(given) and not isinstance(given, type) and not hasattr(given, "__len__"):
            self._check_callable(given)
            self._start = given
            self._code = _code_of(given)
            self.functions = _functions_of(given)
            return
        if isinstance(given, type):
            raise self._no("is a class", f"Pass an object of it: {self.name}().")
        if isinstance(given, dict) and any(distributions.drawing(value) is not None for value in given.values()):
            self._space = {name: _choices(value) for name, value in self._named(given)}
            return
        self.literal = True
        self._rows = self._by_value(given)
        if not self._rows:
            raise self._no("is empty", "Give it at least one set of hyperparameters.")

    def _no(self, what: str, hint: str) -> Refused:
        return Refused(f"`{self.name}` {what}", hint, code="hyper-parameters")

    def _check_callable(self, function: Callable[..., Any]) -> None:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return
        needed = [
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed:
            raise self._no(
                f"needs arguments ({', '.join(needed)}), and is called without any",
                f"Give them defaults, or call it yourself: pass `{self.name}(…)`.",
            )

    def _remade(self, generator: types.GeneratorType[Any, Any, Any]) -> Callable[[], Any]:
        """How to make a generator object again, from its code, arguments and closure, before its first row was
        taken.
        """
        code = generator.gi_code
        if code.co_name == "<genexpr>":
            raise self._no(
                "is a generator expression, which can be used only once", f"Make it a list: {self.name} = [… for …]."
            )
        state = inspect.getgeneratorstate(generator)
        function = code.co_name
        if state != inspect.GEN_CREATED:
            how = "has already started" if state != inspect.GEN_CLOSED else "is used up"
            raise self._no(
                f"is a generator that {how}, so its rows would be missing or repeated",
                f"Pass the function without calling it, or call it once more: {self.name} = {function}(…).",
            )
        frame: Any = generator.gi_frame
        values = dict(frame.f_locals)
        made = types.FunctionType(code, frame.f_globals, function, None, _closure(code, frame.f_globals, values))
        plain = code.co_varnames[: code.co_argcount]
        keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        after = code.co_argcount + code.co_kwonlyargcount
        arguments: list[Any] = [values[name] for name in plain]
        keywords: dict[str, Any] = {name: values[name] for name in keyword}
        if code.co_flags & inspect.CO_VARARGS:
            arguments.extend(values[code.co_varnames[after]])
            after += 1
        if code.co_flags & inspect.CO_VARKEYWORDS:
            keywords.update(values[code.co_varnames[after]])
        self.functions = [made]
        self._code = [*_code_of(made), _value_bytes(arguments), _value_bytes(keywords)]
        return lambda: made(*arguments, **keywords)

    def _by_value(self, given: Any) -> list[Row]:
        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(given, pandas.DataFrame):
            columns = [self._key(column) for column in given.columns]
            # Column by column: a row of a DataFrame has one dtype, which turns integers into floats.
            cells = [list(given.iloc[:, i].array) for i in range(len(columns))]
            return [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
        polars = sys.modules.get("polars")
        if polars is not None and isinstance(given, polars.DataFrame):
            return [dict(row) for row in given.iter_rows(named=True)]
        if polars is not None and isinstance(given, polars.LazyFrame):
            raise self._no("is a LazyFrame, whose rows are not there yet", f"Pass {self.name}.collect().")
        pyarrow = sys.modules.get("pyarrow")
        if pyarrow is not None and isinstance(given, pyarrow.Table):
            return [dict(row) for row in given.to_pylist()]
        if isinstance(given, dict):
            return self._grid(given)
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise self._no(
                f"is {a_kind_of(given)}, which gives no hyperparameters",
                "Pass a generator function, a function that returns a dict, a list of dicts, a dict of lists or "
                "a DataFrame.",
            )
        if isinstance(given, Iterator) or not hasattr(given, "__len__"):
            raise self._no(
                "is an iterator without a length, which can be used only once",
                f"Pass a list instead: list({self.name}).",
            )
        if len(given) > MOST_LITERAL:  # type: ignore[arg-type]
            raise self._no(f"has {len(given):,} rows, more than MetaML takes", "Pass fewer.")  # type: ignore[arg-type]
        return [self._row(row, i) for i, row in enumerate(given)]

    def _grid(self, given: dict[Any, Any]) -> list[Row]:
        names: list[str] = []
        choices: list[Sequence[Any]] = []
        size = 1
        for name, value in self._named(given):
            names.append(name)
            choices.append(_choices(value))
            size *= len(choices[-1])
        if size > MOST_LITERAL:
            raise self._no(f"is a grid of {size:,} combinations, more than MetaML takes", "Pass fewer values.")
        return [dict(zip(names, row, strict=True)) for row in itertools.product(*choices)] if names else []

    def _named(self, given: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
        """The entries of a dict of lists and values."""
        for key, value in given.items():
            name = self._key(key)
            if isinstance(value, Iterator):
                raise self._no(
                    f"has an iterator for {name!r}, which can be used only once", "Pass a list instead of an iterator."
                )
            if not _choices(value):
                raise self._no(f"has an empty list for {name!r}", "Give it at least one value.")
            yield name, value

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise self._no(f"has the name {key!r}, which is {a_kind_of(key)}", "Names of hyperparameters are texts.")
        return str(key)

    def _row(self, row: Any, index: int) -> Row:
        if isinstance(row, Mapping):
            return {self._key(key): value for key, value in row.items()}
        verb = "has" if self.literal else "gives"
        raise self._no(
            f"{verb} {a_kind_of(row)} as row {index}: {_short(row)}",
            'Each row is a dict from parameter to value: {"learning_rate": 0.1}.',
        )

    @property
    def total(self) -> int:
        """Number of rows of a literal source, else 0."""
        return len(self._rows)

    def rows(self, generators: distributions.Generators | None = None) -> Iterator[Row]:
        """One pass over the source. A distribution gives a value of its own to each row.

        Args:
            generators: what distributions are drawn with; without it with others each time.

        Raises:
            Refused: a row is no dict.
            UserError: the user's code raised.
        """
        generators = generators or distributions.Generators(None)
        for row in self._as_given(generators):
            yield {name: distributions.sample(value, name, self.name, generators) for name, value in row.items()}

    def _as_given(self, generators: distributions.Generators) -> Iterator[Row]:
        """One pass, with distributions as they are."""
        if self.literal:
            yield from self._rows
            return
        while self._space:
            yield {name: generators.plain.choice(values) for name, values in self._space.items()}
        with _users_code(self.name):
            got = self._start()
        if isinstance(got, Mapping):
            yield self._row(got, 0)
            return
        if got is None or isinstance(got, (str, bytes)) or not isinstance(got, Iterable):
            raise self._no(
                f"returns {'nothing' if got is None else a_kind_of(got)}",
                'Yield or return dicts from parameter to value: {"learning_rate": 0.1}.',
            )
        iterator = iter(got)
        for index in itertools.count():
            with _users_code(self.name):
                try:
                    row = next(iterator)
                except StopIteration:
                    return
            yield self._row(row, index)

    def digest(self) -> str:
        """Names the source: its code and arguments, or the values of a literal one. Hex sha256."""
        sum_ = hashlib.sha256()
        for index, row in enumerate(self._rows):
            sum_.update(_json(typed_row(_described(row), f"row {index} of `{self.name}`", frozenset())))
            sum_.update(b"\n")
        for name, values in self._space.items():
            described = {str(i): value for i, value in enumerate(values)}
            sum_.update(_json([name, typed_row(_described(described), f"`{name}` of `{self.name}`", frozenset())]))
        for part in self._code:
            sum_.update(b"%d:" % len(part))
            sum_.update(part)
        return sum_.hexdigest()


class _users_code:
    """Turns what the user's code raises into a UserError, whose cause it is. An interrupt stays an interrupt."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, _stack: Any) -> None:
        if isinstance(error, (Exception, SystemExit)):
            text = f"`{self.name}` raised {type(error).__name__}: {error}"
            raise UserError(text, "Correct it and run the cell again.") from error


def _closure(code: types.CodeType, namespace: dict[str, Any], values: Row) -> tuple[types.CellType, ...] | None:
    if not code.co_freevars:
        return None
    # The function itself still has the very cells, if it is where its name says.
    function = namespace.get(code.co_name)
    if isinstance(function, types.FunctionType) and function.__code__ is code and function.__closure__:
        return function.__closure__
    # A name that is not bound yet has an empty cell.
    return tuple(types.CellType(values[name]) if name in values else types.CellType() for name in code.co_freevars)


def _code_of(given: Any) -> list[bytes]:
    """What says that a callable is the same as before: its text, and the values that it was made with."""
    if isinstance(given, functools.partial):
        return [*_code_of(given.func), _value_bytes(given.args), _value_bytes(given.keywords)]
    plain = inspect.unwrap(given)
    if isinstance(plain, types.MethodType):
        return [*_code_of(plain.__func__), _value_bytes(plain.__self__)]
    if not isinstance(plain, types.FunctionType):
        return [kind_of(plain).encode(), _value_bytes(plain)]
    made_with = [_value_bytes(plain.__defaults__), _value_bytes(plain.__kwdefaults__)]
    for cell in plain.__closure__ or ():
        try:
            made_with.append(_value_bytes(cell.cell_contents))
        except ValueError:  # a name that is not bound yet
            made_with.append(b"")
    return [_source_bytes(plain), *made_with]


def _functions_of(given: Any) -> list[types.FunctionType]:
    """The plain functions behind a callable."""
    if isinstance(given, functools.partial):
        return _functions_of(given.func)
    plain = inspect.unwrap(given)
    plain = getattr(plain, "__func__", plain)
    if not isinstance(plain, types.FunctionType):
        plain = inspect.getattr_static(type(plain), "__call__", None)
    return [plain] if isinstance(plain, types.FunctionType) else []


def _source_bytes(function: types.FunctionType) -> bytes:
    """The text of a function, else its code."""
    try:
        return inspect.getsource(function).encode()
    except (OSError, TypeError):
        code = function.__code__
        return b"%s %r" % (code.co_code, [const for const in code.co_consts if not isinstance(const, types.CodeType)])


def _value_bytes(value: Any) -> bytes:
    """A text of an argument that is equal for equal values, without the addresses of objects."""
    try:
        return _json(encode(value, "argument", array=True))
    except Refused:
        import pickle

        try:
            return pickle.dumps(value, protocol=4)
        except Exception:  # whatever an object's __reduce__ raises
            return kind_of(value).encode()


def _choices(value: Any) -> list[Any]:
    """What an entry of a dict may be."""
    shape = getattr(value, "shape", None)
    many = isinstance(value, (list, tuple, range)) or (isinstance(shape, tuple) and len(shape) == 1)
    return list(value) if many else [value]


def _described(row: Row) -> Row:
    """A row whose distributions are known by kind and arguments."""
    return {name: value if (text := distributions.described(value)) is None else text for name, value in row.items()}


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode()


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a broken __repr__ must not hide the message
        return "…"
    return text if len(text) <= 60 else text[:59] + "…"


def typed_row(row: Row, where: str, arrays: frozenset[str]) -> list[list[Any]]:
    """A row as [[name, typed value] …].

    Raises:
        Refused: a value cannot travel.
    """
    typed = []
    for name, value in row.items():
        try:
            typed.append([name, encode(value, name, array=name in arrays)])
        except Refused as refused:
            raise Refused(f"{where}: {refused.text}", refused.hint, code=refused.code) from None
    return typed


def draw(
    source: Source,
    *,
    completions: int = 0,
    parallelism: int = 1,
    limit: int = LIMIT_ROWS,
    parameters: Sequence[str] | None = None,
    required: Sequence[str] = (),
    arrays: frozenset[str] = frozenset(),
    seconds: float = LIMIT_SECONDS,
    seed: int | None = None,
    whole: str = "",
    annotated: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Draw the table of a run.

    Args:
        completions: rows wanted; 0 leaves it to the source.
        parallelism: rows of an endless source when completions is 0, and of one that gives a single row at a time.
        limit: without completions, rows after which a source counts as endless; 0 draws nothing and only names the
            source.
        parameters: names that the function takes, None for any.
        required: those of them without a default.
        arrays: those annotated as an array or a list.
        seconds: without completions, time after which a source counts as endless.
        seed: of what is drawn, from distributions and by the user's own code; None draws otherwise each time.
        whole: the function's only parameter, if it may be a dict: it gets a row as one dict where no row has its name.
        annotated: it says itself that it takes a dict.

    Returns:
        The `draw` part of a `have` line (docs/internals/protocols.md §1).

    Raises:
        Refused: the source or one of its rows is wrong.
        UserError: the user's code raised.
    """
    answer: dict[str, Any] = {"literal": source.literal, "digest": source.digest(), "total": source.total}
    if limit == 0:
        return answer
    notes: list[str] = []
    generators = distributions.Generators(seed)
    with contextlib.nullcontext() if seed is None or source.literal else lent_generators.lent(seed, source.functions):
        if source.literal:
            rows = _literal_rows(source, completions, generators, notes)
        elif completions:
            rows = _passes(source, completions, generators)
        else:
            rows = _until_it_ends(source, parallelism, generators, limit, seconds, clock)
    if whole and _is_one_dict(rows, whole, annotated):
        answer["whole"] = whole
        notes.append(f"`{whole}` gets each row of `{source.name}` as one dict")
    else:
        for index, row in enumerate(rows):
            _check_names(row, f"row {index} of `{source.name}`", parameters, required)
    typed = [typed_row(row, f"row {index} of `{source.name}`", arrays) for index, row in enumerate(rows)]
    notes.extend(_repeats(source, typed))
    return {**answer, "rows": typed, "completions": len(rows), "notes": notes}


def _is_one_dict(rows: list[Row], parameter: str, annotated: bool) -> bool:
    """Whether rows are meant for one parameter as a whole: none has its name, and they have several names, more than a
    function of one parameter takes otherwise, unless it says that it takes a dict.
    """
    return not any(parameter in row for row in rows) and (annotated or any(len(row) > 1 for row in rows))


def _literal_rows(
    source: Source, completions: int, generators: distributions.Generators, notes: list[str]
) -> list[Row]:
    rows = list(source.rows(generators))
    if completions > len(rows):
        raise Refused(
            f"completions is {completions}, and `{source.name}` has {len(rows)} {'row' if len(rows) == 1 else 'rows'}",
            f"Ask for at most {len(rows)}, or leave completions out.",
            code="too-few-rows",
        )
    if completions and completions < len(rows):
        notes.append(f"{completions} of {len(rows)} rows of `{source.name}`")
        rows = rows[:completions]
    return rows


def _passes(
    source: Source, wanted: int, generators: distributions.Generators, rows: list[Row] | None = None
) -> list[Row]:
    """Rows of as many passes as it takes."""
    rows = [] if rows is None else rows
    while len(rows) < wanted:
        before = len(rows)
        rows.extend(itertools.islice(source.rows(generators), wanted - before))
        if len(rows) == before:
            if before == 0:
                raise _nothing(source)
            raise Refused(
                f"`{source.name}` gives nothing when it is called again after {before} "
                f"{'row' if before == 1 else 'rows'}",
                "Pass a list instead of an iterator.",
                code="hyper-parameters",
            )
    return rows


def _until_it_ends(
    source: Source,
    parallelism: int,
    generators: distributions.Generators,
    limit: int,
    seconds: float,
    clock: Callable[[], float],
) -> list[Row]:
    until = clock() + seconds
    rows: list[Row] = []
    endless = False
    for row in source.rows(generators):
        rows.append(row)
        # Never cut before there are rows enough for an endless source.
        if len(rows) >= parallelism and (len(rows) >= limit or clock() >= until):
            endless = True
            break
    if not rows:
        raise _nothing(source)
    if endless:
        return rows[:parallelism]
    return rows if len(rows) >= 2 else _passes(source, parallelism, generators, rows)


def _nothing(source: Source) -> Refused:
    return Refused(
        f"`{source.name}` gives no hyperparameters at all",
        'Yield at least one dict from parameter to value: {"learning_rate": 0.1}.',
        code="hyper-parameters",
    )


def _check_names(row: Row, where: str, parameters: Sequence[str] | None, required: Sequence[str]) -> None:
    missing = [name for name in required if name not in row]
    extra = [name for name in row if name not in parameters] if parameters is not None else []
    if not missing and not extra:
        return
    complaints = []
    if missing:
        complaints.append("lacks " + ", ".join(f"`{name}`" for name in missing))
    if extra:
        complaints.append("has " + ", ".join(f"`{name}`" for name in extra) + ", which the function does not take")
    hints = []
    for name in extra:
        near = difflib.get_close_matches(name, [p for p in parameters or () if p not in row], n=1)
        if near:
            hints.append(f"Did you mean `{near[0]}` instead of `{name}`?")
    hint = " ".join(hints) or f"The function takes {', '.join(parameters or required) or 'no arguments'}."
    raise Refused(f"{where} {' and '.join(complaints)}", hint, code="signature")


def _repeats(source: Source, typed: list[list[list[Any]]]) -> list[str]:
    first: dict[bytes, int] = {}
    repeated: list[tuple[int, int]] = []
    for index, row in enumerate(typed):
        key = _json(row)
        if key in first:
            repeated.append((first[key], index))
        else:
            first[key] = index
    if not repeated:
        return []
    a, b = repeated[0]
    return [
        f"{len(repeated)} of {len(typed)} rows of `{source.name}` repeat an earlier one (rows {a} and {b} are equal)"
    ]
