"""Executes the cells of a notebook by nbclient, and leaves it with its outputs.

    python notebook.py NOTEBOOK [INTERRUPT-AT]

Once a cell shows the text INTERRUPT-AT it is interrupted, as by the button ■. Ends with 1 if a cell failed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import nbformat
from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


class Client(NotebookClient):
    """nbclient that interrupts the kernel once a text is shown."""

    interrupt_at: str = ""
    interrupting: asyncio.Task[None] | None = None

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        done = super().process_message(msg, cell, cell_index)
        text = json.dumps(msg["content"], ensure_ascii=False)
        if self.interrupt_at and self.interrupt_at in text and self.interrupting is None:
            self.interrupting = asyncio.ensure_future(self.interrupt())
        return done

    async def interrupt(self) -> None:
        assert self.km is not None
        await ensure_async(self.km.interrupt_kernel())


def main(path: str, interrupt_at: str = "") -> int:
    notebook = nbformat.read(path, as_version=4)
    client = Client(notebook, timeout=180)
    client.interrupt_at = interrupt_at
    try:
        client.execute()
    except CellExecutionError:
        return 1
    finally:
        nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
