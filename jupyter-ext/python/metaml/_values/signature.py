"""What a serving function takes, read once from its signature: how a request becomes its arguments.

:func:`read` gives a :class:`Signature`, or refuses what cannot be served. The annotations themselves are
``annotations.py``'s; what is published of a signature is ``openapi.py``'s.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from metaml._errors import Refused
from metaml._values.annotations import hints_of, kind_of
from metaml._values.kinds import ANY, Kind, Place, Problems, word, wrong
from metaml._values.scalars import Bytes
from metaml._values.typed import a_kind_of

if TYPE_CHECKING:
    from metaml._values.arrays import Array

__all__ = ["Parameter", "Rejected", "Signature", "read"]

_FORM = "application/x-www-form-urlencoded"
# Flags of a function's code.
_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x200


class Rejected(Exception):
    """An input that the function is not called with: the HTTP status and the JSON body of the answer."""

    def __init__(self, status: int, error: str, **more: Any) -> None:
        self.status = status
        self.body = {"error": error, **more}
        super().__init__(error)


def _invalid(problems: Problems) -> Rejected:
    return Rejected(
        422, " ".join(problems[0]), problems=[{"field": field, "error": error} for field, error in problems]
    )


class Parameter:
    """One parameter of the function."""

    def __init__(self, name: str, kind: Kind, annotated: bool, required: bool, default: Any, keyword: bool) -> None:
        self.name = name
        self.kind = kind
        self.annotated = annotated
        self.required = required
        self.default = default
        self.keyword = keyword  # passed by name


class Shape:
    """A function's parameters as plain data: by its code, which costs nothing, or by inspect."""

    def __init__(self, function: Any) -> None:
        self.names: list[tuple[str, bool, bool, Any]] = []  # name, required, keyword only, default
        self.varargs = ""
        self.varkeywords = ""
        code = getattr(function, "__code__", None)
        if code is None or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
            self._inspect(function)
            return
        n, m = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        defaults = function.__defaults__ or ()
        by_name = function.__kwdefaults__ or {}
        for i, name in enumerate(names[:n]):
            at = i - (n - len(defaults))
            self.names.append((name, at < 0, False, defaults[at] if at >= 0 else None))
        for name in names[n : n + m]:
            self.names.append((name, name not in by_name, True, by_name.get(name)))
        rest = list(names[n + m :])
        if code.co_flags & _VARARGS:
            self.varargs = rest.pop(0)
        if code.co_flags & _VARKEYWORDS:
            self.varkeywords = rest.pop(0)
        if getattr(function, "__self__", None) is not None:  # a bound method
            self.names.pop(0)

    def _inspect(self, function: Any) -> None:
        import inspect

        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.varargs = name
            elif parameter.kind is parameter.VAR_KEYWORD:
                self.varkeywords = name
            else:
                required = parameter.default is parameter.empty
                self.names.append((name, required, parameter.kind is parameter.KEYWORD_ONLY, parameter.default))


def _innermost(function: Any) -> Any:
    """The function under its decorators."""
    for _ in range(100):
        inner = (
            getattr(function, "__wrapped__", None)
            or getattr(function, "func", None)
            or getattr(function, "__func__", None)
        )
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__code__"):  # an object that can be called
        function = getattr(type(function), "__call__", function)  # noqa: B004
    return function


def read(function: Any, name: str, *, batch: int = 0, path: str = "") -> Signature:
    """Look at a function.

    Args:
        function: the program's entry.
        name: what it is called.
        batch: the most inputs of a call; 0 is one by one.
        path: of the URL; parameters stand there in braces.

    Raises:
        Refused: it cannot be served.
    """
    if not callable(function):
        raise Refused(f"{name} is {a_kind_of(function)}, not a function")
    try:
        shape = Shape(function)
    except (TypeError, ValueError):
        raise Refused(
            f"the parameters of {name} cannot be read", "Write a function with `def` that calls it."
        ) from None
    inner = _innermost(function)
    flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
    if not shape.names and not shape.varkeywords:
        what = f"only *{shape.varargs}" if shape.varargs else "no parameters"
        raise Refused(f"{name} has {what}, and a request has to go somewhere", f"Write `def {name}(input):`.")
    hints = hints_of(inner, name)
    parameters = []
    for called, required, keyword, default in shape.names:
        kind = kind_of(hints[called], f"parameter {called} of {name}") if called in hints else ANY
        parameters.append(Parameter(called, kind, called in hints, required, default, keyword))
    extra = None
    if shape.varkeywords:
        rest = shape.varkeywords
        extra = kind_of(hints[rest], f"parameter **{rest} of {name}") if rest in hints else ANY
    if batch:
        if len(parameters) != 1 or extra is not None:
            raise Refused(
                f"{name} has {len(parameters)} parameters, and with --batch a function gets one list of inputs",
                f"Write `def {name}(inputs):`, where each input is an object with these fields.",
            )
        if flags & (_GENERATOR | _ASYNC_GENERATOR):
            raise Refused(f"{name} is a generator, which answers one input", "Leave out --batch, or return a list.")
    returns = hints.get("return", Any)
    in_path = _in_path(path, parameters, extra, name, batch)
    return Signature(function, name, parameters, extra, returns, inner.__doc__ or "", flags, batch, in_path)


