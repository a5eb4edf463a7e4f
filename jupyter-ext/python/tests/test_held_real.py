"""What the user holds of real runs: it says what is, whoever did it, and gives what the function returned. It does so
for runs of this machine, and for those of a target whose runs are elsewhere and have names that say where.

`make test` puts the binaries on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import IPython
import pytest
from test_session_real import binary, until

import metaml
from metaml import MetaMLError, Run
from metaml._binary import find

WAITS = """
import os, time

rows = [{"x": 0}, {"x": 1}, {"x": 2}]


def wait(x):
    open(f"started.{x}", "w").close()
    while x == 1 and not os.path.exists("gate"):
        time.sleep(0.01)
    return {"loss": x}
"""


class Shell:
    """Another shell than this process, in a folder of its own."""

    def __init__(self, folder: Path, place: str) -> None:
        self.folder = folder
        self.place = place  # behind the names of its runs; "" is this machine

    def metaml(self, *arguments: str) -> str:
        done = subprocess.run(
            [os.environ["METAML_BIN"], *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def run(self, program: str, function: str, *options: str) -> Run:
        """Run a function of a script, to its end unless it is detached."""
        (self.folder / "script.py").write_text(program)
        said = self.metaml("run", "script.py", "--function", function, *options)
        found = metaml.run()
        assert isinstance(found, Run), said
        return found

    def started(self, trial: int) -> None:
        until((self.folder / f"started.{trial}").exists)


@pytest.fixture(params=["local", "elsewhere"])
def shell(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    place = ""
    monkeypatch.setenv("METAML_BIN", binary("metaml"))
    if request.param == "elsewhere":
        monkeypatch.setenv("METAML_BIN", request.getfixturevalue("elsewhere"))
        monkeypatch.setenv("METAML_TEST_ELSEWHERE", str(tmp_path / "elsewhere"))
        monkeypatch.setenv("METAML_TARGET", "kubernetes")
        monkeypatch.setenv("METAML_INTERRUPT", "stop")
        place = "@lab"
    monkeypatch.setenv("METAML_PYTHON", sys.executable)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(find, "_found", None)
    work = tmp_path / "work"
    work.mkdir()
    opened = Shell(work, place)
    yield opened
    (work / "gate").touch()
    for name in [run.name for run in metaml.runs()]:
        opened.metaml("stop", "--now", name)
        opened.metaml("attach", name)


def test_a_run_says_what_is_after_a_resume_elsewhere(shell: Shell) -> None:
    run = shell.run(WAITS, "wait", "--hyper-parameters", "rows", "--detach")
    shell.started(1)
    shell.metaml("stop", "--now", run.name)
    assert run.wait(30).state == "stopped"
    [listed] = metaml.runs()
    assert repr(listed) == f"<Run wait-1{shell.place}: stopped, 1 of 3 trials, 2 stopped>"
    assert len(run.history) == 0
    (shell.folder / "gate").touch()
    assert "succeeded" in shell.metaml("resume", run.name)
    assert (run.state, run.best("loss", mode="max").index) == ("succeeded", 2)
    assert repr(listed).startswith(f"<Run wait-1{shell.place}: succeeded, 3 of 3 trials")


def test_resumed_from_python(shell: Shell) -> None:
    run = shell.run(WAITS, "wait", "--hyper-parameters", "rows", "--detach")
    shell.started(1)
    shell.metaml("stop", "--now", run.name)
    assert run.wait(30).state == "stopped"
    (shell.folder / "gate").touch()
    assert run.resume().wait(30).state == "succeeded"
    with pytest.raises(MetaMLError, match=f"wait-1{shell.place} has no unfinished trial"):
        run.resume()


def test_a_run_that_was_deleted_elsewhere_is_gone(shell: Shell) -> None:
    run = shell.run("def fit():\n    return 1\n", "fit")
    assert (run.state, bool(run)) == ("succeeded", True)
    shell.metaml("delete", run.name)
    with pytest.raises(MetaMLError, match=f'there is no run "fit-1{shell.place}"'):
        run.state  # noqa: B018
    assert repr(run) == f'<Run {run.name}: there is no run "{run.name}"; metaml runs lists them>'
    assert bool(run)


def test_a_server_that_stopped_elsewhere_is_not_asked_where_it_was(shell: Shell) -> None:
    shell_script = "def serve(x: int):\n    return {}\n"
    (shell.folder / "one.py").write_text(shell_script.format("x + 1"))
    (shell.folder / "two.py").write_text(shell_script.format("x + 2"))
    shell.metaml("run", "one.py", "--kind", "serve", "--function", "serve", "--name", "one")
    one = metaml.run("one")
    assert isinstance(one, metaml.Server)
    assert one.predict(1) == 2
    port = one.url.rpartition(":")[2].partition("/")[0]
    shell.metaml("stop", "one")
    shell.metaml("run", "two.py", "--kind", "serve", "--function", "serve", "--name", "two", "--port", port)
    with pytest.raises(MetaMLError, match=f"one-1{shell.place} was stopped, so nothing answers"):
        one.predict(1)
    shell.metaml("stop", "two")
    assert one.resume().wait(30).predict(1) == 2


def test_a_server_is_scaled_and_rolled_back(shell: Shell) -> None:
    for n in (1, 2):
        (shell.folder / "add.py").write_text(f"def serve(x: int):\n    return x + {n}\n")
        shell.metaml("run", "add.py", "--kind", "serve", "--function", "serve", "--name", "add")
    server = metaml.run("add")
    assert isinstance(server, metaml.Server)
    assert (server.revision, server.predict(1)) == (2, 3)
    server.scale(2)
    until(lambda: [w.ready for w in server.workers] == [True, True])
    assert server.rollback().wait(30).predict(1) == 2
    assert (server.revision, len(server.workers)) == (3, 2)
    with pytest.raises(MetaMLError, match=r"server add-1.* has no revision 7"):
        server.rollback(7)
    server.stop()


def test_a_locked_server_is_called_with_its_token(shell: Shell) -> None:
    (shell.folder / "add.py").write_text("def serve(x: int):\n    return x + 1\n")
    submit = ("run", "add.py", "--kind", "serve", "--function", "serve", "--name", "add")
    shell.metaml(*submit)
    server = metaml.run("add")
    assert isinstance(server, metaml.Server)
    assert server.predict(1) == 2
    with pytest.raises(MetaMLError, match=r"server add-1.* has no token: none of its revisions asked for one"):
        _ = server.token
    shell.metaml(*submit, "--auth", "token")
    assert (server.predict(2), server.revision) == (3, 2)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(server.url + "?x=1", timeout=30)
    assert (refused.value.code, refused.value.headers["WWW-Authenticate"]) == (401, "Bearer")
    refused.value.close()
    request = urllib.request.Request(
        server.url.replace("/predict", "/openapi.json"), headers={"Authorization": f"Bearer {server.token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        document = json.loads(response.read())
    assert document["security"] == [{"token": []}]
    server.stop()


RETURNS = """
import sys


