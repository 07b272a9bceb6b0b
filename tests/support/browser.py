"""A real browser without a window, for the pages that Cairn writes."""

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--force-device-scale-factor=1",
    "--virtual-time-budget=4000",
    "--window-size=800,900",
)


def browser() -> str:
    """Returns the path of Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


def page_source(path: Path) -> str:
    """Returns the document of a page after its scripts ran."""
    return _run("--dump-dom", path, path.parent).stdout


def screenshot(path: Path) -> np.ndarray:
    """Returns the page as the browser draws it, (900, 800, 3) uint8 RGB."""
    target = path.with_suffix(".screenshot.png")
    _run(f"--screenshot={target}", path, path.parent)
    return cv2.cvtColor(cv2.imread(str(target)), cv2.COLOR_BGR2RGB)


def _run(action: str, path: Path, folder: Path) -> subprocess.CompletedProcess:
    command = [browser(), *OPTIONS, f"--user-data-dir={folder / 'profile'}", action, path.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
