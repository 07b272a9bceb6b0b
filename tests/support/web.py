"""A server and a real browser for the tests of the web app."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def served(data: Path, *options: str) -> Iterator[str]:
    """Runs `cairn serve` in the block; yields its address."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cairn", "serve", "--port", "0", "--data", str(data), "--workers", "1", *options]
    log = data.parent / f"{data.name}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stderr=file, stdout=file, env=environment)
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = re.search(r"http://127\.0\.0\.1:\d+/", log.read_text())
        if found:
            return found[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"the server does not answer: {log.read_text()}")


def choose(page: Any, button: Any, *files: Path) -> None:
    """Clicks a button of a page that asks for files, and gives it these."""
    with page.expect_file_chooser() as chooser:
        button.click()
    chooser.value.set_files([str(file) for file in files])
