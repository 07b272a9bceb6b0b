"""Written videos are read back; truncation and damage raise an error after all good frames."""

import errno
import shutil
import wave
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import cairn.media.video
from cairn.errors import MissingExtra, OutputError, VideoError
from cairn.media.video import VideoFrame, open_camera, open_video, write_video
from cairn.media.video.opencv import Cv2Video

av = pytest.importorskip("av", reason="PyAV is not installed")

SIZE = (48, 64)


@pytest.fixture
def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: False)


def gray(value: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return np.full((*size, 3), value, np.uint8)


def noise(frames: int, size: tuple[int, int] = (120, 160)) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(frames)]


def write(path: Path, images: list[NDArray[np.uint8]], seconds: list[float] | None = None) -> Path:
    with write_video(path, images[0].shape[:2], 25) as writer:
        for i, image in enumerate(images):
            writer.write(image, None if seconds is None else seconds[i])
    return path


def read(path: Path) -> tuple[list[VideoFrame], str]:
    """Returns the frames, and the error at the end."""
    frames: list[VideoFrame] = []
    try:
        with open_video(path) as video:
            collect(video, frames)
    except VideoError as error:
        return frames, str(error)
    return frames, ""


def collect(video: Iterable[VideoFrame], into: list[VideoFrame]) -> None:
    for frame in video:
        into.append(frame)


def by_hand(path: Path, images: list[NDArray[np.uint8]], codec: str = "libx264", **options: str) -> Path:
    """Writes a video without Cairn, in any container, with or without a display matrix."""
    degrees = int(options.pop("degrees", 0))
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if degrees:
            stream.set_display_rotation(degrees)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 255), st.floats(0.002, 3)), min_size=1, max_size=8))
def test_frames_are_read_back_with_colors_and_times(
    tmp_path: Path, suffix: str, content: list[tuple[int, float]]
) -> None:
    values = [value for value, _ in content]
    seconds = np.cumsum([0, *(step for _, step in content[1:])]).tolist()
    frames, said = read(write(tmp_path / f"clip{suffix}", [gray(value) for value in values], seconds))
    assert said == ""
    assert [frame.index for frame in frames] == list(range(len(content)))
    np.testing.assert_allclose([frame.seconds for frame in frames], seconds, atol=1.1e-3)  # WebM counts milliseconds
    for frame, value in zip(frames, values, strict=True):
        assert frame.image.shape == (*SIZE, 3)
        assert np.abs(frame.image.astype(int) - value).max() <= 8


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize("size", [(1, 1), (47, 64), (48, 63), (31, 33)])
def test_odd_sizes_are_padded_with_the_edge(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    frames, _ = read(write(tmp_path / f"clip{suffix}", [gray(90, size)] * 3))
    assert [frame.image.shape for frame in frames] == [(size[0] + size[0] % 2, size[1] + size[1] % 2, 3)] * 3
    assert all(np.abs(frame.image.astype(int) - 90).max() < 10 for frame in frames)


def test_frame_of_another_size_is_letterboxed(tmp_path: Path) -> None:
    frames, _ = read(write(tmp_path / "clip.mp4", [gray(200, (60, 60)), gray(200, (20, 40))]))
    second = frames[1].image.astype(int)
    assert second.shape == (60, 60, 3)
    assert second[20:40, 5:55].mean() > 190  # 30 × 60 in the middle
    assert max(second[:10].mean(), second[50:].mean()) < 10


def test_index_of_an_mp4_precedes_its_frames(tmp_path: Path) -> None:
    data = write(tmp_path / "clip.mp4", noise(5)).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_format_is_supported_by_browsers(tmp_path: Path) -> None:
    for suffix, codec in ((".mp4", "h264"), (".webm", "vp9")):
        with av.open(str(write(tmp_path / f"clip{suffix}", noise(2)))) as container:
            context = container.streams.video[0].codec_context
            assert (context.name.removeprefix("lib").removeprefix("vpx-"), context.pix_fmt) == (codec, "yuv420p")


@pytest.mark.parametrize("backend", ["pyav", "opencv"])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str, degrees: int
) -> None:
    image = gray(0)
    image[:, :32] = 255  # the left half
    path = by_hand(tmp_path / "turned.mp4", [image] * 3, degrees=str(degrees))
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: backend == "pyav")
    frames, _ = read(path)
    expected = np.rot90(image, degrees // 90)
    for frame in frames:
        assert frame.image.shape == expected.shape
        assert (np.abs(frame.image.astype(int) - expected) > 60).mean() < 0.05


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".avi", ".ts"])
def test_truncated_video_gives_its_whole_frames_and_an_error(tmp_path: Path, suffix: str) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(suffix, "libx264")
    options = {"movflags": "+faststart"} if suffix == ".mp4" else {}
    whole = by_hand(tmp_path / f"whole{suffix}", noise(20), codec, **options)
    frames, said = read(whole)
    assert (len(frames), said) == (20, "")
    data = whole.read_bytes()
    for share in (0.45, 0.7, 0.93):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(data[: int(share * len(data))])
        some, said = read(cut)
        assert 0 < len(some) < 20
        assert f"cut{suffix} " in said
        assert f"{len(some)} frames" in said
        for one, other in zip(some, frames, strict=False):
            np.testing.assert_array_equal(one.image, other.image)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9), st.integers(1, 400))