class Net:
    def __init__(self, x):
        self.x = x


rows = [{"x": x} for x in range(6)]


def fit(x):
    if x == 0:
        return Net(x), [1, 2]
    if x == 1:
        return lambda: x
    if x == 2:
        return bytes(65 << 20)
    if x == 3:
        sys.exit()
    if x == 4:
        raise ValueError("no")
"""


class Net:
    """As in the program that returns one."""

    x: int


def test_results_are_what_was_returned(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    run = shell.run(RETURNS, "fit", "--hyper-parameters", "rows")
    assert (len(run), [trial.index for trial in run], run[-1].index, [trial.index for trial in run[4:]]) == (
        6,
        [*range(6)],
        5,
        [4, 5],
    )
    with pytest.raises(IndexError, match=f"fit-1{shell.place} has no trial 6, only 0 to 5"):
        run[6]
    with pytest.raises(TypeError, match="a trial is named by its number, not by 'best'"):
        run["best"]  # type: ignore[call-overload]
    with pytest.raises(MetaMLError, match=f"trial 0 of {run.name} needs `Net`, which is not defined here"):
        run[0].result  # noqa: B018
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    net, numbers = run[0].result
    assert (type(net), net.x, numbers) == (Net, 0, [1, 2])
    assert run[5].result is None
    for index, why in (
        (1, "cannot be pickled: .*local object"),
        (2, "larger than 64 MiB"),
        (3, r"ended by sys.exit\(\)"),
        (4, f"trial 4 of fit-1{shell.place} failed, so it has no result"),
    ):
        with pytest.raises(MetaMLError, match=why):
            run[index].result  # noqa: B018
    assert not Path(run._read()["trials"][2]["result"]).exists(), "what was too large takes no room"


def is_monitored(folder: Path) -> bool:
    """Whether a monitor of the run is alive: it holds a record lock until then."""
    with open(folder / "monitor.lock", "r+b") as lock:
        try:
            os.lockf(lock.fileno(), os.F_TEST, 0)
        except OSError:
            return True
    return False


def test_results_of_a_copied_folder_are_not_loaded(shell: Shell, tmp_path: Path) -> None:
    run = shell.run("def fit():\n    return [1]\n", "fit")
    assert run[0].result == [1]
    folder = Path(run._read()["folder"])
    until((folder / "summary.json").exists)
    until(lambda: not is_monitored(folder))  # a monitor writes until its end
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    os.rename(tmp_path / "copy", folder)
    with pytest.raises(MetaMLError, match="not loaded: the folder of the run was not made here: it was copied"):
        metaml.run("fit-1")[0].result  # type: ignore[index]  # noqa: B018
    folder.chmod(0o777)
    with pytest.raises(MetaMLError, match="can be written by other users"):
        metaml.run("fit-1")[0].result  # type: ignore[index]  # noqa: B018


SPACES = """
from scipy.stats import uniform

