"""Video by PyAV, the Python binding of FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cairn.errors import VideoError
from cairn.media.video.frames import VideoFrame, sane_rate
from cairn.structures.geometry import Size

CLOCK = 90_000
"""Ticks per second of written files: as in MPEG, a multiple of the common frame rates."""

CODECS = {
    ".mp4": ("libx264", {"preset": "veryfast", "crf": "20"}),  # visually lossless, a few milliseconds per frame
    ".webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "crf": "30", "b": "0"}),
}

TS_PACKETS = (188, 192, 204)
"""Bytes per packet of an MPEG transport stream: plain, with a timestamp (m2ts), with a checksum."""


class AvVideo:
    """A video file; see `cairn.media.video.open_video`."""

    def __init__(self, path: Path, threads: int) -> None:
        av = _av()
        self._path = path
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError(
                f"{path} cannot be opened as a video: it has another format, or its start or index is missing "
                f"({_reason(error)})"
            ) from None
        streams = self._container.streams.video
        if not streams or streams[0].codec_context is None:
            self._container.close()
            raise VideoError(f"{path} " + ("has a codec that FFmpeg lacks" if streams else "has no video stream"))
        self._stream = streams[0]
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = threads
        self.rate = sane_rate(self._stream.average_rate or self._stream.guessed_rate)
        length = (self._container.duration or 0) / 1e6  # seconds
        self.frames = self._stream.frames or round(length * self.rate) or None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        av = _av()
        self._packets = self._damaged = 0
        index, first, seconds, end = 0, 0.0, 0.0, 0.0
        broken, reason = False, ""
        for packet, corrupt in self._checked():
            broken = corrupt or (broken and packet.size == 0)  # whether the last packet is damaged
            try:
                frames = [] if corrupt else packet.decode()
                self._damaged += corrupt
            except av.error.FFmpegError as error:
                frames, reason = [], f" ({_reason(error)})"
                self._damaged += 1
            for frame in frames:
                if frame.is_corrupt:
                    self._damaged += 1
                    continue
                at = index / self.rate if frame.time is None else frame.time
                first = first if index else at
                seconds = max(seconds, at - first)
                end = at + max(2.5 / self.rate, float((frame.duration or 0) * (frame.time_base or 0)))
                image = frame.to_ndarray(format="rgb24")
                yield VideoFrame(index, seconds, np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90))))
                index += 1
        if not index:
            raise VideoError(f"{self._path} has no frame that can be decoded{reason}")
        read = f"{index} frames ({seconds:.1f} s) were read"
        if broken or self._ended_early(end):
            raise VideoError(f"{self._path} is truncated: {read}")
        if self._damaged:
            raise VideoError(f"{self._path} is damaged in {self._damaged} of {self._packets} packets: {read}")

    def _checked(self) -> Iterator[tuple[Any, bool]]:
        """Yields each packet and whether it is damaged; the last one is empty."""
        cut, held = self._is_cut_off(), None
        for packet in self._demuxed():
            if held is not None:
                yield held, held.is_corrupt or (cut and packet.size == 0)
            held = packet
        if held is not None:
            yield held, held.is_corrupt or (cut and held.size > 0)

    def _is_cut_off(self) -> bool:
        """Whether a transport stream ends within a packet, which libavformat does not always report."""
        if self._container.format.name != "mpegts":
            return False
        size = Path(self._path).stat().st_size
        return all(size % packet for packet in TS_PACKETS)

    def _demuxed(self) -> Iterator[Any]:
        """Yields the packets, as far as they can be read."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (_av().error.FFmpegError, OSError):
                self._damaged += 1
                return
            self._packets += packet.size > 0
            yield packet

    def _ended_early(self, end: float) -> bool:
        """Whether the container states more frames than were read; the last one ends at `end` seconds at the latest."""
        kind = self._container.format.name
        if "mp4" in kind:  # its index lists every packet that the edit list keeps
            return self._packets < len(self._stream.index_entries)
        if "matroska" in kind:
            hours, _, rest = self._stream.metadata.get("DURATION", "").partition(":")
            minutes, _, seconds = rest.partition(":")
            if seconds:
                return end < 3600 * int(hours) + 60 * int(minutes) + float(seconds)
            return len(self._container.streams) == 1 and end < (self._container.duration or 0) / 1e6
        return False


class AvEncoder:
    """H.264 in MP4 or VP9 in WebM, with variable frame rate."""

    def __init__(self, suffix: str, rate: float, threads: int) -> None:
        self._suffix = suffix
        self._rate = sane_rate(rate)
        self._threads = threads
        self._last = -1  # time of the last frame in ticks

    def open(self, path: Path, size: Size) -> None:
        """Opens the file; see `Encoder`."""
        av = _av()
        codec, options = CODECS[self._suffix]
        if codec not in av.codecs_available:
            raise OSError(f"this FFmpeg has no {codec}")
        movflags = {"movflags": "+faststart"} if self._suffix == ".mp4" else {}
        self._container = av.open(str(path), "w", options=movflags)
        self._stream = self._container.add_stream(
            codec, rate=Fraction(self._rate).limit_denominator(1001), options=options
        )
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = self._threads
        self._stream.codec_context.time_base = Fraction(1, CLOCK)

    def write(self, image: NDArray[np.uint8], seconds: float | None) -> None:
        """Encodes a frame; see `Encoder`."""
        frame = _av().VideoFrame.from_ndarray(image, format="rgb24")
        step = round(CLOCK / self._rate)
        due = round(seconds * CLOCK) if seconds is not None else self._last + step if self._last >= 0 else 0
        self._last = max(self._last + 1, due)  # players want every frame later than the one before
        frame.pts, frame.duration, frame.time_base = self._last, step, Fraction(1, CLOCK)
        self._mux(frame)

    def finish(self) -> None:
        """Completes the file."""
        self._mux(None)

    def close(self) -> None:
        """Releases the file."""
        try:
            self._container.close()
        except _av().error.FFmpegError as error:
            raise OSError(_reason(error)) from None

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except _av().error.FFmpegError as error:
            raise OSError(_reason(error)) from None


def _av() -> Any:
    import av

    av.logging.set_libav_level(av.logging.PANIC)  # errors are raised, not printed
    return av


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]
