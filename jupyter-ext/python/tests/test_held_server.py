"""What the user holds after a `%%serve` cell: a Server, over real HTTP; what it is comes from what `metaml show --json`
says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import metaml
from metaml import MetaMLError, RequestFailed, Server
from metaml._binary import find
from metaml._held.server import Worker


class Front(ThreadingHTTPServer):
    """An HTTP server that answers each request by what its path says, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []  # content type and body
        self.connections = 0
        self.answer: tuple[int, str, bytes] | None = None  # status, content type, body; None: what was sent
        self.paths: list[str] = []
        self.token = ""  # that requests must have
        self.refused = 0  # that had not
        super().__init__(("127.0.0.1", 0), _Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/predict"


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = str(self.headers["Content-Type"])
        self.server.got.append((kind, body))
        status, kind, body = self.server.answer or (200, kind, body)
        self.server.paths.append(self.path)
        if self.path != "/predict" and not self.path.startswith("/items/"):
            status, kind, body = 404, "application/json", b'{"error": "there is nothing here"}'
        locked = self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}"
        if locked:
            self.server.refused += 1
            status, kind, body = 401, "application/json", b'{"error": "this server asks for its token"}'
        self.send_response(status)
        if locked:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


Commands = list[tuple[str, ...]]


@pytest.fixture
def shown() -> dict[str, Any]:
    """What `metaml show serve-1 --json` says; a test changes it."""
    worker = {
        "revision": 2,
        "attempt": 1,
        "pid": 7,
        "ready": True,
        "reason": "",
        "error": None,
        "log": {"stdout": "/o"},
    }
    return {
        "name": "serve-1",
        "kind": "serve",
        "state": "running",
        "liveness": "alive",
        "ready": True,
        "url": "http://127.0.0.1:9/predict",
        "revision": 2,
        "starting": 0,
        "failed": None,
        "workers": [{**worker, "worker": 0}, {**worker, "worker": 1, "ready": False, "reason": "signal"}],
    }


@pytest.fixture
def commands(shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Commands:
    calls: Commands = []
    (tmp_path / "events.jsonl").touch()
    record = {"file": str(tmp_path / "events.jsonl"), "size": 0}

    def call(*args: str) -> str:
        calls.append(args)
        if args[0] == "stop":
            shown["state"] = "stopped"
        return {
            "show": json.dumps(shown),
            "runs": json.dumps(
                [
                    {**shown, "state": "stopped", "record": record},
                    {"name": "fit-1", "state": "succeeded", "done": 1, "trials": 1, "record": record},
                ]
            ),
            "logs": "one\ntwo\nthree\n",
        }.get(args[0], "")

    monkeypatch.setattr(find, "call", call)
    return calls


@pytest.fixture
def server(front: Front, shown: dict[str, Any], commands: Commands) -> Server:
    shown["url"] = front.url
    return Server("serve-1")


def test_where_callers_outside_of_its_cluster_reach_it(server: Server, shown: dict[str, Any]) -> None:
    assert server.public_url == ""
    shown["public_url"] = "https://serve.example/predict"
    assert server.public_url == "https://serve.example/predict"


def test_what_it_is(commands: Commands, shown: dict[str, Any]) -> None:
    server = metaml.run("serve-1")
    assert isinstance(server, Server)
    assert (server.name, server.state, server.ready, server.revision, server.reason) == (
        "serve-1",
        "running",
        True,
        2,
        "",
    )
    assert server.url == "http://127.0.0.1:9/predict"
    first, second = server.workers
    assert first == Worker(0, 2, attempt=1, pid=7, ready=True, log={"stdout": "/o"})
    assert (second.index, second.ready, second.reason) == (1, False, "signal")
    assert repr(server) == "<Server serve-1: running at http://127.0.0.1:9/predict, revision 2, 1 worker ready>"
    # What its record says of its workers is not what answers.
    shown.update(ready=False)
    assert (server.state, server.ready) == ("running", False)
    assert (
        repr(server)
        == "<Server serve-1: running at http://127.0.0.1:9/predict, revision 2, but it does not answer now>"
    )
    shown.update(liveness="dead")
    assert (server.state, server.ready) == ("dead", False)
    assert repr(server) == "<Server serve-1: dead, server.wait() starts it again>"
    shown.update(liveness="alive", revision=0, url="", starting=1)
    assert (server.state, server.ready, server.url, repr(server)) == (
        "starting",
        False,
        "",
        "<Server serve-1: starting>",
    )
    shown.update(starting=0, failed={"revision": 1, "reason": "program"})
    assert server.state == "failed"


def test_it_travels_by_its_name(commands: Commands) -> None:
    assert pickle.loads(pickle.dumps(Server("serve-1"))) == Server("serve-1") != metaml.Run("serve-1")
    assert repr(metaml.runs()) == "[<Server serve-1: stopped>, <Run fit-1: succeeded, 1 of 1 trial>]"


@dataclasses.dataclass
class Flower:
    petals: list[float]
    name: str = "iris"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ([1, 2.5, None, "é"], b'[1,2.5,null,"\xc3\xa9"]'),
        (np.array([[1, 2]], dtype="int32"), b"[[1,2]]"),
        (np.float32(0.1), b"0.1"),
        ({"a": np.bool_(True), "b": np.arange(2)}, b'{"a":true,"b":[0,1]}'),
        (Flower([1.5]), b'{"petals":[1.5],"name":"iris"}'),
        ("text", b'"text"'),
    ],
)
def test_what_json_has_goes_as_json(server: Server, front: Front, value: Any, sent: bytes) -> None:
    assert server.predict(value) == json.loads(sent)
    assert front.got == [("application/json", sent)]


