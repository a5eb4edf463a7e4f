"""A small network behind HTTP, one request at a time and in batches."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measure import BIN, environment, execute, folder, kernel

ROUNDS = 3
SECONDS = 4
CONNECTIONS = (1, 8, 64)
ONE, BATCHED = "MetaML", "MetaML --batch 64"
GRANIAN = "Granian, RSGI"

NETWORK = """
import numpy as np

_random = np.random.default_rng(7)
_sizes = [64, 256, 256, 10]
LAYERS = [(_random.normal(0, 0.1, (a, b)), np.zeros(b)) for a, b in zip(_sizes, _sizes[1:])]


def forward(x):
    for weights, bias in LAYERS[:-1]:
        x = np.maximum(x @ weights + bias, 0)
    weights, bias = LAYERS[-1]
    return x @ weights + bias
"""
SERVE = (
    NETWORK
    + """

def serve(image: np.ndarray):
    return forward(image)
"""
)
GRANIAN_APP = (
    NETWORK
    + """
import json


class App:
    async def __rsgi__(self, scope, protocol):
        image = np.array(json.loads(await protocol()))
        protocol.response_str(200, [("content-type", "application/json")], json.dumps(forward(image).tolist()))


app = App()
"""
)
FLASK_APP = (
    NETWORK
    + """
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post("/predict")
def predict():
    return jsonify(forward(np.array(request.get_json())).tolist())
"""
)
FASTAPI_APP = (
    NETWORK
    + """
from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
def predict(image: list[float]) -> list[float]:
    return forward(np.array(image)).tolist()
