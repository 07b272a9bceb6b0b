"""`cairn detect` on videos, webcams, lists and image sequences: the same results as for single images."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cairn.media.video
from cairn.cli.stopping import STOPPING
from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import Labels
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import read_image, write_image
from cairn.media.video import VideoFrame, open_video, write_video
from cairn.methods import get_method
from cairn.ops.heatmaps import render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.results.ownership import RECORD
from cairn.structures.geometry import image_to_field
from support import DATA
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import SPEC, totems

FRAMES = 12


@pytest.fixture(params=[1, 4], ids=["in-turn", "overlapped"])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.machine.available_cores", lambda: request.param)


@pytest.fixture
def cairn_(
    tmp_path: Path, totem_model: Path, cores: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Cairn:
    """Runs `cairn detect` with the totem model in a folder of its own, on one core and on several."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "--model", str(totem_model), *arguments)

    return run


def middles(i: int) -> list[tuple[int, int]]:
    """Two totems, one of which goes to the right."""
    return [(60 + 4 * i, 120), (260, 110)]


def images(frames: int = FRAMES) -> Iterator[NDArray[np.uint8]]:
    for i in range(frames):
        yield totems((241, 321), middles(i))


def second(i: int) -> float:
    """Time of a frame of the clip, which pauses once."""
    return round(0.1 * i + (0.5 if i > 5 else 0), 6)


def write_clip(path: Path, frames: int = FRAMES) -> Path:
    with write_video(path, (241, 321), 10) as writer:
        for i, image in enumerate(images(frames)):
            writer.write(image, second(i))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    pytest.importorskip("av", reason="PyAV is not installed")
    return write_clip(tmp_path / "clip.mp4")


def files(place: Path) -> set[str]:
    """The files there, without the record of whose results they are."""
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file() and path.name != RECORD}


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(path: Path) -> list[VideoFrame]:
    with open_video(path) as video:
        return list(video)


def check_people(line: dict, i: int) -> None:
    people = sorted(line["people"], key=lambda person: person["keypoints"]["top"][0])
    for person, (x, y) in zip(people, middles(i), strict=True):
        np.testing.assert_allclose(person["keypoints"]["middle"][:2], [x, y], atol=3)


def test_video_gives_a_drawn_video_and_one_line_per_frame(cairn_: Cairn, clip: Path) -> None:
    before = clip.read_bytes()
    ended = cairn_("clip.mp4")
    assert ended.status == 0
    assert f"{FRAMES} frames, {2 * FRAMES} people" in ended.stderr
    assert "clip.cairn.mp4 and clip.cairn.jsonl" in ended.stderr
    assert files(clip.parent) == {"clip.mp4", "clip.cairn.mp4", "clip.cairn.jsonl"}
    assert clip.read_bytes() == before
    for i, line in enumerate(lines_of(clip.parent / "clip.cairn.jsonl")):
        assert (line["frame"], line["image"]) == (i, "clip.mp4")
        check_people(line, i)
    drawn, plain = read(clip.parent / "clip.cairn.mp4"), read(clip)
    assert [frame.seconds for frame in drawn] == pytest.approx([frame.seconds for frame in plain], abs=1e-3)
    for i, (one, other) in enumerate(zip(drawn, plain, strict=True)):
        change = np.abs(one.image.astype(int) - other.image).max(axis=2)
        for x, y in middles(i):
            assert change[y - 40 : y + 40, x - 5 : x + 5].max() > 60