def test_bytes_go_as_they_are(server: Server, front: Front) -> None:
    assert server.predict(memoryview(b"\x00\xff")) == b"\x00\xff"
    assert front.got == [("application/octet-stream", b"\x00\xff")]


def test_parameters_go_by_name(server: Server, front: Front) -> None:
    assert server.predict(image=np.zeros(2), top=3) == {"image": [0, 0], "top": 3}
    with pytest.raises(TypeError, match=r"predict\(\) takes one input, or the function's parameters by name"):
        server.predict([1], top=3)


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("text/plain; charset=utf-8", "größer".encode(), "größer"),
        ("application/x-ndjson", b'{"a": 1}\n[2]\n', [{"a": 1}, [2]]),
        ("image/png", b"\x89PNG", b"\x89PNG"),
    ],
)
def test_the_answer_as_python_has_it(server: Server, front: Front, kind: str, body: bytes, value: Any) -> None:
    front.answer = (200, kind, body)
    assert server.predict(1) == value


def test_what_json_has_no_word_for_is_not_sent(server: Server, front: Front) -> None:
    for value, text in ((1j, "it is a complex"), ([1, float("inf")], "it has infinity at [1]")):
        with pytest.raises(MetaMLError) as error:
            server.predict(value)
        assert str(error.value) == f"this cannot be sent to serve-1: {text}, which cannot be JSON"
    assert front.got == []


def test_missing_values_and_bytes_are_sent_in_json(server: Server, front: Front) -> None:
    server.predict([1.0, float("nan")])
    server.predict(image=b"abc", top=2)
    server.predict({"images": [b"a", bytearray(b"b")]})
    assert [json.loads(body) for _, body in front.got] == [
        [1, None],
        {"image": "YWJj", "top": 2},
        {"images": ["YQ==", "Yg=="]},
    ]


def test_without_arguments_the_function_has_its_defaults(server: Server, front: Front) -> None:
    front.answer = (200, "application/json", b"1")
    server.predict()
    assert front.got == [("application/json", b"")]


