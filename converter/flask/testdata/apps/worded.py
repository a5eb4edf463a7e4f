"""A Flask application of the function f in digits.ipynb.

It imports flask.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import json
import uuid

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException


class HTTPError(HTTPException):
    """An error with a status of the function's own."""

    def __init__(self, status, text="", *, headers=None):
        super().__init__(text)
        self.code = self.status = status
        self.description = self.text = text or self.name
        self.headers = headers or {}

    def get_headers(self, *arguments):
        return [*super().get_headers(*arguments), *dict(self.headers).items()]


def make_response(body=b"", *, type="", status=200, headers=None):
    """An answer with a content type, a status or headers of its own."""
    if isinstance(body, str):
        type = type or "text/plain"
    elif isinstance(body, bytes) or hasattr(body, "__next__"):
        type = type or "application/octet-stream"
    else:
        body, type = json.dumps(body), type or "application/json"
    return Response(body, status, headers, mimetype=type)


def f(age):
    if age < 0:
        raise HTTPError(422, "age must not be negative")
    if age > 200:
        raise HTTPError(404, "nobody", headers={"X-Age": "1"})
    if age > 100:
        raise HTTPError(404)
    if age == 0:
        return "new"
    if age == 1:
        return {"age": 1}
    return make_response(b"<p>", type="text/html", status=201)


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


def respond(result):
    if isinstance(result, Response):
        return result
    if isinstance(result, bytes):
        return Response(result, mimetype="application/octet-stream")
    if isinstance(result, str):
        return Response(result, mimetype="text/plain")
    text = json.dumps(result, allow_nan=False)
    return Response(text, mimetype="application/json")


@app.route("/v1/people/a:b:age", methods=["GET", "POST"])
def answer():
    return respond(f(by_name(read_input(), "age")))


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
