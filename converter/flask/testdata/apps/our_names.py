"""A Flask application of the function f in digits.ipynb.

It imports flask.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app_
"""

import inspect
import json as request
import uuid

from flask import Flask, abort
from flask import Response as Response_
from flask import request as request_
from werkzeug.exceptions import HTTPException

app, answer, json, Response, sys = 1, 2, 3, 4, 5


def f(check, respond):
    return request.dumps([app, answer, json, Response, sys, check, respond])


app_ = Flask(__name__)


def read_input():
    """The body, which is JSON or a form; of a GET the query."""
    if request_.method == "GET":
        return fields_of(request_.args)
    curl = request_.mimetype in ("", "application/x-www-form-urlencoded")
    if not (request_.is_json or curl):  # curl -d sends JSON as a form
        abort(415, "the content type must be application/json")
    try:
        return request.loads(request_.get_data())
    except (ValueError, RecursionError) as error:
        if request_.form and request_.get_data().lstrip()[:1] not in (b"{", b"[", b'"'):
            return fields_of(request_.form)
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


def respond(result):
    if isinstance(result, bytes):
        return Response_(result, mimetype="application/octet-stream")
    if isinstance(result, str):
        return Response_(result, mimetype="text/plain")
    text = request.dumps(result, allow_nan=False)
    return Response_(text, mimetype="application/json")


@app_.route("/predict", methods=["GET", "POST"])
def answer_():
    fields = read_input()
    check_arguments(f, fields)
    return respond(f(**fields))


@app_.get("/healthz")
def healthz():
    return "ok\n"


@app_.errorhandler(HTTPException)
def refused(error):
    response = error.get_response()
    response.data = request.dumps({"error": error.description})
    response.content_type = "application/json"
    return response


@app_.errorhandler(Exception)
def failed(error):
    """The log has the reason; the caller gets the id under which it is there."""
    number = uuid.uuid4().hex[:12]
    app_.logger.exception("%s f failed", number)
    message = "f failed; the log has the reason under this id"
    return {"error": message, "id": number}, 500


if __name__ == "__main__":
    app_.run(host="127.0.0.1", port=8000, threaded=False)
