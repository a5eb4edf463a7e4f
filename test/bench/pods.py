"""On a cluster: answers through a server's Service, beside gunicorn and Granian in pods; a cell to the first answer.

The measurement is this file, executed by test/cluster's `cluster run` inside a cluster. Pods are on one node, which has
the files of this machine: the peers' packages are those of the environment that measures.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import serving
from cluster import IMAGE, NAMESPACE, kubectl, measured_inside
from measure import BIN, environment, execute, folder, kernel, table

RUNS = 7
PACKAGES = next(path for path in sys.path if path.endswith("site-packages"))
SIZE = {"cpu": "500m", "memory": "512Mi"}
COMMON = f"--target kubernetes --namespace {NAMESPACE} --cpu 500m --memory 512Mi"
MADE = f"{COMMON} --repository localhost:5000/bench/environments --base {IMAGE}"
GUNICORN = "Flask, gunicorn gthread"
PEERS = (serving.GRANIAN, GUNICORN)
ANSWER = """
def answer(number: int):
    return 2 * number
"""
# The same with nothing but Python, as somebody would write it who has no web framework in the image.
BY_HAND = """
import http.server, json

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(2 * number).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = lambda self: (self.send_response(200), self.end_headers())
    log_message = lambda *_: None

http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def main() -> None:
    """On a cluster, in pods of the same size: answers through the Service, and from a cell to the first answer"""
    measured_inside(__file__)


def inside() -> None:
    """Measure, in a cluster."""
    kubectl("create", "namespace", NAMESPACE)
    with folder() as home:
        first_answer(home)
        under_load(home)


def under_load(home: Path) -> None:
    servers = {}
    for name, options in ((serving.ONE, ""), (serving.BATCHED, "--batch 64")):
        series = "batched" if options else "one"
        script = home / f"{series}.py"
        script.write_text("from metaml import Serve\n" + serving.SERVE.replace("def serve", "@Serve\ndef serve"))
        line = [*f"run {series}.py --name {series} --workers 2 {MADE} {options}".split(), "--python", sys.executable]
        subprocess.run([BIN / "metaml", *line], env=environment(home), cwd=home, check=True, capture_output=True)
        servers[name] = f"{series}-1"
    for name in PEERS:
        code, command = serving.PEERS[name]
        words = [word.format(port=8080, module="app").replace("127.0.0.1", "0.0.0.0") for word in command]
        servers[name] = name.split()[-1].lower()
        deploy(servers[name], code, ["python3", "-m", *words])
    # Load comes from within a pod's network, where Services have their addresses.
    kubectl("run", "client", f"--image={IMAGE}", "--restart=Never", "--command", "--", "sleep", "36000")
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/client")
    pod = process(kubectl("get", "pod", "client", "-o", "jsonpath={.metadata.uid}"))
    enter = ["nsenter", "--net", "--target", str(pod)]
    urls = {name: f"http://{address(service)}/predict" for name, service in servers.items()}
    seen = {name: {n: serving.Load() for n in serving.CONNECTIONS} for name in urls}
    for _ in range(serving.ROUNDS):
        for connections in serving.CONNECTIONS:
            for name, url in urls.items():
                rate, p99 = serving.load(home, url, connections, enter)
                seen[name][connections].rate.append(rate)
                seen[name][connections].p99.append(p99)
    serving.report(seen)


def address(service: str) -> str:
    return kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIP}")


def process(uid: str) -> int:
    """A process of a pod."""
    for groups in Path("/proc").glob("[0-9]*/cgroup"):
        with contextlib.suppress(OSError):
            if uid in groups.read_text():
                return int(groups.parent.name)
    raise RuntimeError(f"pod {uid} has no process")


def first_answer(home: Path) -> None:
    """From Shift-Enter, or kubectl apply, to the first answer on this machine, with --image."""
    ours: list[float] = []
    theirs: list[float] = []
    with kernel(home) as (_manager, client):
        for i in range(RUNS + 1):
            begin = time.monotonic()
            execute(client, f"%%serve --name cell{i} --example 1 {COMMON} --image {IMAGE}\n{ANSWER}")
            shown = subprocess.run(
                [BIN / "metaml", "show", f"cell{i}-1", "--json"], env=environment(home), check=True, capture_output=True
            ).stdout
            wait(json.loads(shown)["url"])
            mine = time.monotonic() - begin
            execute(client, "server.stop(); server.delete()")
            with by_hand(f"hand{i}") as other:
                pass
            if i > 0:  # the first warms caches up
                ours.append(1000 * mine)
                theirs.append(1000 * other)
    print("  Shift-Enter, or kubectl apply, to the first answer on this machine:")
    table("ms", ours, {"a Deployment and a Service by kubectl, and port-forward": theirs}, "none")


@contextlib.contextmanager
def by_hand(name: str) -> Iterator[float]:
    """Seconds from kubectl apply to the first answer."""
    begin = time.monotonic()
    deploy(name, BY_HAND, ["python3", "/program/app.py"])
    port = serving.free_port()
    forward = subprocess.Popen(
        ["kubectl", "--namespace", NAMESPACE, "port-forward", f"service/{name}", f"{port}:80"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait(f"http://127.0.0.1:{port}/")
        yield time.monotonic() - begin
    finally:
        forward.terminate()
        forward.wait()
        kubectl("delete", "--wait=false", f"deployment/{name}", f"service/{name}", f"configmap/{name}")


def wait(url: str) -> None:
    """Ask until there is an answer."""
    end = time.monotonic() + 60
    while True:
        try:
            serving.ask(url, "21")
            return
        except OSError as problem:
            if time.monotonic() > end or isinstance(problem, urllib.error.HTTPError):
                raise
            time.sleep(0.02)


def deploy(name: str, program: str, command: list[str]) -> None:
    """A Deployment of one pod with its program in a ConfigMap, and a Service, until the pod is ready."""
    labels = {"app": name}
    container: dict[str, Any] = {
        "name": "server",
        "image": IMAGE,
        "command": command,
        "workingDir": "/program",
        "env": [
            {"name": variable, "value": value}
            for variable, value in {"PYTHONPATH": "/packages:/program", **serving.THREADS}.items()
        ],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "resources": {"requests": SIZE, "limits": {"memory": SIZE["memory"]}},
        "volumeMounts": [
            {"name": "program", "mountPath": "/program"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "packages", "mountPath": "/packages", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "program", "configMap": {"name": name}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "packages", "hostPath": {"path": PACKAGES}},
    ]
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"app.py": program}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    ]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    kubectl("rollout", "status", "--timeout=120s", f"deployment/{name}")


if __name__ == "__main__":
    inside()
