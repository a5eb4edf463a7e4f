"""A notebook and its script agree: the notebook under nbclient and a real kernel, the script that metaml-nbconvert
writes under python, both in folders of their own.

What may differ, and nothing else:

- what magics say of themselves (%cd, %env, %%writefile, %%time …), and all of a cell with the tag `looks`, whose magics
  only look: a script leaves them out;
- commands end their lines as on a terminal in a notebook;
- a figure is a picture in the notebook and a file beside the script;
- progress bars go to the standard error of a script;
- Markdown prints its text, where a notebook's text is `<IPython.core.display.Markdown object>`.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from forks import ForkedKernels
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from surroundings import BIN, environment

ROOT = BIN.parent
AT_ONCE = 4
MARK = re.compile(r"^# %%(?: \[(markdown|raw)\])?(?: tags=(\[.*\]))?(?: count=(\d+))?$")

# The values of names at the end, of simple types alone; both run this as their last lines.
VALUES = """
def _metaml_values(names):
    def simple(value):
        if type(value) in (list, tuple, set, frozenset):
            return all(map(simple, value))
        if type(value) is dict:
            return all(map(simple, [*value, *value.values()]))
        return value is None or type(value) in (int, float, str, bool, bytes, complex)
    return {name: repr(sorted(value, key=repr) if type(value) in (set, frozenset) else value)
            for name, value in names.items() if name[:1] != "_" and name not in ("In", "Out") and simple(value)}
with open(__import__("os").environ["METAML_VALUES"], "w") as _metaml_file:
    __import__("json").dump(_metaml_values(dict(globals())), _metaml_file)
"""

#: What magics print of what they do.
SAID = re.compile(
    r"^ *(env: .*|Writing .*|Appending to .*|Overwriting .*|CPU times: .*|Wall time: .*|FOLDER\S*|mkdir: .*"
    r"|\(bookmark:.*|\d.* per loop \(mean .*|.*%pylab is deprecated.*|Populating the interactive namespace .*)\n"
    r"|^ \n.*function calls.*\n(?:.*\n)*?(?=\Z)",
    re.MULTILINE,
)
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


@dataclass
class Case:
    """A notebook as text, in the form of converter/script/testdata/corpus."""

    name: str
    options: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Writes the notebook and the files beside it."""
        for name, text in self.files.items():
            if name == "notebook" or name.endswith(".ipynb"):
                target = folder / (self.name + ".ipynb" if name == "notebook" else name)
                nbformat.write(notebook_of(text), target)
            elif "." in name:
                (folder / name).write_text(text, encoding="utf-8")


def notebook_of(text: str) -> Any:
    """A notebook of cells between marks."""
    cells: list[Any] = []
    for line in text.removesuffix("\n").split("\n"):
        if found := MARK.match(line):
            make: dict[str | None, Any] = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}
            new: Callable[[], Any] = make.get(found[1], nbformat.v4.new_code_cell)
            cells.append(new())
            cells[-1].metadata["tags"] = json.loads(found[2] or "[]")
            cells[-1]["lines"] = []
        else:
            cells[-1]["lines"].append(line)
    for cell in cells:
        cell["source"] = "\n".join(cell.pop("lines"))
    return nbformat.v4.new_notebook(cells=cells)


def archive(path: Path) -> Case:
    """An archive of the corpus."""
    about, *parts = re.split(r"(?m)^-- (\S+) --\n", path.read_text(encoding="utf-8"))
    options = re.search(r"(?m)^options: (.*)$", about)
    return Case(path.stem, options[1].split() if options else [], dict(zip(parts[::2], parts[1::2], strict=True)))


#: A notebook is executed as it stands, so that one which installs anything would do so on the machine of the tests.
INSTALLS = re.compile(
    r"\b(pip3?|conda|mamba|micromamba|uv|apt|apt-get|brew|npm)\b.*\b(install|add|update|sync|remove)\b"
)


def cases() -> list[Case]:
    """The notebooks that can run here. One that names an installer is never run, whatever its options say."""
    corpus = [archive(path) for path in sorted((ROOT / "converter/script/testdata/corpus").glob("*.txtar"))]
    no = {"norun", "quiet"} | ({"python3.12"} if sys.version_info < (3, 12) else set())
    return [
        case
        for case in corpus
        if "refused" not in case.files
        and not no & set(case.options)
        and not any(INSTALLS.search(text) for name, text in case.files.items() if name not in ("script", "notes"))
    ]


