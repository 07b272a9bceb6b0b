"""Drawn videos play to their end in Chromium, where it is installed."""

import os
import queue
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest

from cairn.media.video import write_video
from support.ended import run_cairn
from support.fake_network import totems

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

PAGE = """<!doctype html><video muted playsinline></video><script>
const video = document.querySelector("video");
const report = (what) => fetch("/report?" + new URLSearchParams({what, seconds: video.currentTime,
  width: video.videoWidth, height: video.videoHeight, message: video.error ? video.error.message : ""}));
video.onended = () => report("ended");
video.onerror = () => report("error");
video.src = location.hash.slice(1);
video.play().catch(() => report("refused"));
</script>"""

FRAMES, RATE = 12, 12


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt install chromium")
@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_drawn_video_plays_to_its_end(
    tmp_path: Path, totem_model: Path, capsys: pytest.CaptureFixture, suffix: str
) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    with write_video(tmp_path / "clip.mp4", (121, 161), RATE) as writer:
        for i in range(FRAMES):
            writer.write(totems((121, 161), [(40 + 5 * i, 60)]))
    ended = run_cairn(
        capsys, "detect", "--model", str(totem_model), str(tmp_path / "clip.mp4"), "--threads", "1",
        *("--draw", "--draw-as", suffix, "--write", "", "--out", str(tmp_path)),
    )  # fmt: skip
    assert ended.status == 0
    (tmp_path / "page.html").write_text(PAGE)
    report = played(tmp_path, f"clip.cairn.{suffix}")
    assert report["what"] == ["ended"], report
    assert (report["width"], report["height"]) == (["162"], ["122"])
    assert float(report["seconds"][0]) == pytest.approx(FRAMES / RATE, abs=0.2)


def played(folder: Path, name: str) -> dict[str, list[str]]:
    """Plays the file in a page and returns what the page reports at the end or at an error."""
    reports: queue.Queue[dict[str, list[str]]] = queue.Queue()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/report?"):
                reports.put(parse_qs(urlparse(self.path).query))
                self.send_response(204)
                self.end_headers()
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            str(CHROMIUM),
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            f"--user-data-dir={folder / 'profile'}",
        ]
        command += ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
        command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        page = f"http://127.0.0.1:{server.server_port}/page.html#{name}"
        browser = subprocess.Popen([*command, page], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            return reports.get(timeout=240)
        finally:
            browser.terminate()
            browser.wait(timeout=20)
            server.shutdown()