def test_all_formats_of_a_tracked_video_agree(cairn_: Cairn, clip: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    forms = "json,coco,openpose,csv,parquet,maps"
    ended = cairn_("clip.mp4", "--track", "--smooth", "1", "--write", forms, "--part-candidates", "--out", "out")
    assert ended.status == 0
    assert "2 tracks" in ended.stderr
    out = tmp_path / "out"
    lines = lines_of(out / "clip.cairn.jsonl")
    ids_of_lines = [[person["id"] for person in line["people"]] for line in lines]
    assert all(sorted(ids) == [1, 2] for ids in ids_of_lines)
    every_id = [i for ids in ids_of_lines for i in ids]
    for line, ids in zip(lines, ids_of_lines, strict=True):
        name = f"clip_{line['frame']:012d}"
        form = json.loads((out / "cairn.openpose" / f"{name}_keypoints.json").read_text())
        assert [person["person_id"] for person in form["people"]] == [[i] for i in ids]
        assert len(form["part_candidates"][0]["0"]) == 2 * 3  # both tops
        with np.load(out / "cairn.maps" / f"{name}.npz") as maps:
            assert maps["heatmaps"].shape[0] == 3
    assert [row["track_id"] for row in json.loads((out / "clip.cairn.coco.json").read_text())] == every_id
    with (out / "clip.cairn.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [int(row["id"]) for row in rows[::3]] == every_id
    assert {float(row["seconds"]) for row in rows} == {line["seconds"] for line in lines}
    assert parquet.read_table(out / "clip.cairn.parquet").column("id").to_pylist()[::3] == every_id
    by_place = [{person["keypoints"]["top"][0] > 200: person["id"] for person in line["people"]} for line in lines]
    assert len({tuple(sorted(each.items())) for each in by_place}) == 1  # the left one stays left


def test_frames_of_a_video_give_the_poses_of_single_images(cairn_: Cairn, clip: Path, tmp_path: Path) -> None:
    for frame in read(clip):
        write_image(tmp_path / "pics" / f"{frame.index}.png", frame.image)
    cairn_("clip.mp4", "--write", "json", "--no-draw", "--out", "a")
    cairn_("pics/%d.png", "--write", "json", "--no-draw", "--out", "b", "--fps", "10")
    ones, others = lines_of(tmp_path / "a" / "clip.cairn.jsonl"), lines_of(tmp_path / "b" / "sequence.cairn.jsonl")
    assert [one["people"] for one in ones] == [other["people"] for other in others]
    assert [other["frame"] for other in others] == list(range(FRAMES))
    assert [other["image"] for other in others[:2]] == ["pics/0.png", "pics/1.png"]
    assert others[3]["seconds"] == 0.3


def test_sequence_may_have_gaps_and_a_bad_image(cairn_: Cairn, tmp_path: Path) -> None:
    for number in (7, 12, 100000):
        write_image(tmp_path / f"frame_{number:05d}.png", totems((240, 320), [(80, 120)]))
    (tmp_path / "frame_00012.png").write_text("no image")
    write_image(tmp_path / "frame_1.png", totems((240, 320), []))
    ended = cairn_("frame_%05d.png", "--write", "json,openpose", "--draw", "--draw-as", "jpg", "--out", "out")
    assert ended.status == 1
    fault, summary = ended.stderr.splitlines()
    assert "frame_00012.png is not an image" in fault
    assert "1 could not be read ->" in summary
    assert [line["frame"] for line in lines_of(tmp_path / "out" / "frame.cairn.jsonl")] == [7, 100000]
    assert files(tmp_path / "out") == {
        "frame.cairn.jsonl",
        "frame_00007.cairn.jpg",
        "frame_100000.cairn.jpg",
        "cairn.openpose/frame_00007_keypoints.json",
        "cairn.openpose/frame_100000_keypoints.json",
    }


def test_list_names_images_and_videos_relative_to_its_folder(cairn_: Cairn, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_image(tmp_path / "sub" / "a.png", totems((240, 320), [(80, 120)]))
    (tmp_path / "sub" / "list.txt").write_text("a.png\n\n../clip.mp4\nabsent.png\n")
    ended = cairn_("sub/list.txt", "--out", "out", "--draw", "--draw-as", "webm")
    assert ended.status == 1
    assert f"1 image, {FRAMES} frames, {1 + 2 * FRAMES} people" in ended.stderr
    assert "no image at sub/absent.png" in ended.stderr
    assert files(tmp_path / "out") == {
        "sub/a.cairn.json",
        "sub/a.cairn.jpg",
        "clip.cairn.jsonl",
        "clip.cairn.webm",
    }


def test_drawn_videos_are_not_inputs_of_the_next_run(cairn_: Cairn, clip: Path) -> None:
    for _ in range(2):
        ended = cairn_(str(clip.parent), "--out", str(clip.parent), "--draw")
        assert f"{FRAMES} frames" in ended.stderr


def test_lines_on_stdout(cairn_: Cairn, clip: Path) -> None:
    ended = cairn_("clip.mp4", "--json", "-")
    assert [json.loads(line)["frame"] for line in ended.stdout.splitlines()] == list(range(FRAMES))
    assert files(clip.parent) == {"clip.mp4"}


def test_truncated_video_is_one_line_and_its_results_are_kept(cairn_: Cairn, clip: Path, tmp_path: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-10])  # within the last frame: the index precedes the frames
    ended = cairn_("clip.mp4", "--write", "json,csv,openpose")
    assert ended.status == 1
    fault, summary = ended.stderr.splitlines()
    assert fault.startswith("cairn: clip.mp4 is truncated")
    assert "1 could not be read to the end" in summary
    lines = lines_of(tmp_path / "clip.cairn.jsonl")
    assert len(read(tmp_path / "clip.cairn.mp4")) == len(lines)
    frames = {
        next(i for i in range(FRAMES) if second(i) == pytest.approx(line["seconds"], abs=1e-3)): line for line in lines
    }
    whole = {i: line for i, line in frames.items() if len(line["people"]) == len(middles(i))}
    assert len(whole) == FRAMES - 1  # decoders with one thread give the damaged frame, too; it need not be the last one
    for i, line in whole.items():
        check_people(line, i)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.mp4", None, "no video at absent.mp4"),
        ("empty.mp4", b"", "empty.mp4 is empty"),
        ("text.mp4", b"this is text", "text.mp4 cannot be opened as a video"),
        ("none.y4m", b"YUV4MPEG2 W64 H48 F25:1\n", "none.y4m has no frame"),
        ("97", None, "no webcam 97"),
    ],
)
def test_nothing_is_written_if_no_frame_can_be_read(
    cairn_: Cairn, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = files(tmp_path)
    ended = cairn_(name, "--write", "json,csv,coco,openpose,parquet", "--draw")
    assert ended.status == 2
    assert len(ended.stderr.splitlines()) == 1
    assert message in ended.stderr
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.png", "--track"], "photo.png is one image"),
        (["clip.mp4", "--smooth", "1"], "smooth needs track"),
        (["clip.mp4", "--keypoint-scale", "3"], "need the format openpose"),
        (["clip.mp4", "--part-candidates"], "need the format openpose"),
        (["clip.mp4", "--write", "openpose", "--keypoint-scale", "1"], "must be 0 (pixels of the source)"),
        (["clip.mp4", "--draw-as", "gif"], "draw-as must be one of mp4,webm,jpg, got gif"),
        (["clip.mp4", "--no-draw", "--draw-as", "webm"], "need drawing: turn on draw too"),
        (["clip.mp4", "--no-draw", "--draw-threshold", "0.5"], "need drawing: turn on draw too"),
        (["photo.png", "--draw-as", "webm"], "draw-as is for videos: images are drawn as .jpg"),
        (["clip.mp4", "--fps", "30"], "fps is for numbered images"),
        (["clip.mp4", "--boxes", "boxes.json"], "boxes are for images"),
        (["clip.mp4", "--refine-with", "person-single", "--write", "maps"], "need a model that runs on whole images"),
        (["frame_%05d.png"], "no image matches the sequence frame_%05d.png"),
        (["empty.txt"], "the list empty.txt names no image"),
    ],
)
def test_wrong_options_raise_before_any_work(cairn_: Cairn, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    before = files(tmp_path)
    ended = cairn_(*arguments)
    assert ended.status == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert files(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="this system has no signals")
@pytest.mark.parametrize("number", STOPPING)
def test_interrupt_leaves_a_playable_video_and_results_of_the_same_frames(
    cairn_: Cairn, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    write_clip(clip, 60)
    maps, seen = BottomUpPredictor.maps, []

    def interrupted(self: BottomUpPredictor, image: np.ndarray) -> object:
        seen.append(image.shape)
        if len(seen) == 4:
            signal.raise_signal(number)
        return maps(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", interrupted)
    ended = cairn_("clip.mp4", "--write", "json,csv,coco,parquet", "--draw")
    assert ended.status == 128 + number
    assert ended.stderr.endswith("interrupted\n")
    lines = lines_of(tmp_path / "clip.cairn.jsonl")
    assert 4 <= len(lines) < 60
    assert f"{len(lines)} frames" in ended.stderr
    assert len(read(tmp_path / "clip.cairn.mp4")) == len(lines)
    assert parquet.read_table(tmp_path / "clip.cairn.parquet").num_rows == 6 * len(lines)
    assert len(json.loads((tmp_path / "clip.cairn.coco-images.json").read_text())["images"]) == len(lines)


@pytest.mark.parametrize("number", STOPPING)
def test_ignored_signal_stays_ignored(
    cairn_: Cairn, clip: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    maps = BottomUpPredictor.maps

    def signaled(self: BottomUpPredictor, image: np.ndarray) -> object:
        signal.raise_signal(number)
        return maps(self, image)

    monkeypatch.setattr(BottomUpPredictor, "maps", signaled)
    signal.signal(number, signal.SIG_IGN)
    assert cairn_("clip.mp4").status == 0


def test_without_pyav_the_drawn_video_is_webm_with_a_notice(
    cairn_: Cairn, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: False)
    ended = cairn_("clip.mp4")
    assert ended.status == 0
    notice = "cairn: PyAV is not installed (pip install 'cairn-pose[video]'): "
    drawing, reading = "the video is drawn as WebM at a constant frame rate", "a damaged or truncated video"
    assert ended.stderr.startswith(f"{notice}{drawing}, and {reading}")
    assert files(tmp_path) == {"clip.mp4", "clip.cairn.webm", "clip.cairn.jsonl"}
    assert cairn_("clip.mp4", "--no-draw", "--out", "other").stderr.startswith(f"{notice}{reading}")
    monkeypatch.undo()
    drawn = read(tmp_path / "clip.cairn.webm")
    assert drawn[-1].seconds == pytest.approx(read(clip)[-1].seconds, abs=0.15)


def test_webcam_is_read_until_it_is_interrupted(cairn_: Cairn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    class Camera:
        def __init__(self, number: int) -> None:
            assert number == 0

        def isOpened(self) -> bool:
            return True

        def get(self, what: int) -> float:
            return 30.0

        def read(self) -> tuple[bool, NDArray[np.uint8]]:
            reads.append(True)
            if len(reads) == 5:
                signal.raise_signal(signal.SIGINT)
            return True, totems((240, 320), [(80, 120)])[..., ::-1]

        def release(self) -> None: ...

    monkeypatch.setattr("cv2.VideoCapture", Camera)
    ended = cairn_("0", "--write", "json", "--draw", "--draw-as", "webm", "--track")
    assert ended.status == 130
    lines = lines_of(tmp_path / "camera0.cairn.jsonl")
    assert len(lines) >= 4
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert all(person["id"] == 1 for line in lines for person in line["people"])
    assert files(tmp_path) == {"camera0.cairn.jsonl", "camera0.cairn.webm"}


def test_memory_is_independent_of_the_length_of_a_video(
    clip: Path, totem_model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The peak memory of two runs, one with five times the frames of the other."""
    pytest.importorskip("resource", reason="this system does not state it")
    code = (
        "import resource, sys\nfrom cairn.cli import main\n"
        "try: main(sys.argv[1:])\nfinally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for frames in (80, 400):
        write_clip(clip, frames)
        command = [sys.executable, "-c", code, "detect", str(clip), "--model", str(totem_model), "--threads", "1"]
        command += ["--write", "json,csv,coco,parquet", "--no-draw", "--out", str(tmp_path / "out")]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks.append(int(ended.stdout))
    frame = 241 * 321 * 3 / 1024  # in kB, as ru_maxrss
    assert peaks[1] - peaks[0] < 40 * frame  # and not 320


@pytest.mark.data
def test_two_flies_keep_their_track_ids_through_a_whole_clip(
    cairn_: Cairn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a network that returns the ground truth: tests decoding, tracking, drawing and writing."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    path = DATA / "flies" / "val.json"
    if not path.is_file():
        pytest.skip(f"no data set at {path}")
    labels = read_coco(path)
    with write_video(tmp_path / "flies.mp4", (380, 380), 25) as writer:
        for image in labels:
            writer.write(read_image(image.path))
    spec = SPEC.model_copy(
        update={
            "name": "flies",
            "skeleton": labels.skeleton,
            "stride": 4,
            "task": "multi_instance",
            "input": InputSpec(resize="letterbox", size=380, multiple=4),
            "decode": {},
        }
    )
    predictor = get_method("openpose").predictor(LabelNetwork(spec, labels))
    monkeypatch.setattr(sys.modules["cairn.api.load"], "load", lambda *_, **__: predictor)
    ended = cairn_("flies.mp4", "--track", "--write", "openpose,parquet", "--draw")
    assert ended.status == 0
    assert "2 tracks" in ended.stderr
    rows = parquet.read_table(tmp_path / "flies.cairn.parquet").to_pylist()
    thoraxes = [row for row in rows if row["joint"] == "thorax" and row["x"] is not None]
    assert len(thoraxes) == 2 * len(labels)
    k = labels.skeleton.index("thorax")
    owners, without = set(), 0
    for row in thoraxes:
        annotation = labels.images[row["frame"]].annotation
        distances = np.hypot(*(annotation.keypoints[:, k] - [row["x"], row["y"]]).T)
        assert distances.min() < 2
        assert annotation.tracks is not None
        if row["id"] is None:
            without += 1
        else:
            owners.add((int(annotation.tracks[distances.argmin()]), row["id"]))
    assert len(owners) == 2
    assert without <= 1  # one of 48 images is too far from the image before it: the clip has every fifth
    assert len(read(tmp_path / "flies.cairn.mp4")) == len(labels)


class LabelNetwork:
    """Returns the maps of the annotations, image by image, whatever its input."""

    device = "cpu"
    threads = 0

    def __init__(self, spec: ModelSpec, labels: Labels) -> None:
        self.spec = spec
        self._images = iter(labels)

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        cells = image_to_field(next(self._images).annotation.keypoints, self.spec.stride)
        size = images.shape[2] // self.spec.stride, images.shape[3] // self.spec.stride
        pafs = render_pafs(cells, self.spec.skeleton.limbs, size, 1.0)
        return {"heatmaps": render_gaussians(cells, size, 1.0)[None], "pafs": pafs[None]}
