"""Video: reading files, streams and webcams frame by frame, writing files that browsers play.

PyAV (FFmpeg) is used where it is installed, `pip install 'cairn-pose[video]'`, else OpenCV. OpenCV reads the same
files with the same times, and with the same orientation in MP4 and MOV, with these limits:

- a truncated video is not noticed; damaged frames are returned, or missing and not counted;
- in other containers than MP4 and MOV it rotates frames and does not mirror them;
- transparency is not composited, and streams (rtsp://...) are not read;
- it writes VP9 in WebM and no H.264, at a constant frame rate: frames are repeated or dropped to keep time.

Webcams are read by OpenCV in both cases. Audio is neither read nor written. Frames have the pixels that are stored,
rotated and mirrored; where these are not square (`Video.pixel_aspect`), a player stretches them.
"""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

from cairn.errors import MissingExtra, OutputError, VideoError
from cairn.media.address import Address
from cairn.media.video.frames import SQUARE, Video, VideoFrame
from cairn.media.video.writer import VideoWriter
from cairn.structures.geometry import Size

__all__ = [
    "VIDEO_SUFFIXES",
    "Video",
    "VideoFrame",
    "VideoWriter",
    "has_pyav",
    "open_address",
    "open_camera",
    "open_video",
    "write_video",
]

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".y4m"),
)
"""Suffixes of videos, in folders and of explicit files; other files are recognized by their content."""

WRITTEN_SUFFIXES = (".mp4", ".webm")


def open_video(path: str | Path, threads: int = 0) -> Video:
    """Opens a video file.

    Args:
        path: The file.
        threads: Number of CPU cores for decoding; 0 is all.

    Raises:
        VideoError: The file is missing, or has no video stream that can be decoded.
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


def open_address(address: Address, threads: int = 0) -> Video:
    """Opens a stream or video at an address.

    Args:
        address: The address.
        threads: Number of CPU cores for decoding; 0 is all.

    Raises:
        VideoError: It cannot be opened within a few seconds, or has no video stream that can be decoded.
        MissingExtra: PyAV is not installed.
    """
    if not has_pyav():
        raise MissingExtra("PyAV", "video", purpose=f"the stream {address}")
    from cairn.media.video.pyav import AvVideo

    return AvVideo(address, threads)


def open_camera(number: int) -> Video:
    """Opens a webcam, which has no end.

    Args:
        number: Number of the webcam in the system, from 0.

    Raises:
        VideoError: There is no such webcam.
    """
    from cairn.media.video.opencv import Cv2Video

    return Cv2Video(number)


def write_video(
    path: str | Path, size: Size, rate: float, threads: int = 0, pixel_aspect: Fraction = SQUARE
) -> VideoWriter:
    """Returns a writer of an .mp4 (H.264) or .webm (VP9) file in 4:2:0, which browsers play. Used in a with block.

    The index of an .mp4 precedes its frames, so that playback can start before the download ends.

    Args:
        path: The file.
        size: (height, width) of the frames.
        rate: Frames per second, for frames without a time.
        threads: Number of CPU cores for encoding; 0 is all.
        pixel_aspect: Width of a pixel divided by its height, as players show it. An .mp4 states it; the frames of a
            .webm are stretched to square pixels.

    Raises:
        OutputError: The suffix is another one.
        MissingExtra: PyAV is needed and not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise OutputError(f"cannot write {path}: the suffix must be one of {' '.join(WRITTEN_SUFFIXES)}")
    if has_pyav():
        from cairn.media.video.pyav_writer import AvEncoder

        if path.suffix.lower() == ".mp4":
            return VideoWriter(path, size, AvEncoder(".mp4", rate, threads, pixel_aspect))
        return VideoWriter(path, size, AvEncoder(path.suffix.lower(), rate, threads), pixel_aspect)
    if path.suffix.lower() == ".mp4":
        raise MissingExtra("PyAV", "video", purpose="H.264 video (.mp4; .webm works without)")
    from cairn.media.video.opencv import Cv2Encoder

    return VideoWriter(path, size, Cv2Encoder(rate), pixel_aspect)


def has_pyav() -> bool:
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None
