"""`cairn detect` on damaged videos, mixed folders, addresses and unusual images: counted, stated, never silent."""

import csv
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cairn.api.load import load
from cairn.api.track import track
from cairn.errors import DamagedVideo
from cairn.media.images import write_image
from cairn.media.video import VideoFrame, open_video
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import totems
from support.made_tiffs import tiff

av = pytest.importorskip("av", reason="PyAV is not installed")

FRAMES, BAD, SIZE = 8, 3, (240, 320)


@pytest.fixture(params=[1, 4], ids=["in-turn", "overlapped"])
def cairn_(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    totem_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> Cairn:
    monkeypatch.setattr("cairn.machine.available_cores", lambda: request.param)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "--model", str(totem_model), *arguments)

    return run


def image(i: int = 0) -> NDArray[np.uint8]:
    return totems(SIZE, [(60 + 10 * i, 120), (260, 110)])


def damaged_video(path: Path) -> Path:
    """Writes Motion JPEG in AVI, with one packet of zeros."""
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuvj420p"
        for i in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image(i), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        packet = [bytes(each) for each in container.demux(video=0)][BAD]
    path.write_bytes(path.read_bytes().replace(packet, bytes(len(packet))))
    return path


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def frames_of(path: Path) -> list[VideoFrame]:
    with open_video(path) as video:
        return list(video)


def test_a_damaged_frame_is_empty_in_every_output(cairn_: Cairn, tmp_path: Path) -> None:
    damaged_video(tmp_path / "cut.avi")
    forms = "json,coco,openpose,csv,maps"
    ended = cairn_("cut.avi", "--write", forms, "--part-candidates", "--track", "--draw", "--out", "o")
    assert ended.status == 1
    fault, summary = ended.stderr.splitlines()
    assert f"damaged in 1 of {FRAMES} packets: {FRAMES} frames (0.7 s) were read" in fault
    assert fault.endswith(f"frame {BAD} has no image")
    assert f"{FRAMES} frames, 1 damaged, {2 * (FRAMES - 1)} people, 2 tracks" in summary
    assert "could not be read" not in summary
    lines = lines_of(tmp_path / "o" / "cut.cairn.jsonl")
    assert [(line["frame"], line["seconds"], len(line["people"])) for line in lines] == [
        (i, round(i / 10, 6), 0 if i == BAD else 2) for i in range(FRAMES)
    ]
    assert {(line["width"], line["height"]) for line in lines} == {SIZE[::-1]}
    for i, line in enumerate(lines):
        left = min((person["keypoints"]["top"][0] for person in line["people"]), default=60 + 10 * i)
        assert left == pytest.approx(60 + 10 * i, abs=4)
    people = [
        len(json.loads((tmp_path / f"o/cairn.openpose/cut_{i:012d}_keypoints.json").read_text())["people"])
        for i in range(FRAMES)
    ]
    assert people == [0 if i == BAD else 2 for i in range(FRAMES)]
    with (tmp_path / "o" / "cut.cairn.csv").open() as table:
        assert {int(row["frame"]) for row in csv.DictReader(table)} == set(range(FRAMES)) - {BAD}
    images = json.loads((tmp_path / "o" / "cut.cairn.coco-images.json").read_text())["images"]
    assert len(images) == FRAMES
    assert len(list((tmp_path / "o" / "cairn.maps").iterdir())) == FRAMES - 1
    drawn, plain = frames_of(tmp_path / "o" / "cut.cairn.mp4"), image(BAD - 1)
    assert [frame.seconds for frame in drawn] == pytest.approx([i / 10 for i in range(FRAMES)], abs=1e-3)
    assert drawn[BAD].image is not None
    assert np.abs(drawn[BAD].image.astype(int) - plain).mean() < 12  # the frame before, without its poses


