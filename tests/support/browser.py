"""A real browser without a window, for the pages that Cairn writes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

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


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serves a folder on this machine, as any static server does, and yields its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
