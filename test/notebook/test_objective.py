"""Which trial is the best: the table, the Run and the server that is made of it say the same."""

from __future__ import annotations

import pytest
from conftest import Notebook

RIDGE = """
def ridge(alpha):
    (output() / 'alpha').write_text(str(alpha))
    return {'rmse': 56.4 if alpha < 1 else 70.4}
"""
UNDECIDED = (
    "the name `value` does not say whether more or less of it is better, so no trial of {run} is called the best: "
    "--objective min:value or max:value"
)


@pytest.fixture(scope="module", autouse=True)
def rows(notebook: Notebook) -> None:
    notebook.run("import metaml\nfrom metaml import output\nhp = [{'alpha': 1000.0}, {'alpha': 0.001}]")


@pytest.mark.parametrize("option", ["", "--objective rmse", "--objective minimize:rmse"])
def test_less_of_an_error_is_better_everywhere(notebook: Notebook, option: str) -> None:
    shown = notebook.run(f"%%train --hyper-parameters hp {option}{RIDGE}")
    assert "best rmse 56.4 (trial 1)" in shown.plain
    assert notebook.run(
        "run.best().parameters, run.best('rmse').index, run.best('rmse', mode='max').index, run.objective"
    ).results == ["({'alpha': 0.001}, 1, 0, ('rmse', 'min'))"]
    assert "best rmse 56.4 (trial 1)" in notebook.run("print(repr(run))").text


def test_the_best_is_what_is_served(notebook: Notebook) -> None:
    notebook.run(f"%%train --hyper-parameters hp{RIDGE}")
    shown = notebook.run(
        "%%serve --model run\nalpha = (metaml.model() / 'alpha').read_text()\ndef predict(x: int): return alpha"
    )
    assert shown.error == ""
    assert notebook.run("server.predict(1)").results == ["'0.001'"]
    notebook.run("server.stop()")


def test_what_has_no_direction_is_refused_in_one_sentence(notebook: Notebook) -> None:
    shown = notebook.run(
        "%%train --hyper-parameters hp\ndef number(alpha):\n    (output() / 'x').touch()\n    return alpha"
    )
    sentence = UNDECIDED.format(run=notebook.run("run.name").results[0].strip("'"))
    assert sentence in shown.plain
    assert "(trial" not in shown.plain
    assert sentence in notebook.run("run.best()").error
    assert sentence in notebook.run("%%serve --model run\ndef predict(x): return x").error
    assert notebook.run("run.objective, run.best('value', mode='min').index").results == ["(None, 1)"]
    assert "run.best('value', mode='min')" in notebook.run("run.best('value')").error


def test_the_only_trial_that_succeeded_is_the_best(notebook: Notebook) -> None:
    shown = notebook.run("%%train\ndef one():\n    return {'value': 3}")
    assert "--objective" not in shown.plain
    assert notebook.run("run.best().index").results == ["0"]
    notebook.run(
        "%%train --hyper-parameters hp\ndef fussy(alpha):\n    assert alpha < 1\n    return {'value': float('nan')}"
    )
    assert notebook.run("run.best().index").results == ["1"]


def test_a_typo_is_said_at_once(notebook: Notebook) -> None:
    shown = notebook.run(f"%%train --hyper-parameters hp --objective rmes{RIDGE}")
    assert "--objective takes min:rmes or max:rmes, since the name `rmes` does not say" in shown.error
    assert "did you mean rmse?" in shown.error
    said: list[bool] = []

    def when(shown: object) -> None:
        text = getattr(shown, "plain", "")
        if "did you mean rmse?" in text:
            said.append("2 trials" in text.split("\n\n")[0] and "succeeded in" in text)

    gate = notebook.folder / "typo-is-said"
    code = f"""%%train --hyper-parameters [x] --objective min:rmes
import os, time
def waits(alpha):
    while alpha < 1 and not os.path.exists({str(gate)!r}):
        time.sleep(0.01)
    return {{'rmse': alpha}}
""".replace("[x]", "hp")

    def opened(shown: object) -> None:
        when(shown)
        if said:
            gate.touch()

    shown = notebook.run(code, when=opened)
    assert shown.status == "ok"
    assert said[0] is False, "it was said while the second trial was still running"
    assert "no such metric; did you mean rmse?" in notebook.run("run.best()").error


@pytest.mark.parametrize(
    ("names", "objective"),
    [
        ("val_loss val_acc", "('val_acc', 'max')"),
        ("val_accuracy val_loss", "('val_accuracy', 'max')"),
        ("acc loss", "('acc', 'max')"),
        ("acc time", "('acc', 'max')"),
        ("test_auc train_auc", "('test_auc', 'max')"),
        ("rmse mae", "('rmse', 'min')"),
        ("val_f1 train_f1", "('val_f1', 'max')"),
    ],
)
def test_of_several_metrics_one_decides(notebook: Notebook, names: str, objective: str) -> None:
    body = ", ".join(f"'{name}': alpha" for name in names.split())
    notebook.run(f"%%train --hyper-parameters hp --into rr\ndef oo(alpha):\n    return {{{body}}}\n")
    assert notebook.run("rr.objective").results == [objective]
