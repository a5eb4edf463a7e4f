"""What an application has besides its function. FUNCTION is the function's name."""

import json
import uuid

from flask import Flask
from werkzeug.exceptions import HTTPException

app = Flask(__name__)


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
    app.logger.exception("%s FUNCTION failed", number)
    message = "FUNCTION failed; the log has the reason under this id"
    return {"error": message, "id": number}, 500
