"""A program that speaks the conversation of a cell (docs/internals/protocols.md §1) as a test has it do.

It stands where ``metaml run --session - --render`` stands, only in tests of what the real one cannot be made to do at a
given moment: dying in the middle, ending late, displaying between two messages. It obeys lines appended to
``$METAML_SCRIPT/orders`` and writes every line that it receives to ``$METAML_SCRIPT/heard``.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["METAML_SCRIPT"]).resolve()


def say(kind: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"v": 1, "type": kind, **fields}) + "\n")
    sys.stdout.flush()


def display(text: str, update: bool) -> None:
    say("display", bundle={"text/plain": text}, metadata={}, display_id="table", update=update)


def obey(order: str) -> None:
    verb, _, rest = order.partition(" ")
    if verb == "display":
        display(rest, update=True)
    elif verb == "flood":
        for n in range(int(rest)):
            display(f"{n} " + "x" * 4000, update=True)
        display("flooded", update=False)
    elif verb == "done":
        say("done", state="succeeded", error=None)
        sys.exit(0)
    elif verb == "fail":
        say("done", state="failed", error={"ename": rest, "evalue": "why", "traceback": [f"{rest}: why"]})
        sys.exit(0)
    elif verb == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os._exit(3)


def main() -> None:
    heard = (FOLDER / "heard").open("a", buffering=1)
    orders = FOLDER / "orders"
    orders.touch()
    done = 0
    buffer = b""
    detach = bound = False
    while True:
        ready, _, _ = select.select([0], [], [], 0.01)
        if ready:
            chunk = os.read(0, 65536)
            if not chunk:
                heard.write("EOF\n")
                return
            buffer += chunk
        while b"\n" in buffer:
            text, buffer = buffer.split(b"\n", 1)
            line = json.loads(text)
            heard.write(json.dumps({k: line.get(k) for k in ("type", "line", "now", "cell")}) + "\n")
            if line["type"] == "begin":
                detach = "--detach" in line["line"]
                if "--crash-early" in line["line"]:
                    obey("crash")
                say(
                    "options",
                    settings={},
                    parallelism=1,
                    completions=0,
                    hyper_parameters="",
                    into="",
                    function="f",
                    detach=detach,
                    **{"with": []},
                )
            elif line["type"] == "request":
                say("slice", bundle={"text/plain": "what runs"}, display_id="slice")
                say("accepted", run="script-1", key="k", attached=False, into="run", metaml=sys.argv[0], detach=detach)
            elif line["type"] == "bound":
                bound = True
                say("submitted", run="script-1", attached=False)
                display("begun", update=False)
            elif line["type"] == "detach":
                obey("fail Detached")
            elif line["type"] == "stop" and line["now"]:
                say(
                    "done",
                    state="stopped",
                    error={"ename": "KeyboardInterrupt", "evalue": "", "traceback": ["KeyboardInterrupt"]},
                )
                return
        now = orders.read_text().splitlines() if bound else []
        for order in now[done:]:
            done += 1
            obey(order)
        time.sleep(0)


if __name__ == "__main__":
    main()
