"""The object that a training function returned: kept beside the trial's logs, and loaded when somebody reads it.

A pickle executes what it says, so it is loaded only when it is read, and only of a run that this user made on this
machine: `metaml` says whether that is so (``not_own`` of `metaml show --json`).
"""

from __future__ import annotations

import os
from _pickle import Pickler  # before trials are forked; not pickle, which takes 3 ms to import
from contextlib import suppress
from typing import Any

NAME = "result.pickle"
WHY = ".txt"  # after the name: the sentence that says why there is no pickle

#: Bytes of a pickle. What is larger belongs into a file in ``metaml.output()``.
LIMIT = 64 << 20


class _TooLarge(Exception):
    pass


class _Bounded:
    """A file for a pickle, which ends the pickling of something large before it fills the disk."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._left = LIMIT

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        self._left -= size
        if self._left < 0:
            raise _TooLarge
        while view:
            view = view[os.write(self._fd, view) :]
        return size


def keep(folder: str, result: Any) -> None:
    """Write what a function returned into the folder of the attempt, or why that cannot be done. It never raises.

    Whoever looks meanwhile sees all of it or nothing.
    """
    path = os.path.join(folder, NAME)
    begun = path + ".new"
    why = _write(begun, result)
    if not why:
        try:
            os.replace(begun, path)
        except OSError as error:
            why = f"it cannot be written: {error}"
    if why:
        with suppress(OSError):
            os.unlink(begun)
        with suppress(OSError), open(path + WHY, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(why)


def _write(path: str, result: Any) -> str:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            Pickler(_Bounded(fd), 5).dump(result)
        finally:
            os.close(fd)
    except _TooLarge:
        return f"it is larger than {LIMIT >> 20} MiB; write it to metaml.output()"
    except OSError as error:
        return f"it cannot be written: {error}"
    except (
        BaseException
    ) as error:  # whatever an object's __reduce__ raises, and an interrupt: the function has returned
        return f"it cannot be pickled: {type(error).__name__}: {_text(error)[:500]}"
    return ""


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as other:
        return f"<its text raised {type(other).__name__}>"


def load(index: int, run: str, data: dict[str, Any]) -> Any:
    """What trial `index` of a run returned.

    Args:
        run: its name.
        data: what `metaml show --json` says of it.

    Raises:
        MetaMLError: there is nothing to load, or it must not or cannot be loaded; and why.
    """
    from metaml._errors import MetaMLError

    whose = f"trial {index} of {run}"
    trials = data.get("trials") or []
    trial = trials[index] if index < len(trials) else {}
    state = trial.get("state")
    if state != "succeeded":
        text = {
            "pending": "has not started yet",
            "running": "still runs",
            "stopped": "was stopped before it returned",
            "failed": "failed",
        }.get(str(state), "is not there")
        hint = {"pending": "run.wait() waits for it.", "running": "run.wait() waits for it."}.get(str(state), "")
        raise MetaMLError(f"{whose} {text}, so it has no result", hint)
    if why := data.get("not_kept"):
        raise MetaMLError(str(why.get("text") or ""), str(why.get("hint") or ""))
    if data.get("not_own"):
        raise MetaMLError(
            f"the result of {whose} is not loaded: the folder of the run {data['not_own']}",
            f"Loading it executes what it says. Who trusts it can load {trial.get('result') or 'it'} with pickle.",
        )
    path = str(trial.get("result") or "")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise MetaMLError(f"{whose} kept no result: {_why(path)}") from None
    except OSError as error:
        raise MetaMLError(f"the result of {whose} cannot be read: {error}") from None
    with open(fd, "rb") as file:
        if os.fstat(fd).st_uid != os.geteuid():
            raise MetaMLError(f"the result of {whose} is not loaded: it belongs to another user")
        return _unpickled(file, whose)


def _why(path: str) -> str:
    try:
        with open(path + WHY, encoding="utf-8") as file:
            return file.read(2000)
    except OSError:
        return "it ended by sys.exit(), or ran with an older MetaML"


def _unpickled(file: Any, whose: str) -> Any:
    import pickle
    import re

    from metaml._errors import MetaMLError

    try:
        return pickle.load(file)  # noqa: S301 - the user's own, see above
    except (AttributeError, ImportError) as error:
        name = getattr(error, "name", None)
        if isinstance(error, AttributeError):
            # "Can't get attribute 'Net' on <module '__main__'>": Python has the name only in the sentence.
            match = re.search(r"attribute '([^']+)'", str(error))
            name = match[1] if match else name
            raise MetaMLError(
                f"the result of {whose} needs `{name}`, which is not defined here",
                "Run the cell that defines it first.",
            ) from error
        raise MetaMLError(f"the result of {whose} needs the module {name!r}, which cannot be imported here") from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise MetaMLError(f"the result of {whose} is damaged: {error}") from None
