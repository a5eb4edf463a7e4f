"""Which front end executes a cell, and whether it replaces a display when that is updated.

Many clients show an `update_display_data` where the display stands. Some of those that execute on the server, and most
consoles, ignore it or show it as one more output. They get progress as lines of text and the table once
(docs/internals/kernel.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

#: Process that started the kernel. Where our kernel stands between, it says which; magics.py takes that out of the
#: environment.
starter = ""


def updates(message: Mapping[str, Any]) -> bool:
    """Whether who sent this execute_request replaces a display that is updated."""
    metadata, content = message.get("metadata") or {}, message.get("content") or {}
    if metadata.get("cellId"):
        return True  # JupyterLab, Jupyter Notebook 7 and VS Code, when they execute by themselves
    # nbclient names no cell, but says that nobody is there to answer a question; papermill, nbconvert, `jupyter
    # execute` and nbmake are it. Extensions of a Jupyter server say the same, and those do not replace.
    return content.get("allow_stdin") is False and not _server()


def _server() -> bool:
    """Whether a Jupyter server started this kernel: such a server keeps a file about itself."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        folder = jupyter_runtime_dir()
    except (ImportError, OSError):
        return False
    pid = starter or os.environ.get("JPY_PARENT_PID") or str(os.getppid())
    return any(os.path.exists(os.path.join(folder, f"{kind}-{pid}.json")) for kind in ("jpserver", "nbserver"))
