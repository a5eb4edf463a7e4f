"""Runs three cells by nbclient in the kernel "metaml" and prints what they print, as an editor would show it."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

notebook = nbformat.v4.new_notebook(
    cells=[
        nbformat.v4.new_code_cell("import sys\nprint(sys.prefix)"),
        nbformat.v4.new_code_cell(
            "%%train\ndef train_model():\n    print('trial saw', 1 + 2)\n    return {'value': 3}"
        ),
        nbformat.v4.new_code_cell("print(run.logs(0), end='')\nprint(run.state)"),
    ],
    metadata={"kernelspec": {"name": "metaml", "display_name": "", "language": "python"}},
)
NotebookClient(notebook, timeout=120).execute()
for number in (0, 2):
    for output in notebook.cells[number].outputs:
        if output.output_type == "stream" and output.name == "stdout":
            print(output.text, end="")
