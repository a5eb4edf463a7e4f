"""What a training function sends MetaML while it runs: :func:`report`, :func:`output` and :func:`checkpoint`.

All three also work outside a trial (in a notebook cell, in a plain ``python train.py``), so that a training function
needs no second version: ``report`` then only checks its arguments, ``output`` is a folder beside the script,
``checkpoint`` does nothing.
"""

from __future__ import annotations

import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["checkpoint", "output", "report"]

#: The descriptor on which a trial sends its events; -1 outside a trial. Forked children of a trial share it.
_events = -1
#: The folder of the attempt; None outside a trial, and in a server's worker.
_folder: str | None = None
#: The functions that said why they do nothing here.
_explained: set[str] = set()

#: The temporary folder that :func:`output` gave.
_made: Path | None = None

#: Bytes of one line; docs/internals/protocols.md §5.
_MAX_LINE = 64 * 1024
#: Bytes of an ``error``, with its traceback and frames.
_MAX_EVENT = 192 * 1024


def number(value: Any) -> float | None:
    """The value as a float, or None if it is no number: int, float, bool, numpy scalars, arrays and tensors of one
    element.
    """
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, (str, bytes, bytearray)) or value is None:
        return None
    item = getattr(value, "item", None)  # numpy, torch, jax
    if item is None and hasattr(value, "numpy"):  # tensorflow
        try:
            item = getattr(value.numpy(), "item", None)
        except Exception:
            return None
    try:
        plain = item() if callable(item) else float(value)
    except Exception:
        return None
    return float(plain) if isinstance(plain, (bool, int, float)) else None


def encode_metrics(metrics: dict[str, float]) -> dict[str, Any]:
    """Metrics as JSON has them: NaN and the infinities as strings."""
    return {
        name: v if math.isfinite(v) else "nan" if math.isnan(v) else "inf" if v > 0 else "-inf"
        for name, v in metrics.items()
    }


def send(message: dict[str, Any]) -> int:
    """Send one event of the trial; gives its size in bytes. Outside a trial nothing happens."""
    line = _line(message)
    if len(line) > _MAX_EVENT:
        # Text full of what JSON escapes. The whole traceback is on stderr too.
        error = {**message.get("error", {}), "frames": []}
        error["traceback"] = str(error.get("traceback", ""))[-8192:]
        line = _line({**message, "error": error})
    if _events >= 0:
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(_events, rest) :]
        except OSError:
            pass  # the supervisor is gone, and this process is about to be
    return len(line)


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def report(step: float | None = None, **metrics: Any) -> None:
    """Report metrics of the trial, at a step if there is one::

        metaml.report(step=epoch, loss=loss, accuracy=accuracy)

    Values are numbers, or what is one number (numpy scalars, tensors of one element). Outside a trial nothing is kept.
    """
    if not metrics and step is not None:
        raise TypeError("report() takes metrics by name: report(step=3, loss=0.2), or report(**metrics) of a dict")
    values: dict[str, float] = {}
    for name, value in metrics.items():
        plain = number(value)
        if plain is None:
            raise TypeError(f"report({name}=...): a {type(value).__name__} is not a number")
        values[name] = plain
    message: dict[str, Any] = {"type": "report", "metrics": encode_metrics(values)}
    if step is not None:
        at = number(step)
        if at is None or not math.isfinite(at):
            raise TypeError(f"report(step=...): {step!r} is not a finite number")
        message["step"] = at
    if sum(len(name) + 40 for name in values) > _MAX_LINE:
        raise ValueError(f"report() was given {len(values)} metrics at once, more than fit into 64 KiB")
    if _events < 0:
        _say_why_not("report", "is kept", "hand the values to the trial and report them there")
    send(message)


def _say_why_not(name: str, does: str, instead: str) -> None:
    """In a process that a trial has started anew: nothing was inherited that leads to the trial's supervisor."""
    if "_METAML_TRIAL" in os.environ and name not in _explained:
        _explained.add(name)
        print(
            f"metaml: {name}() {does} only from a trial's own process and its forks, not from processes that it "
            f"starts anew (spawn, forkserver, subprocess); {instead}",
            file=sys.stderr,
            flush=True,
        )


def output() -> Path:
    """The folder for what the trial is to leave behind; it exists.

    A further attempt of a trial finds there what :func:`checkpoint` kept last, and nothing else.

    Outside a trial it is ``output`` in the working directory or, where that cannot be written, a temporary folder.
    """
    from pathlib import Path  # every trial imports this module, and not every one reads its folder

    named = os.environ.get("_METAML_OUTPUT")
    folder = Path(named) if named else Path("output").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        if named:
            raise
        return _temporary()
    return folder


def _temporary() -> Path:
    """One folder for this process, by a name that nobody else can have taken before."""
    import tempfile
    from pathlib import Path

    global _made
    if _made is None or not _made.is_dir():
        _made = Path(tempfile.mkdtemp(prefix="metaml-output-"))
    return _made


def checkpoint() -> None:
    """Keep what is in :func:`output` now, so that a further attempt of the trial goes on from there::

        model = Net()
        saved = metaml.output() / "model.pt"
        first = 0
        if metaml.attempt() and saved.exists():  # a further attempt of a trial
            state = torch.load(saved)
            model.load_state_dict(state["model"])
            first = state["epoch"] + 1
        for epoch in range(first, epochs):
            train_one_epoch(model)
            torch.save({"model": model.state_dict(), "epoch": epoch}, saved)
            metaml.checkpoint()

    It returns when the files are kept, as they are then: close or flush them before. There is a further attempt when
    the trial's process was killed (``--retries``) and after ``metaml resume``. It finds in :func:`output` what was kept
    last and nothing else; what the attempt before it left there is in that attempt's folder. Threads and forked
    children of a trial may call it, too. An exception in the middle, such as a KeyboardInterrupt, gives it up. Outside
    a trial nothing happens, and on a cluster nothing yet.

    Raises:
        OSError: the files could not be kept, and why. What was kept before still is.
    """
    if _folder is None:
        if "_METAML_SEED" in os.environ:  # of a trial
            _say_why_not("checkpoint", "keeps files", "call it in the trial when they have written theirs")
        return
    import fcntl

    ident = os.urandom(8).hex()
    turn = os.open(_folder, os.O_RDONLY)  # a lock on the folder needs no file, for which the disk may have no room
    try:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)  # who has it reads the answers
            answer = _ask(ident)
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)  # children that were forked meanwhile have the descriptor, too
    finally:
        os.close(turn)
    if answer is None:
        raise OSError(
            "checkpoint() could not keep what is in output(): the process that supervises the trial has ended"
        )
    if text := answer.get("error"):
        error = OSError(text)
        error.errno = answer.get("errno") or None
        raise error


def _ask(ident: str) -> dict[str, Any] | None:
    try:
        send({"type": "checkpoint", "id": ident})
        return _answer(ident)
    except BaseException:
        # The caller may change files as soon as this is left, and what is kept would be a mixture.
        send({"type": "abandon", "id": ident})
        _answer(ident)
        raise


def _answer(ident: str) -> dict[str, Any] | None:
    """The answer to a request; None if nobody is there any more. Other answers were left by those who were interrupted
    before they had read theirs.
    """
    rest = b""
    while data := os.read(_events, 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # its beginning was read by somebody who was interrupted
            if isinstance(answer, dict) and answer.get("id") == ident:
                return answer
    return None
