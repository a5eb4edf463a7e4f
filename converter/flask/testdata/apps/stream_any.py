"""A Flask application of the function f in digits.ipynb.

It imports flask.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import itertools
import json
import uuid

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException


def f(parts):
    yield from parts


app = Flask(__name__)


def read_input():
    """The body, which is JSON or a form; of a GET the query; else its bytes."""
    if request.method == "GET":
        return fields_of(request.args)
    if request.mimetype == "multipart/form-data":
        files = {name: file.read() for name, file in request.files.items()}
        return {**fields_of(request.form), **files}
    curl = request.mimetype in ("", "application/x-www-form-urlencoded")
    if not (request.is_json or curl):  # curl -d sends JSON as a form
        return request.get_data()
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


def by_name(value, name):
    """The value, or that of an object's only key, if it is the parameter's name."""
    return value[name] if isinstance(value, dict) and list(value) == [name] else value


def stream(parts):
    """The parts, as they come. The first is waited for, so that an early error is an answer."""
    first = list(itertools.islice(parts, 1))
    parts = itertools.chain(first, parts)
    if first and isinstance(first[0], bytes):
        return Response(parts, mimetype="application/octet-stream")
    if first and isinstance(first[0], str):
        return Response(parts, mimetype="text/plain")
    encoded = (json.dumps(part, allow_nan=False) for part in parts)
    lines = (text + "\n" for text in encoded)
    return Response(lines, mimetype="application/x-ndjson")


@app.route("/predict", methods=["GET", "POST"])
def answer():
    return stream(f(by_name(read_input(), "parts")))


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