"""
)
# Each server has two processes that compute, with one thread of numerical code each.
PEERS = {
    GRANIAN: (
        GRANIAN_APP,
        ["granian", "--interface", "rsgi", "--workers", "2", "--host", "127.0.0.1", "--port", "{port}", "{module}:app"],
    ),
    "Flask, gunicorn gthread": (
        FLASK_APP,
        [
            "gunicorn",
            "--workers",
            "2",
            "--worker-class",
            "gthread",
            "--threads",
            "8",
            "--bind",
            "127.0.0.1:{port}",
            "{module}:app",
        ],
    ),
    "FastAPI, uvicorn": (
        FASTAPI_APP,
        ["uvicorn", "--workers", "2", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "{module}:app"],
    ),
}
IMAGE = json.dumps([round(i * 0.37 % 16) for i in range(64)])
THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass
class Load:
    """What a load generator saw of one server at one number of connections."""

    rate: list[float] = field(default_factory=list)  # requests per second
    p99: list[float] = field(default_factory=list)  # milliseconds


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def ask(url: str, body: str = IMAGE) -> Any:
    request = urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def answers(url: str, process: subprocess.Popen[bytes]) -> None:
    """Ask until there is an answer."""
    end = time.monotonic() + 60
    while True:
        try:
            ask(url)
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{process.args!r} does not answer") from None
            time.sleep(0.05)


@contextlib.contextmanager
def peer(home: Path, env: dict[str, str], name: str) -> Iterator[tuple[str, int]]:
    code, command = PEERS[name]
    module = re.sub(r"\W+", "_", name.lower())
    (home / f"{module}.py").write_text(code)
    port = free_port()
    words = [word.format(port=port, module=module) for word in command]
    with (home / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).parent / words[0], *words[1:]],
            cwd=home,
            env={**env, **THREADS},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/predict"
    try:
        answers(url, process)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def ours(home: Path, env: dict[str, str], name: str, *options: str) -> Iterator[tuple[str, int]]:
    (home / f"{name}.py").write_text("from metaml import Serve\n" + SERVE.replace("def serve", "@Serve\ndef serve"))
    command: list[str | Path] = [BIN / "metaml", "run", f"{name}.py", "--name", name, "--workers", "2", *options]
    subprocess.run(command, cwd=home, env=env, check=True, capture_output=True)
    shown = json.loads(
        subprocess.run([BIN / "metaml", "show", f"{name}-1", "--json"], env=env, check=True, capture_output=True).stdout
    )
    monitor = json.loads((Path(shown["folder"]) / "monitor.json").read_text())["pid"]
    try:
        yield shown["url"], monitor
    finally:
        subprocess.run([BIN / "metaml", "stop", f"{name}-1"], env=env, check=False, capture_output=True)


def load(home: Path, url: str, connections: int, by: Sequence[str] = ()) -> tuple[float, float]:
    """Requests per second and the 99th percentile of the latency in milliseconds. `by` is a command that runs wrk."""
    script = home / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{IMAGE}'\nwrk.headers['Content-Type'] = 'application/json'\n")
    said = subprocess.run(
        [*by, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", script, url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{url} failed under load:\n{said}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()  # type: ignore[union-attr]
    return rate, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def memory(root: int) -> float:
    """MiB that a process and its descendants hold, each shared page counted once (Pss)."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, total = [root], 0
    for pid in found:
        found += children.get(pid, [])
        with contextlib.suppress(OSError):
            total += int(re.search(r"Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1])  # type: ignore[index]
    return total / 1024


def main() -> None:
    """A network of 64-256-256-10 on two workers, under load from 1, 8 and 64 connections; its start; its memory"""
    if shutil.which("wrk") is None:
        print("  the load comes from wrk, which is not installed: apt-get install wrk")
        return
    with folder() as home, contextlib.ExitStack() as stack:
        env = environment(home)
        servers = {
            ONE: stack.enter_context(ours(home, env, "one")),
            BATCHED: stack.enter_context(ours(home, env, "batched", "--batch", "64")),
            **{name: stack.enter_context(peer(home, env, name)) for name in PEERS},
        }
        wanted = ask(servers[ONE][0])
        for name, (url, _) in servers.items():
            if any(abs(a - b) > 1e-9 for a, b in zip(ask(url), wanted, strict=True)):
                raise RuntimeError(f"{name} answers something else")
        rest = {name: memory(pid) for name, (_, pid) in servers.items()}
        seen = {name: {n: Load() for n in CONNECTIONS} for name in servers}
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for name, (url, _) in servers.items():
                    rate, p99 = load(home, url, connections)
                    seen[name][connections].rate.append(rate)
                    seen[name][connections].p99.append(p99)
        report(seen)
        print(
            "\n  memory of all processes, idle, MiB: "
            + ", ".join(f"{name} {value:.0f}" for name, value in rest.items())
        )
    start()


def report(seen: dict[str, dict[int, Load]]) -> None:
    middle: Callable[[Sequence[float]], float] = statistics.median
    for connections in CONNECTIONS:
        granian = seen[GRANIAN][connections]
        print(f"\n  {connections} connection{'s' * (connections > 1)}")
        for name, loads in seen.items():
            rate, p99 = loads[connections].rate, loads[connections].p99
            print(
                f"  {name:26} {middle(rate):8,.0f} requests/s ({min(rate):,.0f} – {max(rate):,.0f})   p99 "
                f"{middle(p99):6.2f} ms"
                f"   beside Granian {middle(rate) / middle(granian.rate):.2f} ×, p99 "
                f"{middle(p99) / middle(granian.p99):.2f} ×"
            )
    print(
        "  goals beside Granian: one by one 1.1 ×; in batches 2 × with p99 at most 0.7 ×; 1 connection 1.5 ×",
        flush=True,
    )


def start() -> None:
    """From Shift-Enter to the first answer, beside the imports alone."""
    ours_ms: list[float] = []
    imports: list[float] = []
    with folder() as home:
        env = environment(home)
        (home / "imports.py").write_text(SERVE)
        with kernel(home) as (_, client):
            execute(client, "import numpy as np")
            for i in range(7):
                begin = time.monotonic()
                execute(client, f"%%serve --name s{i} --example '{IMAGE}'\n{SERVE.replace('7', str(i))}")
                if i > 0:
                    ours_ms.append(1000 * (time.monotonic() - begin))
                execute(client, "server.stop()")
                begin = time.monotonic()
                subprocess.run([sys.executable, "imports.py"], cwd=home, env=env, check=True)
                if i > 0:
                    imports.append(1000 * (time.monotonic() - begin))
    a, b = statistics.median(ours_ms), statistics.median(imports)
    print(
        f"\n  Shift-Enter to an answered example {a:.0f} ms, `python` with the same top level {b:.0f} ms: "
        f"+{a - b:.0f} ms (goal +150)",
        flush=True,
    )