def in_script(case: Case, cell: Any) -> bool:
    """Whether a script has what a cell shows."""
    left_out = {"remove-cell", "remove_cell", "metaml-skip", "active-ipynb", "looks"}
    return cell.cell_type == "code" and not left_out & set(cell.metadata.get("tags", []))


@dataclass
class Ran:
    """What running gave."""

    printed: str = ""
    figures: int = 0
    values: dict[str, str] = field(default_factory=dict)
    failed: str = ""


def surrounding(folder: Path) -> dict[str, str]:
    """The environment of a notebook or script in a folder."""
    env = {name: value for name, value in environment(folder).items() if name != "MPLBACKEND"}
    return {**env, "METAML_VALUES": str(folder / "VALUES")}


async def as_notebook(case: Case, folder: Path, kernels: ForkedKernels) -> Ran:
    """What the notebook shows."""
    ran = Ran()
    book = nbformat.read(folder / f"{case.name}.ipynb", as_version=4)
    book.cells = [
        cell
        for cell in book.cells
        if not {"remove-cell", "remove_cell", "metaml-skip", "active-ipynb"} & set(cell.metadata.get("tags", []))
    ]
    book.cells.append(nbformat.v4.new_code_cell(VALUES))
    manager = kernels.manager()
    client = NotebookClient(
        book, km=manager, timeout=60, allow_errors=False, resources={"metadata": {"path": str(folder)}}
    )
    try:
        await client.async_execute(env=surrounding(folder))
    except (CellExecutionError, DeadKernelError) as error:
        ran.failed = str(error)
        return ran
    finally:  # nbclient leaves the kernel of a manager that it was given
        await manager.shutdown_kernel(now=True)
    ran.values = json.loads((folder / "VALUES").read_text().replace(str(folder), "FOLDER"))
    for cell in book.cells:
        if not in_script(case, cell):
            continue
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stdout":
                ran.printed += output.text
            elif "updated" in case.options and output.output_type == "display_data":
                pass  # a script shows each value, a notebook the last in place of the first
            elif output.output_type in ("display_data", "execute_result"):
                ran.figures += "image/png" in output.data
                if "image/png" in output.data and output.output_type == "display_data":
                    continue
                text = output.data.get("text/plain", "")
                if "text/markdown" in output.data:
                    text = output.data["text/markdown"]
                if "application/vnd.jupyter.widget-view+json" in output.data and "it/s" in text:
                    continue
                ran.printed += text + "\n"
    ran.printed = ran.printed.replace(str(folder), "FOLDER")
    return ran


async def as_script(case: Case, folder: Path) -> Ran:
    """What the script prints."""
    ran = Ran()
    script = folder / f"{case.name}.py"
    with script.open("a", encoding="utf-8") as file:
        file.write(VALUES)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        script.name,
        cwd=folder,
        env=surrounding(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    except asyncio.TimeoutError:
        process.kill()
        ran.failed = "it does not end"
        return ran
    ran.printed = out.decode().replace(str(folder), "FOLDER")
    if process.returncode:
        ran.failed = err.decode()
        return ran
    ran.values = json.loads((folder / "VALUES").read_text().replace(str(folder), "FOLDER"))
    ran.figures = err.decode().count("saved the figure ")
    return ran


def normal(text: str) -> str:
    """A text without what may differ."""
    return ADDRESS.sub("0x…", SAID.sub("", text.replace("\r\n", "\n"))).rstrip("\n")


async def both(case: Case, folder: Path, kernels: ForkedKernels, slots: asyncio.Semaphore) -> tuple[Ran, Ran]:
    """What the notebook and its script give."""
    async with slots:
        return await as_notebook(case, folder / "notebook", kernels), await as_script(case, folder / "script")


async def run_all(all_cases: list[Case], folder: Path) -> dict[str, tuple[Ran, Ran]]:
    """What notebooks and scripts give, several at once."""
    for case in all_cases:
        for kind in ("notebook", "script"):
            (folder / case.name / kind).mkdir(parents=True)
            case.write(folder / case.name / kind)
        options = ["--parameters"] if "parameters" in case.options else []
        subprocess.run(
            [BIN / "metaml-nbconvert", f"{case.name}.ipynb", *options], check=True, cwd=folder / case.name / "script"
        )
    slots = asyncio.Semaphore(AT_ONCE)
    with ForkedKernels() as kernels:
        done = await asyncio.gather(*(both(case, folder / case.name, kernels, slots) for case in all_cases))
    return dict(zip([case.name for case in all_cases], done, strict=True))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ran, Ran]]:
    """What all notebooks and scripts of the corpus give."""
    return asyncio.run(run_all(cases(), tmp_path_factory.mktemp("scripts")))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_script_does_what_its_notebook_does(case: Case, results: dict[str, tuple[Ran, Ran]]) -> None:
    notebook, script = results[case.name]
    assert not notebook.failed, f"the notebook fails: {notebook.failed}"
    assert not script.failed, f"the script fails: {script.failed}"
    assert normal(script.printed) == normal(notebook.printed)
    if "elsewhere" not in case.options:  # the notebook asks where it is, or the names are a library's
        assert script.values == notebook.values
    assert script.figures == notebook.figures


