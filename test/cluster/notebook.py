"""Executes the cells of a notebook by nbclient, and leaves it with its outputs.

    python notebook.py NOTEBOOK [interrupt|kill TEXT]

Once a cell shows the text it is interrupted, as by the button ■, or the kernel is killed with all that it started and
did not detach. Ends with 1 if a cell failed or the kernel died.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError


class Client(NotebookClient):
    """nbclient that does something to the kernel once a text is shown."""

    act: str = ""
    at: str = ""
    acting: asyncio.Task[None] | None = None

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        done = super().process_message(msg, cell, cell_index)
        if self.act and self.acting is None and self.at in json.dumps(msg["content"], ensure_ascii=False):
            self.acting = asyncio.ensure_future(self.interrupt() if self.act == "interrupt" else self.kill())
        return done

    async def interrupt(self) -> None:
        assert self.km is not None
        await ensure_async(self.km.interrupt_kernel())

    async def kill(self) -> None:
        assert self.km is not None
        pid = getattr(self.km.provisioner, "pid", 0)
        assert pid, "there is no kernel to kill"  # the group of 0 is our own
        os.killpg(os.getpgid(pid), signal.SIGKILL)


def main(path: str, act: str = "", at: str = "") -> int:
    notebook = nbformat.read(path, as_version=4)
    client = Client(notebook, timeout=180)
    client.act, client.at = act, at
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError):
        return 1
    finally:
        nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
