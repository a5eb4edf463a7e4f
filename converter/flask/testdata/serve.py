"""Serves Flask applications, each under its file's name, on one port of its own, which it prints: python serve.py FILE.py …"""

import importlib.util
import sys
from pathlib import Path

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return next(value for value in vars(module).values() if type(value).__name__ == "Flask")


def not_found(environ, start_response):
    start_response("404 NOT FOUND", [])
    return [b""]


apps = {f"/{path.stem}": load(path) for path in map(Path, sys.argv[1:])}
server = make_server("127.0.0.1", 0, DispatcherMiddleware(not_found, apps), threaded=True)
print(server.port, flush=True)
server.serve_forever()
