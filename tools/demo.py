"""Executes a notebook without a front end and prints what its cells print, as they do.

    python tools/demo.py [--target TARGET] [--namespace NAMESPACE]
                         [--image IMAGE | --repository REPOSITORY [--base IMAGE]] NOTEBOOK FOLDER

Leaves FOLDER/NAME.ipynb with the outputs, also when a cell failed, and FOLDER/NAME.html, one page that needs no
network. Ends with 0, with 1 if a cell failed, with 130 if it was interrupted. nbclient does the work, as for `jupyter
execute`, which prints nothing.

On another target than local the notebook's runs are deleted at the end, however it ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

# A table under a cell changes up to ten times a second; a terminal wants less.
PAUSE = 1.0


class Printer:
    """Prints outputs as plain lines, and of an output that is updated in place only what is new in it."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {}  # display id → the lines that were printed of it
        self.latest: dict[str, tuple[str, ...]] = {}  # display id → its newest lines
        self.printed: dict[str, float] = {}  # display id → when it was last printed

    def lines(self, text: str) -> None:
        for line in text.rstrip("\n").splitlines():
            print("      " + line, flush=True)

    def show(self, display_id: str | None, text: str) -> None:
        if display_id is None:
            self.lines(text)
            return
        self.latest[display_id] = tuple(text.splitlines())
        if time.monotonic() - self.printed.get(display_id, 0.0) >= PAUSE:
            self.flush(display_id)

    def flush(self, display_id: str) -> None:
        """Prints the lines that this display did not show before."""
        seen = self.seen.setdefault(display_id, set())
        fresh = [line for line in self.latest[display_id] if line not in seen]
        seen.update(fresh)
        if fresh:
            self.printed[display_id] = time.monotonic()
            self.lines("\n".join(fresh))

    def end_of_cell(self) -> None:
        for display_id in self.latest:
            self.flush(display_id)


class Client(NotebookClient):
    """nbclient that hands every output of a cell to a printer."""

    printer: Printer

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        content = msg["content"]
        if msg["msg_type"] == "stream":
            self.printer.lines(content["text"])
        elif msg["msg_type"] in ("display_data", "update_display_data", "execute_result"):
            text = content["data"].get("text/plain", "(no text)")
            self.printer.show(content.get("transient", {}).get("display_id"), text)
        elif msg["msg_type"] == "error":
            self.printer.lines("\n".join(content["traceback"]))
        return super().process_message(msg, cell, cell_index)


def first_line(source: str) -> str:
    line = source.strip().splitlines()[0] if source.strip() else "(empty)"
    return line if len(line) <= 100 else line[:97] + "..."


def execute(notebook: nbformat.NotebookNode, folder: Path) -> int:
    """Runs all cells, prints them, and answers the exit code."""
    printer = Printer()
    started = time.monotonic()
    total = sum(cell.cell_type == "code" for cell in notebook.cells)
    number = 0

    def on_start(cell: Any, cell_index: int) -> None:
        nonlocal number
        if cell.cell_type == "code":
            number += 1
            print(f"[{number}/{total}] {first_line(cell.source)}", flush=True)

    def on_executed(**_: Any) -> None:
        printer.end_of_cell()

    client = Client(
        notebook,
        timeout=None,
        # Our kernel holds a cell until its sweep ended, which may take any time.
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=on_start,
        on_cell_executed=on_executed,
    )
    client.printer = printer
    try:
        client.execute()
    except CellExecutionError as problem:
        print(f"cell {number} failed: {problem.ename}: {problem.evalue}", file=sys.stderr)
        return 1
    except DeadKernelError:
        print(f"the kernel died while cell {number} ran", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted", file=sys.stderr)
        return 130
    print(f"{total} cells in {time.monotonic() - started:.0f} s")
    return 0


def to_html(notebook: nbformat.NotebookNode, title: str) -> str:
    """One page that stands alone: no script is fetched when it is opened."""
    exporter = HTMLExporter(
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        mermaid_js_url="",
        mermaid_layout_elk_js_url="",
        embed_images=True,
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return str(page)


def metaml(*line: str) -> subprocess.CompletedProcess[str]:
    """Runs one of MetaML's commands. What it says, beside its result, goes to the terminal."""
    return subprocess.run(["metaml", *line], stdout=subprocess.PIPE, text=True)


def delete_runs() -> int:
    """Deletes the runs that are known here, after those that go on have been stopped, and answers the exit code."""
    code = 0
    for run in json.loads(metaml("runs", "--json").stdout or "[]"):
        if run["liveness"] != "ended":
            metaml("stop", "--now", run["name"])
            metaml("attach", run["name"])  # until it has ended
        code = max(code, metaml("delete", run["name"]).returncode)
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description="execute a notebook and print what its cells print")
    parser.add_argument("--target", default="local", help="where sweeps run: local or kubernetes")
    options = {
        "image": "the image of its pods",
        "repository": "where an image of this environment goes",
        "base": "the image that one is put on",
        "namespace": "the namespace in the cluster",
    }
    for name, what in options.items():
        parser.add_argument(f"--{name}", default="", help=what)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    notebook = nbformat.read(arguments.notebook, as_version=4)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in ("target", *options):
        if getattr(arguments, name):
            os.environ[f"METAML_{name.upper()}"] = getattr(arguments, name)
    if arguments.target == "local":
        code = execute(notebook, arguments.notebook.parent)
    else:
        with tempfile.TemporaryDirectory(prefix="metaml-demo-", ignore_cleanup_errors=True) as data:
            os.environ["XDG_DATA_HOME"] = data  # it knows no runs but the notebook's
            try:
                code = execute(notebook, arguments.notebook.parent)
            finally:
                left = delete_runs()
            code = code or left
    stem = arguments.folder / arguments.notebook.stem
    nbformat.write(notebook, f"{stem}.ipynb")
    Path(f"{stem}.html").write_text(to_html(notebook, arguments.notebook.stem), encoding="utf-8")
    print(f"see {stem}.ipynb and {stem}.html")
    return code


if __name__ == "__main__":
    sys.exit(main())