space = {"lr": uniform(0, 1), "kind": ["a", "b"]}


def fit(params, *rest):
    return {"lr": params["lr"], "keys": len(params)}


def fit_one(lr, kind):
    return lr
"""


@pytest.mark.skipif(IPython.version_info < (9,), reason="only in the newest environment, which has scipy")
def test_a_space_of_distributions_for_a_function_of_one_dict(shell: Shell) -> None:
    options = ("--hyper-parameters", "space", "--completions", "3", "--seed", "4")
    whole = shell.run(SPACES, "fit", *options)
    assert [sorted(trial.parameters) for trial in whole] == [["kind", "lr"]] * 3, "each is a column, not one dict"
    assert [trial.metrics for trial in whole] == [{"lr": trial.parameters["lr"], "keys": 2.0} for trial in whole]
    again = shell.run(SPACES, "fit_one", *options)
    assert [trial.parameters for trial in again] == [trial.parameters for trial in whole], "drawn with the seed"


PRINTS = """
import logging
import os
import sys

logging.basicConfig(stream=sys.stderr, format="%(message)s")


def fit():
    for i in range(3):
        print("out", i)
        print("err", i, file=sys.stderr)
        logging.warning("log %d", i)
    if os.fork() == 0:
        print("child's err", file=sys.stderr, flush=True)
        os._exit(0)
    os.wait()
    sys.stdout.write("no line feed ")
    sys.stdout.buffer.write(b"bytes\\n")
    os.write(2, b"below Python\\n")
    print("last")
"""


@pytest.mark.parametrize("options", [(), ("--fresh-process",)])
def test_logs_are_in_the_order_of_writing(shell: Shell, options: tuple[str, ...]) -> None:
    run = shell.run(PRINTS, "fit", *options)
    assert run.logs().splitlines() == [
        *(line for i in range(3) for line in (f"out {i}", f"err {i}", f"log {i}")),
        "child's err",
        "no line feed bytes",
        "last",
        "below Python",
    ]
    assert run.logs(stream="stdout").splitlines() == ["out 0", "out 1", "out 2", "no line feed bytes", "last"]


SWEEPS = """
import math

