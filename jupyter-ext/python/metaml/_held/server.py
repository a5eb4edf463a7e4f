"""What the user holds after a `%%serve` cell: :class:`Server`."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metaml._binary import find
from metaml._errors import Interrupted, MetaMLError, RequestFailed, ServerFailed
from metaml._held.held import Held
from metaml._held.record import ENDED, Kept

if TYPE_CHECKING:
    from metaml._held.connection import Response

_POLL = 0.1  # seconds between two requests to a server that is waited for
_STARTS = 5  # of what ends as soon as it is started
_STOP = 90.0  # seconds that a server may take to answer what it has, and to end
_JSON_LINES = ("application/x-ndjson", "application/jsonl")


@dataclass(frozen=True)
class Worker:
    """One process of a server that calls the function; of a server on a cluster a pod, with all its processes.

    Attributes:
        index: its number, from 0.
        revision: the revision of the server that it runs.
        attempt: how often it was started.
        pid: its process; on a cluster 0.
        ready: whether it answers.
        reason: why it ended, if it did and none has taken its place yet, or "".
        error: {"type", "text", "frames", "traceback"} of the exception that ended it, or None.
        log: {"stdout", "stderr"}: paths.
    """

    index: int
    revision: int
    attempt: int = 0
    pid: int = 0
    ready: bool = False
    reason: str = ""
    error: dict[str, Any] | None = None
    log: dict[str, str] = field(default_factory=dict)


class Server(Held):
    """A function behind a URL. Make one with a `%%serve` cell, `metaml.run(NAME)` or a function under `@Serve`.

    It goes on when the kernel ends; :meth:`stop` ends it. Running its cell again gives it a new revision behind the
    same URL.

    Attributes:
        name (str): its name, such as "serve-1".
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._url = ""  # where it was last
        self._at: Kept[str] | None = None  # where it is, as long as nothing has happened to it
        self._links = threading.local()
        self._locked = False  # where it was last, it asked for its token
        self._token = ""  # as it was last; "" is not known
        self._before = -1  # its latest revision when it was last rolled back

    @property
    def url(self) -> str:
        """The address to POST to, such as "http://127.0.0.1:21873/predict"; "" until it was ready once.

        Of a server on a cluster it is forwarded by a process on this machine, which `metaml attach NAME` starts again;
        in a pod of that cluster it is the Service's.
        """
        self._url = str(self._read().get("url") or "")
        return self._url

    @property
    def public_url(self) -> str:
        """The address for callers outside of the server's cluster, with `--ingress` or `--expose`; "" where there is
        none, or none yet.
        """
        return str(self._read().get("public_url") or "")

    @property
    def state(self) -> str:
        """ "starting" until it answers for the first time, then "running"; "dead" when all its processes were killed,
        and :meth:`wait` starts it again; "stopped" or "failed".
        """
        return _state(self._read())

    @property
    def reason(self) -> str:
        """More about the state, or ""."""
        return str(self._read().get("reason") or "")

    @property
    def ready(self) -> bool:
        """Whether it answers now, by a request to it."""
        return bool(self._read().get("ready"))

    @property
    def revision(self) -> int:
        """The revision that answers: how often its cell has replaced it, from 1; 0 until one was ready."""
        return int(self._read().get("revision") or 0)

    @property
    def workers(self) -> list[Worker]:
        """Its processes, as they are now, also those of a revision that is being started."""
        return _workers(self._read())

    @property
    def token(self) -> str:
        """What requests must have where it was started with `--auth token`, as `Authorization: Bearer TOKEN`. It is
        read when it is asked for, and :meth:`predict` sends it by itself.

        Raises:
            MetaMLError: it has none, or you may not read it.
        """
        return find.call("token", self.name).strip()

    def predict(self, *input: Any, timeout: float | None = 30.0, **arguments: Any) -> Any:
        """Call the function over HTTP, as any client does::

            server.predict([5.1, 3.5, 1.4, 0.2])
            server.predict(image=pixels, top=3)      # a function with several parameters
            server.predict("new text", id=7)         # with --url /items/{id}

        Args:
            input: what the function gets: anything that JSON has, numpy arrays, pandas objects, tensors, dataclasses;
                bytes are sent as they are, and as base64 text where they are in something else. NaN is sent as null.
            timeout: seconds to wait for the answer to begin, and for each part of it; None waits without end.
            arguments: the values of the function's parameters, by name; those that the URL has in braces go there.

        Returns:
            What the function returned: the Python value of JSON, text as str, everything else as bytes. Of a function
            that yields, a list.

        Raises:
            RequestFailed: the server answered with an error.
            TimeoutError: it did not answer in time.
            MetaMLError: it cannot be reached, and why.
        """
        url = self._at.value if self._at is not None and self._at.holds() else self._address()
        try:
            response = self._post(*_request(self.name, url, input, arguments), timeout)
            if response.status == http.HTTPStatus.UNAUTHORIZED and self._asks_anew(response):
                response = self._post(*_request(self.name, url, input, arguments), timeout)
            moved = response.status == 404
        except ConnectionRefusedError:
            response, moved = None, True
        if moved and (now := self._address()) != url:  # another version of it was given another port or path
            try:
                response = self._post(*_request(self.name, now, input, arguments), timeout)
            except ConnectionRefusedError:
                response = None
        if response is None:
            dead = self.state == "dead"
            hint = "server.wait() starts it again." if dead else f"metaml attach {self.name} waits until it answers."
            what = (
                "is dead: all its processes have ended"
                if dead
                else f"is {self.state}, but nothing listens at {self._url}"
            )
            raise MetaMLError(f"{self.name} {what}", hint)
        return _answer(self.name, response)

    def _address(self) -> str:
        """Where it is now.

        Raises:
            MetaMLError: it does not answer, and why.
        """
        data = self._read()
        state = str(data.get("state") or "")
        self._url = str(data.get("url") or "")
        if state in ENDED:
            text = f"{self.name} {'was stopped' if state == 'stopped' else 'failed'}, so nothing answers"
            why = str(data.get("text") or data.get("reason") or "").partition("\n")[0]
            if why and state != "stopped":
                text += f": {why}"
            raise MetaMLError(text, f"Run its cell again, or %metaml resume {self.name}.")
        if not self._url:
            raise MetaMLError(f"{self.name} is not ready yet", "server.wait() waits until it is.")
        self._at = Kept(self._url, data.get("record") or {})
        self._locked = data.get("auth") == "token"
        return self._url

    def _asks_anew(self, response: Response) -> bool:
        """Whether it asks for a token that was not sent: another one, or for the first time. The function may answer
        401 itself, which says nothing of a token.
        """
        if response.headers.get("WWW-Authenticate") != "Bearer":
            return False
        try:
            now = self.token
        except MetaMLError:  # what answered says why
            return False
        sent, self._locked, self._token = self._token if self._locked else "", True, now
        return now != sent

    def _post(self, url: str, body: bytes, content_type: str, timeout: float | None) -> Response:
        from metaml._held.connection import Link

        if self._locked and not self._token:
            self._token = self.token
        link = getattr(self._links, "link", None)
        if link is None or not link.fits(url):
            link = self._links.link = Link(url)
        try:
            return link.post(url, body, content_type, timeout, self._token if self._locked else "")
        except TimeoutError:
            raise TimeoutError(f"{self.name} did not answer within {timeout:g} s") from None
        except ConnectionRefusedError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise MetaMLError(
                f"the connection to {self.name} broke: {error or type(error).__name__}",
                "If its front was killed, another has taken its place: send it again, if it may be answered twice.",
            ) from None

    def logs(self, worker: int | None = None, tail: int | None = None) -> str:
        """What its workers printed, and what the function raised.

        Args:
            worker: the index of one; without it all of them.
            tail: the last lines only, so many.

        Raises:
            MetaMLError: there is no such worker.
        """
        chosen = () if worker is None else ("--worker", str(int(worker)))
        text = find.call("logs", self.name, *chosen)
        return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail > 0 else [])

    def wait(self, timeout: float | None = None) -> Server:
        """Wait until it answers and no other revision of it is being started, and return it. One that is dead is
        started again.

        Args:
            timeout: seconds; None waits without end.

        Raises:
            ServerFailed: its latest revision never got ready.
            MetaMLError: it was stopped.
            TimeoutError: it is not ready yet.
            KeyboardInterrupt: you interrupted the waiting; the server goes on.
        """
        until = None if timeout is None else time.monotonic() + timeout
        starts = 0
        try:
            while True:
                data = self._read()
                if _state(data) == "dead":
                    starts += 1
                    self._start(last=starts == _STARTS)
                failed = data.get("failed")
                # What is known of a server elsewhere may be older than what was done last.
                settled = not data.get("starting") and _latest(data) > self._before
                if data.get("state") in ENDED or (failed and settled):
                    break
                if data.get("revision") and settled and data.get("ready"):
                    return self
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"{self.name} is not ready after {timeout:g} s")
                time.sleep(_POLL)
        except KeyboardInterrupt:
            raise Interrupted(f"{self.name} goes on") from None
        if failed and data["state"] != "stopped":
            error = failed.get("error")
            why = f"{error.get('type')}: {error.get('text')}" if error else failed.get("text") or failed.get("reason")
            raise ServerFailed(
                f"revision {failed.get('revision')} of {self.name} never got ready: {why}", failed.get("hint") or ""
            )
        self._address()  # says why
        return self

    def _start(self, last: bool) -> None:
        """Have what is dead started again, which looking never does."""
        try:
            find.call("resume", self.name, "--detach")
        except MetaMLError:
            if last:  # else somebody else may have been faster
                raise

    def scale(self, replicas: int | str) -> None:
        """Give it more replicas, or fewer, without a failed request.

        Those that are too many answer what they have, and end. Its cell leaves the number as it is from now on.

        It does not wait for new processes: `server.workers` has them when they answer.

        Args:
            replicas: how many, from 1; each has the workers that `--workers` says. In a cluster ``"2..10"`` has an
                autoscaler choose the number, by the replicas' use of processors; a number ends that again.

        Raises:
            MetaMLError: it is not going, or that number cannot be had.
        """
        find.call("scale", self.name, str(replicas))

    def rollback(self, revision: int | None = None) -> Server:
        """Have it answer with an older revision again, and return it.

        That becomes a new revision, which is tested as any other before it gets requests. It does not wait:
        :meth:`wait` does.

        Args:
            revision: the number of one that answered; without it the one before the revision that answers now.

        Raises:
            MetaMLError: there is no such revision, it never answered, it answers already, or the server is not going.
        """
        before = _latest(self._read())
        find.call("rollback", self.name, *([] if revision is None else [str(int(revision))]), "--detach")
        self._before = before
        return self

    def stop(self) -> None:
        """Stop it: it takes no more requests, answers those that it has, and ends. Stopping one that has ended does
        nothing.

        Raises:
            KeyboardInterrupt: you interrupted the waiting; it ends all the same.
        """
        if self.state in ENDED:
            return
        find.call("stop", self.name)
        until = time.monotonic() + _STOP
        try:
            while self.state not in ENDED:
                if time.monotonic() >= until:
                    raise MetaMLError(
                        f"{self.name} has not ended {_STOP:g} s after it was asked to", "%metaml stop --now kills it."
                    )
                time.sleep(_POLL)
        except KeyboardInterrupt:
            raise Interrupted(f"{self.name} was asked to stop") from None

    def _summary(self, data: dict[str, Any]) -> str:
        text = _state(data)
        if text == "running":
            ready = sum(w.ready and w.revision == data["revision"] for w in _workers(data))
            text += f" at {data.get('url')}, revision {data['revision']}, "
            text += (
                f"{ready} {'worker' if ready == 1 else 'workers'} ready"
                if data.get("ready")
                else "but it does not answer now"
            )
        elif text == "dead":
            text += ", server.wait() starts it again"
        return text


