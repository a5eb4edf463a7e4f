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


def f(body: bytes) -> bytes:
    return body[::-1]


app = Flask(__name__)


def read_bytes(name):
    """The body, or of a form the file with the parameter's name."""
    if request.mimetype != "multipart/form-data":
        return request.get_data()
    if name not in request.files:
        abort(422, f"{name} is missing: the form has no file of that name")
    return request.files[name].read()


@app.post("/predict")
def answer():
    return Response(f(read_bytes("body")), mimetype="application/octet-stream")


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
