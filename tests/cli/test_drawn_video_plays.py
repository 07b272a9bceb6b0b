"""Drawn videos play to their end in Chromium, where it is installed."""

from pathlib import Path

import pytest

from cairn.media.video import write_video
from support.browser import page_of, served
from support.ended import run_cairn
from support.fake_network import totems

PAGE = """<!doctype html><video muted playsinline></video><script>
const video = document.querySelector("video");
const report = (what) => { window.report = {what, seconds: video.currentTime,
  width: video.videoWidth, height: video.videoHeight, message: video.error ? video.error.message : ""}; };
video.onended = () => report("ended");
video.onerror = () => report("error");
video.src = location.hash.slice(1);
video.play().catch(() => report("refused"));
</script>"""

FRAMES, RATE = 12, 12


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
    with page_of() as page, served(tmp_path) as address:
        page.goto(f"{address}page.html#clip.cairn.{suffix}")
        report = page.wait_for_function("window.report").json_value()
    assert report["what"] == "ended", report
    assert (report["width"], report["height"]) == (162, 122)
    assert report["seconds"] == pytest.approx(FRAMES / RATE, abs=0.2)
