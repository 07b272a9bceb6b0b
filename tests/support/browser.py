"""A real browser without a window, for the pages that Cairn writes."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
PATIENCE = 240_000
"""Milliseconds to wait on a busy machine."""


def browser() -> str:
    """Returns the path of Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return found


@contextmanager
def page_of(**options: Any) -> Iterator[Any]:
    """Opens a page of a headless Chromium in the block; an error of its scripts fails the test."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    errors: list[str] = []
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=browser(), args=OPTIONS)
        page = chromium.new_context(**options).new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        chromium.close()
    assert not errors


def scene_image(path: Path) -> np.ndarray:
    """Returns a page with a 3D scene as the browser draws it, (900, 800, 3) uint8 RGB."""
    with page_of(viewport={"width": 800, "height": 900}) as page:
        page.goto(path.as_uri())
        page.wait_for_selector("figure.scene[data-drawn]")
        drawn = np.frombuffer(page.screenshot(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(drawn, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


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
