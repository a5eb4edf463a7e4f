"""Kinds of numpy's and pandas' values. Imported where a program annotates with one."""

from __future__ import annotations

import sys
from typing import Any

from metaml._values.kinds import MOST, Definitions, FromJSON, Place, Problems, Schema, unexpected, word, wrong
from metaml._values.scalars import Scalar

__all__ = ["Array", "NumpyScalar", "Table"]


class Array(FromJSON):
    """A numpy array of numbers."""

    noun, exact, is_array = "a list of numbers", (list,), True

    def __init__(self, label: str, dtype: Any, ndim: int | None) -> None:
        self.label = label
        self.dtype = dtype
        self.ndim = ndim
        self._numpy: Any = sys.modules["numpy"]
        self._word = {"b": "true or false", "i": "a whole number", "u": "a whole number"}.get(dtype.kind, "a number")

    def element(self) -> Array:
        """What such an array is a stack of."""
        return Array(self.label, self.dtype, None if self.ndim is None else max(self.ndim - 1, 0))

    def view(self, body: bytearray, at: int, shape: tuple[int, ...], length: int) -> Any:
        """The array whose data is in a body; ValueError if it is not."""
        flat = self._numpy.frombuffer(body, self.dtype, length // self.dtype.itemsize, at)
        return flat if len(shape) == 1 and len(flat) == shape[0] else flat.reshape(shape)

    def check(self, value: Any, at: Place, problems: Problems) -> None:
        """Whether an array has the dimensions that are annotated."""
        if self.ndim is not None and value.ndim != self.ndim:
            wrong(problems, at, f"must have {self.ndim} dimension{'s' * (self.ndim != 1)}, not {value.ndim}")

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        before = len(problems)
        if type(value) is not list and type(value) not in (int, float, bool):
            return unexpected(self, value, at, problems)
        numpy = self._numpy
        try:
            made = numpy.asarray(value)
        except (ValueError, OverflowError):
            made = None
        if made is None or made.dtype.kind not in ("b" if self.dtype.kind == "b" else "iuf"):
            if made is None or made.size:
                self._search(value, at, problems)
                if len(problems) > before:
                    return None
            try:
                with numpy.errstate(over="ignore"):
                    made = numpy.asarray(value, self.dtype)
            except (ValueError, OverflowError, TypeError):
                return wrong(
                    problems, at, "must have rows of one length" if made is None else f"must be {self.noun} that fit"
                )
        if (
            self.ndim is not None and not made.size and made.ndim < self.ndim
        ):  # [] has no rows, however many dimensions these have
            made = made.reshape(made.shape + (0,) * (self.ndim - made.ndim))
        self.check(made, at, problems)
        if len(problems) > before:
            return None
        return self._cast(made, at, problems)

    def _cast(self, made: Any, at: Place, problems: Problems) -> Any:
        numpy = self._numpy
        if made.dtype == self.dtype:
            return made
        if self.dtype.kind in "iu" and made.size:
            # A number of JSON may be too large for a float, which is infinite then.
            if made.dtype.kind == "f" and not (numpy.isfinite(made) & (made == numpy.floor(made))).all():
                return wrong(problems, at, "must be a list of whole numbers")
            limits = numpy.iinfo(self.dtype)
            if int(made.min()) < int(limits.min) or int(made.max()) > int(limits.max):
                return wrong(problems, at, f"must be numbers from {limits.min} to {limits.max}")
        with numpy.errstate(over="ignore"):
            return made.astype(self.dtype)

    def _search(self, value: Any, at: Place, problems: Problems) -> None:
        """Find what is no number, or a row of another length than the first."""
        if type(value) is not list:
            if value is None and self.dtype.kind == "f":  # a missing value
                return
            if (type(value) is bool) != (self.dtype.kind == "b") or type(value) not in (bool, int, float):
                wrong(problems, at, f"must be {self._word}, not {word(value)}")
            return
        first: Any = value[0] if value else None
        at.append(0)
        for i, one in enumerate(value):
            at[-1] = i
            before = len(problems)
            self._search(one, at, problems)
            if len(problems) >= MOST:
                break
            if len(problems) > before:
                continue
            if (type(one) is list) != (type(first) is list):
                wrong(problems, at, f"must be {'a list' if type(first) is list else self._word}, as the others are")
            elif type(one) is list and len(one) != len(first):
                wrong(problems, at, f"must have {_count(first)}, as the first has, not {len(one)}")
        at.pop()

    def schema(self, definitions: Definitions) -> Schema:
        if self.dtype.kind == "b":
            number: Schema = {"type": "boolean"}
        elif self.dtype.kind in "iu":
            limits = self._numpy.iinfo(self.dtype)
            number = {"type": "integer", "minimum": int(limits.min), "maximum": int(limits.max)}
        else:
            number = {"type": "number"}
        if self.ndim is None:
            name = f"Array.{self.dtype.name}"
            key = f"array of {self.dtype.name} with any number of dimensions"
            nested: Schema = {"$ref": f"#/components/schemas/{name}"}
            missing = self.dtype.kind == "f"
            definitions.reference(
                sys.intern(key),
                name,
                lambda: {
                    "anyOf": [
                        number,
                        {"type": "array", "items": {"anyOf": [nested, {"type": "null"}]} if missing else nested},
                    ],
                    "description": "Numbers, nested lists whose rows have one length." + " null is NaN." * missing,
                    "x-numpy": self.dtype.name,
                },
            )
            return nested
        if self.ndim and self.dtype.kind == "f":  # null is NaN
            number = {"type": ["number", "null"]}
        for _ in range(self.ndim):
            number = {"type": "array", "items": number}
        return {**number, "x-numpy": self.dtype.name}


def _count(row: list[Any]) -> str:
    return f"{len(row)} element{'s' * (len(row) != 1)}"


class NumpyScalar(Scalar):
    """A number of one of numpy's types."""

    def __init__(self, label: str, plain: Scalar, make: Any, limits: Any) -> None:
        self.label, self._plain, self._make, self._limits = label, plain, make, limits
        self.noun, self.exact = plain.noun, plain.exact

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        found: Problems = []
        return self._made(self._plain.convert(value, at, found), at, found, problems)

    def parse(self, text: str, at: Place, problems: Problems) -> Any:
        found: Problems = []
        return self._made(self._plain.parse(text, at, found), at, found, problems)

    def _made(self, value: Any, at: Place, found: Problems, problems: Problems) -> Any:
        if found:
            return problems.extend(found)
        if self._limits is not None and not int(self._limits.min) <= value <= int(self._limits.max):
            return wrong(problems, at, f"must be a number from {self._limits.min} to {self._limits.max}")
        return self._make(value)

    def schema(self, definitions: Definitions) -> Schema:
        schema = self._plain.schema(definitions)
        if self._limits is not None:
            schema |= {"minimum": int(self._limits.min), "maximum": int(self._limits.max)}
        return schema


class Table(FromJSON):
    """A pandas DataFrame: a list of objects, or an object of lists; a Series: a list."""

    def __init__(self, label: str, make: Any, series: bool) -> None:
        self.label, self._make, self._series = label, make, series
        self.noun = "a list" if series else "a list of objects, or an object of lists"
        self.exact = (list,) if series else (list, dict)

    def takes(self, value: dict[str, Any]) -> bool:
        # A column of objects is no column, but the rows of a table that is called by its name.
        [column] = value.values()
        return not self._series and not (type(column) is list and column and all(type(row) is dict for row in column))

    def _table(self, value: Any) -> Any:
        """The table or column of a value. Of numbers pandas takes null as NaN; where there is nothing but null,
        we do.
        """
        if self._series:
            return self._make(value, dtype="float64" if value and all(one is None for one in value) else None)
        made = self._make(value)
        objects = [name for name, dtype in made.dtypes.items() if getattr(dtype, "kind", "") == "O"]
        empty = [name for name in objects if len(made) and made[name].isna().all()]
        return made.astype(dict.fromkeys(empty, "float64")) if empty else made

    def convert(self, value: Any, at: Place, problems: Problems) -> Any:
        if type(value) is list:
            if self._series or all(type(row) is dict for row in value):
                return self._table(value)
        elif type(value) is dict and not self._series and all(type(column) is list for column in value.values()):
            try:
                return self._table(value)
            except ValueError:
                return wrong(problems, at, "must have columns of one length")
        if type(value) in (list, dict) and not (type(value) is dict and self._series):
            return wrong(problems, at, f"must be {self.noun}")
        return unexpected(self, value, at, problems)

    def schema(self, definitions: Definitions) -> Schema:
        if self._series:
            return {"type": "array", "items": {}}
        return {
            "anyOf": [
                {"type": "array", "items": {"type": "object"}},
                {"type": "object", "additionalProperties": {"type": "array"}},
            ]
        }
