"""A Flask application of the function f in digits.ipynb.

It imports flask and pydantic.
One process answers one request at a time.

    python app.py
    gunicorn --workers 1 --bind 127.0.0.1:8000 app:app
"""

import json
import uuid

from flask import Flask, Response, abort, request
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.exceptions import HTTPException


class Flower(BaseModel):
    width: float


def f(flowers: list[Flower]) -> float:
    return sum(one.width for one in flowers)


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


def to_json(value):
    """What JSON has for values that it does not know."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a {type(value).__name__} cannot be JSON")


@app.post("/predict")
def answer():
    flowers = validate(TypeAdapter(list[Flower]).validate_python, read_input())
    text = json.dumps(f(flowers), default=to_json, allow_nan=False)
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