Server.__module__ = Worker.__module__ = "metaml"  # pickles and messages name it as people import it


def _latest(data: dict[str, Any]) -> int:
    """The number of the latest revision that is known: of the one that answers, that starts, or that failed."""
    failed = data.get("failed") or {}
    return max(int(n or 0) for n in (data.get("revision"), data.get("starting"), failed.get("revision")))


def _state(data: dict[str, Any]) -> str:
    state = str(data.get("state") or "")
    if state not in ENDED and data.get("liveness") == "dead":
        return "dead"
    if state in ENDED or data.get("revision"):
        return state
    # Its first revision failed, and it is about to end.
    return "failed" if data.get("failed") and not data.get("starting") else "starting"


def _workers(data: dict[str, Any]) -> list[Worker]:
    return [
        Worker(
            index=int(entry.get("worker") or 0),
            revision=int(entry.get("revision") or 0),
            attempt=int(entry.get("attempt") or 0),
            pid=int(entry.get("pid") or 0),
            ready=bool(entry.get("ready")),
            reason=str(entry.get("reason") or ""),
            error=entry.get("error"),
            log=dict(entry.get("log") or {}),
        )
        for entry in data.get("workers") or []
    ]


def _request(name: str, url: str, given: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[str, bytes, str]:
    """The address of a request, its body and its content type."""
    in_path = [part.partition("}")[0] for part in url.split("{")[1:]]
    for called in in_path:
        if called not in arguments:
            raise TypeError(f"predict() needs {called}=…, which {url} has in its path")
        url = url.replace(f"{{{called}}}", _in_path(name, called, arguments[called]))
    rest = {called: value for called, value in arguments.items() if called not in in_path}
    if len(given) > 1 or (given and rest):
        raise TypeError("predict() takes one input, or the function's parameters by name")
    if not given and not rest:  # the defaults; a path may have them all
        return url, b"", "application/json"
    value = given[0] if given else rest
    if isinstance(value, (bytes, bytearray, memoryview)):
        return url, bytes(value), "application/octet-stream"
    return url, _json(name, value), "application/json"


def _json(name: str, value: Any) -> bytes:
    from metaml._values.json_text import NotJSON, to_json

    try:
        return to_json(value, base64=True)
    except NotJSON as error:
        raise MetaMLError(f"this cannot be sent to {name}: it {'has' if error.place else 'is'} {error}") from None


def _in_path(name: str, called: str, value: Any) -> str:
    """A value as it stands in a path: text as it is, everything else as JSON."""
    from urllib.parse import quote

    if not isinstance(value, str):
        text = _json(name, value).decode()
        value = json.loads(text) if text[:1] == '"' else text
    if value in ("", ".", ".."):
        raise MetaMLError(f"{called}={value!r} cannot be sent to {name}: it stands in the path of its URL")
    return quote(value, safe="")


def _answer(name: str, response: Response) -> Any:
    """What a response says, as Python has it."""
    kind = response.headers.get_content_type() if response.headers.get("Content-Type") else "application/octet-stream"
    answer: Any = response.body
    try:
        if response.status == http.HTTPStatus.NO_CONTENT:
            answer = None
        elif kind == "application/json" or kind.endswith("+json"):
            answer = json.loads(response.body)
        elif kind in _JSON_LINES:
            answer = [json.loads(line) for line in response.body.splitlines() if line.strip()]
        elif kind.startswith("text/"):
            answer = response.body.decode(response.headers.get_content_charset() or "utf-8", "replace")
    except (ValueError, LookupError) as error:
        raise MetaMLError(f"{name} answered with {kind} that cannot be read: {error}") from None
    if response.status < 400:
        return answer
    reason, identity = answer, ""
    if isinstance(answer, dict):
        identity = str(answer.get("id") or "")
        reason = answer.get("error") or answer.get("detail") or answer
    text = reason if isinstance(reason, str) else json.dumps(reason, default=repr)
    hint = ""
    if response.status >= 500:
        hint = f"The id is {identity}: server.logs() shows the log." if identity else "server.logs() may say why."
    raise RequestFailed(
        f"{name} answered {response.status}: {text.strip()[:2000] or http.client.responses.get(response.status, '')}",
        hint,
        status=response.status,
        id=identity,
        answer=answer,
    )
