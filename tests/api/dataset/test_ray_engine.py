"""The tests of Ray run in a process of their own: threads that Ray leaves behind have crashed one that went on."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.data", reason="needs Ray: pip install 'cairn-pose[ray]'")
pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'cairn-pose[ray]'")

CASES = Path(__file__).with_name("ray_cases.py")


def test_the_cases_of_ray_pass(environment: dict[str, str]) -> None:
    own = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    own["PYTHONUNBUFFERED"] = "1"  # what was printed is there if Ray ends the process
    own["RAY_ENABLE_AUTO_CONNECT"] = "0"  # as the engine sets it where it imports Ray first
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
