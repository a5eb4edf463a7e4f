"""Everything that other wrapper kernels lost: input, comms, subshells, debugger, identities, several front ends."""

from __future__ import annotations

import socket

import nbformat
from conftest import TIMEOUT, Kernel, Message
from nbclient import NotebookClient
from surroundings import until


def test_input_reaches_the_front_end_that_asked(kernel: Kernel) -> None:
    parent = kernel.client.execute("name = input('who? '); print('hello', name)", allow_stdin=True)
    request = kernel.client.get_stdin_msg(timeout=TIMEOUT)
    assert request["msg_type"] == "input_request"
    assert request["content"] == {"prompt": "who? ", "password": False}
    kernel.client.input("Ada")
    assert kernel.reply(parent)["content"]["status"] == "ok"
    assert any(m["content"].get("text") == "hello Ada\n" for m in kernel.iopub(parent))


def test_getpass_asks_for_a_password(kernel: Kernel) -> None:
    parent = kernel.client.execute("import getpass; secret = getpass.getpass()", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=TIMEOUT)["content"]["password"] is True
    kernel.client.input("x")
    assert kernel.reply(parent)["content"]["status"] == "ok"


def test_comm_with_binary_buffers_goes_both_ways(kernel: Kernel) -> None:
    code = """
from comm import create_comm, get_comm_manager
def opened(comm, message):
    def echo(m):
        comm.send({'n': len(m['buffers'])}, buffers=[bytes(b)[::-1] for b in m['buffers']])
    comm.on_msg(echo)
get_comm_manager().register_target('echo', opened)
"""
    assert kernel.run(code)[0]["content"]["status"] == "ok"
    session = kernel.client.session
    opened = session.msg("comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
    kernel.client.shell_channel.send(opened)
    kernel.iopub(opened["header"]["msg_id"])
    message = session.msg("comm_msg", {"comm_id": "c1", "data": {}})
    blob = bytes(range(256)) * 1000
    session.send(kernel.client.shell_channel.socket, message, buffers=[blob, b"\xff\x00"])
    answers = [m for m in kernel.iopub(message["header"]["msg_id"]) if m["msg_type"] == "comm_msg"]
    assert answers[0]["content"]["data"] == {"n": 2}
    assert [bytes(b) for b in answers[0]["buffers"]] == [blob[::-1], b"\x00\xff"]


def test_widgets_live_on_their_comms(kernel: Kernel) -> None:
    reply, messages = kernel.run("import ipywidgets; s = ipywidgets.IntSlider(value=3); s")
    assert reply["content"]["status"] == "ok"
    opened = [m for m in messages if m["msg_type"] == "comm_open"]
    slider = next(m["content"]["comm_id"] for m in opened if m["content"]["data"]["state"].get("value") == 3)
    update = kernel.client.session.msg(
        "comm_msg", {"comm_id": slider, "data": {"method": "update", "state": {"value": 7}, "buffer_paths": []}}
    )
    kernel.client.shell_channel.send(update)
    kernel.iopub(update["header"]["msg_id"])
    assert kernel.text("print(s.value)") == "7\n"


def test_subshell_answers_while_the_main_shell_is_busy(kernel: Kernel) -> None:
    subshell = kernel.control("create_subshell_request")["content"]["subshell_id"]
    busy = kernel.client.execute("import threading; gate = threading.Event(); gate.wait(20)")
    kernel.iopub(busy, last=lambda m: m["msg_type"] == "execute_input")
    message = kernel.client.session.msg("execute_request", {"code": "gate.set(); print('from the subshell')"})
    message["header"]["subshell_id"] = subshell
    kernel.client.shell_channel.send(message)
    assert kernel.reply(message["header"]["msg_id"])["content"]["status"] == "ok"
    assert kernel.reply(busy)["content"]["status"] == "ok"
    assert kernel.control("delete_subshell_request", {"subshell_id": subshell})["content"]["status"] == "ok"


def test_debugger_answers_and_sends_events(kernel: Kernel) -> None:
    request = {"type": "request", "seq": 1, "command": "debugInfo"}
    info = kernel.control("debug_request", request)["content"]
    assert info["success"] and info["body"]["isStarted"] is False
    arguments = {
        "clientID": "t", "clientName": "t", "adapterID": "", "pathFormat": "path", "linesStartAt1": True,
        "columnsStartAt1": True, "supportsVariableType": True, "supportsVariablePaging": True,
        "supportsRunInTerminalRequest": True, "locale": "en",
    }  # fmt: skip
    started = kernel.control(
        "debug_request", {"type": "request", "seq": 2, "command": "initialize", "arguments": arguments}
    )
    assert started["content"]["success"], started
    attached = kernel.control("debug_request", {"type": "request", "seq": 3, "command": "attach", "arguments": {}})
    assert attached["content"]["success"], attached
    until(lambda: kernel.client.get_iopub_msg(timeout=TIMEOUT)["msg_type"] == "debug_event", "a debug_event on iopub")
    kernel.control("debug_request", {"type": "request", "seq": 4, "command": "disconnect", "arguments": {}})


def test_kernel_info_is_ipykernels_with_our_name(kernel: Kernel) -> None:
    for content in (
        kernel.control("kernel_info_request")["content"],
        kernel.reply(kernel.client.kernel_info())["content"],
    ):
        assert content["implementation"] == "metaml"
        assert "IPython" in content["banner"] and "MetaML" in content["banner"]
        assert content["language_info"]["nbconvert_exporter"] == "python"
        assert "kernel subshells" in content.get("supported_features", [])


def test_connect_reply_names_our_ports(kernel: Kernel) -> None:
    content = kernel.control("connect_request")["content"]
    ports: Message = {**kernel.client.get_connection_info()}
    assert {k: content[k] for k in content if k.endswith("_port")} == {
        k: ports[k] for k in content if k.endswith("_port")
    }


def test_ipykernel_sees_the_front_ends_identity(kernel: Kernel) -> None:
    identity = kernel.client.session.bsession
    assert kernel.text("print(get_ipython().kernel._parent_ident['shell'])") == f"[{identity!r}]\n"


def test_the_connection_file_keeps_its_name(kernel: Kernel) -> None:
    name = kernel.manager.connection_file.rsplit("/", 1)[-1]
    assert kernel.text("import ipykernel; print(ipykernel.get_connection_file().rsplit('/')[-1])") == name + "\n"


def test_two_front_ends_get_their_own_replies_and_all_outputs(kernel: Kernel) -> None:
    other = kernel.manager.client()
    other.session.session = "another"  # a session, and so an identity, of its own
    other.start_channels()
    other.wait_for_ready(timeout=TIMEOUT)
    try:
        parent = other.execute("print('for both')")
        assert other.get_shell_msg(timeout=TIMEOUT)["parent_header"]["msg_id"] == parent
        assert any(m["content"].get("text") == "for both\n" for m in kernel.iopub(parent))
    finally:
        other.stop_channels()


def test_a_wrong_signature_is_dropped_and_hurts_nobody(kernel: Kernel) -> None:
    channel = kernel.client.shell_channel.socket
    channel.send_multipart(
        [
            b"<IDS|MSG>",
            b"0" * 64,
            b'{"msg_id":"bad","msg_type":"execute_request"}',
            b"{}",
            b"{}",
            b'{"code":"print(1)"}',
        ]
    )
    channel.send_multipart([b"no delimiter"])
    channel.send_multipart([b"<IDS|MSG>", b"short"])
    assert kernel.text("print('still here')") == "still here\n"


def test_a_silent_peer_keeps_nobody_out(kernel: Kernel) -> None:
    info = kernel.client.get_connection_info()
    silent = [socket.create_connection((info["ip"], info["shell_port"])) for _ in range(200)]
    try:
        other = kernel.manager.client()
        other.session.session = "late"
        other.start_channels()
        other.wait_for_ready(timeout=TIMEOUT)
        other.stop_channels()
    finally:
        for s in silent:
            s.close()


def test_large_display_arrives_whole(kernel: Kernel) -> None:
    parent = kernel.client.execute(
        "from IPython.display import display; display({'text/plain': 'x' * 50_000_000}, raw=True)"
    )
    shown = [m for m in kernel.iopub(parent) if m["msg_type"] == "display_data"]
    assert len(shown[0]["content"]["data"]["text/plain"]) == 50_000_000


def test_nbclient_runs_a_notebook() -> None:
    cells = ["x = 1", "x + 1", "print('out')", "1/0", "never = 1"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(notebook, kernel_name="metaml", timeout=60, allow_errors=True).execute()
    kinds = [[o["output_type"] for o in c["outputs"]] for c in notebook.cells]
    assert kinds == [[], ["execute_result"], ["stream"], ["error"], []]