def test_what_the_function_words_is_read(server: Server, front: Front) -> None:
    front.answer = (200, "application/geo+json; charset=utf-8", b'{"a": 1}')
    assert server.predict(1) == {"a": 1}
    front.answer = (204, "text/plain", b"")
    assert server.predict(1) is None
    front.answer = (200, "text/event-stream", b"data: 1\n\n")
    assert server.predict(1) == "data: 1\n\n"


def test_parameters_of_the_path_go_there(server: Server, front: Front, shown: dict[str, Any]) -> None:
    shown["url"] = f"http://127.0.0.1:{front.server_port}/items/{{id}}/{{when}}"
    front.answer = (200, "application/json", b"1")
    server.predict("text", id="a/b ü", when=datetime.date(2024, 1, 2))
    server.predict(id=7, when=True)
    server.predict(id=7.5, when=None, text="abc")
    assert front.paths == ["/items/a%2Fb%20%C3%BC/2024-01-02", "/items/7/true", "/items/7.5/null"]
    assert [body for _, body in front.got] == [b'"text"', b"", b'{"text":"abc"}']
    assert front.connections == 1
    with pytest.raises(TypeError, match="needs when=…"):
        server.predict(id=7)
    with pytest.raises(TypeError, match="takes one input"):
        server.predict(1, id=7, when=1, text="abc")
    with pytest.raises(MetaMLError, match="stands in the path"):
        server.predict(id="..", when=1)


def test_the_token_is_sent_where_it_is_asked_for(
    server: Server, front: Front, shown: dict[str, Any], commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"token": "first"}

    def call(*args: str, otherwise: Any = find.call) -> str:
        if args[0] != "token":
            return str(otherwise(*args))
        commands.append(args)
        if not kept["token"]:
            raise MetaMLError("server serve-1 has no token")
        return kept["token"] + "\n"

    monkeypatch.setattr(find, "call", call)
    asked = ("token", "serve-1")
    assert server.predict(1) == 1
    assert asked not in commands, "nobody asks for it"
    # A server that is known to ask for it is sent it at once, and it is read once.
    front.token, shown["auth"] = "first", "token"
    known = Server("serve-1")
    assert [known.predict(i) for i in range(3)] == [0, 1, 2]
    assert (front.refused, commands.count(asked), known.token) == (0, 1, "first")
    # One that was not known to says so, and so does one whose token was made again.
    del shown["auth"]
    assert (server.predict(2), front.refused) == (2, 1)
    shown["auth"] = "token"
    front.token = kept["token"] = "second"
    assert (known.predict(3), front.refused) == (3, 2)
    assert (known.predict(4), front.refused) == (4, 2)
    # Where the token that there is does not open it, it is asked no further.
    front.token = "third"
    with pytest.raises(RequestFailed, match=r"serve-1 answered 401: this server asks for its token$") as refused:
        known.predict(5)
    assert (refused.value.status, front.refused) == (401, 3)
    kept["token"] = ""
    with pytest.raises(RequestFailed, match=r"serve-1 answered 401"):
        known.predict(5)
    with pytest.raises(MetaMLError, match=r"server serve-1 has no token"):
        _ = server.token
    # The function may answer 401 itself.
    front.token, front.answer = "", (401, "application/json", b'{"error": "who are you"}')
    before = commands.count(asked)
    with pytest.raises(RequestFailed, match=r"serve-1 answered 401: who are you"):
        server.predict(6)
    assert commands.count(asked) == before


def test_an_error_is_the_servers_sentence(server: Server, front: Front) -> None:
    front.answer = (422, "application/json", b'{"error": "`age` is missing", "field": "age"}')
    with pytest.raises(RequestFailed) as error:
        server.predict({})
    assert str(error.value) == "serve-1 answered 422: `age` is missing"
    assert (error.value.status, error.value.id, error.value.answer["field"]) == (422, "", "age")
    said = "serve failed; the log has the reason under this id"
    front.answer = (500, "application/json", json.dumps({"error": said, "id": "77aa"}).encode())
    with pytest.raises(MetaMLError) as failed:
        server.predict({})
    assert str(failed.value) == f"serve-1 answered 500: {said}\nThe id is 77aa: server.logs() shows the log."


