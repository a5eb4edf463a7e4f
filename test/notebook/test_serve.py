"""`%%serve` from a real kernel: the endpoint is there, the cell says so, and neither the kernel's end nor a new version
is a failed request.
"""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Notebook, Shown, ended, module_folder, monitor_of, show
from surroundings import BIN, until

# Top-level code that raises, but not in the notebook.
ONLY_HERE = """
import sys
{} = {{'IPython': 1}}[
    [m for m in sys.modules if m in ('IPython', 'metaml._trial.trial', 'metaml._worker.worker')][0]
]"""
URL = re.compile(r"http://127\.0\.0\.1:\d+/\S+")


@pytest.fixture(autouse=True)
def nothing_stays(notebook: Notebook) -> Iterator[None]:
    """No server is left running after a test."""
    yield
    for run in json.loads(notebook.metaml("runs", "--json")):
        if run["kind"] == "serve" and run["state"] not in ("stopped", "failed"):
            stop(notebook, run["name"])


def stop(notebook: Notebook, name: str) -> None:
    monitor = monitor_of(notebook, name)
    family = [monitor, *monitor.children(recursive=True)]
    notebook.metaml("stop", name)
    until(lambda: ended(notebook, name), f"{name} has stopped")
    _, left = psutil.wait_procs(family, timeout=30)
    assert left == [], "front, loader and workers end with it"


