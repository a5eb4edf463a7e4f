"""What stands for the functions and classes that a notebook takes from metaml.

The application calls metaml_X by the name that its code has for metaml's X.
"""

import json
import os
from pathlib import Path

from flask import Response
from werkzeug.exceptions import HTTPException


def metaml_model():
    """The folder with the files of the model: $MODEL, else ./model."""
    return Path(os.environ.get("MODEL", "model"))


def metaml_model_of_run(run=None):
    """The folder with the files of the model: $MODEL, else ./model."""
    return Path(os.environ.get("MODEL", "model"))


def metaml_output():
    """The folder for files that are written: $OUTPUT, else ./output."""
    folder = Path(os.environ.get("OUTPUT", "output"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def metaml_report(step=None, **metrics):
    values = ", ".join(f"{name} {value}" for name, value in metrics.items())
    print(values if step is None else f"step {step}: {values}")


def metaml_checkpoint():
    """What is written stays where it is."""


def metaml_trial():
    """None: there are no trials here."""


def metaml_attempt():
    """None: there are no trials here."""


def metaml_seed():
    """The same number until the process ends."""
    return os.getpid()


class metaml_HTTPError(HTTPException):
    """An error with a status of the function's own."""

    def __init__(self, status, text="", *, headers=None):
        super().__init__(text)
        self.code = self.status = status
        self.description = self.text = text or self.name
        self.headers = headers or {}

    def get_headers(self, *arguments):
        return [*super().get_headers(*arguments), *dict(self.headers).items()]


def metaml_Response(body=b"", *, type="", status=200, headers=None):
    """An answer with a content type, a status or headers of its own."""
    if isinstance(body, str):
        type = type or "text/plain"
    elif isinstance(body, bytes) or hasattr(body, "__next__"):
        type = type or "application/octet-stream"
    else:
        body, type = json.dumps(body), type or "application/json"
    return Response(body, status, headers, mimetype=type)
