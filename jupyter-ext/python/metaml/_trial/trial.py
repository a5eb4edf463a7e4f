"""One trial: the call of the entry function, and what becomes of it (docs/internals/engine.md)."""

from __future__ import annotations

from typing import Any

from metaml._trial import drive, identity, report, returned
from metaml._trial.failure import describe, safe_repr
from metaml._trial.process import say
from metaml._trial.program import Program
from metaml._trial.seeds import Seeds, reseed
from metaml._values.typed import decode

__all__ = ["Trial", "metrics_of"]


EXCEPTION = 42  # the entry function raised


class Trial:
    """The call of the entry function and what becomes of it."""

    def __init__(self, program: Program, start: dict[str, Any]) -> None:
        self.program = program
        self.start = start
        self.noted = False  # that something yielded is no number

    def run(self) -> int:
        """Call the entry function, tell what it returned or raised; gives the exit status."""
        load = self.program.load
        identity.entered(self.start["seed"])
        try:
            Seeds(self.start["seed"], load.get("self_seeded") or [])
            reseed(self.program.module, load.get("reseed") or [], self.start["seed"])
            function = self.program.function()
            arguments = {name: decode(v) for name, v in (self.start.get("row") or {}).items()}
            if whole := self.start.get("whole"):
                arguments = {whole: arguments}
            result = function(**arguments)
            if drive.waits(result):
                result = drive.drive(result, self.yielded)
            returned.keep(self.start["folder"], result)
            self.returned(result)
        except SystemExit as error:
            return self.exited(error)
        except BaseException as error:
            return self.raised(error)
        return 0

    def yielded(self, value: Any) -> None:
        """What a function yields is a report: a dict of numbers, with its ``step`` if it has one, or a number."""
        if value is None:
            return
        metrics, left_out = metrics_of(value)
        step = metrics.pop("step", None)
        if metrics:
            report.report(step, **metrics)
        if (left_out or not metrics) and not self.noted:
            self.noted = True
            names = "not reported, since not numbers: " + ", ".join(left_out[:10])
            text = names if metrics else f"the function yielded {_no_numbers(value)}"
            report.send({"type": "note", "code": "yielded", "text": text})

    def returned(self, result: Any) -> None:
        """A dict of numbers is the trial's metrics, a number is the metric ``value``, anything else is kept as its
        repr.
        """
        metrics, left_out = metrics_of(result)
        if result is not None and not metrics:
            text = f"the function returned {_no_numbers(result)}"
            report.send({"type": "note", "code": "returned", "text": text})
        elif left_out:
            names = ", ".join(left_out[:10])
            report.send(
                {"type": "note", "code": "returned", "text": f"left out of the result, since not numbers: {names}"}
            )
        report.send({"type": "result", "metrics": report.encode_metrics(metrics)})

    def exited(self, error: SystemExit) -> int:
        """``sys.exit``: without a complaint it is an end like any other."""
        if error.code is None or error.code == 0:
            report.send({"type": "result", "metrics": {}})
            return 0
        code = error.code if isinstance(error.code, int) else 1
        report.send({"type": "error", "error": describe(error, self.program.main) | {"origin": "exit"}})
        if not isinstance(error.code, int):
            say(f"{error.code}\n")
        return code & 0xFF or 1

    def raised(self, error: BaseException) -> int:
        described = describe(error, self.program.main)
        report.send({"type": "error", "error": described})
        say(described["traceback"])
        return EXCEPTION


def metrics_of(value: Any) -> tuple[dict[str, float], list[str]]:
    """The numbers in what a function gave, by name, and the names of what is no number."""
    history = getattr(value, "history", None)
    if isinstance(history, dict) and hasattr(value, "epoch"):  # keras' History: the values of the last epoch
        value = {k: v[-1] for k, v in history.items() if isinstance(v, list) and v}
    metrics: dict[str, float] = {}
    left_out: list[str] = []
    for name, entry in value.items() if isinstance(value, dict) else (("value", value),):
        plain = report.number(entry)
        if plain is not None:
            metrics[str(name)] = plain
        elif isinstance(value, dict):
            left_out.append(str(name))
    return metrics, left_out


def _no_numbers(value: Any) -> str:
    return f"a {type(value).__name__}, not numbers: {safe_repr(value, 200)}"
