"""`model.stream`: every kind of source, in order, with the poses of single calls."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cairn.media.reading
from cairn.api.load import load
from cairn.errors import CairnError, ImageError, LabelError, ModelError, VideoError
from cairn.inference import stream
from cairn.inference.predictor import Predictor, TopDownPredictor
from cairn.inference.stream import share_cores
from cairn.media.images import write_image
from cairn.media.video import write_video
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork, totems

FRAMES = 8


@pytest.fixture(params=[1, 4], ids=["in-turn", "overlapped"])
def model(request: pytest.FixtureRequest, totem_model: Path, monkeypatch: pytest.MonkeyPatch) -> Predictor:
    monkeypatch.setattr("cairn.machine.available_cores", lambda: request.param)
    return load(totem_model, threads=1)


def images(count: int = FRAMES) -> list[NDArray[np.uint8]]:
    """Two totems, one of which moves to the right."""
    return [totems((240, 320), [(60 + 4 * i, 120), (260, 110)]) for i in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, image in enumerate(images()):
        write_image(tmp_path / "frames" / f"frame_{i:03d}.png", image)
    return tmp_path / "frames"


def all_threads_stop() -> bool:
    """Whether no thread of a stream runs on; those of a pool end a moment later."""
    until = time.monotonic() + 60
    while any(thread.name.startswith(("overlap-", "parallel")) for thread in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_frames_equal_single_calls_for_every_kind_of_source(model: Predictor, folder: Path) -> None:
    paths = sorted(folder.iterdir())
    expected = [model(path) for path in paths]
    sources: dict[str, Any] = {
        "folder": folder,
        "glob": str(folder / "*.png"),
        "list of paths": paths,
        "generator of paths": iter(paths),
        "numbered images": str(folder / "frame_%03d.png"),
        "list of arrays": images(),
        "array": np.stack(images()),
    }
    for kind, source in sources.items():
        frames = list(model.stream(source))
        assert [frame.index for frame in frames] == list(range(FRAMES)), kind
        for frame, poses in zip(frames, expected, strict=True):
            np.testing.assert_array_equal(frame.poses.keypoints, poses.keypoints)
            assert frame.poses.image is frame.image is not None
            assert frame.error is None
            assert frame.maps is None
    assert [frame.path for frame in model.stream(folder)] == paths


def test_single_image_is_a_stream_of_one(model: Predictor, folder: Path) -> None:
    path = folder / "frame_000.png"
    for source in (path, str(path), path.read_bytes(), images()[0]):
        (frame,) = model.stream(source)
        assert (frame.index, frame.time) == (0, None)
        assert len(frame.poses) == 2
    assert repr(next(iter(model.stream(path)))) == "Frame(0, 'frame_000.png', 320x240, 2 poses)"


def test_times_follow_the_rate(model: Predictor, folder: Path) -> None:
    for source in (str(folder / "frame_%03d.png"), images()):
        assert [frame.time for frame in model.stream(source, rate=10)] == pytest.approx([i / 10 for i in range(FRAMES)])


def test_video_has_times_and_track_ids(model: Predictor, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    with write_video(tmp_path / "clip.mp4", (240, 320), 10) as writer:
        for i, image in enumerate(images()):
            writer.write(image, i / 10)
    frames = list(model.stream(tmp_path / "clip.mp4", track=True, smooth=1.0))
    assert [frame.time for frame in frames] == pytest.approx([i / 10 for i in range(FRAMES)], abs=1e-3)
    assert all(frame.count == FRAMES and frame.rate == pytest.approx(10) for frame in frames)
    left = {
        int(frame.poses.ids[frame.poses.keypoints[:, 1, 0].argmin()]) for frame in frames if frame.poses.ids is not None
    }
    assert len(left) == 1


def test_track_ids_restart_for_each_clip(model: Predictor, folder: Path, tmp_path: Path) -> None:
    for i, image in enumerate(images(3)):
        write_image(tmp_path / "other" / f"{i}.png", image)
    clips = [str(folder / "frame_%03d.png"), str(tmp_path / "other" / "%d.png")]
    ids = [sorted(frame.poses.ids.tolist()) for frame in model.stream(clips, track=True) if frame.poses.ids is not None]
    assert ids == [[1, 2]] * (FRAMES + 3)


def test_webcam_is_read_until_the_stream_is_closed(model: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Webcam:
        rate, frames, size, pixel_aspect = 30.0, None, (240, 320), 1
        closed = False

        def __enter__(self) -> "Webcam":
            return self

        def __exit__(self, *ended: object) -> None:
            Webcam.closed = True

        def __iter__(self) -> Iterator[Any]:
            for i in range(10**9):
                yield cairn.media.video.VideoFrame(i, i / 30, images(1)[0])

    monkeypatch.setattr(cairn.media.reading, "open_camera", lambda number: Webcam())
    for source in (0, "0"):
        Webcam.closed = False
        frames = model.stream(source)
        assert [next(frames).index for _ in range(3)] == [0, 1, 2]
        frames.close()  # type: ignore[attr-defined]
        assert Webcam.closed
        assert all_threads_stop()


def test_closing_early_stops_all_threads(model: Predictor) -> None:
    frames = model.stream(image for image in images(1) * 1000)
    next(frames)
    del frames
    assert all_threads_stop()


def test_min_confidence_removes_keypoints(model: Predictor) -> None:
    (frame,) = model.stream(images()[0])
    threshold = float(np.median(frame.poses.confidence))
    (few,) = model.stream(images()[0], min_confidence=threshold)
    assert 0 < few.poses.detected.sum() < frame.poses.detected.sum()


def test_maps_are_kept_on_request(model: Predictor) -> None:
    (frame,) = model.stream(images()[0], maps=True)
    assert frame.maps is not None
    maps, to_image = frame.maps
    assert maps["heatmaps"].shape[0] == 3
    assert to_image.scale == pytest.approx(8)


def bad(folder: Path) -> Path:
    (folder / "frame_003.png").write_text("not an image")
    return folder


def test_error_is_a_warning_by_default(model: Predictor, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    frames = list(model.stream(bad(folder)))
    assert [frame.path.name for frame in frames if frame.path.name == "frame_003.png"] == []
    assert len(frames) == FRAMES - 1
    (message,) = caplog.messages
    assert "frame_003.png is not an image" in message


def test_stream_without_a_readable_frame_raises(
    model: Predictor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(VideoError, match="no video at"):
        list(model.stream(tmp_path / "absent.mp4"))
    assert not caplog.records
    with pytest.raises(ImageError, match="second"):
        list(model.stream([tmp_path / "first.png", tmp_path / "second.png"]))
    assert [record.getMessage() for record in caplog.records] == [f"no image at {tmp_path / 'first.png'}"]


def test_error_is_raised_on_request(model: Predictor, folder: Path) -> None:
    frames = model.stream(bad(folder), on_error="raise")
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ImageError, match=r"frame_003\.png is not an image"):
        next(frames)
    assert all_threads_stop()


def test_error_is_yielded_on_request(model: Predictor, folder: Path) -> None:
    frames = list(model.stream([*sorted(bad(folder).iterdir()), folder / "absent.png"], on_error="yield"))
    assert len(frames) == FRAMES + 1
    assert [frame.index for frame in frames if frame.error] == [3, FRAMES]
    for frame in frames:
        if frame.error:
            assert isinstance(frame.error, ImageError)
            assert frame.image is None
            assert len(frame.poses) == 0


def test_bad_item_in_memory_states_its_position(model: Predictor, caplog: pytest.LogCaptureFixture) -> None:
    frames = list(model.stream([images()[0], np.zeros((2, 2, 3)), images()[1]]))
    assert [frame.index for frame in frames] == [0, 2]
    assert caplog.messages == ["image 1: expected an image of uint8 from 0 to 255, got float64 (2, 2, 3)"]


def one_instance() -> TopDownPredictor:
    spec = SPEC.model_copy(update={"task": "crop", "outputs": ("heatmaps",)})

    def decode(maps: Any) -> Poses:
        return Poses(np.zeros((1, 3, 2), np.float32), np.ones((1, 3), np.float32), np.ones(1, np.float32), TOTEM)

    return TopDownPredictor(FakeNetwork(spec, {"heatmaps": np.zeros((16, 3, 4, 4), np.float32)}), decode)


def test_boxes_for_every_image_or_by_path(folder: Path) -> None:
    model = one_instance()
    boxes = [[10, 10, 50, 50], [60, 60, 40, 40]]
    assert [len(frame.poses) for frame in model.stream(folder, boxes=boxes)] == [2] * FRAMES
    named = dict.fromkeys(sorted(folder.iterdir())[1:], boxes[:1])
    frames = list(model.stream(folder, boxes=named, on_error="yield"))
    assert [len(frame.poses) for frame in frames] == [0] + [1] * (FRAMES - 1)
    assert isinstance(frames[0].error, LabelError)
    assert "no boxes are given for" in str(frames[0].error)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smooth": 1.0}, "smooth needs track=True"),
        ({"track": True, "smooth": -1.0}, "smooth must be a number from 0"),
        ({"on_error": "ignore"}, "on_error must be warn, raise or yield, got 'ignore'"),
        ({"min_confidence": 2.0}, "min_confidence must be from 0 to 1"),
        ({"rate": 0}, "rate must be a positive number"),
        ({"threads": -1}, "threads must be 0"),
    ],
)
def test_invalid_options_raise_at_once(totem_model: Path, options: dict, message: str) -> None:
    with pytest.raises(CairnError, match=message):
        load(totem_model, threads=1).stream(images(), **options)


def test_sources_that_name_nothing_raise_at_once(totem_model: Path, tmp_path: Path) -> None:
    model = load(totem_model, threads=1)
    (tmp_path / "empty").mkdir()
    for source, message in (
        (tmp_path / "empty", "no image or video in the folder"),
        ([], "the list of sources is empty"),
        (str(tmp_path / "*.jpg"), "no image or video matches"),
        (None, "expected an image"),
    ):
        with pytest.raises(ImageError, match=message):
            model.stream(source)  # type: ignore[arg-type]


def test_tracking_of_single_images_raises(model: Predictor, folder: Path) -> None:
    with pytest.raises(CairnError, match=r"tracking is for videos, .*frame_000\.png is one image"):
        list(model.stream(folder, track=True))


def test_predictor_without_maps_and_boxes_for_all_instances_raise(model: Predictor) -> None:
    with pytest.raises(ModelError, match="totems has no output maps of the whole image"):
        one_instance().stream(images(), maps=True)
    with pytest.raises(ModelError, match="takes no boxes"):
        list(model.stream(images(), boxes=[[0, 0, 9, 9]]))


@pytest.mark.parametrize(
    ("cores", "threads", "expected"),
    [(1, 0, (1, 1)), (2, 0, (2, 1)), (4, 0, (4, 1)), (9, 0, (4, 2)), (16, 0, (4, 4)), (16, 3, (3, 1))],
)
def test_cores_are_shared_between_images(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int, expected: tuple[int, int]
) -> None:
    """The stream runs the network on as many images at the same time as its number of threads was chosen for."""
    monkeypatch.setattr("cairn.machine.available_cores", lambda: cores)
    assert share_cores(threads) == expected
    assert stream._parallel(expected[1], threads) == expected[0]


def test_network_runs_on_several_images_at_the_same_time(totem_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.machine.available_cores", lambda: 2)
    model = load(totem_model, threads=1)
    barrier = threading.Barrier(2, timeout=60)
    infer: Callable[..., Any] = type(model).infer

    def together(self: Any, pixels: Any, boxes: Any = None) -> Any:
        barrier.wait()
        return infer(self, pixels, boxes)

    monkeypatch.setattr(type(model), "infer", together)
    assert len(list(model.stream(images()))) == FRAMES
