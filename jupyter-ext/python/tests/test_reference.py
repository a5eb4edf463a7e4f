"""docs/reference/python.md is what the docstrings say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_python_reference_is_made_from_the_docstrings() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "reference.py", "--check"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"python tools/reference.py writes it anew\n{done.stdout}{done.stderr}"
