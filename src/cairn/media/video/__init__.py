"""Video, frame by frame: files and cameras in, files that browsers play out.

By PyAV (FFmpeg) where it is installed, `pip install 'cairn[video]'`, else by OpenCV, which reads the same files,
turned and timed alike, but

- takes a video that ends too early for one that ends, and gives damaged frames as they come out;
- writes no H.264, only VP9 in WebM, and that at a constant rate: frames are repeated or left out to keep time.

Cameras are OpenCV's in both cases. Sound is neither read nor written.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from cairn.errors import MissingExtra, OutputError, VideoError
from cairn.media.video.frames import Video, VideoFrame
from cairn.media.video.writer import VideoWriter
from cairn.structures.geometry import Size

__all__ = [
    "VIDEO_SUFFIXES",
    "Video",
    "VideoFrame",
    "VideoWriter",
    "has_pyav",
    "open_camera",
    "open_video",
    "write_video",
]

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".y4m"),
)
"""What is taken for a video, in a folder and where a file is named outright."""

WRITTEN_SUFFIXES = (".mp4", ".webm")


def open_video(path: str | Path, threads: int = 0) -> Video:
    """A video file, decoded on that many cores; 0 takes all.

    Raises VideoError where there is no file, no video in it, or none that can be decoded.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoError(f"{path} is not a file" if path.exists() else f"no video at {path}")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty")
    if has_pyav():
        from cairn.media.video.pyav import AvVideo

        return AvVideo(path, threads)
    from cairn.media.video.opencv import Cv2Video

    return Cv2Video(path)


def open_camera(number: int) -> Video:
    """The camera that the system counts as `number`, from 0. It ends when it is unplugged, or never.

    Raises VideoError where there is none.
    """
    from cairn.media.video.opencv import Cv2Video

    return Cv2Video(number)


def write_video(path: str | Path, size: Size, rate: float, threads: int = 0) -> VideoWriter:
    """A writer, to be used in a with block, of frames of (height, width) `size` to an .mp4 or .webm file.

    H.264 or VP9 in 4:2:0, which browsers play, an .mp4 with its index in front, so that playing begins before all
    is there. `rate` in frames per second times the frames that come without a time.
    Raises OutputError for another suffix, MissingExtra where only PyAV can write it.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise OutputError(f"cannot write {path}: the suffix must be one of {' '.join(WRITTEN_SUFFIXES)}")
    if has_pyav():
        from cairn.media.video.pyav import AvEncoder

        return VideoWriter(path, size, AvEncoder(path.suffix.lower(), rate, threads))
    if path.suffix.lower() == ".mp4":
        raise MissingExtra("PyAV", "video")
    from cairn.media.video.opencv import Cv2Encoder

    return VideoWriter(path, size, Cv2Encoder(rate))


def has_pyav() -> bool:
    return importlib.util.find_spec("av") is not None