def test_each_thread_keeps_one_connection(server: Server, front: Front) -> None:
    def many() -> None:
        for i in range(5):
            assert server.predict(i) == i

    threads = [threading.Thread(target=many) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(front.got), front.connections) == (15, 3)


class Hanging:
    """A peer that gives each connection so many answers, and then closes it without a word."""

    def __init__(self, *answers: int) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/predict"
        self._thread = threading.Thread(target=self._serve, args=(answers,))
        self._thread.start()

    def _serve(self, answers: tuple[int, ...]) -> None:
        for count in answers:
            link, _ = self._listener.accept()
            with link, link.makefile("rb") as lines:
                for i in range(count + 1):
                    while lines.readline().strip():  # its head
                        pass
                    self.requests.append(lines.read(1))
                    if i < count:
                        link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n7")

    def close(self) -> None:
        self._listener.close()
        self._thread.join()


@pytest.fixture
def hanging(shown: dict[str, Any], commands: Commands) -> Iterator[Callable[..., Hanging]]:
    with contextlib.ExitStack() as stack:

        def make(*answers: int) -> Hanging:
            made = Hanging(*answers)
            stack.callback(made.close)
            shown["url"] = made.url
            return made

        yield make


def test_a_connection_that_went_stale_is_made_again(hanging: Callable[..., Hanging]) -> None:
    peer = hanging(1, 1)
    server = Server("serve-1")
    assert [server.predict(0), server.predict(1)] == [7, 7]
    assert peer.requests == [b"0", b"1", b"1"]


def test_a_request_that_may_have_been_taken_is_not_sent_again(hanging: Callable[..., Hanging]) -> None:
    peer = hanging(0)
    with pytest.raises(MetaMLError) as error:
        Server("serve-1").predict(5)
    assert error.value.text == "the connection to serve-1 broke: it was closed before there was an answer"
    assert len(peer.requests) == 1


