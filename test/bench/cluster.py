"""On a cluster: Shift-Enter to the pod's first line, a look at a run, 1,000 trials submitted, a report to the table.

The measurement is this file, executed by test/cluster's `cluster run` inside a cluster.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from measure import BIN, environment, execute, folder, kernel, table

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "build" / "cluster"

# As test/cluster/internal/inside has them.
IMAGE = "localhost:5000/python:3.11-bare"
VERSION = (3, 11)
CONTEXT = "admin"

NAMESPACE = "bench"
RUNS = 7
LOOKS = 21
SUBMISSIONS = 5
COMMON = f"--target kubernetes --namespace {NAMESPACE} --cpu 100m --memory 256Mi"
SETTINGS = f"{COMMON} --image {IMAGE}"
MADE = f"{COMMON} --repository localhost:5000/bench/environments --base {IMAGE}"
TRAIN = "def train():\n    import time\n    print(time.time(), flush=True)\n    return 1.0\n"
REPORTS = 1000
REPORTING = f"""def train():
    import time, metaml
    for i in range({REPORTS}):
        metaml.report(step=i, reported=i)
        time.sleep(0.02)
"""
SWEEP = """import metaml

rows = [{"x": i, "rate": i / 1000} for i in range(1000)]

@metaml.Train(settings={"hyper_parameters": "rows"})
def fit(x, rate):
    return {"loss": rate}
"""


def main() -> None:
    """On a cluster, beside the same Job made with kubectl: the pod's first line, `metaml show`, 1,000 trials"""
    measured_inside(__file__, "runs")


def live() -> None:
    """On a cluster: from `metaml.report()` in a pod to the table under the cell"""
    measured_inside(__file__, "live")


def measured_inside(program: str, *what: str) -> None:
    """Execute a program inside a cluster, where one can run."""
    problem = missing()
    if problem:
        print(f"  not run: {problem}", flush=True)
        return
    # It has a network and mounts of its own, so what measures runs inside.
    subprocess.run([CLUSTER, "run", sys.executable, program, *what], cwd=ROOT, check=True)