def plain_cells(name: str) -> list[str]:
    """The code cells of a notebook that people wrote, as far as they run here: without a sweep and a server."""
    if name == "digits":
        book = nbformat.read(ROOT / "examples/digits.ipynb", as_version=4)
        cells = [str(cell.source) for cell in book.cells if cell.cell_type == "code"]
        # Those behind the training need its run; the training stays, as the function that it defines.
        first = next(i for i, cell in enumerate(cells) if cell.startswith("%%train"))
        module = str(ROOT / "jupyter-ext/python")
        return [
            f"import sys\nsys.path.insert(0, {module!r})",
            *cells[:first],
            cells[first].split("\n", 1)[1],
            "drawer_x.shape, get_hyperparameters, train_model",
        ]
    text = (ROOT / f"converter/program/testdata/notebooks/{name}.txtar").read_text(encoding="utf-8")
    _, *parts = re.split(r"(?m)^-- (\S+) --\n", text)
    cells = [part for kind, part in zip(parts[::2], parts[1::2], strict=True) if kind == "cell"]
    return [*cells, "f()"]


#: What a decorator of one of them measures.
SECONDS = re.compile(r"\b\d[.\d]*e-0\d\b")

WRITTEN = ["digits", *sorted(p.stem for p in (ROOT / "converter/program/testdata/notebooks").glob("*.txtar"))]


def test_scripts_of_written_notebooks_do_what_these_do(tmp_path: Path) -> None:
    written = []
    for name in WRITTEN:
        cells = "\n".join(f"# %%\n{cell.rstrip()}" for cell in plain_cells(name))
        # A script that is called dataclasses.py would import itself.
        written.append(Case(f"written_{name}", files={"notebook": cells}))
    results = asyncio.run(run_all(written, tmp_path))
    for case in written:
        notebook, script = results[case.name]
        assert not notebook.failed, f"{case.name}: the notebook fails: {notebook.failed}"
        assert not script.failed, f"{case.name}: the script fails: {script.failed}"
        assert SECONDS.sub("…", normal(script.printed)) == SECONDS.sub("…", normal(notebook.printed)), case.name
        assert script.values == notebook.values, case.name
        assert script.figures == notebook.figures, case.name


def undefined(folder: Path, pattern: str, *options: str) -> dict[str, set[str]]:
    """What ruff finds wrong in files: undefined names, and what is no Python."""
    done = subprocess.run(
        [
            ROOT / "build/venv-tools/bin/ruff",
            "check",
            "--isolated",
            "--no-cache",
            "--select=F821,E9",
            "--output-format=json",
            *options,
            *folder.rglob(pattern),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, set[str]] = {}
    for problem in json.loads(done.stdout):
        found.setdefault(Path(problem["filename"]).stem, set()).add(problem["message"])
    return found


def test_no_name_of_a_script_is_undefined_that_the_notebook_defined(tmp_path: Path) -> None:
    for case in cases():
        (tmp_path / case.name).mkdir()
        case.write(tmp_path / case.name)
    subprocess.run([BIN / "metaml-nbconvert", "."], cwd=tmp_path, check=True)
    notebooks = undefined(tmp_path, "*.ipynb")
    # Python 3.9 can read all of a script but what the notebook itself has of newer ones.
    newer = re.compile(r"on Python 3\.9|annotation")
    scripts = undefined(tmp_path, "*.py", "--target-version=py39")
    for name in {case.name for case in cases()} & set(scripts):
        problems = scripts[name]
        if newer.search(str(notebooks.get(name))):
            continue
        new = {p for p in problems - notebooks.get(name, set()) if "match" not in p}
        assert not new, f"{name}: {new}"
