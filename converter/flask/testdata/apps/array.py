"""A Flask application of the function f in digits.ipynb.

It imports flask and numpy.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import json
import uuid

import numpy as np
from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException


def f(image: np.ndarray):
    return image * 2


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


def by_name(value, name):
    """The value, or that of an object's only key, if it is the parameter's name."""
    return value[name] if isinstance(value, dict) and list(value) == [name] else value


def as_array(value, name, dtype=float):
    try:
        return np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        abort(422, f"{name} must be an array of {dtype.__name__}: {error}")


def to_json(value):
    """What JSON has for values that it does not know."""
    if hasattr(value, "tolist"):  # numpy and the like
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be JSON")


def respond(result):
    if isinstance(result, bytes):
        return Response(result, mimetype="application/octet-stream")
    if isinstance(result, str):
        return Response(result, mimetype="text/plain")
    text = json.dumps(result, default=to_json, allow_nan=False)
    return Response(text, mimetype="application/json")


@app.post("/predict")
def answer():
    image = as_array(by_name(read_input(), "image"), "image")
    return respond(f(image))


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