def post(url: str, value: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(value).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def url_of(shown: Shown) -> str:
    """The address that a cell says."""
    assert shown.status == "ok", shown.traceback
    found = URL.search(shown.plain)
    assert found, shown.plain
    return found[0]


def test_the_cell_says_where_and_how_to_ask(notebook: Notebook) -> None:
    notebook.run("import numpy as np\nweights = np.array([1.0, 2.0])")
    shown = notebook.run(
        "%%serve --example sample\nsample = np.array([1.0, 1.0])\n"
        "def score(x: list[float]):\n    return {'score': float(weights @ np.array(x)), 'n': len(x)}"
    )
    url = url_of(shown)
    assert re.search(rf"score-1 +ready +.*{re.escape(url)}|score-1 +ready on {re.escape(url)}", shown.plain)
    assert len(shown.displays) == 2, "the slice and the server"
    [line] = [line for line in shown.plain.splitlines() if line.startswith("curl ")]
    answer = json.loads(subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout)
    assert answer == {"score": 3.0, "n": 2}, "the very line calls the function"
    assert post(url, [1, 2]) == {"score": 5.0, "n": 2}
    # What the user holds.
    assert notebook.run(f"server.name, _.name, Out[{shown.count}].url").results == [f"('score-1', 'score-1', '{url}')"]
    assert notebook.run("server.predict(np.array([3.0, 4.0]))").results == ["{'score': 11.0, 'n': 2}"]
    assert notebook.run("server.state, server.ready, server.revision, len(server.workers)").results == [
        "('running', True, 1, 1)"
    ]
    refused = notebook.run("server.predict(['a'])")
    assert refused.error.startswith("RequestFailed: score-1 answered 422: "), refused.error
    assert "x[0]" in refused.error
    assert "score-1" in notebook.run("server").plain
    # From the outside, and from other cells.
    assert re.search(r"score-1 +(running|ready)", notebook.metaml("runs"))
    assert url in notebook.run("%metaml show server").plain
    assert url in notebook.run("%metaml attach server").plain
    assert notebook.run("import metaml; metaml.run('score') == server, server in metaml.runs()").results == [
        "(True, True)"
    ]
    assert notebook.run("server.stop(); server.state").results == ["'stopped'"]
    gone = notebook.run("server.predict([1.0])")
    assert gone.error.startswith("MetaMLError: score-1 was stopped, so nothing answers"), gone.error
    with pytest.raises(urllib.error.URLError):
        post(url, [1, 2])


def test_into_and_a_name_of_the_users(notebook: Notebook) -> None:
    notebook.run("server = 'mine'")
    shown = notebook.run("%%serve --name courteous\ndef f(x): return x")
    assert f"`server` is yours, so the server is in Out[{shown.count}]; --into NAME gives it a name." in shown.text
    assert notebook.run("server").results == ["'mine'"]
    notebook.run("del server")
    assert notebook.run("%%serve --name courteous --into other\ndef f(x): return [x]").status == "ok"
    assert notebook.run("other.predict(2), other.revision").results == ["([2], 2)"]
    assert notebook.run("%metaml stop other").status == "ok"
    until(lambda: notebook.run("other.state").results == ["'stopped'"], "a variable stands for the server")


def test_a_token_is_shown_once_and_sent(notebook: Notebook) -> None:
    cell = "%%serve --name locked --auth token --example 1\ndef f(x: int): return x + {}"
    shown = notebook.run(cell.format(1))
    url = url_of(shown)
    said = re.findall(r"^token: (\S+) \(shown only now; server\.token and metaml token locked-1 ", shown.plain, re.M)
    assert len(said) == 1, shown.plain
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(url, 1)
    with refused.value as answer:
        assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert notebook.run("server.predict(1), server.token").results == [f"(2, {said[0]!r})"]
    [line] = [line for line in shown.plain.splitlines() if line.startswith("curl ")]
    curl = subprocess.run(
        ["bash", "-c", line], check=True, capture_output=True, text=True, env={**os.environ, "TOKEN": said[0]}
    )
    assert curl.stdout == "2", "the very line calls the function"
    # Neither the same cell nor another revision shows it again.
    for again in (1, 10):
        shown = notebook.run(cell.format(again))
        assert (url_of(shown), "token: " in shown.plain) == (url, False)
    assert notebook.run("server.predict(1), server.revision").results == ["(11, 2)"]
    assert notebook.metaml("token", "locked-1").strip() == said[0]
    shown = notebook.run(cell.format(10).replace(" --auth token", ""))
    assert "revision 3 asks for no token, as revision 2 did" in shown.plain
    assert post(url, 1) == 11


def test_what_functions_take_and_give(notebook: Notebook) -> None:
    cell = """%%serve --name several --url /v1/sum --replicas 2 --example '{"a": 1}'
def add(a: int, b: int = 2):
    print('adding', a, b)
    if b == 0:
        raise ValueError('no zero here')
    return a + b"""
    shown = notebook.run(cell)
    assert url_of(shown).endswith("/v1/sum")
    assert "2 workers" in shown.plain
    assert notebook.run("server.predict(a=1), server.predict(a=1, b=5), server.predict({'a': 3})").results == [
        "(3, 6, 5)"
    ]
    failed = notebook.run("server.predict(a=1, b=0)")
    message = re.fullmatch(
        r"RequestFailed: several-1 answered 500: .*\nThe id is (\w+): server.logs\(\) shows the log\.", failed.error
    )
    assert message, failed.error
    logs = str(notebook.run("print(server.logs())").text)
    assert message[1] in logs
    assert "ValueError: no zero here" in logs
    assert "adding 1 5" in logs
    assert notebook.run("print(server.logs(tail=1))").text.count("\n") == 2
    assert message[1] in notebook.run("%metaml logs server").plain

    assert notebook.run("%%serve --name raw\ndef shout(x: bytes) -> bytes:\n    return x.upper()").status == "ok"
    assert notebook.run("server.predict(b'abc')").results == ["b'ABC'"]
    assert (
        notebook.run("%%serve --name lines\ndef count(n: int):\n    for i in range(n):\n        yield {'i': i}").status
        == "ok"
    )
    assert notebook.run("server.predict(3)").results == ["[{'i': 0}, {'i': 1}, {'i': 2}]"]


def test_the_server_survives_its_kernel(home: Path, tmp_path: Path) -> None:
    first = Notebook(tmp_path, home, "metaml")
    url = url_of(first.run("%%serve --name outliving\nfactor = 3\ndef times(x): return x * factor"))
    first.close_kernel()
    assert post(url, 2) == 6, "a killed kernel takes nothing along"
    second = Notebook(tmp_path, home, "metaml")  # which also tidies up after the killed one
    try:
        assert second.run("import metaml; metaml.run('outliving').predict(5)").results == ["15"]
        second.client.stop_channels()
        second.manager.shutdown_kernel()
        assert post(url, 4) == 12
    finally:
        stop(second, "outliving-1")
    with pytest.raises(urllib.error.URLError):
        post(url, 2)


class Load:
    """A thread that posts without a pause, over one connection, and keeps every answer."""

    def __init__(self, url: str) -> None:
        self.answers: list[tuple[int, Any]] = []
        self._end = threading.Event()
        self._host, _, path = url.removeprefix("http://").partition("/")
        self._path = f"/{path}"
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def go_on(self) -> None:
        """Wait for the answer to a request that was sent after this was called."""
        seen = len(self.answers)
        until(lambda: len(self.answers) > seen + 1, "requests go on")

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        try:
            while not self._end.is_set():
                connection.request("POST", self._path, b"1", {"Content-Type": "application/json"})
                response = connection.getresponse()
                self.answers.append((response.status, json.loads(response.read())))
        finally:
            connection.close()


def test_a_new_version_takes_over_without_a_failed_request(notebook: Notebook) -> None:
    cell = "%%serve --name versions\nversion = {}\ndef serve(x): return version"
    url = url_of(notebook.run(cell.format(1)))
    with Load(url) as load:
        until(lambda: load.answers, "the first version answers")
        for version in (2, 3):
            assert url_of(notebook.run(cell.format(version))) == url
            load.go_on()
            assert load.answers[-1] == (200, version)
    assert {status for status, _ in load.answers} == {200}
    versions = [version for _, version in load.answers]
    assert versions == sorted(versions), "never back to an older one"
    assert set(versions) == {1, 2, 3}
    assert notebook.run("server.name, server.revision").results == ["('versions-1', 3)"]


def test_what_a_server_was_scaled_to_stays(notebook: Notebook) -> None:
    cell = "%%serve --name grown{}\ndef serve(x: int): return x + 1"
    assert notebook.run(cell.format("")).status == "ok"
    assert "grown-1 is scaled to 2 replicas" in notebook.run("%metaml scale server 2").plain
    again = notebook.run(cell.format(""))
    assert again.status == "ok"
    assert "grown-1 was scaled to 2 replicas, which stay: metaml scale grown-1 1 changes that" in again.plain
    assert notebook.run("server.scale(1); server.revision").results == ["1"]
    edited = notebook.run(cell.format(" --replicas 2"))
    assert "grown-1 is scaled from 1 to 2 replicas; its revision stays" in edited.plain
    until(lambda: len(show(notebook, "grown-1")["workers"]) == 2, "two workers are there")
    assert notebook.run("server.revision, server.predict(1)").results == ["(1, 2)"]


def test_an_older_version_takes_over_again(notebook: Notebook) -> None:
    cell = "%%serve --name back\ndef serve(x: int): return x + {}"
    for n in (1, 2):
        assert notebook.run(cell.format(n)).status == "ok"
    shown = notebook.run("%metaml rollback server").plain
    assert "revision 3 (revision 1 again) in place of revision 2" in shown
    assert notebook.run("server.predict(1), server.revision").results == ["(2, 3)"]
    assert "back-1 runs this code with these settings already" in notebook.run(cell.format(1)).plain
    assert notebook.run("server.rollback(2).wait().predict(1)").results == ["3"]


def test_a_broken_version_leaves_the_old_one(notebook: Notebook) -> None:
    url = url_of(notebook.run("%%serve --name careful\ndef serve(x: int): return x + 1"))
    with Load(url) as load:
        shown = notebook.run(
            "%%serve --name careful" + ONLY_HERE.format("weights") + "\ndef serve(x: int): return weights"
        )
        assert shown.status == "error"
        assert shown.error.startswith("ServerFailed: careful-1: revision 2 never got ready: KeyError: 'metaml._"), (
            shown.error
        )
        assert "revision 1 goes on answering" in shown.error
        assert f"cell {shown.count}, line 3" in shown.traceback
        wrong = notebook.run("%%serve --name careful --example 1\ndef serve(x: int): return 1 / (x - x)")
        assert wrong.error.startswith("ServerFailed: careful-1: revision 3 never got ready: "), wrong.error
        assert "ZeroDivisionError: division by zero" in wrong.error
        assert "def serve(x: int): return 1 / (x - x)" in wrong.traceback
    assert set(map(str, load.answers)) == {"(200, 2)"}
    assert notebook.run("server.revision, server.predict(5)").results == ["(1, 6)"]


def test_an_input_of_ours_that_fails(notebook: Notebook) -> None:
    # Of the first function nobody knows better: a loop that ran once has a value, and a key that is not there is a
    # note.
    shown = notebook.run(
        "%%serve --name made\ndef serve(n: int):\n    for i in range(n):\n        value = i * 2\n    return value"
    )
    assert shown.status == "ok" and "to 1, made from the signature" in shown.plain, shown.plain
    assert notebook.run("server.predict(3)").results == ["4"]
    shown = notebook.run("%%serve --name key --into key\ndef serve(n: int): return {7: 14}[n]")
    assert (
        shown.status == "ok"
        and "the example made from the signature, 1, was answered with 500: serve raised KeyError: 1" in shown.plain
    )
    assert notebook.run("key.predict(7)").results == ["14"]
    # What answers is not given up for something that fails.
    shown = notebook.run("%%serve --name made\ndef serve(n: int): return 1 // (n - n)")
    assert (
        "the example made from the signature, 1, was answered with 500: serve raised ZeroDivisionError" in shown.error
    ), shown.error
    assert (
        "revision 1 goes on answering" in shown.error
        and "Name an input that it takes with --example." in shown.traceback
    )
    assert notebook.run("server.revision, server.predict(3)").results == ["(1, 4)"]


TRAIN = """%%train --name {0} --into {0} --hyper-parameters rows
import pickle, metaml

class Net:
    def __init__(self, scale):
        self.scale = scale
    def predict(self, x):
        return self.scale * x

rows = [{{'scale': 2}}, {{'scale': 7}}]

def fit(scale):
    with open(metaml.output() / 'net.pickle', 'wb') as file:
        pickle.dump(Net(scale), file)
    (metaml.output() / 'scale.txt').write_text(str(scale))
    return {{'accuracy': scale / 10}}"""
SERVE = """%%serve --name model {}
import pickle, metaml
with open(metaml.model() / 'net.pickle', 'rb') as file:
    net = pickle.load(file)
def serve(x):
    return net.predict(x)"""


@pytest.fixture(scope="module")
def modeller(notebook: Notebook) -> None:
    """A run of two trials that keep a model; the second is the best."""
    assert notebook.run(TRAIN.format("modeller")).status == "ok"


@pytest.mark.usefixtures("modeller")
def test_the_model_of_a_run(notebook: Notebook) -> None:
    shown = notebook.run(SERVE.format("--model modeller"))
    assert "modeller-1:1" in shown.plain, shown.traceback
    assert post(url_of(shown), 3) == 21
    assert notebook.run("net.scale, metaml.model() == modeller.best().output").results == ["(7, True)"]
    assert post(url_of(notebook.run(SERVE.format("--model modeller-1:0"))), 3) == 6
    notebook.run("first = modeller.trials[0]")
    assert notebook.run(SERVE.format("--model first")).status == "ok"
    assert notebook.run("server.predict(3), net.scale").results == ["(6, 2)"]
    assert "no --model names one" in notebook.run(SERVE.format("")).error


def test_a_server_keeps_its_model(notebook: Notebook) -> None:
    assert notebook.run(TRAIN.format("doomed")).status == "ok"
    assert notebook.run(SERVE.format("--model doomed")).status == "ok"
    assert notebook.run("doomed.delete(); server.predict(2)").results == ["14"]
    name, pid = ast.literal_eval(notebook.run("server.name, server.workers[0].pid").results[0])
    os.kill(pid, signal.SIGKILL)

    def again() -> bool:
        [worker] = show(notebook, name)["workers"]
        return bool(worker["ready"] and worker["pid"] != pid)

    until(again, "the worker is started again")
    assert notebook.run("server.predict(3)").results == ["21"]


def test_a_server_whose_processes_were_all_killed(notebook: Notebook) -> None:
    cell = "%%serve --name mortal --into mortal\ndef serve(x: int): return x + 1"
    assert notebook.run(cell).status == "ok"

    def kill() -> None:
        # As a container that ends: none is left to start another.
        folder = str(notebook.home / "data" / "metaml" / "runs" / "mortal-1")
        found = [p for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])]
        for signum in (signal.SIGSTOP, signal.SIGKILL):
            for process in found:
                process.send_signal(signum)
        psutil.wait_procs(found, 10)

    kill()
    assert notebook.run("mortal.state, mortal.ready").results == ["('dead', False)"]
    assert notebook.run("mortal").plain.splitlines()[1] == "mortal-1   dead"
    assert re.search(r"mortal-1 +dead \(metaml attach mortal-1 starts it again\)", notebook.run("%metaml runs").plain)
    assert notebook.run("mortal.predict(1)").error.startswith(
        "MetaMLError: mortal-1 is dead: all its processes have ended"
    )
    assert notebook.run("mortal.wait().predict(2)").results == ["3"]
    kill()
    assert url_of(notebook.run(cell))
    assert notebook.run("mortal.revision, mortal.predict(3)").results == ["(1, 4)"]
    kill()
    assert "mortal-1   ready on" in notebook.run("%metaml attach mortal").plain
    assert notebook.run("mortal.ready, mortal.predict(4)").results == ["(True, 5)"]


