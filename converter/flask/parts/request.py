"""What makes the arguments of the function from a request."""

import contextlib
import inspect
import json

import numpy as np
from flask import abort, request
from pydantic import ValidationError


def read_input():
    # if other:
    """The body, which is JSON or a form; of a GET the query; else its bytes."""
    # else:
    # if fields:
    """The body, which is JSON or a form; of a GET the query."""
    # else:
    """The body, which is JSON."""
    # end
    # end
    # if fields:
    if request.method == "GET":
        return fields_of(request.args)
    # end
    # if other:
    if request.mimetype == "multipart/form-data":
        files = {name: file.read() for name, file in request.files.items()}
        return {**fields_of(request.form), **files}
    # end
    curl = request.mimetype in ("", "application/x-www-form-urlencoded")
    if not (request.is_json or curl):  # curl -d sends JSON as a form
        # if other:
        return request.get_data()
        # else:
        abort(415, "the content type must be application/json")
        # end
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        # if fields:
        if request.form and request.get_data().lstrip()[:1] not in (b"{", b"[", b'"'):
            return fields_of(request.form)
        # end
        abort(400, f"the body is not JSON: {error}")


def fields_of(form):
    """The fields of a query or a form; a list where one was given several times."""
    fields = form.to_dict(flat=False)
    return {name: one[0] if len(one) == 1 else one for name, one in fields.items()}


def by_name(value, name):
    """The value, or that of an object's only key, if it is the parameter's name."""
    return value[name] if isinstance(value, dict) and list(value) == [name] else value


def read_bytes(name):
    """The body, or of a form the file with the parameter's name."""
    if request.mimetype != "multipart/form-data":
        return request.get_data()
    if name not in request.files:
        abort(422, f"{name} is missing: the form has no file of that name")
    return request.files[name].read()


def check_arguments(function, fields):
    """The fields must be an object with the arguments of the function."""
    if not isinstance(fields, dict):
        abort(422, f"the body must be an object, not {type(fields).__name__}")
    try:
        inspect.signature(function).bind(**fields)
    except TypeError as error:
        abort(422, str(error))


def check(value, kind, name):
    """The value, if it is of the kind."""
    # if fields:
    form = request.method == "GET" or request.form  # of which all values are text
    if form and kind is not str and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    # end
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:  # noqa: RUF021
        abort(422, f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value


def as_array(value, name, dtype=float):
    try:
        return np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        abort(422, f"{name} must be an array of {dtype.__name__}: {error}")


def make(kind, fields, name):
    """An object of a dataclass, from its fields."""
    if not isinstance(fields, dict):
        abort(422, f"{name} must be an object, not {type(fields).__name__}")
    try:
        inspect.signature(kind).bind(**fields)
        return kind(**fields)
    except (TypeError, ValueError) as error:
        abort(422, f"{name}: {error}")


def check_keys(value, kind, name):
    """The value, if it is an object with the keys of a TypedDict."""
    if not isinstance(value, dict):
        abort(422, f"{name} must be an object, not {type(value).__name__}")
    if missing := kind.__required_keys__ - value.keys():
        abort(422, f"{name} has no {', '.join(sorted(missing))}")
    if extra := value.keys() - kind.__required_keys__ - kind.__optional_keys__:
        abort(422, f"{name} has {', '.join(sorted(extra))}, which is not expected")
    return value


def validate(validator, value):
    """What pydantic makes of the value."""
    try:
        return validator(value)
    except ValidationError as error:
        problems = []
        for one in error.errors():
            place = ".".join(map(str, one["loc"])) or "the body"
            problems.append(f"{place}: {one['msg']}")
        abort(422, "; ".join(problems))
