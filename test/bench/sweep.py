"""200 short trials that need scikit-learn's import."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from measure import BIN, environment, folder, table

RUNS = 5
TRIALS = 200
WORK = """
import sklearn.ensemble

def train(x):
    return {"loss": float(x), "estimators": sklearn.ensemble.RandomForestClassifier(3).n_estimators}
"""
PEERS = {
    "joblib (loky)": """
from joblib import Parallel, delayed
from work import train
if __name__ == "__main__":
    assert len(Parallel(n_jobs=2)(delayed(train)(x) for x in range(200))) == 200
""",
    "multiprocessing (forkserver)": """
import multiprocessing
from work import train
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["work"])
    with context.Pool(2) as pool:
        assert len(pool.map(train, range(200), chunksize=1)) == 200
""",
}


def main() -> None:
    """200 trials that need scikit-learn, 2 at a time, one process, folder and log each, beside calls of the same
    function in two workers
    """
    with folder() as home:
        env = environment(home)
        (home / "work.py").write_text(WORK)
        (home / "sweep.py").write_text(f"grid = [{{'x': x}} for x in range({TRIALS})]\n{WORK}")
        commands: dict[str, list[str | Path]] = {
            "MetaML": [
                BIN / "metaml",
                "run",
                "sweep.py",
                "--function",
                "train",
                "--hyper-parameters",
                "grid",
                "--parallelism",
                "2",
                "--objective",
                "min:loss",
            ]
        }
        for i, (name, code) in enumerate(PEERS.items()):
            (home / f"peer{i}.py").write_text(code)
            commands[name] = [sys.executable, f"peer{i}.py"]
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for run in range(RUNS + 1):
            for name, command in commands.items():
                begin = time.monotonic()
                subprocess.run(command, cwd=home, env=env, check=True, capture_output=True)
                if run > 0:
                    seconds[name].append(time.monotonic() - begin)
        table("s", seconds.pop("MetaML"), seconds, "at most 1.5 × both")