def test_streams_and_tracks_keep_a_damaged_frame(tmp_path: Path, totem_model: Path) -> None:
    path = damaged_video(tmp_path / "cut.avi")
    model = load(totem_model, threads=1)
    frames = list(model.stream(path, track=True))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.is_damaged for frame in frames] == [i == BAD for i in range(FRAMES)]
    bad = frames[BAD]
    assert (bad.image, bad.error, len(bad.poses), bad.size, bad.time) == (None, None, 0, SIZE, pytest.approx(0.3))
    assert "damaged" in repr(bad)
    ids = [sorted(frame.poses.ids.tolist()) for frame in frames if frame.poses.ids is not None and len(frame.poses)]
    assert ids == [[1, 2]] * (FRAMES - 1)
    with pytest.raises(DamagedVideo, match="frame 3 has no image"):
        list(model.stream(path, on_error="raise"))
    tracks = track(path, model=model)
    assert tracks.indices == tuple(range(FRAMES))
    assert [len(poses) for poses in tracks] == [0 if i == BAD else 2 for i in range(FRAMES)]


def test_first_frame_damaged_is_drawn_black(cairn_: Cairn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.BAD", 0)
    damaged_video(tmp_path / "cut.avi")
    assert cairn_("cut.avi").status == 1
    drawn = frames_of(tmp_path / "cut.cairn.mp4")
    assert len(drawn) == FRAMES
    assert drawn[0].image is not None
    assert drawn[0].image.shape == (*SIZE, 3)
    assert drawn[0].image.max() < 20
    assert lines_of(tmp_path / "cut.cairn.jsonl")[0]["people"] == []


def test_drawn_video_keeps_the_pixel_aspect_ratio(cairn_: Cairn, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "wide.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.sample_aspect_ratio = 2
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image(), format="rgb24")))
        container.mux(stream.encode())
    assert cairn_("wide.mp4").status == 0
    with open_video(tmp_path / "wide.cairn.mp4") as video:
        assert (video.size, video.pixel_aspect) == (SIZE, 2)
    (line,) = lines_of(tmp_path / "wide.cairn.jsonl")
    assert (line["width"], line["height"]) == SIZE[::-1]
    assert min(person["keypoints"]["top"][0] for person in line["people"]) == pytest.approx(60, abs=4)


def test_summary_counts_what_a_folder_run_skips(cairn_: Cairn, tmp_path: Path) -> None:
    for name in ("a.jpg", "other/c.jpg"):
        write_image(tmp_path / "mix" / name, image())
    (tmp_path / "mix" / "b.jfif").write_bytes((tmp_path / "mix" / "a.jpg").read_bytes())
    for name in ("IMG_1.heic", "notes.txt", "labels.txt", ".hidden", "README"):
        (tmp_path / "mix" / name).write_text("text")
    (tmp_path / "mix" / "loop").symlink_to("..")
    for _ in range(2):  # results of the first run are not counted in the second one
        ended = cairn_("mix", "--out", "mix", "--write", "json,csv,openpose", "--draw")
        assert ended.status == 0
        assert "3 images, 6 people" in ended.stderr
        assert "4 files skipped: 2 .txt, 1 .heic, 1 without a suffix -> mix" in ended.stderr
    assert "skipped" not in cairn_("mix/a.jpg", "--out", "x").stderr


def test_wrongly_named_files_of_a_folder_have_results_in_every_format(cairn_: Cairn, tmp_path: Path) -> None:
    damaged_video(tmp_path / "mix" / "a.jpg")
    cv2.imwrite(str(tmp_path / "photo.png"), image()[..., ::-1])
    for name in ("b.png", "c.mp4"):
        (tmp_path / "mix" / name).write_bytes((tmp_path / "photo.png").read_bytes())
    ended = cairn_("mix", "--write", "json,coco,csv,openpose", "--draw", "--out", "o")
    assert f"2 images, {FRAMES} frames, 1 damaged" in ended.stderr
    ids = [each["id"] for each in json.loads((tmp_path / "o" / "cairn.coco-images.json").read_text())["images"]]
    assert len(set(ids)) == 2
    assert len(lines_of(tmp_path / "o" / "a.cairn.jsonl")) == FRAMES


