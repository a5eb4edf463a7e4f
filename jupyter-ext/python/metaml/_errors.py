"""The exceptions of MetaML.

::

    Exception
    └── MetaMLError        everything below; a text, and often a hint
        ├── Refused        the user's mistake: nothing was started
        ├── TrialsFailed   all trials of a run failed
        ├── ServerFailed   a server, or a new revision of one, never got ready
        ├── RequestFailed  a server answered with an error
        ├── Detached       the cell ended, the run goes on
        ├── Stopped        somebody else stopped the run (private)
        └── SubmissionFailed  a run was not started (private)
    KeyboardInterrupt
    └── Interrupted        the run was stopped by an interrupt (private)

metaml.HTTPError is none of these: it is what a serving function raises (_values/response.py).

They are shown without a stack, since the frames of this module say nothing about the user's code.
"""

from __future__ import annotations

from typing import Any

from metaml._visible import visible


class MetaMLError(Exception):
    """Something about a run went wrong.

    Attributes:
        text (str): one clause: what failed, on which name.
        hint (str): what to do about it, in full sentences, or "".
    """

    def __init__(self, text: str = "", hint: str = "", *, lines: list[str] | None = None) -> None:
        self.text, self.hint = visible(text), visible(hint)  # names and values of others are in them
        self._lines = lines
        super().__init__(f"{self.text}\n{self.hint}" if hint else self.text)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a stack."""
        return self._lines or [f"{type(self).__name__}: {self}"]


class Refused(MetaMLError):
    """A cell, an option or a value that cannot be accepted. Nothing was started.

    Attributes:
        code (str): stable name of the reason, for programs, such as "no-source".
        cell (int): number of the cell that it is about, 0 if none.
        line (int): line in that cell, from 1, 0 if none.
    """

    def __init__(
        self,
        text: str,
        hint: str = "",
        *,
        code: str = "refused",
        cell: int = 0,
        line: int = 0,
        lines: list[str] | None = None,
    ) -> None:
        super().__init__(text, hint, lines=lines)
        self.code = code
        self.cell = cell
        self.line = line


class TrialsFailed(MetaMLError):
    """All trials of a run failed. Their errors are in ``metaml.run(NAME).trials``."""


class ServerFailed(MetaMLError):
    """A server never got ready. A new revision of one that answers leaves the old one answering."""


class RequestFailed(MetaMLError):
    """A server answered :meth:`metaml.Server.predict` with an error.

    Attributes:
        status (int): the HTTP status: 422 is input that the function does not take, 500 an exception in it, 503 too
            much at once, 504 no answer in time.
        id (str): under which the server's logs have the reason, or "".
        answer: what the server said, as Python has it.
    """

    def __init__(self, text: str = "", hint: str = "", *, status: int = 0, id: str = "", answer: Any = None) -> None:
        super().__init__(text, hint)
        self.status = status
        self.id = id
        self.answer = answer


class Detached(MetaMLError):
    """The cell ended but its run goes on; ``metaml.run(NAME)`` finds it again."""


class Stopped(MetaMLError):
    """Somebody else stopped the run."""


class SubmissionFailed(MetaMLError):
    """A run was not started, though nothing was refused."""


class Interrupted(KeyboardInterrupt):
    """KeyboardInterrupt without a stack of ours."""

    def __init__(self, text: str = "", lines: list[str] | None = None) -> None:
        self._lines = lines
        super().__init__(text)

    def _render_traceback_(self) -> list[str]:
        text = str(self)
        return self._lines or [f"KeyboardInterrupt: {text}" if text else "KeyboardInterrupt"]


# Jupyter and tracebacks show the name that people know.
Interrupted.__name__ = Interrupted.__qualname__ = "KeyboardInterrupt"

# People meet them under the name that they import.
for _public in (MetaMLError, Refused, TrialsFailed, ServerFailed, RequestFailed, Detached):
    _public.__module__ = "metaml"

#: The exception for each name of an ending in a ``done`` line (docs/internals/protocols.md §1). The constants of
#: internal/launch/watch/end.go are the other side.
_ENDINGS: dict[str, type[MetaMLError] | type[Interrupted]] = {
    "Detached": Detached,
    "KeyboardInterrupt": Interrupted,
    "MetaMLError": MetaMLError,
    "Refused": Refused,
    "ServerFailed": ServerFailed,
    "Stopped": Stopped,
    "SubmissionFailed": SubmissionFailed,
    "TrialsFailed": TrialsFailed,
}


def ending_of(error: dict[str, Any]) -> type[MetaMLError] | type[Interrupted]:
    """Which exception the error of a ``done`` line stands for: {ename, evalue, traceback}. An ending that this version
    does not know is a MetaMLError.
    """
    return _ENDINGS.get(str(error.get("ename") or ""), MetaMLError)


def from_done(error: dict[str, Any]) -> BaseException:
    """Make the exception that the error of a ``done`` line describes."""
    lines = [str(line) for line in error.get("traceback") or []] or None
    return ending_of(error)(str(error.get("evalue") or ""), lines=lines)
