"""A program has the environment that the session has when its cell is run."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from conftest import Notebook

# How a cell sets the variable, and the length of what it sets it to.
SET = {
    "module": (
        "import pathlib\n_ = pathlib.Path('my_env.py').write_text('import os\\ndef load():\\n"
        '    os.environ["BY_MODULE"] = "abc"\\n\')\nimport my_env\nmy_env.load()',
        "BY_MODULE",
        3,
    ),
    "magic": ("%env BY_MAGIC=abcd", "BY_MAGIC", 4),
    "code that is not seen": ("import os\nexec(\"os.environ['BY_EXEC'] = 'ab'\")", "BY_EXEC", 2),
    "a call that is not seen": ("import os\ngetattr(os.environ, 'update')(BY_CALL='abcde')", "BY_CALL", 5),
}


@pytest.mark.parametrize("case", SET)
def test_a_trial_sees_what_the_session_sees(notebook: Notebook, case: str) -> None:
    cell, name, length = SET[case]
    assert notebook.run(cell).status == "ok"
    shown = notebook.run(
        f"%%train --name {name.lower().replace('_', '-')}\ndef f():\n    import os\n"
        f"    return {{'n': len(os.environ.get('{name}', ''))}}"
    )
    assert shown.status == "ok", shown.plain
    assert notebook.run("int(run.trials[0].metrics['n'])").results == [str(length)]


def test_a_server_sees_what_the_session_sees(notebook: Notebook) -> None:
    notebook.run("import os\nexec(\"os.environ['FOR_SERVER'] = 'abc'\")")
    shown = notebook.run(
        "%%serve --name seeing\ndef look(x: int):\n    import os\n    return os.environ.get('FOR_SERVER')"
    )
    assert shown.status == "ok", shown.plain
    asked = notebook.run("import urllib.request as u\nu.urlopen(server.url + '?x=1').read()")
    assert asked.results == ["b'abc'"], asked.plain
    assert notebook.run("server.stop()").status == "ok"


def test_the_environment_is_the_owners_alone_and_not_in_the_key(notebook: Notebook) -> None:
    cell = "%%train --name kept\ndef f():\n    raise ValueError"
    keys = []
    for text in ("one", "two"):
        notebook.run(f"import os\nexec(\"os.environ['PLANTED'] = '{text}'\")")
        notebook.run(cell)
        shown = json.loads(notebook.metaml("show", "last", "--json"))
        folder = Path(notebook.run("print(run.trials[0].output)").text.strip()).parents[2]
        keys.append(json.loads((folder / "run.json").read_text())["key"])
        kept = folder / "environment.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        environment = json.loads(kept.read_text())
        assert f"PLANTED={text}" in environment, shown["name"]
        assert not [v for v in environment if v.startswith(("METAML_", "_METAML_", "JPY_", "FORCE_COLOR="))]
    assert keys[0] == keys[1]


ASKED = {
    "guarded": 'import os\nfrom getpass import getpass\nif not os.environ.get("GUARDED"):\n'
    '    os.environ["GUARDED"] = getpass("key: ")',
    "plain": 'import getpass as gp\nos.environ["PLAIN"] = gp.getpass("key: ")',
    "input": 'os.environ["INPUT"] = input("key: ")',
    "by a name": 'KEY = input("key: ")\nos.environ["NAMED"] = KEY',
    "by a function": "def ask(name):\n    os.environ[name] = gp.getpass(name)\nask('FUNCTION')",
}


def answer(notebook: Notebook, code: str, text: str) -> None:
    """Execute a cell that asks once, and answer it."""
    client = notebook.client
    client.allow_stdin = True
    try:
        parent = client.execute(code, allow_stdin=True)
        client.get_stdin_msg(timeout=60)
        client.input(text)
        while client.get_shell_msg(timeout=60)["parent_header"]["msg_id"] != parent:
            pass
    finally:
        client.allow_stdin = False


@pytest.mark.parametrize("case", ASKED)
def test_what_a_person_was_asked_for_is_there(notebook: Notebook, case: str) -> None:
    name = {"by a name": "NAMED", "by a function": "FUNCTION"}.get(case, case.upper())
    notebook.run("import os, getpass as gp")
    answer(notebook, ASKED[case], "secret")
    assert notebook.run(f"os.environ['{name}']").results == ["'secret'"]
    shown = notebook.run(f"%%train --name asked-{name.lower()}\ndef f():\n    return len(os.environ['{name}'])")
    assert shown.status == "ok", shown.plain
    assert notebook.run("run.trials[0].metrics").results == ["{'value': 6.0}"]
    shown = notebook.run("%%serve --name asking\ndef look(x: int):\n    return x")
    assert shown.status == "ok", shown.plain
    assert notebook.run("server.stop()").status == "ok"


def test_what_is_not_there_any_more_is_refused_by_name(notebook: Notebook) -> None:
    notebook.run("import os")
    answer(notebook, 'os.environ["TAKEN"] = input("key: ")', "secret")
    notebook.run("exec(\"del os.environ['TAKEN']\")")
    shown = notebook.run("%%train --name taken\ndef f():\n    return len(os.environ['TAKEN'])")
    assert (
        "f reads the variable TAKEN of the environment, which is not set and which input() asks for" in shown.error
    ), shown.error