def test_damaged_video_gives_frames_or_one_error(tmp_path: Path, where: int, length: int) -> None:
    whole = tmp_path / "whole.mp4"
    if not whole.exists():
        write(whole, noise(6, (48, 64)))
    data = bytearray(whole.read_bytes())
    at = where % len(data)
    data[at : at + length] = bytes(len(data[at : at + length]))
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    frames, said = read(damaged)
    images = [frame.image for frame in frames if frame.image is not None]
    assert all(image.ndim == 3 and image.shape[2] == 3 for image in images)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert "damaged.mp4" in said or len(images) == len(frames) > 0


@pytest.mark.parametrize("backend", ["pyav", "opencv"])
def test_file_that_is_not_a_video_raises_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(cairn.media.video, "has_pyav", lambda: backend == "pyav")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is text")
    (tmp_path / "folder.mp4").mkdir()
    whole = by_hand(tmp_path / "index-last.mp4", noise(5))
    whole.write_bytes(whole.read_bytes()[:-1000])
    for name, message in {
        "absent.mp4": "no video at",
        "empty.mp4": "is empty",
        "folder.mp4": "is not a file",
        "text.mp4": "cannot be opened as a video",
        "index-last.mp4": "cannot be opened as a video",
    }.items():
        with pytest.raises(VideoError, match=message) as raised:
            open_video(tmp_path / name)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)


def test_audio_alone_and_no_frames_raise(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    shutil.move(tmp_path / "sound.wav", tmp_path / "sound.mp4")
    with pytest.raises(VideoError, match=r"sound.mp4 has no video stream"):
        open_video(tmp_path / "sound.mp4")
    (tmp_path / "none.y4m").write_bytes(b"YUV4MPEG2 W64 H48 F25:1\n")
    with open_video(tmp_path / "none.y4m") as video, pytest.raises(VideoError, match="has no frame"):
        list(video)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_interrupt_leaves_nothing_and_a_second_run_overwrites(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    before = write(path, [gray(10)]).read_bytes()

    def interrupted() -> None:
        with write_video(path, SIZE, 25) as writer:
            writer.write(gray(200))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_full_disk_is_one_error_with_the_name_of_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in ("write", "finish"):
        with monkeypatch.context() as patch:
            patch.setattr(f"cairn.media.video.pyav_writer.AvEncoder.{step}", full)
            with pytest.raises(OutputError, match=r"cannot write .*clip\.mp4: No space left on device"):
                write(tmp_path / "clip.mp4", [gray(1)])
    assert list(tmp_path.iterdir()) == []


def test_video_without_frames_or_of_another_format_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at least one frame"), write_video(tmp_path / "clip.mp4", SIZE, 25):
        pass
    with pytest.raises(OutputError, match=r"must be one of \.mp4 \.webm"):
        write_video(tmp_path / "clip.avi", SIZE, 25)
    with pytest.raises(OutputError, match="cannot write"), write_video(tmp_path / "a" / "clip.mp4", SIZE, 25):
        (tmp_path / "a").rmdir()
    assert list(tmp_path.iterdir()) == []


def test_opencv_reads_videos_of_pyav(tmp_path: Path) -> None:
    seconds = [0, 0.04, 0.08, 0.5, 0.6, 1.5]
    path = write(tmp_path / "clip.mp4", [gray(40 * i) for i in range(6)], seconds)
    with Cv2Video(path) as video:
        frames = list(video)
    np.testing.assert_allclose([frame.seconds for frame in frames], seconds, atol=1e-3)
    for i, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - 40 * i).max() <= 8


def test_opencv_writes_webm_at_a_constant_rate_and_keeps_times(tmp_path: Path, without_pyav: None) -> None:
    path = write(tmp_path / "clip.webm", [gray(20), gray(120), gray(220)], [0, 0.04, 0.4])
    frames, _ = read(path)
    np.testing.assert_allclose([frame.seconds for frame in frames], 0.04 * np.arange(11), atol=2e-3)
    values = [int(frame.image.mean()) for frame in frames]
    np.testing.assert_allclose(values, [20, *[120] * 1, *[220] * 9], atol=25)
    with pytest.raises(MissingExtra, match=r"pip install 'cairn-pose\[video\]'"):
        write_video(tmp_path / "clip.mp4", SIZE, 25)


def test_absent_webcam_raises() -> None:
    with pytest.raises(VideoError, match="no webcam 97"):
        open_camera(97)


def test_webcam_frames_have_their_arrival_times(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.5, 102.0])
    monkeypatch.setattr("cairn.media.video.opencv.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("cv2.VideoCapture", lambda number: Camera(3))
    frames: list[VideoFrame] = []
    with open_camera(0) as camera:
        assert camera.frames is None
        with pytest.raises(VideoError, match="webcam 0 stopped after 3 frames"):
            collect(camera, frames)
    assert [frame.seconds for frame in frames] == [0, 0.5, 2]
    assert frames[0].image[0, 0].tolist() == [0, 0, 255]  # OpenCV gives blue first


class Camera:
    """Stands for a webcam of OpenCV: a number of frames, then it is unplugged."""

    def __init__(self, frames: int) -> None:
        self.left = frames
        self.release: Callable[[], None] = lambda: None

    def isOpened(self) -> bool:
        return True

    def get(self, what: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        self.left -= 1
        blue = np.zeros((*SIZE, 3), np.uint8)
        blue[..., 0] = 255
        return (True, blue) if self.left >= 0 else (False, None)


def test_clock_is_a_multiple_of_the_common_rates() -> None:
    from cairn.media.video.pyav_writer import CLOCK

    for rate in (24, 25, 30, 50, 60, Fraction(30000, 1001)):
        assert (CLOCK / Fraction(rate)).denominator == 1