FUNCTION = "\ndef serve(x):\n    return x"


def test_what_answered_stays_bound_until_another_answers(notebook: Notebook) -> None:
    keeps_what_answers(notebook)


def keeps_what_answers(notebook: Notebook) -> None:
    assert notebook.run("%%serve --name good --into held" + FUNCTION).status == "ok"
    notebook.run("before = held.name, held.predict(2)")
    broken = "\ndef serve(x: int): return object()"
    for body in (ONLY_HERE.format("only_here") + "\ndef serve(x: int): return only_here", broken):
        shown = notebook.run("%%serve --name bad --into held" + body)
        assert shown.error.startswith("ServerFailed: bad-"), shown.error
        assert notebook.run("(held.name, held.predict(2)) == before").results == ["True"]
    assert notebook.run("%%serve --name bad --into unheld" + broken).status == "error"
    assert notebook.run("unheld.state").results == ["'failed'"], "a free name is had by what there is to look at"
    assert notebook.run("%%serve --name better --into held" + FUNCTION).status == "ok"
    assert "better-" in notebook.run("held.name").results[0]
    assert notebook.run("import metaml; metaml.run('good').stop(); held.stop()").status == "ok"


REFUSED = {
    "unknown option": ("%%serve --replica 2" + FUNCTION, "there is no option --replica\nDid you mean --replicas?"),
    "wrong port": ("%%serve --port 70000" + FUNCTION, "--port must be from 1 to 65,535, not 70000"),
    "wrong path": (
        "%%serve --url predict" + FUNCTION,
        '--url takes the path of a URL, such as /predict, not "predict"',
    ),
    "no function": ("%%serve\nx = 1", "defines no function"),
    "a model that does not exist": (
        "%%serve --model no-such-run" + FUNCTION,
        '--model no-such-run: there is no run "no-such-run"',
    ),
    "a run without outputs": (
        "%%serve --model empty" + FUNCTION,
        "trial 0 of empty-1 kept no files, so it has no model to serve\nWhat the training function writes into "
        "metaml.output() is kept.",
    ),
    "a trial that does not exist": ("%%serve --model empty:3" + FUNCTION, "empty-1 has no trial 3, only 0 to 0"),
    "an example that does not exist": ("%%serve --example gone" + FUNCTION, "--example gone: there is no `gone` here"),
    "an example that is no JSON": ("%%serve --example serve" + FUNCTION, "--example serve: `serve` is "),
    "a name without source": ("%%serve\ndef serve(x): return unknown_name", "unknown_name"),
}