from metaml import report

rows = [{"lr": 10.0**-i, "kind": kind, "fixed": 1} for i in range(3) for kind in ("a", "b")]
one = [{"lr": 10.0**-i} for i in range(4)]


def fit(lr, kind="a", fixed=1):
    for step in range(5):
        report(step=step, loss=lr / (step + 1))
    return {"loss": lr, "accuracy": math.exp(-lr)}


def plain(lr):
    return {"loss": lr}


def nothing():
    return None
"""


@pytest.mark.skipif(IPython.version_info < (9,), reason="only in the newest environment, which has matplotlib")
def test_plots_show_courses_and_hyperparameters(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    figure = shell.run(SWEEPS, "fit", "--hyper-parameters", "rows").plot()
    curves, parallel, *_ = figure.axes
    assert (curves.get_xlabel(), curves.get_ylabel(), len(curves.get_lines())) == ("step", "loss", 6)
    first: Any = curves.get_lines()[0].get_ydata()
    assert list(first) == [1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5]
    assert [tick.get_text() for tick in parallel.get_xticklabels()] == ["lr (log)", "kind", "accuracy"], (
        "what varies, and the objective"
    )
    lines: list[Any] = [line.get_ydata() for line in parallel.get_lines()[:2]]
    assert [list(line) for line in lines] == [[1, 0, 0], [1, 1, 0]]
    figure.savefig(tmp_path / "run.png")
    assert (tmp_path / "run.png").stat().st_size > 10_000
    [scatter] = shell.run(SWEEPS, "plain", "--hyper-parameters", "one").plot().axes
    assert (scatter.get_xlabel(), scatter.get_ylabel(), scatter.get_xscale()) == ("lr", "loss", "log")
    run = shell.run(SWEEPS, "fit", "--hyper-parameters", "one", "--completions", "1")
    assert [axes.get_ylabel() for axes in run.plot("loss").axes] == ["loss"]
    missing = f"no trial of fit-2{shell.place} has a metric 'los'"
    for metric, why in (("los", missing), (None, f"nothing-1{shell.place} has no metric yet")):
        with pytest.raises(MetaMLError, match=why):
            (run if metric else shell.run(SWEEPS, "nothing")).plot(metric)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MetaMLError, match="plot\\(\\) needs matplotlib\nInstall it with `pip install matplotlib`"):
        run.plot()


def test_two_runs_compared(shell: Shell) -> None:
    one = shell.run(SWEEPS, "fit", "--hyper-parameters", "rows")
    other = shell.run(SWEEPS.replace("-lr)", "-2 * lr)"), "fit", "--hyper-parameters", "one", "--parallelism", "2")
    compared = one.compare(other)
    assert compared.settings == {"hyper_parameters": ("rows", "one"), "parallelism": ("1", "2")}
    assert compared.parameters == {
        "lr": ("1, 0.1, 0.01", "1, 0.1, 0.01, 0.001"),
        "kind": ("'a', 'b'", "–"),
        "fixed": ("1", "–"),
    }
    assert compared.metrics["accuracy"] == ("0.99 (trial 4)", "0.998 (trial 3)")
    assert '-    return {"loss": lr, "accuracy": math.exp(-lr)}' in compared.code
    assert '+    return {"loss": lr, "accuracy": math.exp(-2 * lr)}' in compared.code
    text = repr(one.compare("fit-2"))
    assert text.splitlines()[0].split() == [one.name, other.name]
    assert "  parallelism" in text and compared.code in text
    assert "<td style='text-align:left'>parallelism</td>" in compared._repr_html_()
    assert "&quot;loss&quot;" in compared._repr_html_()
    same = one.compare(one)
    assert (same.settings, same.parameters, same.code) == ({}, {}, "")
    assert repr(same).endswith("the same code")
    with pytest.raises(TypeError, match="compare\\(\\) takes another Run or its name, not 3"):
        one.compare(3)  # type: ignore[arg-type]
