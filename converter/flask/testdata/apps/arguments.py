"""A Flask application of the function f in digits.ipynb.

It imports flask.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import contextlib
import inspect
import json
import uuid

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException


def f(a, b: int = 2, *, c: float = 0.5, **more):
    return [a, b, c, more]


app = Flask(__name__)


def read_input():
    """The body, which is JSON or a form; of a GET the query."""
    if request.method == "GET":
        return fields_of(request.args)
    curl = request.mimetype in ("", "application/x-www-form-urlencoded")
    if not (request.is_json or curl):  # curl -d sends JSON as a form
        abort(415, "the content type must be application/json")
    try:
        return json.loads(request.get_data())
    except (ValueError, RecursionError) as error:
        if request.form and request.get_data().lstrip()[:1] not in (b"{", b"[", b'"'):
            return fields_of(request.form)
        abort(400, f"the body is not JSON: {error}")


def fields_of(form):
    """The fields of a query or a form; a list where one was given several times."""
    fields = form.to_dict(flat=False)
    return {name: one[0] if len(one) == 1 else one for name, one in fields.items()}


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
    form = request.method == "GET" or request.form  # of which all values are text
    if form and kind is not str and isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if kind is float and type(value) is int:
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        abort(422, f"{name} must be {kind.__name__}, not {type(value).__name__}")
    return value


@app.route("/predict", methods=["GET", "POST"])
def answer():
    fields = read_input()
    check_arguments(f, fields)
    if "b" in fields:
        fields["b"] = check(fields["b"], int, "b")
    if "c" in fields:
        fields["c"] = check(fields["c"], float, "c")
    text = json.dumps(f(**fields), allow_nan=False)
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
