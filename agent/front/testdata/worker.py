"""A real worker without an agent: `worker.py SOCKET FUNCTION BATCH` serves a function of functions.py."""

import os
import sys
from typing import Any

from metaml import _concurrent, _serving
from metaml._loader import Program


def main() -> None:
    path, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = os.path.dirname(os.path.abspath(__file__))
    program = Program({"dir": folder, "main": os.path.join(folder, "functions.py"), "entry": name})
    sys.modules["__main__"] = program.module
    program.run()
    service = _serving.Service(program, {"batch": batch, "path": os.environ.get("SERVE_PATH", "/predict")})
    listener = _serving.listen(path)
    worker: Any = _concurrent.Worker(service, listener) if service.signature.concurrent else _serving.Worker(service, listener)
    print("ready", flush=True)
    worker.run()


if __name__ == "__main__":
    main()
