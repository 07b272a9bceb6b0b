"""Damaged frames are counted: the frames after them are those of the whole video, with number and time."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import DamagedVideo, VideoError
from cairn.media.reading import read_sources
from cairn.media.sources import find_sources
from cairn.media.video import VideoFrame, open_video
from cairn.media.video.damage import FramePlaces

av = pytest.importorskip("av", reason="PyAV is not installed")

FRAMES, RATE, SIZE = 24, 10, (96, 128)

CODECS = {
    "mjpeg.avi": ("mjpeg", "yuvj420p", 0),
    "mjpeg.mp4": ("mjpeg", "yuvj420p", 0),
    "mpeg4.avi": ("mpeg4", "yuv420p", 0),
    "h264.mp4": ("libx264", "yuv420p", 2),
    "h264.mkv": ("libx264", "yuv420p", 2),
    "h264.avi": ("libx264", "yuv420p", 0),
    "vp9.webm": ("libvpx-vp9", "yuv420p", 0),
}


def write(path: Path, name: str) -> Path:
    """Writes a video whose frames state their number as brightness of a quarter."""
    codec, pixels, reordered = CODECS[name]
    texture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    with av.open(str(path / name), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = SIZE
        stream.pix_fmt = pixels
        stream.codec_context.gop_size = 8
        stream.codec_context.max_b_frames = reordered
        for i in range(FRAMES):
            image = np.roll(texture, (3 * i, 5 * i), (0, 1))
            image[:48, :64] = 10 * i
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path / name


def number_of(frame: VideoFrame) -> int:
    assert frame.image is not None
    return round(float(frame.image[8:40, 8:56].mean()) / 10)


def read(path: Path) -> tuple[list[VideoFrame], VideoError | None]:
    frames: list[VideoFrame] = []
    try:
        with open_video(path) as video:
            for frame in video:
                frames.append(frame)
    except VideoError as error:
        return frames, error
    return frames, None


def packets_of(path: Path) -> list[tuple[bytes, bool]]:
    """Content of each packet and whether it is a key frame, in the order of decoding."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.is_keyframe) for packet in container.demux(video=0) if packet.size]


def damage(path: Path, packet: int) -> Path:
    """Overwrites a packet in a copy of a file with zeros."""
    content, _ = packets_of(path)[packet]
    data = path.read_bytes()
    assert data.count(content) == 1
    damaged = path.with_name(f"damaged-{packet}-{path.name}")
    damaged.write_bytes(data.replace(content, bytes(len(content))))
    return damaged


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("packet", [1, 7, 13, 19])
def test_frames_after_a_damaged_one_keep_numbers_and_times(tmp_path: Path, name: str, packet: int) -> None:
    whole, error = read(write(tmp_path, name))
    assert (len(whole), error) == (FRAMES, None)
    frames, error = read(damage(tmp_path / name, packet))
    assert isinstance(error, DamagedVideo)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    lost = [frame.index for frame in frames if frame.image is None]
    assert lost
    assert min(abs(index - packet) for index in lost) <= CODECS[name][2]  # reordered frames are packed apart
    assert [frame.seconds for frame in frames] == pytest.approx([frame.seconds for frame in whole], abs=2e-3)
    if len(lost) == 1 and "mjpeg" in name:
        assert lost == [packet]
    wrong = [frame.index for frame in frames if frame.image is not None and number_of(frame) != frame.index]
    assert all(index > lost[0] for index in wrong)  # references to the lost frame, up to the next key frame
    key = next((i for i, (_, first) in enumerate(packets_of(tmp_path / name)) if first and i > packet), FRAMES)
    assert all(index < key for index in wrong)


@pytest.mark.parametrize("name", ["mjpeg.avi", "mjpeg.mp4"])
@pytest.mark.parametrize("packet", [0, FRAMES - 2])
def test_first_frames_and_those_near_the_end_are_counted_too(tmp_path: Path, name: str, packet: int) -> None:
    frames, error = read(damage(write(tmp_path, name), packet))
    assert [frame.index for frame in frames if frame.image is None] == [packet]
    assert [number_of(frame) for frame in frames if frame.image is not None] == [
        i for i in range(FRAMES) if i != packet
    ]
    assert f"damaged in 1 of {FRAMES} packets" in str(error)
    assert f"frame {packet} has no image" in str(error)


def test_several_damaged_frames_in_a_row(tmp_path: Path) -> None:
    path = write(tmp_path, "mjpeg.avi")
    for packet in (5, 6, 9):
        path = damage(path, packet)
    frames, error = read(path)
    assert [frame.index for frame in frames if frame.image is None] == [5, 6, 9]
    assert "3 of them, the first 5, have no image" in str(error)


def test_a_damaged_frame_is_a_frame_without_image_and_error_of_the_known_size(tmp_path: Path) -> None:
    path = damage(write(tmp_path, "mjpeg.avi"), 4)
    *frames, last = list(read_sources(find_sources([str(path)])))
    assert [frame.name.frame for frame in frames if frame.is_damaged] == [4]
    assert frames[4].size == SIZE
    assert isinstance(last.error, DamagedVideo)
    assert not last.is_damaged


@given(st.data(), st.integers(1, 30), st.integers(0, 4), st.integers(0, 3))
def test_lost_frames_are_placed_by_their_times(data: st.DataObject, count: int, delay: int, depth: int) -> None:
    """A decoder with any delay, on packets that are reordered by up to `depth`."""
    times = list(range(count))
    order = sorted(times, key=lambda at: (at + data.draw(st.integers(0, depth)), at))
    lost = set(data.draw(st.lists(st.sampled_from(times), max_size=3)))
    places: FramePlaces[int] = FramePlaces()
    out: list[tuple[int, int | None]] = []
    decoded: list[int] = []
    shown = 0
    for i, at in enumerate(order):
        places.sent(at, at)
        if at in lost:
            places.damaged()
        else:
            decoded.append(at)
        while shown < i - delay - depth and any(good >= shown for good in decoded):
            nearest = min(good for good in decoded if good >= shown)
            if nearest > i - delay - depth:
                break
            out += places.came(nearest, nearest)
            shown = nearest + 1
    for good in sorted(good for good in decoded if good >= shown):
        out += places.came(good, good)
    out += places.rest()
    assert [at for at, _ in out] == times
    assert {at for at, frame in out if frame is None} == lost


def test_packets_without_a_frame_are_not_lost_frames() -> None:
    places: FramePlaces[str] = FramePlaces()
    for at in range(6):
        places.sent(at, at)
    assert [places.came(at, "frame") for at in (0, 2, 4)] == [[(at, "frame")] for at in (0, 2, 4)]
    assert places.rest() == []


def test_without_times_frames_wait_until_the_lost_one_is_certain() -> None:
    places: FramePlaces[int] = FramePlaces(depth=2)
    for number in range(5):
        places.sent(number, number)
    places.damaged()  # packet 3
    out = [places.came(number, number) for number in (0, 2, 1, 4)]
    for number in range(5, 9):
        places.sent(number, number)
        out.append(places.came(number, number))
    settled = [each for group in out for each in group]
    assert [number for number, _ in settled] == [0, 2, 1, 3, 4, 5, 6, 7, 8]
    assert [number for number, frame in settled if frame is None] == [3]