@pytest.fixture(scope="module")
def empty(notebook: Notebook) -> None:
    """A run that left no files."""
    assert notebook.run("%%train --name empty --into empty\ndef train(): return 1").status == "ok"


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("empty")
def test_refused(notebook: Notebook, name: str) -> None:
    cell, text = REFUSED[name]
    before = notebook.metaml("runs", "--json")
    shown = notebook.run(cell)
    assert shown.error.startswith("Refused: %%serve: "), shown.error
    assert text in shown.error
    assert "Traceback" not in shown.traceback
    assert notebook.metaml("runs", "--json") == before, "nothing was started"


def test_a_port_in_use(notebook: Notebook) -> None:
    url = url_of(notebook.run("%%serve --name holder" + FUNCTION))
    port = url.split(":")[2].partition("/")[0]
    shown = notebook.run(f"%%serve --name second --port {port}" + FUNCTION)
    assert f"port {port} " in shown.error, shown.error
    assert "is in use" in shown.error
    assert post(url, 1) == 1
    assert notebook.run("server.name, server.predict(2)").results == ["('holder-1', 2)"]
    assert shown.results == [] and "second-1" not in notebook.metaml("runs"), "what is not there has no name"


def test_a_body_that_raises_starts_nothing(notebook: Notebook) -> None:
    before = notebook.metaml("runs", "--json")
    shown = notebook.run("%%serve\nweights = {}['w']" + FUNCTION)
    assert (shown.error, notebook.metaml("runs", "--json")) == ("KeyError: 'w'", before)


