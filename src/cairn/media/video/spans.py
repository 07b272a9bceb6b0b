"""Spans of videos: parts that start at a keyframe, so that each is decoded on its own.

A span gives the frames, numbers and times that reading the whole video gives. A video is divided where that is certain:
H.264, H.265 and AV1 in MP4, MOV and Matroska, whose packets are whole and state the times of their frames.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import DamagedVideo, VideoError
from cairn.media.video import has_pyav
from cairn.media.video.frames import VideoFrame

FORMATS = ("mp4", "matroska")
CODECS = ("h264", "hevc", "av1")
"""Codecs of which each packet has exactly one frame."""


@dataclass(frozen=True)
class Span:
    """Part of a video.

    Attributes:
        start: Number of its first frame, which is a keyframe.
        stop: Number of the frame after its last one; of the last span the number of frames.
        time: Time of its first frame, in units of the container.
        until: Time of the frame after its last one; None in the last span.
        origin: Time of the first frame of the video.
    """

    start: int
    stop: int
    time: int
    until: int | None
    origin: int


def find_spans(path: Path, longest: int) -> list[Span]:
    """Returns spans of a video; none where it is not longer than one, or cannot be divided.

    Its packets are read, without decoding, if it may be longer than one span.

    Args:
        path: The file.
        longest: Number of frames after which the next keyframe starts a new span.
    """
    if not has_pyav():
        return []
    from cairn.media.video.pyav import AvVideo, import_av

    try:
        with AvVideo(path, 1) as video:
            divisible = any(each in video.container.format.name for each in FORMATS)
            if not divisible or video.stream.codec_context.name.partition("_")[0] not in _decoders():
                return []
            if video.frames is None or video.frames <= longest:
                return []
            times: list[int] = []
            keys: list[int] = []
            for packet in video.container.demux(video.stream):
                if packet.size == 0:
                    break
                if packet.pts is None or packet.is_corrupt or packet.is_discard or not (keys or packet.is_keyframe):
                    return []
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
    except (VideoError, OSError, import_av().error.FFmpegError):
        return []  # reading the whole video reports what is wrong
    times.sort()
    if len(set(times)) < len(times):
        return []
    starts = [0]
    for key in keys:
        place = bisect_left(times, key)
        if place - starts[-1] >= longest:
            starts.append(place)
    ends = [*starts[1:], len(times)]
    if len(starts) == 1 or keys[0] != times[0]:
        return []
    return [
        Span(start, stop, times[start], times[stop] if stop < len(times) else None, times[0])
        for start, stop in zip(starts, ends, strict=True)
    ]


def _decoders() -> tuple[str, ...]:
    return (*CODECS, "libdav1d", "libaom-av1")


def read_span(path: Path, span: Span, threads: int = 0) -> Iterator[VideoFrame]:
    """Yields the frames of a span; a damaged one is counted and has no image.

    Raises:
        VideoError: The video cannot be opened, or the frames are not those that were counted.
        DamagedVideo: After the last frame, where some are damaged.
    """
    from cairn.media.video.pyav import AvVideo, import_av

    av = import_av()
    with AvVideo(path, threads) as video:
        base = video.stream.time_base
        times = sorted(_times_of(path, span))
        if len(times) != span.stop - span.start:
            raise VideoError(f"{path} has changed while it was read")
        video.container.seek(span.time, stream=video.stream, backward=True)
        images, at = {}, 0
        damaged = 0
        for packet in video.container.demux(video.stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames = []
            for frame in frames:
                if frame.pts is None or frame.pts < span.time:
                    continue
                images[frame.pts] = None if frame.is_corrupt else frame
                while at < len(times) and (times[at] in images or times[at] < frame.pts):
                    found = images.pop(times[at], None)
                    seconds = float(times[at] * base) - float(span.origin * base)
                    damaged += found is None
                    yield VideoFrame(span.start + at, seconds, None if found is None else video.pixels(found))
                    at += 1
            if at == len(times):
                break
        for rest in range(at, len(times)):
            damaged += 1
            seconds = float(times[rest] * base) - float(span.origin * base)
            yield VideoFrame(span.start + rest, seconds, None)
    if damaged:
        raise DamagedVideo(f"{path}: {damaged} of the frames {span.start} to {span.stop - 1} have no image")


def _times_of(path: Path, span: Span) -> Iterator[int]:
    """Yields the times of the frames of a span, in the order of the file."""
    from cairn.media.video.pyav import AvVideo

    with AvVideo(path, 1) as video:
        video.container.seek(span.time, stream=video.stream, backward=True)
        late = 0
        for packet in video.container.demux(video.stream):
            if packet.size == 0 or late > _LATE:
                return
            if packet.pts is None or packet.pts < span.time:
                continue
            if span.until is not None and packet.pts >= span.until:
                late += 1
                continue
            yield packet.pts


_LATE = 64  # packets after the end of a span that are searched for frames that are shown before it
