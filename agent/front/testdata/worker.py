"""A real worker without an agent: `worker.py SOCKET FUNCTION BATCH` serves a function of functions.py."""

import os
import sys
from typing import Any

from metaml._trial.program import Program
from metaml._worker import concurrent
from metaml._worker import worker as workers
from metaml._worker.service import Service


def main() -> None:
    path, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    folder = os.path.dirname(os.path.abspath(__file__))
    program = Program({"dir": folder, "main": os.path.join(folder, "functions.py"), "entry": name})
    sys.modules["__main__"] = program.module
    program.run()
    service = Service(program, {"batch": batch, "path": os.environ.get("SERVE_PATH", "/predict")})
    listener = workers.listen(path)
    worker: Any = (
        concurrent.Worker(service, listener) if service.signature.concurrent else workers.Worker(service, listener)
    )
    print("ready", flush=True)
    worker.run()


if __name__ == "__main__":
    main()
