"""Each option of %%train does what it says, from the cell, the environment and the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import Notebook


def show(notebook: Notebook, name: str) -> dict[str, Any]:
    return dict(json.loads(notebook.metaml("show", name, "--json")))


def test_completions_and_parallelism(notebook: Notebook) -> None:
    notebook.run("def grid():\n    n = 0\n    while True:\n        n += 1\n        yield {'x': n}")
    assert (
        notebook.run(
            "%%train --hyper-parameters grid --completions 5 --parallelism 2 --name counted\ndef f(x): return x"
        ).status
        == "ok"
    )
    assert notebook.run("[t.parameters['x'] for t in run.trials]").results == ["[1, 2, 3, 4, 5]"]
    assert (
        notebook.run("%%train --hyper-parameters grid --parallelism 3 --name parallel\ndef f(x): return x").status
        == "ok"
    )
    assert notebook.run("len(run.trials)").results == ["3"], "a source that does not end gives as many as run at a time"
    assert notebook.run("%%train --completions 2 --name plain\ndef f(): return 1").status == "ok"
    assert notebook.run("len(run.trials)").results == ["2"]


def test_numpy_draws_become_python_values(notebook: Notebook) -> None:
    notebook.run(
        "import random\nimport numpy as np\ndef draw():\n    while True:\n        yield {'n': "
        "np.random.choice([128, 256, 512], 1), 'x': np.float32(0.1), 's': random.normalvariate(0, 1)}"
    )
    assert (
        notebook.run(
            "%%train --hyper-parameters draw --completions 3 --name typed\ndef f(n, x, s):\n    return {'ok': "
            "float(isinstance(n, int) and x == 0.1)}"
        ).status
        == "ok"
    )
    assert notebook.run("{t.metrics['ok'] for t in run.trials}").results in (["{1.0}"], ["{1}"])


def test_objective(notebook: Notebook) -> None:
    notebook.run("rows = [{'x': 1}, {'x': 2}]")
    notebook.run(
        "%%train --hyper-parameters rows --objective min:effort --name chosen\ndef f(x): return {'effort': x, "
        "'gain': x}"
    )
    assert notebook.run("run.best().parameters, run.best('gain', mode='max').parameters").results == [
        "({'x': 1}, {'x': 2})"
    ]
    shown = notebook.run("%%train --hyper-parameters rows --name undecided\ndef f(x): return {'effort': x, 'gain': x}")
    assert shown.status == "ok"
    assert "--objective min:effort or max:effort" in notebook.run("run.best()").error


def test_function(notebook: Notebook) -> None:
    shown = notebook.run("%%train --function a --name one\ndef a(): return {'loss': 1}\ndef b(): return {'loss': 2}")
    assert shown.status == "ok"
    assert notebook.run("run.best().metrics['loss']").results in (["1"], ["1.0"])


def test_timeout(notebook: Notebook) -> None:
    shown = notebook.run("%%train --timeout 0.3 --name slow\nimport time\ndef f(): time.sleep(60)")
    assert "longer than --timeout" in shown.error


def test_cwd(notebook: Notebook) -> None:
    (notebook.folder / "data.txt").write_text("here")
    code = "def f():\n    import os\n    print(os.getcwd())\n    return {'found': float(os.path.exists('data.txt'))}"
    notebook.run(f"%%train --name session-cwd\n{code}")
    assert notebook.run("run.best().metrics['found']").results in (["1"], ["1.0"])
    notebook.run(f"%%train --name own-cwd --cwd trial\n{code}")
    assert notebook.run("run.trials[0].metrics['found']").results in (["0"], ["0.0"])


def test_fresh_process_and_forks(notebook: Notebook) -> None:
    code = "import os\nloaded_by = os.getpid()\ndef f(): return {'loss': float(os.getpid() == loaded_by)}"
    notebook.run(f"%%train --name fresh --fresh-process\n{code}")
    assert notebook.run("run.best().metrics['loss']").results in (["1"], ["1.0"])
    notebook.run(f"%%train --name forked\n{code}")
    assert notebook.run("run.best().metrics['loss']").results in (["0"], ["0.0"])


def test_seed_repeats_the_random_numbers(notebook: Notebook) -> None:
    code = "import random\nimport numpy as np\ndef f(): return {'a': random.random(), 'b': float(np.random.rand())}"
    values = []
    for options in ("--seed 5", "--seed 5", "--seed 6"):
        notebook.run(f"%%train --name seeded --completions 2 {options}\n{code}")
        values.append(notebook.run("[t.metrics for t in run.trials]").results)
    assert values[0] == values[1] != values[2]
    assert notebook.run("run.trials[0].metrics != run.trials[1].metrics").results == ["True"]


def test_with_ships_a_value(notebook: Notebook) -> None:
    notebook.run("exec('shipped = {\"a\": [1, 2, 3]}')")
    shown = notebook.run("%%train --name lacking\ndef f(): return sum(shipped['a'])")
    assert "--with shipped" in shown.error
    shown = notebook.run("%%train --name shipping --with shipped\ndef f(): return sum(shipped['a'])")
    assert shown.status == "ok", shown.error
    assert notebook.run("run.best().metrics").results in (["{'value': 6}"], ["{'value': 6.0}"])


def test_retries_are_for_what_was_killed(notebook: Notebook) -> None:
    gate = notebook.folder / "once"
    shown = notebook.run(
        "%%train --name retried --retries 2\nimport os, signal\ndef f():\n    if not "
        f"os.path.exists({str(gate)!r}):\n        open({str(gate)!r}, 'w').close()\n        "
        "os.kill(os.getpid(), signal.SIGKILL)\n    return 1"
    )
    assert shown.status == "ok", shown.error
    assert "attempt 2" in shown.plain
    count = notebook.folder / "count"
    notebook.run(
        f"%%train --name raised --retries 2\ndef f():\n    with open({str(count)!r}, 'a') as c: c.write('x')\n    1 / 0"
    )
    assert count.read_text() == "x", "never after an exception of its own"


def test_settings_from_file_and_environment(notebook: Notebook, home: Path, tmp_path: Path) -> None:
    (tmp_path / "metaml.toml").write_text("completions = 3\nretries = 0\n")
    other = Notebook(tmp_path, home, "metaml", METAML_RETRIES="4", METAML_PORT="tcp://10.0.0.1:80")
    try:
        other.run(
            "%%train --name settled\nimport os\ndef f():\n    return {'leaked': float('METAML_RETRIES' in os.environ)}"
        )
        run = show(other, "settled")
        settings = {s["name"]: (s["value"], s["origin"]) for s in run["settings"]}
        assert settings["completions"] == ("3", f"{tmp_path / 'metaml.toml'}:1")
        assert settings["retries"] == ("4", "environment METAML_RETRIES")
        assert [t["metrics"]["leaked"] for t in run["trials"]] == [0, 0, 0], "settings are not passed on to trials"
    finally:
        other.close()


def test_settings_of_the_environment_are_those_of_the_session(home: Path, tmp_path: Path) -> None:
    other = Notebook(tmp_path, home, "metaml", METAML_RETRIES="4")
    try:
        other.run("import os\nos.environ['METAML_COMPLETIONS'] = '2'\ndel os.environ['METAML_RETRIES']")
        other.run("%%train --name said\ndef f():\n    return 1")
        settings = {s["name"]: (s["value"], s["origin"]) for s in show(other, "said")["settings"]}
        assert settings["completions"] == ("2", "environment METAML_COMPLETIONS"), "as %metaml settings says it"
        assert settings["retries"] == ("1", "default")
        other.run("%env METAML_TARGET=kubernetes")
        shown = other.run("%%train --name elsewhere\ndef f():\n    return 1")
        assert "target kubernetes needs an image" in shown.traceback
        assert "there is no run" in other.metaml("show", "elsewhere")
    finally:
        other.close()


def test_a_report_is_a_metric_and_what_is_returned_wins(notebook: Notebook) -> None:
    notebook.run(
        "%%train --name reporting\nfrom metaml import report, output\ndef f():\n    for i in range(3): "
        "report(step=i, loss=3 - i)\n    (output() / 'x.txt').write_text('kept')\n    return {'loss': 0.5}"
    )
    assert notebook.run("run.best().metrics, [(h.step, h.value) for h in run.history]").results == [
        "({'loss': 0.5}, [(0, 3.0), (1, 2.0), (2, 1.0)])"
    ]
    assert notebook.run("(run.best().output / 'x.txt').read_text()").results == ["'kept'"]


def test_what_is_no_number_is_kept_with_a_warning(notebook: Notebook) -> None:
    shown = notebook.run("%%train --name odd\ndef f(): return object")
    assert shown.status == "ok"
    assert "object" in shown.plain


def test_logs(notebook: Notebook) -> None:
    notebook.run(
        "%%train --name talking --completions 2\nimport sys\ndef f():\n    print('out')\n    print('err', "
        "file=sys.stderr)\n    return 1"
    )
    assert notebook.run("print(run.logs(1))").text.split() == ["out", "err"]
    assert notebook.metaml("logs", "talking:0", "--stream", "stderr") == "err\n"


def test_the_slice_goes_through_cells_run_twice_and_out_of_order(notebook: Notebook) -> None:
    notebook.run("def outer():\n    return inner() + CONSTANT")
    notebook.run("CONSTANT = 1")
    notebook.run("def inner():\n    return helper.__name__")
    notebook.run("def inner():\n    return len(helper())")
    notebook.run("def helper():\n    return [CONSTANT] * 3")
    notebook.run("CONSTANT = 10")
    shown = notebook.run("%%train --name deep\ndef f(): return outer()")
    assert shown.status == "ok", shown.error
    assert notebook.run("run.best().metrics").results in (["{'value': 13}"], ["{'value': 13.0}"])


def test_ipython_syntax_in_cells_that_are_needed(notebook: Notebook) -> None:
    notebook.run(
        "%matplotlib inline\nword = 'two'\nlisting = !echo one $word\n%time steps = 3\nasync def three():\n    "
        "return 3\nvalue = await three()\nthree?"
    )
    shown = notebook.run("%%train --name magical\ndef f(): return {'loss': steps + value + len(listing)}")
    assert shown.status == "ok", shown.error
    assert notebook.run("run.best().metrics['loss']").results in (["7"], ["7.0"])


def test_local_modules_come_along(notebook: Notebook) -> None:
    (notebook.folder / "beside.py").write_text("from beside_too import two\n\ndef three():\n    return two() + 1\n")
    (notebook.folder / "beside_too.py").write_text("def two():\n    return 2\n")
    notebook.run("import beside")
    shown = notebook.run("%%train --name local\ndef f(): return beside.three()")
    assert shown.status == "ok", shown.error
    assert notebook.run("run.best().metrics").results in (["{'value': 3}"], ["{'value': 3.0}"])


def test_names_of_a_file_that_was_run(notebook: Notebook) -> None:
    (notebook.folder / "helpers.py").write_text("BASE = 2\n\ndef twice(x):\n    return x * BASE\n")
    notebook.run("%run helpers.py\nfour = twice(2)")
    shown = notebook.run("%%train --name ran\ndef f(): return {'loss': four + twice(1)}")
    assert shown.status == "ok", shown.error
    assert notebook.run("run.best().metrics['loss']").results in (["6"], ["6.0"])


def test_decorator_in_a_notebook(notebook: Notebook) -> None:
    notebook.run(
        "from metaml import Train\nrows = [{'x': 1}, {'x': 2}]\n@Train(settings={'parallelism': 2, "
        "'hyper_parameters': rows, 'name': 'decorated'}, package={'repository': 'example', 'publish': True})\n"
        "def f(x):\n    return {'loss': x}"
    )
    assert notebook.run("f(3)").results == ["{'loss': 3}"], "with arguments it is the plain function"
    shown = notebook.run("r = f()")
    assert shown.status == "ok", shown.traceback
    assert "unused on target local: repository, publish" in shown.plain
    assert notebook.run("r.name, r.best().parameters").results == ["('decorated-1', {'x': 1})"]
    assert "no setting" in notebook.run("@Train(settings={'paralelism': 2})\ndef g(): pass").error


def test_a_polars_dataframe_gives_a_trial_for_each_row(notebook: Notebook) -> None:
    notebook.run("import polars as pl\nframe = pl.DataFrame({'lr': [0.1, 0.3], 'n': [1, 2]})")
    shown = notebook.run("%%train --hyper-parameters frame --name polars\ndef fit(lr, n):\n    return {'v': n}")
    assert shown.status == "ok", shown.traceback
    assert notebook.run("[t.parameters for t in run]").results == ["[{'lr': 0.1, 'n': 1}, {'lr': 0.3, 'n': 2}]"]


def test_a_function_of_one_dict_gets_each_row(notebook: Notebook) -> None:
    notebook.run("grid = {'lr': [0.1, 0.3], 'n': [1, 2]}")
    shown = notebook.run(
        "%%train --hyper-parameters grid --name whole\ndef fit(params: dict):\n    return params['lr'] * params['n']"
    )
    assert shown.status == "ok", shown.traceback
    assert "`params` gets each row of `grid` as one dict" in shown.plain
    assert notebook.run("[t.result for t in run]").results == ["[0.1, 0.2, 0.3, 0.6]"]
    refused = notebook.run("%%train --hyper-parameters grid --name whole\ndef fit(params: float):\n    return params")
    assert "row 0 of `grid` lacks `params`" in refused.error


def test_the_same_seed_draws_and_trains_the_same(notebook: Notebook) -> None:
    seeds = notebook.run("import random, numpy as np\nnp.random.seed(0); random.seed(0)").count
    cell = (
        "%%train --completions 3 --seed 5\ndef seeded(x=1):\n    return {'r': random.random(), 'n': np.random.rand()}"
    )
    metrics = "[tuple(t.metrics.values()) for t in run.trials]"
    shown = notebook.run(cell).plain
    assert f"--seed 5 goes before the seed that the program gives numpy, random (cell {seeds}, line 2)" in shown
    first = notebook.run(metrics).results
    notebook.run(cell)
    assert notebook.run(metrics).results == first
    assert notebook.run("len({m for t in run.trials for m in t.metrics.values()})").results == ["6"]

    notebook.run("hp = lambda: {'lr': random.random()}")
    cell = "%%train --completions 2 --seed 5 --hyper-parameters hp\ndef drawn(lr): return {'acc': lr}"
    rows = "[t.parameters['lr'] for t in run.trials]"
    notebook.run(cell)
    first = notebook.run(rows).results
    notebook.run(cell)
    assert notebook.run(rows).results == first
    assert notebook.run("random.random() == (random.seed(0), random.random())[1]").results == ["True"]


def test_a_part_of_a_package_that_was_made_by_code_does_not_make_it_the_users(notebook: Notebook) -> None:
    """What torch.ops and torch.classes look like: their __file__ is "_ops.py"."""
    notebook.run(
        "import sys, types, numpy\nodd = types.ModuleType('numpy.ops'); odd.__file__ = '_ops.py'\n"
        "sys.modules['numpy.ops'] = odd"
    )
    shown = notebook.run("%%train --name whose\ndef f():\n    return float(numpy.ones(1).sum())")
    assert shown.status == "ok", shown.plain
    folder = Path(notebook.run("print(run.trials[0].output)").text.strip()).parents[2]
    assert "numpy" in json.loads((folder / "program" / "code" / "program.json").read_text())["imports"]
    assert [p.name for p in (folder / "program" / "code").iterdir() if p.name.startswith("numpy")] == []


def test_what_looks_for_a_notebook_runs_as_in_a_script(notebook: Notebook) -> None:
    notebook.run(
        "def in_notebook():\n    try:\n        return get_ipython().__class__.__name__ == 'ZMQInteractiveShell'\n"
        "    except NameError:\n        return False\n"
        "IN_NOTEBOOK, IN_COLAB = in_notebook(), 'google.colab' in str(get_ipython())"
    )
    assert notebook.run("IN_NOTEBOOK, IN_COLAB").results == ["(True, False)"]
    shown = notebook.run("%%train --name where\ndef f():\n    return 2 * IN_NOTEBOOK + IN_COLAB")
    assert shown.status == "ok", shown.plain
    assert notebook.run("run.trials[0].metrics").results == ["{'value': 0.0}"]
