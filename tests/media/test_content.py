"""Files are what their content is, whatever their names."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError
from cairn.media.content import content_of
from cairn.media.images import read_image, write_image
from cairn.media.reading import SourceFrame, read_sources
from cairn.media.sources import find_sources

av = pytest.importorskip("av", reason="PyAV is not installed")

FRAMES = 6

CONTAINERS = {
    "mp4": ("libx264", "yuv420p"),
    "mov": ("mpeg4", "yuv420p"),
    "matroska": ("libx264", "yuv420p"),
    "webm": ("libvpx-vp9", "yuv420p"),
    "avi": ("mjpeg", "yuvj420p"),
    "asf": ("msmpeg4v2", "yuv420p"),
    "flv": ("flv1", "yuv420p"),
    "mpegts": ("mpeg2video", "yuv420p"),
    "vob": ("mpeg2video", "yuv420p"),
    "mpeg": ("mpeg1video", "yuv420p"),
    "mpeg1video": ("mpeg1video", "yuv420p"),
    "mpeg2video": ("mpeg2video", "yuv420p"),
    "m4v": ("mpeg4", "yuv420p"),
    "h264": ("libx264", "yuv420p"),
    "hevc": ("libx265", "yuv420p"),
    "mjpeg": ("mjpeg", "yuvj420p"),
    "gif": ("gif", "rgb8"),
    "apng": ("apng", "rgb24"),
    "ivf": ("libvpx-vp9", "yuv420p"),
}


def image(i: int) -> NDArray[np.uint8]:
    """A texture that stays, and a quarter that states the number."""
    pixels = np.full((96, 128, 3), 90, np.uint8)
    pixels[::2, ::3] = 130
    pixels[:48, :64] = 30 * i
    return pixels


def write(path: Path, container: str) -> Path:
    codec, pixel_format = CONTAINERS[container]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.height, stream.width = 96, 128
        stream.pix_fmt = pixel_format
        for i in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(image(i), format="rgb24").reformat(format=pixel_format)
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def read(*sources: Path) -> list[SourceFrame]:
    return list(read_sources(find_sources([str(source) for source in sources])))


def numbers(frames: list[SourceFrame]) -> list[int]:
    assert [frame.error for frame in frames] == [None] * len(frames)
    return [round(float(frame.image[8:40, 8:56].mean()) / 30) for frame in frames if frame.image is not None]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ["noext", "clip.jpg", "clip.mp4", "clip.dat"])
def test_every_container_is_recognized_under_every_name(tmp_path: Path, container: str, name: str) -> None:
    path = write(tmp_path / name, container)
    (source,) = find_sources([str(path)])
    assert source.kind == "video"
    frames = read(path)
    assert numbers(frames) == list(range(FRAMES))
    assert [frame.name.frame for frame in frames] == list(range(FRAMES))
    assert [frame.name.seconds for frame in frames] == pytest.approx([i / 25 for i in range(FRAMES)], abs=0.021)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".jp2"])
@pytest.mark.parametrize("name", ["noext", "still.mp4", "still.jpg", "still.jfif"])
def test_every_image_format_is_recognized_under_every_name(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(cv2.imencode(suffix, image(2)[..., ::-1])[1].tobytes())
    (source,) = find_sources([str(path)])
    assert source.kind == "image"
    assert numbers(read(path)) == [2]


def test_a_folder_reads_wrongly_named_files_as_what_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", "mp4")
    write(tmp_path / "b.jpg", "mjpeg")
    write_image(tmp_path / "c.png", image(3))
    shutil.move(tmp_path / "c.png", tmp_path / "c.mp4")
    write(tmp_path / "d", "h264")
    frames = read(tmp_path)
    assert numbers(frames) == [*range(FRAMES), *range(FRAMES), 3, *range(FRAMES)]
    assert [frame.name.clip is None for frame in frames] == [False] * 12 + [True] + [False] * FRAMES
    assert [frame.name.output.as_posix() for frame in frames[6:13:6]] == ["b_000000000000", "c"]


def test_image_with_previews_or_a_gain_map_is_one_image(tmp_path: Path) -> None:
    first, second = (cv2.imencode(".jpg", image(i))[1].tobytes() for i in (1, 2))
    multi_picture = b"\xff\xe2\x00\x08MPF\0\0\0"
    (tmp_path / "ultra.jpg").write_bytes(first[:2] + multi_picture + first[2:] + second)
    smaller = cv2.imencode(".jpg", image(2)[:48])[1].tobytes()
    (tmp_path / "preview.jpg").write_bytes(first + smaller)
    (tmp_path / "motion.jpg").write_bytes(first + write(tmp_path / "x.mp4", "mp4").read_bytes())
    for name in ("ultra.jpg", "preview.jpg", "motion.jpg"):
        (source,) = find_sources([str(tmp_path / name)])
        assert source.kind == "image"
        assert numbers(read(tmp_path / name)) == [1]


def test_motion_jpeg_may_be_padded_between_frames(tmp_path: Path) -> None:
    path = tmp_path / "cam"
    path.write_bytes(b"\0\0".join(cv2.imencode(".jpg", image(i)[..., ::-1])[1].tobytes() for i in range(3)))
    assert numbers(read(path)) == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_animated_webp_and_avif_are_clips_with_their_times(tmp_path: Path, suffix: str) -> None:
    if not hasattr(cv2, "Animation") or not cv2.haveImageWriter(f"x{suffix}"):
        pytest.skip("this OpenCV cannot write it")
    animation = cv2.Animation()
    animation.frames = [np.ascontiguousarray(image(i)) for i in range(FRAMES)]
    animation.durations = np.array([100, 200, 100, 100, 50, 100])
    cv2.imwriteanimation(str(tmp_path / f"moving{suffix}"), animation)
    frames = read(tmp_path / f"moving{suffix}")
    assert numbers(frames) == list(range(FRAMES))
    assert [frame.name.seconds for frame in frames] == pytest.approx([0, 0.1, 0.3, 0.4, 0.5, 0.55])


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio"),
        (b"PK\x03\x04", "archive"),
        (b"\n<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
        (b"#EXTM3U\n", "playlist"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, start: bytes, name: str) -> None:
    (tmp_path / "file.jpg").write_bytes(start)
    with pytest.raises(
        ImageError, match=rf"file\.jpg is not an image in a supported format \(JPEG.*: it is an? .*{name}"
    ):
        read_image(tmp_path / "file.jpg")
    (frame,) = read(tmp_path / "file.jpg")
    assert name in str(frame.error)


@pytest.mark.skipif(
    any(__import__("importlib.util").util.find_spec(name) for name in ("pi_heif", "pillow_heif")), reason="HEIC is read"
)
@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_heic_states_the_extra(tmp_path: Path, brand: bytes) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(ImageError, match=r"IMG_1\.HEIC is a HEIC image.*pip install 'cairn-pose\[heif\]'"):
        read_image(tmp_path / "IMG_1.HEIC")


@given(st.binary(max_size=400))
def test_random_bytes_have_a_format_or_none(data: bytes) -> None:
    content = content_of(data)
    assert content is None or content.kind in ("image", "video", "other")


def test_text_is_no_media() -> None:
    for text in (b"", b"a.jpg\nb.jpg\n", b"{}", b"0 0.5 0.5 0.1 0.1\n", b"x,y\n1,2\n", "Größe".encode()):
        assert content_of(text) is None