def missing() -> str | None:
    """What it takes to run a cluster here and is not there, after its parts were made."""
    if not sys.platform.startswith("linux"):
        return "a cluster needs Linux"
    if sys.version_info[:2] != VERSION:
        return f"the images have Python {VERSION[0]}.{VERSION[1]}, and this is {sys.version.split()[0]}"
    subprocess.run(["go", "build", "-o", CLUSTER, "."], cwd=ROOT / "test" / "cluster", check=True)
    built = subprocess.run([CLUSTER, "build"], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    if built.returncode == 0:
        return None
    return built.stderr.strip().splitlines()[-1].removeprefix("cluster: ")


def inside(what: str) -> None:
    """Measure, in a cluster."""
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    with folder() as home:
        if what == "live":
            shown(home)
            return
        first_line(home)
        look(home, "first-1", "metaml show, one trial")
        submission(home)
        timed(home, "stop", "--now", "fit-1")
        look(home, "fit-1", "metaml show, 1,000 trials")


def first_line(home: Path) -> None:
    ours: list[float] = []
    edited: list[float] = []
    theirs: dict[str, list[float]] = {"a Job with ConfigMap by kubectl": [], "a Job without volumes by kubectl": []}
    with kernel(home) as (_manager, client):
        for i in range(RUNS + 1):
            mine = in_cell(client, home, f"first-{i + 1}", f"%%train --name first --again {SETTINGS}\n{TRAIN}")
            edit = TRAIN.replace("1.0", f"{i}.0")
            on_top = in_cell(client, home, f"edited-{i + 1}", f"%%train --name edited --again {MADE}\n{edit}")
            others = [by_hand(f"by-hand-{i}", volumes=True), by_hand(f"alone-{i}", volumes=False)]
            if i > 0:  # the first warms caches up
                ours.append(1000 * mine)
                edited.append(1000 * on_top)
                for of, other in zip(theirs.values(), others, strict=True):
                    of.append(1000 * other)
    print("  Shift-Enter, or kubectl apply, to the pod's first line:")
    table("ms", ours, theirs, "at most 1.2 ×")
    print("  an edit of the cell to the pod's first line, with --repository: a layer on the environment's image:")
    table("ms", edited, {"with --image": ours}, "none")


def in_cell(client: BlockingKernelClient, home: Path, run: str, code: str) -> float:
    """Seconds from Shift-Enter to the first line of the run's pod."""
    begin = time.time()
    execute(client, code)
    return float((mirror(home, run) / "stdout").read_text().splitlines()[0]) - begin


def by_hand(name: str, *, volumes: bool) -> float:
    """Seconds from kubectl apply to the first line."""
    begin = time.time()
    kubectl("apply", "-f", "-", stdin=json.dumps(job(name, volumes=volumes)))
    kubectl("wait", "--for=condition=complete", "--timeout=60s", f"job/{name}")
    return float(kubectl("logs", f"job/{name}")) - begin


def look(home: Path, run: str, what: str) -> None:
    times = [timed(home, "show", run) for _ in range(LOOKS + 1)][1:]
    print(f"  {what}:")
    table("ms", times, {}, "at most 15 ms")


def submission(home: Path) -> None:
    script = home / "sweep.py"
    script.write_text(SWEEP)
    # No node takes its pods, whose running is not measured here.
    options = [*SETTINGS.split(), "--node-selector", "runs=nowhere", "--python", sys.executable, "--again", "--detach"]
    times = []
    for i in range(SUBMISSIONS + 1):
        times.append(timed(home, "run", str(script), *options))
        if i > 0:  # the first is looked at
            timed(home, "stop", "--now", f"fit-{i + 1}")
    print("  metaml run --detach of 1,000 trials:")
    table("ms", times[1:], {}, "at most 1,000 ms")


def shown(home: Path) -> None:
    """From each report to the first table under the cell that has it, or a later one."""
    tables: list[tuple[float, float]] = []  # when it came, and which report it has

    def see(message: dict[str, Any]) -> None:
        table = message["content"].get("data", {}).get("text/plain", "")
        row = re.search(r"^trial +reported .*\n *0 ● +([0-9.]+)", table, re.MULTILINE)
        if row:
            tables.append((time.time(), float(row[1])))

    with kernel(home) as (_manager, client):
        execute(client, f"%%train --name live {SETTINGS}\n{REPORTING}", see=see)
    lines = (mirror(home, "live-1").parents[2] / "events.jsonl").read_text().splitlines()
    # The record has when each report was made. In the first half the run's monitor may not be there yet, and in the row
    # of a trial that has ended is no ●.
    reports = {
        event["step"]: datetime.fromisoformat(event["time"]).timestamp()
        for event in map(json.loads, lines)
        if event["type"] == "trial.report" and REPORTS / 2 < event["step"] <= tables[-1][1]
    }
    times = sorted(
        1000 * (next(at for at, newest in tables if newest >= step) - made) for step, made in reports.items()
    )
    print(
        f"  {'metaml.report() to the table':34} {statistics.median(times):8.1f} ms   "
        f"({times[len(times) * 99 // 100]:.1f} in 99 % of {len(times)} reports)"
    )
    print("  goal: at most 300 ms", flush=True)


def timed(home: Path, *line: str) -> float:
    begin = time.monotonic()
    subprocess.run([BIN / "metaml", *line], env=environment(home), cwd=home, check=True, capture_output=True)
    return 1000 * (time.monotonic() - begin)


def mirror(home: Path, run: str) -> Path:
    place = home / "data" / "metaml" / "runs" / ".mirrors" / "kubernetes" / f"{CONTEXT}%2F{NAMESPACE}"
    return place / run / "trials" / "00000" / "attempt-1"


def kubectl(*line: str, stdin: str | None = None) -> str:
    command = ["kubectl", "--namespace", NAMESPACE, *line]
    done = subprocess.run(command, input=stdin, text=True, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def job(name: str, *, volumes: bool) -> dict[str, Any]:
    """What somebody would write who wants to run the same: the program in a ConfigMap, and a folder to write to. Or the
    least that says the time: a node starts a pod without volumes sooner, since it waits for those in steps of 300 ms
    (Kubernetes, volumemanager: podAttachAndMountRetryInterval)."""
    line = "import time\nprint(time.time(), flush=True)"
    resources = {"cpu": "100m", "memory": "256Mi"}
    container: dict[str, Any] = {
        "name": "trial",
        "image": IMAGE,
        "command": ["python3", "/program/main.py"] if volumes else ["python3", "-c", line],
        "resources": {"requests": resources, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    whole = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"completionMode": "Indexed", "completions": 1, "parallelism": 1, "template": {"spec": pod}},
    }
    if not volumes:
        return whole
    container["volumeMounts"] = [{"name": "program", "mountPath": "/program"}, {"name": "tmp", "mountPath": "/tmp"}]
    pod["volumes"] = [{"name": "program", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}]
    program = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"main.py": line}}
    return {"apiVersion": "v1", "kind": "List", "items": [program, whole]}


if __name__ == "__main__":
    inside(sys.argv[1])