def test_range_of_images_is_stated_once(cairn_: Cairn, tmp_path: Path) -> None:
    gray = image()[..., 0].astype(np.uint16) * 16 + 5
    for name in ("a", "b", "c"):
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / f"{name}.tif").write_bytes(tiff([gray]))
    ended = cairn_("deep", "--out", "o")
    assert ended.status == 0
    note, summary = ended.stderr.splitlines()
    assert note == "cairn: deep/a.tif has 12-bit data in 16 bits: 0 to 4095 is stretched"
    assert "3 images" in summary


def test_pages_are_a_clip_and_take_a_rate(cairn_: Cairn, tmp_path: Path) -> None:
    (tmp_path / "stack.tif").write_bytes(tiff([image(i)[..., 0] for i in range(4)]))
    ended = cairn_("stack.tif", "--fps", "5", "--write", "json", "--draw", "--draw-as", "webm")
    assert ended.status == 0
    assert "4 frames" in ended.stderr
    assert [line["seconds"] for line in lines_of(tmp_path / "stack.cairn.jsonl")] == [0, 0.2, 0.4, 0.6]
    assert len(frames_of(tmp_path / "stack.cairn.webm")) == 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Folder(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None: ...

    served = ThreadingHTTPServer(("127.0.0.1", 0), Folder)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def test_addresses_are_read_and_no_output_has_their_credentials(cairn_: Cairn, tmp_path: Path, server: str) -> None:
    damaged_video(tmp_path / "cut.avi")
    cv2.imwrite(str(tmp_path / "photo.png"), image()[..., ::-1])
    forms = "json,coco,openpose,csv,parquet"
    addresses = [f"http://me:s3cret@{server}/{name}?token=s3cret" for name in ("cut.avi", "photo.png", "absent.png")]
    ended = cairn_(*addresses, "--write", forms, "--draw", "--out", "o")
    assert ended.status == 1
    assert f"1 image, {FRAMES} frames, 1 damaged" in ended.stderr
    assert f"cannot open http://{server}/absent.png?...: the server answers 404" in ended.stderr
    assert "s3cret" not in ended.stderr + ended.stdout
    for path in (tmp_path / "o").rglob("*"):
        assert "s3cret" not in path.name
        assert path.is_dir() or b"s3cret" not in path.read_bytes()
    assert lines_of(tmp_path / "o" / "cut.cairn.jsonl")[0]["image"] == f"http://{server}/cut.avi?..."
    assert json.loads((tmp_path / "o" / "photo.cairn.json").read_text())["image"] == f"http://{server}/photo.png?..."


def test_one_address_writes_beside_the_user(cairn_: Cairn, tmp_path: Path, server: str) -> None:
    damaged_video(tmp_path / "cut.avi")
    ended = cairn_(f"http://{server}/cut.avi", "--reconnect", "2", "--draw-as", "webm", "--draw")
    assert ended.stderr.rstrip().endswith("-> cut.cairn.webm and cut.cairn.jsonl")
    assert len(lines_of(tmp_path / "cut.cairn.jsonl")) == FRAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-"], "- is stdin, which is not read"),
        (["s3://bucket/a.jpg"], "has a scheme that is not read"),
        (["clip.mp4", "--reconnect", "2"], "reconnect is for streams (rtsp://...) and webcams"),
        (["http://127.0.0.1:1/clip.mp4", "--boxes", "b.json"], "boxes are for images"),
        (["rtsp://127.0.0.1:1/s"], "rtsp://127.0.0.1:1/s cannot be opened (Connection refused)"),
        (["/dev/video97"], "no webcam 97"),
    ],
)
def test_what_cannot_be_read_is_one_line(cairn_: Cairn, tmp_path: Path, arguments: list[str], message: str) -> None:
    ended = cairn_(*arguments)
    assert ended.status == 2
    assert ended.stderr.count("\n") == 1
    assert message in ended.stderr
    assert list(tmp_path.iterdir()) == []
