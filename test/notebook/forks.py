"""Real kernels that start fast: one process imports ipykernel, and forks for each kernel."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

# Gets connections, each with a connection file, a folder and an environment, and is a kernel for each in a fork. The
# connection ends when the kernel does, and a kernel when its connection does. All end with the standard input.
PARENT = """
import json, os, select, signal, socket, sys, threading
import ipykernel.ipkernel, ipykernel.kernelapp, ipykernel.zmqshell, IPython.core.completer
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(64)
print("ready", flush=True)
while True:
    if sys.stdin in select.select([server, sys.stdin], [], [])[0]:
        os.killpg(0, signal.SIGKILL)  # the tests are over, or were killed
    connection, _ = server.accept()
    kernel = json.loads(connection.makefile().readline())
    if os.fork():
        connection.close()
        continue
    server.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(kernel["folder"])
    os.environ.clear()
    os.environ.update(kernel["environment"])
    sys.argv = ["kernel", "-f", kernel["file"]]
    sys.path[0] = ""
    threading.Thread(target=lambda: (connection.recv(1), os._exit(0)), daemon=True).start()
    ipykernel.kernelapp.launch_new_instance()
    os._exit(0)
"""

# What jupyter_client starts in place of a kernel: it asks for one, and lasts as long.
CHILD = """
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
kernel = {"file": sys.argv[2], "folder": os.getcwd(), "environment": dict(os.environ)}
connection.sendall(json.dumps(kernel).encode() + b"\\n")
connection.recv(1)
"""


class ForkedKernels:
    """Gives managers of such kernels."""

    def __enter__(self) -> ForkedKernels:
        self.folder = tempfile.TemporaryDirectory()
        self.socket = str(Path(self.folder.name) / "kernels")
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, self.socket],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.parent.stdout is not None
        assert self.parent.stdout.readline() == "ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.close()
        self.parent.wait()
        self.parent.stdout.close()
        self.folder.cleanup()

    def manager(self) -> AsyncKernelManager:
        """A manager of a kernel that is started by the next call of its start_kernel."""
        manager = AsyncKernelManager(kernel_name="python3")
        manager._kernel_spec = KernelSpec(
            argv=[sys.executable, "-I", "-S", "-c", CHILD, self.socket, "{connection_file}"], language="python"
        )
        return manager