def test_a_program_whose_top_level_fails(notebook: Notebook) -> None:
    shown = notebook.run("%%serve --name unloadable" + ONLY_HERE.format("broken") + "\ndef serve(x): return broken")
    assert shown.error.startswith("ServerFailed: unloadable-1: revision 1 never got ready: KeyError: 'metaml._"), (
        shown.error
    )
    assert f"cell {shown.count}, line 3" in shown.traceback
    assert notebook.run("server.state").results == ["'failed'"]


def test_an_interrupt_gives_up_the_start(notebook: Notebook) -> None:
    def interrupt(shown: Shown) -> None:
        if "sluggish-1" in shown.plain and not interrupted:
            interrupted.append(True)
            notebook.manager.interrupt_kernel()

    interrupted: list[bool] = []
    cell = (
        "%%serve --name sluggish\nimport sys, time\nslept = 'ipykernel' in sys.modules or time.sleep(600)\n"
        "def serve(x): return slept"
    )
    shown = notebook.run(cell, when=interrupt)
    assert shown.error.startswith("KeyboardInterrupt: sluggish-1 was given up before it was ready"), shown.error
    until(lambda: show(notebook, "sluggish-1")["state"] == "stopped", "it has stopped")
    assert notebook.run("1 + 1").results == ["2"]