def _in_path(path: str, parameters: list[Parameter], extra: Kind | None, name: str, batch: int) -> list[Parameter]:
    """The parameters that the path of the URL has, in its order."""
    names = {parameter.name: parameter for parameter in parameters}
    in_path = []
    for called in names_in(path):
        if batch:
            raise Refused(
                f"--url {path} has {{{called}}}, and with --batch {name} gets one list of inputs",
                "Leave out --batch, or take the value from the body.",
            )
        if called not in names and extra is None:
            raise Refused(
                f"--url {path} has {{{called}}}, and {name} has no parameter of that name",
                f"It has {', '.join(names)}." if names else "",
            )
        in_path.append(names.get(called) or Parameter(called, extra or ANY, True, True, None, True))
    return in_path


def names_in(path: str) -> list[str]:
    """The names in braces in the path of a URL."""
    return [part.partition("}")[0] for part in path.split("{")[1:]]


class Signature:
    """A function's parameters, and the way from a request to them."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        parameters: list[Parameter],
        extra: Kind | None,
        returns: Any,
        document: str,
        flags: int,
        batch: int,
        path: list[Parameter],
    ) -> None:
        self.name = name
        self.path = path
        self.every = [*parameters, *(parameter for parameter in path if parameter not in parameters)]
        # What the body, the form or the query has. The parameters in the path are not among them, as if the function
        # had not got them.
        parameters = [parameter for parameter in parameters if parameter not in path]
        self.parameters = parameters
        self.extra = extra  # of what else there is in a body, for **kwargs
        self.returns = returns
        self.batch = batch
        self.concurrent = bool(flags & (_COROUTINE | _ASYNC_GENERATOR))
        self.generator = bool(flags & (_GENERATOR | _ASYNC_GENERATOR))
        self.document = document
        self.call = function
        self.single = len(parameters) == 1 and extra is None
        self.only = parameters[0].name if self.single else ""
        self.stacked = False  # a batch is one array
        if self.single:
            [only] = parameters
            if only.keyword:
                self.call = lambda value: function(**{only.name: value})
            self.kind = only.kind
            if batch:
                self._batched(only)
        else:
            self.kind = ANY
        if not self.single or path:
            self.call = lambda value: function(*value[0], **value[1])
        self.array: Array | None = self.kind if self.kind.is_array else None  # type: ignore[assignment]

    def _batched(self, only: Parameter) -> None:
        """The kind of one input of those in the list."""
        if only.kind is ANY:
            return
        element = only.kind.element()
        if element is None:
            text = only.kind.label
            raise Refused(
                f"with --batch {self.name} gets a list of inputs, and {only.name} is annotated as {text}",
                f"Annotate it as list[{text}].",
            )
        self.kind = element
        self.stacked = only.kind.is_array

    @property
    def input(self) -> dict[str, Any]:
        """What the front is to send, for the hello."""
        if self.array is not None:
            return {"kind": "array", "dtype": self.array.dtype.name, "ndim": self.array.ndim, "name": self.only}
        return {"kind": "bytes" if isinstance(self.kind, Bytes) else "json"}

    def with_path(self, values: dict[str, str], rest: Callable[[], Any]) -> Any:
        """The arguments of a function that has some in the path of the URL: their texts, and what gives all the
        others.
        """
        problems: Problems = []
        named = {
            parameter.name: parameter.kind.text(values.get(parameter.name, ""), [parameter.name], problems)
            for parameter in self.path
        }
        if problems:
            raise _invalid(problems)
        return self._joined(named, rest())

    def from_named(self, body: bytearray) -> Any:
        """The same from one JSON object, which an example is: all parameters by name."""
        value = _parse(body)
        if type(value) is not dict:
            names = ", ".join(parameter.name for parameter in self.every)
            raise _invalid([("example", f"must be an object with {names}, not {word(value)}")])
        problems: Problems = []
        named = {}
        for parameter in self.path:
            if parameter.name not in value:
                wrong(problems, [parameter.name], "is missing")
            elif isinstance(text := value[parameter.name], str):
                named[parameter.name] = parameter.kind.text(text, [parameter.name], problems)
            else:
                named[parameter.name] = parameter.kind.convert(text, [parameter.name], problems)
        if problems:
            raise _invalid(problems)
        positional, others = self._arguments(
            {name: given for name, given in value.items() if name not in named}, text=False
        )
        if not self.single:
            return self._joined(named, (positional, others))
        return self._joined(named, positional[0] if positional else others[self.only])

    def _joined(self, named: dict[str, Any], rest: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arguments in the path, and the others, in the function's order."""
        if self.single:
            named[self.only] = rest
        else:
            positional, others = rest
            by_position = [parameter.name for parameter in self.parameters if not parameter.keyword]
            named |= dict(zip(by_position, positional, strict=True)) | others
        return [named.pop(parameter.name) for parameter in self.every if not parameter.keyword], named

    def from_array(self, value: Any) -> Any:
        """An array of the hello's dtype, as the front made it."""
        problems: Problems = []
        if self.array is not None and self.array.ndim is not None and value.ndim != self.array.ndim:
            self.array.check(value, self._root(), problems)
            raise _invalid(problems)
        return value

    def from_json(self, body: bytearray) -> Any:
        """A JSON body."""
        if isinstance(self.kind, Bytes) and self.single:
            return bytes(body)
        if not body or (body[0] <= 32 and not body.strip()):
            return self._from_nothing()
        value = _parse(body)
        if self.single:
            return self._value(value, "convert")
        if type(value) is not dict:
            names = ", ".join(parameter.name for parameter in self.parameters)
            error = f"must be an object{' with ' if names else ''}{names}, not {word(value)}"
            raise _invalid([("body", error)])
        return self._arguments(value, text=False)

    def _from_nothing(self) -> Any:
        if self.single and not self.batch and not self.parameters[0].required:
            return self.parameters[0].default
        if not self.single:  # those that are missing are named
            return self._arguments({}, text=False)
        raise Rejected(400, "the body is empty, and must be JSON")

    def from_bytes(self, content_type: str, body: bytes) -> Any:
        """A body of another content type."""
        if self.single:
            if isinstance(self.kind, Bytes):
                if (fields := self._field_of_bytes(content_type, body)) is not None:
                    return self.from_fields(fields)
                if (named := self._named_bytes(content_type, body)) is not None:
                    return self._convert(self.kind.convert, named)
            if self.kind.takes_bytes or self.kind is ANY:
                return body
            if self.kind.takes_text and content_type.startswith("text/"):
                try:
                    return self._convert(self.kind.text, body.decode("utf-8-sig"))
                except UnicodeDecodeError as error:
                    raise Rejected(400, f"the body is not UTF-8 from byte {error.start} on") from None
        raise Rejected(415, f"the body must be JSON (content type application/json), not {content_type or 'empty'}")

    def from_fields(self, fields: dict[str, Any]) -> Any:
        """The fields of a query or a form: text, or a list of text where a name was given several times."""
        if not self.single:
            return self._arguments(fields, text=True)
        if self.kind.fields:
            return self._value(fields, "text")
        only = self.parameters[0]
        problems: Problems = []
        for name in fields:
            if name != only.name:
                wrong(problems, [name], "is not expected")
        if only.name in fields:
            value = self.kind.text(fields[only.name], self._root(), problems)
        elif only.required or self.batch:
            wrong(problems, [only.name], "is missing")
        else:
            value = only.default
        if problems:
            raise _invalid(problems)
        return value

    def _value(self, value: Any, way: str) -> Any:
        """The argument of a function with one parameter.

        An object whose one key is the parameter's name is the parameter by its name, unless the annotation takes the
        object itself: a dict does always, a dataclass or a model where it fits.
        """
        kind = self.kind
        if type(value) is not dict or len(value) != 1 or self.only not in value:
            return value if kind is ANY else self._convert(getattr(kind, way), value)
        named = value[self.only]
        if kind is ANY:
            return named
        if not kind.takes(value):
            return self._convert(getattr(kind, way), named)
        try:
            return self._convert(getattr(kind, way), value)
        except Rejected as error:
            try:
                return self._convert(getattr(kind, way), named)
            except Rejected as inner:
                raise (inner if type(named) is dict else error) from None

    def _named_bytes(self, content_type: str, body: bytes) -> Any:
        """The value of {"name": base64 text}, which is what calls a function of bytes by its parameter's name; None: it
        is not that.
        """
        if content_type.partition(";")[0].strip().lower() not in ("", "application/json", _FORM):
            return None
        key = json.dumps(self.only, ensure_ascii=False).encode()
        start = body[:1] == b"{" and body[1 : len(key) + 64].lstrip().startswith(key)
        if not start:  # anything else is parsed by nobody: it may be large
            return None
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return None
        return value[self.only] if len(value) == 1 else None

    def _field_of_bytes(self, content_type: str, body: bytes) -> dict[str, Any] | None:
        """The fields of a form that begins with the parameter's name; None: it is the bytes themselves, which `curl`
        calls a form.
        """
        from urllib.parse import parse_qs, quote_plus

        if content_type.partition(";")[0].strip().lower() != _FORM or not body.startswith(
            f"{quote_plus(self.only)}=".encode()
        ):
            return None
        fields = parse_qs(body.decode("latin-1"), keep_blank_values=True)
        return {name: values if len(values) > 1 else values[0] for name, values in fields.items()}

    def _root(self) -> Place:
        return [self.parameters[0].name]

    def _convert(self, convert: Callable[[Any, Place, Problems], Any], value: Any) -> Any:
        problems: Problems = []
        try:
            value = convert(value, self._root(), problems)
        except RecursionError:
            raise Rejected(400, "the body is nested too deeply") from None
        if problems:
            raise _invalid(problems)
        return value

    def _arguments(self, values: dict[str, Any], *, text: bool) -> tuple[list[Any], dict[str, Any]]:
        """The arguments behind an object's keys."""
        problems: Problems = []
        positional: list[Any] = []
        named: dict[str, Any] = {}
        known = 0
        try:
            for parameter in self.parameters:
                name = parameter.name
                if name in values:
                    known += 1
                    convert = parameter.kind.text if text else parameter.kind.convert
                    value = convert(values[name], [name], problems)
                elif parameter.required:
                    wrong(problems, [name], "is missing")
                    continue
                else:
                    value = parameter.default
                if parameter.keyword:
                    named[name] = value
                else:
                    positional.append(value)
            if known < len(values):
                names = {parameter.name for parameter in self.parameters}
                for name, value in values.items():
                    if name in names:
                        continue
                    if any(name == other.name for other in self.path):
                        wrong(problems, [name], "is in the path already")
                    elif self.extra is None:
                        wrong(problems, [name], f"is no parameter of {self.name}")
                    else:
                        convert = self.extra.text if text else self.extra.convert
                        named[name] = convert(value, [name], problems)
        except RecursionError:
            raise Rejected(400, "the body is nested too deeply") from None
        if problems:
            raise _invalid(problems)
        return positional, named


def _no_constant(name: str) -> NoReturn:
    raise Rejected(400, f"the body is not JSON: {name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_no_constant)
_scan = _decoder.scan_once  # type: ignore[attr-defined]


def _parse(body: bytearray) -> Any:
    try:
        text = body.decode()
        try:  # what decode does, without looking for blanks around the value
            value, end = _scan(text, 0)
            if end == len(text):
                return value
        except StopIteration:
            pass
        return _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise Rejected(400, f"the body is not UTF-8 from byte {error.start} on") from None
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise Rejected(400, f"the body is not JSON: {what} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Rejected(400, "the body is nested too deeply") from None
    except ValueError:  # of int(), the only other one
        text = f"a number of more than {sys.get_int_max_str_digits()} digits"
        raise Rejected(400, f"the body is not JSON: {text}") from None
