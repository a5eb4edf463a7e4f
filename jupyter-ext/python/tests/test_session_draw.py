"""Hyperparameters: which trials a source gives, and the sentence about each source that gives none."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from typing import Any

import IPython
import numpy as np
import pytest

from metaml import Refused
from metaml._session.draw import Source, UserError, draw

# The oldest environment has neither pandas nor scikit-learn; the newest tests what is about them.
newest = pytest.mark.skipif(IPython.version_info < (9,), reason="only in the newest environment")


def three() -> Iterator[dict[str, Any]]:
    for lr in (0.1, 0.2, 0.3):
        yield {"lr": lr}


def one() -> Iterator[dict[str, Any]]:
    yield {"lr": random.random()}


def endless() -> Iterator[dict[str, Any]]:
    for i in itertools.count():
        yield {"lr": i}


def drawn(given: Any, **options: Any) -> list[Any]:
    return [row[0][1] for row in draw(Source(given, "source"), **options)["rows"]]


def test_a_generator_that_ends_gives_its_rows() -> None:
    assert drawn(three) == [0.1, 0.2, 0.3]
    assert drawn(three, parallelism=8) == [0.1, 0.2, 0.3]


def test_completions_start_it_anew_as_often_as_it_takes() -> None:
    assert drawn(three, completions=7) == [0.1, 0.2, 0.3, 0.1, 0.2, 0.3, 0.1]
    assert drawn(three, completions=2) == [0.1, 0.2]


def test_one_row_is_drawn_once_for_each_training() -> None:
    random.seed(1)
    rows = drawn(one, parallelism=4)
    assert len(set(rows)) == 4


def test_a_function_that_returns_a_dict_is_a_generator_of_one_row() -> None:
    calls = itertools.count()
    assert drawn(lambda: {"lr": next(calls)}, parallelism=3) == [0, 1, 2]
    assert drawn(lambda: {"lr": next(calls)}, completions=2) == [3, 4]


def test_an_endless_source_gives_as_many_as_run_at_a_time() -> None:
    assert drawn(endless, parallelism=5) == [0, 1, 2, 3, 4]
    assert drawn(endless, parallelism=300) == list(range(300))
    assert drawn(endless, completions=3, parallelism=5) == [0, 1, 2]


def test_a_slow_source_counts_as_endless_after_its_time_but_never_before_there_are_rows_enough() -> None:
    ticks = itertools.count()
    assert drawn(endless, parallelism=3, seconds=2, clock=lambda: next(ticks)) == [0, 1, 2]
    assert drawn(three, parallelism=2, seconds=0, clock=lambda: 0.0) == [0.1, 0.2]


def with_everything(
    first: float, /, second: float, *rest: float, third: float = 3, **more: float
) -> Iterator[dict[str, Any]]:
    for value in (first, second, *rest, third, *more.values()):
        yield {"lr": value}


def test_a_fresh_generator_object_is_made_again_with_its_arguments() -> None:
    generator = with_everything(1, 2, 3, 4, third=5, fourth=6)
    source = Source(generator, "source")
    next(generator)  # what happens to the object afterwards does not matter
    assert [row["lr"] for row in source.rows()] == [1, 2, 3, 4, 5, 6]
    assert [row["lr"] for row in source.rows()] == [1, 2, 3, 4, 5, 6]


def test_a_fresh_generator_object_is_made_again_with_its_closure() -> None:
    def make(scale: float) -> Iterator[dict[str, Any]]:
        def inner(n: int) -> Iterator[dict[str, Any]]:
            for i in range(n):
                yield {"lr": i * scale, "f": str(sorted([n], key=lambda x: x + n))}

        return inner(3)

    assert drawn(make(2)) == [0, 2, 4]
    assert drawn(make(3), completions=4) == [0, 3, 6, 0]


def test_the_digest_is_of_source_and_arguments() -> None:
    def digest(given: Any) -> str:
        return str(draw(Source(given, "source"), limit=0)["digest"])

    assert digest(with_everything(1, 2)) == digest(with_everything(1, 2))
    assert digest(with_everything(1, 2)) != digest(with_everything(1, 3))
    assert digest(with_everything(1, 2)) != digest(three())

    def make(n: int) -> Any:
        return lambda: {"lr": n}

    assert digest(make(1)) == digest(make(1))
    assert digest(make(1)) != digest(make(2))
    assert digest(functools.partial(with_everything, 1, 2)) != digest(functools.partial(with_everything, 1, 3))
    assert digest([{"a": 1}]) == digest([{"a": 1}])
    assert digest([{"a": 1}]) != digest([{"a": 1.0}])


def test_limit_0_draws_nothing() -> None:
    def never() -> Iterator[dict[str, Any]]:
        yield {"a": pytest.fail("was called")}

    assert set(draw(Source(never, "source"), limit=0)) == {"digest", "literal", "total"}
    assert draw(Source([{"a": 1}], "source"), limit=0)["total"] == 1


def test_literal_sources_are_taken_by_value() -> None:
    assert drawn([{"lr": 1}, {"lr": 2}]) == [1, 2]
    assert drawn(({"lr": 1},)) == [1]
    grid = draw(Source({"a": [1, 2], "b": ("x", "y"), "c": 5}, "grid"))
    assert grid["rows"] == [[["a", a], ["b", b], ["c", 5]] for a in (1, 2) for b in ("x", "y")]
    assert (grid["literal"], grid["total"], grid["completions"]) == (True, 4, 4)
    assert drawn({"lr": np.linspace(0, 1, 3)}) == [0.0, 0.5, 1.0]
    assert drawn({"lr": range(3)}) == [0, 1, 2]


@newest
def test_a_data_frame_keeps_the_type_of_each_column() -> None:
    import pandas

    frame = pandas.DataFrame({"n": [1, 2], "lr": [0.5, 1.0], "name": ["a", "b"]})
    assert draw(Source(frame, "frame"))["rows"] == [
        [["n", 1], ["lr", 0.5], ["name", "a"]],
        [["n", 2], ["lr", 1.0], ["name", "b"]],
    ]


@newest
def test_a_parameter_grid_of_scikit_learn() -> None:
    from sklearn.model_selection import ParameterGrid

    answer = draw(Source(ParameterGrid({"a": [1, 2], "b": [3, 4]}), "grid"))
    assert (len(answer["rows"]), answer["literal"], answer["total"]) == (4, True, 4)


def test_fewer_completions_than_rows_are_said() -> None:
    answer = draw(Source({"a": list(range(24))}, "grid"), completions=4)
    assert answer["notes"] == ["4 of 24 rows of `grid`"]
    assert len(answer["rows"]) == 4


def test_repeated_rows_are_one_warning() -> None:
    answer = draw(Source([{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}], "grid"))
    assert answer["notes"] == ["2 of 4 rows of `grid` repeat an earlier one (rows 0 and 2 are equal)"]


def test_numpy_draws_become_numbers_unless_the_parameter_wants_a_list() -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield {"size": np.random.choice([256], 1)}

    assert drawn(source) == [256]
    assert drawn(source, arrays=frozenset({"size"})) == [[256]]


def started() -> Iterator[dict[str, Any]]:
    generator = three()
    next(generator)
    return generator


def used_up() -> Iterator[dict[str, Any]]:
    generator = three()
    list(generator)
    return generator


def twice() -> Any:
    rows = iter([{"lr": 1}, {"lr": 2}])
    return lambda: rows


async def asynchronous() -> Any:
    yield {"lr": 1}


def needs(argument: int) -> Iterator[dict[str, Any]]:
    yield {"lr": argument}


def nothing() -> Iterator[dict[str, Any]]:
    yield from ()


@pytest.mark.parametrize(
    ("given", "text", "hint"),
    [
        (started(), "`source` is a generator that has already started", "call it once more: source = three(…)"),
        (used_up(), "`source` is a generator that is used up", "call it once more: source = three(…)"),
        (
            ({"lr": i} for i in (1,)),
            "`source` is a generator expression, which can be used only once",
            "source = [… for …]",
        ),
        (iter([{"lr": 1}]), "`source` is an iterator without a length", "Pass a list instead: list(source)."),
        (map(dict, []), "`source` is an iterator without a length", "Pass a list instead: list(source)."),
        (asynchronous, "`source` is asynchronous", "Make `source` a plain generator function."),
        (needs, "`source` needs arguments (argument)", "Give them defaults, or call it yourself: pass `source(…)`."),
        ([], "`source` is empty", "Give it at least one set of hyperparameters."),
        ({}, "`source` is empty", "Give it at least one set of hyperparameters."),
        ({"a": []}, "`source` has an empty list for 'a'", "Give it at least one value."),
        ({"a": iter([1])}, "`source` has an iterator for 'a'", "Pass a list instead of an iterator."),
        ({1: [1]}, "`source` has the name 1, which is an int", "Names of hyperparameters are texts."),
        (5, "`source` is an int, which gives no hyperparameters", "Pass a generator function"),
        ("lr", "`source` is a str, which gives no hyperparameters", "Pass a generator function"),
        (dict, "`source` is a class", "Pass an object of it: source()."),
        ([{"a": 1}, 5], "`source` has an int as row 1: 5", "Each row is a dict"),
        (lambda: 5, "`source` returns an int", "Yield or return dicts"),
        (lambda: None, "`source` returns nothing", "Yield or return dicts"),
        (lambda: iter([5]), "`source` gives an int as row 0: 5", "Each row is a dict"),
        (nothing, "`source` gives no hyperparameters at all", "Yield at least one dict"),
        (twice(), "`source` gives nothing when it is called again after 2 rows", "Pass a list instead of an iterator."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_source_is_refused_with_the_fix(given: Any, text: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        draw(Source(given, "source"), completions=3 if text.endswith("2 rows") else 0)
    assert refused.value.text.startswith(text)
    assert hint in refused.value.hint


def test_more_completions_than_a_literal_source_has_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        draw(Source([{"a": 1}], "rows"), completions=2)
    assert str(refused.value) == "completions is 2, and `rows` has 1 row\nAsk for at most 1, or leave completions out."


def test_keys_that_do_not_fit_the_function_are_named() -> None:
    with pytest.raises(Refused) as refused:
        draw(Source([{"learning_rat": 1}], "rows"), parameters=["learning_rate", "dropout"], required=["learning_rate"])
    assert refused.value.text == (
        "row 0 of `rows` lacks `learning_rate` and has `learning_rat`, which the function does not take"
    )
    assert refused.value.hint == "Did you mean `learning_rate` instead of `learning_rat`?"
    with pytest.raises(Refused) as refused:
        draw(Source([{"a": 1}, {}], "rows"), parameters=["a"], required=["a"])
    assert str(refused.value) == "row 1 of `rows` lacks `a`\nThe function takes a."


def test_any_key_goes_where_the_function_takes_any() -> None:
    assert drawn([{"a": 1}], parameters=None) == [1]


def test_a_value_that_cannot_travel_is_named_with_its_row() -> None:
    with pytest.raises(Refused, match=r"row 1 of `rows`: `a` is a set, which cannot travel"):
        draw(Source([{"a": 1}, {"a": {1}}], "rows"))


def test_what_the_users_code_raises_is_kept_as_the_cause() -> None:
    def source() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise KeyError("lost")

    with pytest.raises(UserError, match=r"`source` raised KeyError: 'lost'") as raised:
        draw(Source(source, "source"))
    assert isinstance(raised.value.__cause__, KeyError)


@newest
def test_a_dataframe_of_polars_gives_its_rows() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"lr": [0.1, 0.3], "n": [1, 2], "name": ["a", None], "sizes": [[1], [2, 3]]})
    rows = draw(Source(frame, "frame"))["rows"]
    assert rows == [
        [["lr", 0.1], ["n", 1], ["name", "a"], ["sizes", [1]]],
        [["lr", 0.3], ["n", 2], ["name", None], ["sizes", [2, 3]]],
    ]
    with pytest.raises(Refused, match=r"`frame` is a LazyFrame, .*\nPass frame.collect\(\)."):
        Source(frame.lazy(), "frame")
    assert drawn({"lr": frame["lr"]}) == [0.1, 0.3]


@newest
def test_distributions_of_scipy_are_drawn_with_the_seed() -> None:
    from scipy import stats

    def space() -> dict[str, Any]:
        return {"lr": stats.loguniform(1e-4, 1e-1), "n": stats.randint(1, 9), "kind": ["a", "b"], "fixed": 7}

    def table(given: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in draw(Source(given, "space"), **options)["rows"]]

    rows = table(space(), completions=50, seed=5)
    assert all(1e-4 <= row["lr"] <= 1e-1 and 1 <= row["n"] < 9 and row["fixed"] == 7 for row in rows)
    assert all(type(row["lr"]) is float and type(row["n"]) is int for row in rows)
    assert {row["kind"] for row in rows} == {"a", "b"}, "a list beside a distribution is chosen from"
    assert len({row["lr"] for row in rows}) == 50
    assert table(space(), completions=50, seed=5) == rows
    assert table(space(), completions=8, seed=5) == rows[:8], "more completions change no row"
    assert table(space(), completions=8, seed=6) != rows[:8]
    assert table(space(), completions=8) != table(space(), completions=8)
    assert len(table(space(), parallelism=3)) == 3, "it never ends, so parallelism says how many"
    assert Source(space(), "space").digest() == Source(space(), "space").digest()
    other = {**space(), "lr": stats.loguniform(1e-4, 1)}
    assert Source(space(), "space").digest() != Source(other, "space").digest()
    assert len(table({"a": [1, 2], "b": [3, 4]})) == 4, "without a distribution it is a grid"
    with pytest.raises(Refused, match="nothing can be drawn from `lr` of `space`"):
        table({"lr": stats.loguniform}, completions=1)


@newest
def test_distributions_in_rows_are_drawn_for_each_row() -> None:
    from scipy import stats

    uniform = stats.uniform(0, 1)
    first, second = drawn([{"lr": uniform}, {"lr": uniform}], seed=1)
    assert 0 <= first != second <= 1
    assert len(set(drawn(lambda: {"lr": uniform}, completions=3))) == 3
    if hasattr(stats, "Uniform"):  # scipy 1.15
        assert all(0 <= value <= 2 for value in drawn({"lr": stats.Uniform(a=0, b=2)}, completions=9, seed=1))


@newest
def test_distributions_of_optuna_are_drawn_with_the_seed() -> None:
    optuna = pytest.importorskip("optuna.distributions")
    space = {
        "lr": optuna.FloatDistribution(1e-5, 1e-1, log=True),
        "drop": optuna.FloatDistribution(0.0, 0.5, step=0.25),
        "mean": optuna.FloatDistribution(-1, 1),
        "layers": optuna.IntDistribution(1, 7, step=2),
        "width": optuna.IntDistribution(1, 1024, log=True),
        "kind": optuna.CategoricalDistribution(["a", None, 3]),
    }
    rows = [dict(row) for row in draw(Source(space, "space"), completions=300, seed=3)["rows"]]
    assert {row["drop"] for row in rows} == {0.0, 0.25, 0.5}
    assert {row["layers"] for row in rows} == {1, 3, 5, 7}
    assert {row["kind"] for row in rows} == {"a", None, 3}
    assert all(1e-5 <= row["lr"] <= 1e-1 and 1 <= row["width"] <= 1024 and -1 <= row["mean"] <= 1 for row in rows)
    assert 60 < sum(row["lr"] < 1e-4 for row in rows) < 90, "by the logarithm: a quarter of them in one of four decades"
    assert rows == [dict(row) for row in draw(Source(space, "space"), completions=300, seed=3)["rows"]]
    other = {**space, "mean": optuna.FloatDistribution(-1, 2)}
    assert Source(space, "space").digest() != Source(other, "space").digest()


def test_one_parameter_may_get_the_whole_row() -> None:
    rows = [{"lr": 0.1, "n": 1}, {"lr": 0.2, "n": 2}]

    def drawn(given: Any, **options: Any) -> Any:
        return draw(Source(given, "rows"), parameters=["params"], required=["params"], **options)

    answer = drawn(rows, whole="params")
    assert answer["whole"] == "params"
    assert answer["rows"] == [[["lr", 0.1], ["n", 1]], [["lr", 0.2], ["n", 2]]]
    assert answer["notes"] == ["`params` gets each row of `rows` as one dict"]
    assert "whole" not in drawn([{"params": 1}, {"params": 2}], whole="params")
    assert drawn([{"lr": 1}], whole="params", annotated=True)["whole"] == "params"
    for given, whole in ((rows, ""), ([{"params": 1}, {"lr": 2}], "params"), ([{"lr": 1}], "params")):
        with pytest.raises(Refused, match="lacks `params`"):
            drawn(given, whole=whole)