def test_an_answer_in_spite_of_a_body_not_taken(shown: dict[str, Any], commands: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shown["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}/predict"

        def refuse() -> None:
            link, _ = listener.accept()
            with link:
                link.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large")
                link.shutdown(socket.SHUT_WR)
                while link.recv(1 << 20):  # until the client has read the answer and hung up
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(RequestFailed) as error:
            Server("serve-1").predict(b"x" * (4 << 20))
        thread.join()
    assert error.value.status == 413


def test_no_answer_in_time(shown: dict[str, Any], commands: Commands) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        shown["url"] = f"http://127.0.0.1:{listener.getsockname()[1]}/predict"
        with pytest.raises(TimeoutError, match=r"serve-1 did not answer within 0\.05 s"):
            Server("serve-1").predict(1, timeout=0.05)


def test_it_is_found_where_it_went(server: Server, front: Front, shown: dict[str, Any]) -> None:
    for before in (front.url.replace("/predict", "/old"), "http://127.0.0.1:9/predict"):
        server._url = before
        assert server.predict(1) == 1
    assert server._url == front.url


def test_why_nothing_answers(commands: Commands, shown: dict[str, Any]) -> None:
    server = Server("serve-1")

    def why() -> str:
        with pytest.raises(MetaMLError) as error:
            server.predict(1)
        return str(error.value)

    assert why().startswith(
        "serve-1 is running, but nothing listens at http://127.0.0.1:9/predict\nmetaml attach serve-1"
    )
    shown["liveness"] = "dead"
    assert why() == "serve-1 is dead: all its processes have ended\nserver.wait() starts it again."
    shown["state"] = "stopped"
    assert why() == "serve-1 was stopped, so nothing answers\nRun its cell again, or %metaml resume serve-1."
    shown.update(state="failed", text="its folder was deleted")
    assert (
        why()
        == "serve-1 failed, so nothing answers: its folder was deleted\nRun its cell again, or %metaml resume serve-1."
    )
    shown.update(text="serve is a generator\nLeave out --batch.")
    assert (
        why()
        == "serve-1 failed, so nothing answers: serve is a generator\nRun its cell again, or %metaml resume serve-1."
    )
    shown.update(state="running", liveness="alive", url="", revision=0)
    server._url = ""
    assert why() == "serve-1 is not ready yet\nserver.wait() waits until it is."


def test_waiting(commands: Commands, shown: dict[str, Any]) -> None:
    server = Server("serve-1")
    assert server.wait() is server
    shown.update(starting=3)
    with pytest.raises(TimeoutError, match=r"serve-1 is not ready after 0 s"):
        server.wait(0)
    shown.update(
        starting=0, failed={"revision": 3, "text": "", "error": {"type": "KeyError", "text": "'w'"}, "hint": ""}
    )
    with pytest.raises(metaml.ServerFailed, match=r"revision 3 of serve-1 never got ready: KeyError: 'w'"):
        server.wait()
    shown["state"] = "stopped"
    with pytest.raises(MetaMLError, match="serve-1 was stopped"):
        server.wait()


def test_waiting_for_what_is_dead_starts_it(
    commands: Commands, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown.update(liveness="dead", ready=False)
    server, call = Server("serve-1"), find.call

    def resume(*args: str) -> str:
        if args[0] == "resume":
            shown.update(liveness="alive", ready=True)
        return call(*args)

    monkeypatch.setattr(find, "call", resume)
    assert server.wait() is server
    assert [args for args in commands if args[0] == "resume"] == [("resume", "serve-1", "--detach")]

    def refuse(*args: str) -> str:
        if args[0] == "resume":
            raise MetaMLError("metaml-agent is gone")
        return call(*args)

    shown.update(liveness="dead", ready=False)
    monkeypatch.setattr(find, "call", refuse)
    with pytest.raises(MetaMLError, match="metaml-agent is gone"):
        server.wait()


def test_scale_and_rollback(commands: Commands) -> None:
    server = Server("serve-1")
    server.scale(3)
    assert server.rollback() is server
    assert server.rollback(2) is server
    assert [args for args in commands if args[0] != "show"] == [
        ("scale", "serve-1", "3"),
        ("rollback", "serve-1", "--detach"),
        ("rollback", "serve-1", "2", "--detach"),
    ]


def test_waiting_behind_a_rollback_is_for_its_revision(commands: Commands, shown: dict[str, Any]) -> None:
    server = Server("serve-1").rollback()
    with pytest.raises(TimeoutError):  # what is known of it is still from before
        server.wait(0)
    shown.update(starting=3)
    with pytest.raises(TimeoutError):
        server.wait(0)
    shown.update(starting=0, revision=3)
    assert server.wait(0) is server
    server.rollback()
    shown.update(failed={"revision": 4, "text": "it ended", "hint": ""})
    with pytest.raises(metaml.ServerFailed, match="revision 4 of serve-1 never got ready: it ended"):
        server.wait(0)


def test_logs_stop_and_delete(commands: Commands) -> None:
    server = Server("serve-1")
    assert server.logs() == "one\ntwo\nthree\n"
    assert (server.logs(worker=1, tail=2), server.logs(tail=0)) == ("two\nthree\n", "")
    assert commands == [("logs", "serve-1"), ("logs", "serve-1", "--worker", "1"), ("logs", "serve-1")]
    server.stop()
    server.stop()  # does nothing
    server.delete()
    assert [args for args in commands[3:] if args[0] != "show"] == [("stop", "serve-1"), ("delete", "serve-1")]
