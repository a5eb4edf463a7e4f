"""A Flask application of the function f in digits.ipynb.

It imports flask and numpy.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import inspect
import json
import uuid

import numpy
from flask import Flask, Response, abort, request
from numpy.typing import NDArray
from werkzeug.exceptions import HTTPException

Image = NDArray[numpy.float32]


def f(x: "Image", k: int) -> dict:
    return {"type": str(x.dtype), "sum": (x * k).sum()}


app = Flask(__name__)


def read_input():
    """The body, which is JSON."""
    curl = request.mimetype in ("", "application/x-www-form-urlencoded")
    if not (request.is_json or curl):  # curl -d sends JSON as a form
        abort(415, "the content type must be application/json")
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        abort(400, f"the body is not JSON: {error}")


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
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        abort(422, f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value


def as_array(value, name, dtype=float):
    try:
        return numpy.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        abort(422, f"{name} must be an array of {dtype.__name__}: {error}")


def to_json(value):
    """What JSON has for values that it does not know."""
    if hasattr(value, "tolist"):  # numpy and the like
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be JSON")


@app.post("/predict")
def answer():
    fields = read_input()
    check_arguments(f, fields)
    fields["x"] = as_array(fields["x"], "x", numpy.float32)
    fields["k"] = check(fields["k"], int, "k")
    text = json.dumps(f(**fields), default=to_json, allow_nan=False)
    return Response(text, mimetype="application/json")


@app.get("/healthz")
def healthz():
    return "ok\n"


@app.errorhandler(HTTPException)
def refused(error):
    response = error.get_response()
    response.data = json.dumps({"error": error.description})
    response.content_type = "application/json"
    return response


@app.errorhandler(Exception)
def failed(error):
    """The log has the reason; the caller gets the id under which it is there."""
    number = uuid.uuid4().hex[:12]
    app.logger.exception("%s f failed", number)
    message = "f failed; the log has the reason under this id"
    return {"error": message, "id": number}, 500


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=8000, threaded=False)