SCRIPT = """
import metaml

scale = int((metaml.model('modeller-1:best') / 'scale.txt').read_text())

@metaml.Serve(settings={'name': 'script', 'example': [1, 2], SETTINGS})
def total(xs: list[int]):
    return sum(xs) * scale

if __name__ == '__main__':
    server = total()
    print(server.predict([1, 1]), server.url)
"""


@pytest.mark.parametrize("settings", ["'model': 'modeller-1'", ""])
@pytest.mark.usefixtures("modeller")
def test_a_decorated_script(notebook: Notebook, settings: str) -> None:
    path = notebook.folder / "served.py"
    path.write_text(SCRIPT.replace("SETTINGS", settings))
    done = subprocess.run(
        [sys.executable, path.name],
        cwd=notebook.folder,
        env={**notebook.env, "METAML_BIN": str(BIN / "metaml"), "PYTHONPATH": module_folder()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer, url = done.stdout.split()
    assert answer == "14"
    assert url in done.stderr, "metaml draws on the error stream"
    assert post(url, [3]) == 21, "it goes on when the script has ended"


DECORATED = """
from metaml import Serve

offset = 10

@Serve(settings={'url': '/predict', 'replicas': 2, 'name': 'adorned', 'example': [1, 2]}, package={'publish': True})
def total(xs: list[int]):
    return sum(xs) + offset
"""


def test_a_decorated_function(notebook: Notebook) -> None:
    assert notebook.run(DECORATED).status == "ok"
    assert notebook.run("total([1])").results == ["11"], "with arguments it is the function"
    shown = notebook.run("served = total()")
    assert post(url_of(shown), [1, 2]) == 13
    assert notebook.run("served.name, served.predict([5]), len(served.workers)").results == ["('adorned-1', 15, 2)"]


def test_without_our_kernel(home: Path, tmp_path: Path) -> None:
    plain = Notebook(tmp_path, home, "python3", METAML_BIN=str(BIN / "metaml"))
    try:
        assert plain.run(f"import sys; sys.path.insert(0, {module_folder()!r})\n%load_ext metaml").status == "ok"
        shown = plain.run("%%serve --name plainly\ndef serve(x): return x * 2")
        assert post(url_of(shown), 4) == 8
        assert plain.run("server.predict(5)").results == ["10"]
        assert plain.run("server.stop(); server.state").results == ["'stopped'"]
        keeps_what_answers(plain)
    finally:
        plain.close()


def test_help_and_completion(notebook: Notebook) -> None:
    assert "--replicas N" in notebook.run("%%serve --help" + FUNCTION).plain
    notebook.run("import metaml; trained = metaml.Run('x-1')")
    notebook.client.complete("%%serve --model trai")
    reply = notebook.client.get_shell_msg(timeout=30)["content"]
    assert "trained" in reply["matches"]
