"""`%metaml runs|show|attach|logs|stop|plan|…`: the command line from a cell."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

from metaml._binary import find
from metaml._errors import Interrupted, Refused
from metaml._session.live import Live

if TYPE_CHECKING:
    from metaml._held.run import Run
    from metaml._held.server import Server

COMMANDS = (
    "attach",
    "build",
    "delete",
    "doctor",
    "logs",
    "plan",
    "resume",
    "rollback",
    "runs",
    "scale",
    "settings",
    "show",
    "stop",
    "tensorboard",
    "token",
    "version",
)


#: What is about the last cell with `%%train` or `%%serve`, unless a file is named.
_OF_A_CELL = ("plan", "build")

#: Before what the command says last, when it cannot do its work. Only this tells it from the lines of progress on the
#: same stream: the exit code, which comes later, says that there is one.
_COMPLAINT = "metaml: "


#: What %metaml alone prints.
_HELP = """\
%metaml COMMAND [ARGUMENTS]: the metaml command from a cell

%metaml runs                what ran and what runs
%metaml attach [RUN]        the live table of a run or a server, and its Run or Server
%metaml show|logs|stop RUN  as on the command line
%metaml scale SERVER N      more or fewer processes for a server; rollback SERVER has its last revision again
%metaml plan [OPTIONS]      what the last cell with %%train or %%serve would run; starts no trial
%metaml build [OPTIONS]     makes the image that it would get on a cluster, and shows its name
%metaml settings            every setting, its value here and where that came from

RUN is a name, a series (its newest run), a unique beginning, or last; the name of a variable that holds a Run or a
Server will do.
"""


class LineMagic:
    """%metaml COMMAND [ARGUMENTS]: the `metaml` command from a cell."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self.__name__ = "metaml"

    def __call__(self, line: str) -> Run | Server | None:
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise Refused(f"%metaml: {error}", code="option") from None
        if not words:
            print(_HELP, end="")
            return None
        command, *rest = words
        if command == "attach":
            return self._talk("attach", " ".join(self._named(rest)))
        if command in _OF_A_CELL and not any(os.path.exists(word) for word in rest):
            self._talk("", " ".join(shlex.quote(word) for word in rest), command=command)
            return None
        self._run([command, *self._named(rest)])
        return None

    def _named(self, words: list[str]) -> list[str]:
        """A variable that holds one of our runs or servers stands for it."""
        from metaml._held.held import Held

        namespace = self._live.shell.user_ns
        named = []
        for word in words:
            head, colon, tail = word.partition(":")
            value = namespace.get(head)
            named.append(f"{value.name}{colon}{tail}" if isinstance(value, Held) else word)
        return named

    def _talk(self, kind: str, line: str, command: str = "run") -> Run | Server | None:
        from metaml._binary.begin import begin
        from metaml._session.answers import Answers
        from metaml._session.submit import submit

        live = self._live
        cell = live.recorder.current()
        if cell is None:
            raise Refused("%metaml attach works in a cell only")
        alone = (
            command == "run"
            and live.alone(cell)
            and cell.source.strip().startswith("%metaml")
            and "\n" not in cell.source.strip()
        )
        conversation = live.open(command)
        answers = Answers(live.shell.user_ns)
        try:
            about = live.about(cell, alone)
            if command in _OF_A_CELL:
                kind, about["seq"] = live.recorder.last_entry()
            first = begin(conversation, kind, line, answers, cell=about, source=live.source())
            return submit(
                conversation,
                first,
                lambda: live.recorder.document(live.source()),
                answers,
                place=lambda run, into: live.place(run, into, cell.count),
                show=live.show if live.renders() else None,
                held=live.holds(alone),
            )
        finally:
            answers.close()
            conversation.close()

    def _run(self, words: list[str]) -> None:
        """Run the command and print what it says as it says it."""
        child = subprocess.Popen(
            [find.metaml(), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        complaint = ""
        try:
            for text, is_result in _lines(child):
                # A log may say "metaml: " too; what the command complains of is not in its result.
                if not is_result and (complaint or text.startswith(_COMPLAINT)):
                    complaint += text.removeprefix(_COMPLAINT)
                else:
                    print(text, end="", flush=True)
            code = child.wait()
        except KeyboardInterrupt:
            # Ending `metaml logs -f` or `attach` leaves the run alone.
            raise Interrupted() from None
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait()
        if code != 0:
            text, _, hint = (complaint.strip() or f"it ended with code {code}").partition("\n")
            raise Refused(f"%metaml {words[0]}: {text}", hint, code="command")


def _lines(child: subprocess.Popen[bytes]) -> Iterator[tuple[str, bool]]:
    """What a child says on both streams, line by line as it comes, and whether that is its result or beside it."""
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as pipes:
        unfinished: dict[int, bytes] = {}
        for pipe in (child.stdout, child.stderr):
            assert pipe is not None  # noqa: S101 - Popen made pipes
            pipes.enter_context(pipe)
            waiting.register(pipe, selectors.EVENT_READ, pipe is child.stdout)
            unfinished[pipe.fileno()] = b""
        while waiting.get_map():
            for key, _ in waiting.select():
                chunk = os.read(key.fd, 1 << 16)
                if not chunk:
                    waiting.unregister(key.fileobj)
                *lines, rest = (unfinished[key.fd] + chunk).splitlines(keepends=True) or [b""]
                if not chunk or rest.endswith(b"\n"):
                    lines, rest = [*lines, rest], b""
                unfinished[key.fd] = rest
                for line in filter(None, lines):
                    yield line.decode("utf-8", "replace"), key.data
