"""Reading of video by PyAV, the Python binding of FFmpeg: files, and addresses such as rtsp://..."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from cairn.errors import DamagedVideo, VideoError
from cairn.media.address import Address
from cairn.media.content import content_of_file
from cairn.media.orientation import orientation_of_matrix, oriented, swaps_axes
from cairn.media.video.damage import FramePlaces
from cairn.media.video.frames import VideoFrame, sane_aspect, sane_rate
from cairn.structures.geometry import Size

TS_PACKETS = (188, 192, 204)
"""Bytes per packet of an MPEG transport stream: plain, with a timestamp (m2ts), with a checksum."""

TIMEOUT = (10.0, 20.0)
"""Seconds to wait for an address to open, and for the next data of a stream."""

UNORDERED = ("avi", "h264", "hevc", "mpegvideo", "m4v", "mjpeg")
"""Formats whose times follow the order of decoding, not that of display, or that state none."""

DEMUXERS = {
    **{"JPEG": "mjpeg", "H.264": "h264", "H.265": "hevc", "MPEG video": "mpegvideo", "MPEG-4 video": "m4v"},
    **{"MPEG program stream": "mpeg", "MPEG-TS": "mpegts", "multipart Motion JPEG": "mpjpeg"},
}
"""Format -> demuxer of FFmpeg, which would otherwise believe the suffix of some files."""

MAX_REORDER = 16  # frames, of H.264 and H.265


class AvVideo:
    """A video file or stream; see `cairn.media.video.open_video` and `open_address`."""

    def __init__(self, source: Path | Address, threads: int) -> None:
        av = import_av()
        self._path = source
        live = isinstance(source, Address)
        opened = source.url if isinstance(source, Address) else f"file:{source}"  # a name may look like an address
        content = None if isinstance(source, Address) else content_of_file(source)
        demuxer = None if content is None else DEMUXERS.get(content.name)
        options = {"rtsp_flags": "prefer_tcp"} if live else {"protocol_whitelist": "file"}
        try:
            self.container = av.open(
                opened, format=demuxer, metadata_errors="replace", options=options, timeout=TIMEOUT if live else None
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            wrong = "" if live else " as a video: it has another format, or its start or index is missing"
            raise VideoError(f"{source} cannot be opened{wrong} ({reason(error)})") from None
        streams = self.container.streams.video
        if not streams or streams[0].codec_context is None:
            self.container.close()
            raise VideoError(f"{source} " + ("has a codec that FFmpeg lacks" if streams else "has no video stream"))
        self.stream = streams[0]
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = threads
        self.rate = sane_rate(self.stream.average_rate or self.stream.guessed_rate)
        length = (self.container.duration or 0) / 1e6  # seconds
        self.frames = self.stream.frames or round(length * self.rate) or None
        self.size: Size = (self.stream.codec_context.height, self.stream.codec_context.width)
        self.pixel_aspect = sane_aspect(self.stream.sample_aspect_ratio)
        self._swapped = False  # whether the axes of the pixel aspect ratio are exchanged
        self._alpha: dict[str, bool] = {}
        self._displayed: tuple[int, int] | None = None  # rotation in degrees and orientation of the last frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self.container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        """See `Video`. Damaged frames wait for the next good one: at the end of a truncated file they do not count."""
        self._packets = self._failed = 0
        self._broken, self._reason, self._broke_off = False, "", ""
        clock, index = _Clock(self.rate), 0
        lost: list[tuple[int, Any]] = []
        damaged, first = 0, 0
        for place, frame in self._placed():
            if frame is None or frame.is_corrupt:
                self._failed += frame is not None
                lost.append((place, frame))
                continue
            for at, other in lost:
                damaged, first = damaged + 1, first if damaged else index
                yield VideoFrame(index, clock.read(self._time(at, other)), None)
                index += 1
            lost.clear()
            image = self.pixels(frame)
            yield VideoFrame(index, clock.read(self._time(place, frame), self._duration(frame)), image)
            index += 1
        if not index:
            raise VideoError(f"{self._path} has no frame that can be decoded{self._reason}")
        truncated = self._broken or self._ended_early(clock.end)
        for at, other in () if truncated else lost:
            damaged, first = damaged + 1, first if damaged else index
            yield VideoFrame(index, clock.read(self._time(at, other)), None)
            index += 1
        read = f"{index} frames ({clock.seconds:.1f} s) were read"
        if damaged:
            read += f", frame {first} has" if damaged == 1 else f", {damaged} of them, the first {first}, have"
            read += " no image"
        if self._broke_off and isinstance(self._path, Address):
            raise VideoError(f"{self._path} broke off: {read} ({self._broke_off})")
        if truncated:
            raise VideoError(f"{self._path} is truncated: {read}")
        if self._failed:
            raise DamagedVideo(f"{self._path} is damaged in {self._failed} of {self._packets} packets: {read}")

    def _placed(self) -> Iterator[tuple[int, Any]]:
        """Yields place and frame, in order; None for a frame that damage destroyed."""
        av = import_av()
        ordered = self.container.format.name not in UNORDERED
        places: FramePlaces[Any] | None = None
        started = False
        for number, (packet, corrupt) in enumerate(self._checked()):
            self._broken = corrupt or (self._broken and packet.size == 0)  # whether the last packet is damaged
            if places is None:
                self._timed = ordered and packet.pts is not None
                places = FramePlaces(0 if self._timed else self._reorder_depth())
            if packet.size:
                started = started or packet.is_keyframe  # frames before it cannot be decoded
                if packet.pts is None:
                    packet.pts = number  # frames carry it too; not a time
                if started and not packet.is_discard:
                    places.sent(packet.pts, packet.pts if self._timed else number)
            try:
                frames = [] if corrupt else packet.decode()
            except av.error.FFmpegError as error:
                frames, self._reason = [], f" ({reason(error)})"
                corrupt = True
            if corrupt:
                self._failed += 1
                places.damaged()
            for frame in frames:
                yield from places.came(frame.pts, frame)
        if places is not None:
            for frame in self._delayed() if self._broke_off else ():
                yield from places.came(frame.pts, frame)
            yield from places.rest()

    def _delayed(self) -> list[Any]:
        """Returns the frames that the decoder still holds where no empty packet ended it."""
        try:
            return list(self.stream.codec_context.decode(None))
        except import_av().error.FFmpegError:
            return []

    def _reorder_depth(self) -> int:
        context = self.stream.codec_context
        return getattr(context, "reorder_depth", MAX_REORDER) if context.has_b_frames else 0

    def _time(self, place: int, frame: Any) -> float | None:
        """Returns the time of a frame in seconds, where the container states it."""
        ticks = place if self._timed else None if frame is None or self.container.format.name != "avi" else frame.dts
        return None if ticks is None else float(ticks * self.stream.time_base)

    def _duration(self, frame: Any) -> float:
        return float((frame.duration or 0) * (frame.time_base or 0))

    def pixels(self, frame: Any) -> NDArray[np.uint8]:
        """Returns the frame as (H, W, 3) uint8 RGB as players show it: oriented, transparency on white."""
        from cairn.media.images import on_white

        orientation = self._orientation_of(frame)
        if self._has_alpha(frame):
            pixels = frame.to_ndarray(format="rgba")
            image = on_white(pixels[..., :3], pixels[..., 3:])
        else:
            image = frame.to_ndarray(format="rgb24")
        image = np.ascontiguousarray(oriented(image, orientation))
        if swaps_axes(orientation) != self._swapped:
            self._swapped = not self._swapped
            self.pixel_aspect = 1 / self.pixel_aspect
        self.size = image.shape[0], image.shape[1]
        return image

    def _orientation_of(self, frame: Any) -> int:
        """Returns the EXIF orientation; the matrix, which takes long to get, is read where it may have changed."""
        if self._displayed is None or frame.key_frame or frame.rotation != self._displayed[0]:
            matrix = next((each for each in frame.side_data if each.type.name == "DISPLAYMATRIX"), None)
            self._displayed = frame.rotation, 1 if matrix is None else orientation_of_matrix(bytes(matrix))
        return self._displayed[1]

    def _has_alpha(self, frame: Any) -> bool:
        """Whether a frame may be transparent; the format of the frames rarely changes."""
        name = frame.format.name
        if name not in self._alpha:
            self._alpha[name] = any(component.is_alpha for component in frame.format.components)
        return self._alpha[name]

    def _checked(self) -> Iterator[tuple[Any, bool]]:
        """Yields each packet and whether it is damaged; the last one is empty."""
        cut, held = self._is_cut_off(), None
        for packet in self._demuxed():
            if held is not None and held.size:  # an empty one would end the decoder
                yield held, held.is_corrupt or (cut and packet.size == 0)
            held = packet
        if held is not None:
            yield held, held.is_corrupt or (cut and held.size > 0)

    def _is_cut_off(self) -> bool:
        """Whether a transport stream ends within a packet, which libavformat does not always report."""
        if self.container.format.name != "mpegts" or isinstance(self._path, Address):
            return False
        size = self._path.stat().st_size
        return all(size % packet for packet in TS_PACKETS)

    def _demuxed(self) -> Iterator[Any]:
        """Yields the packets, as far as they can be read."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (import_av().error.FFmpegError, OSError) as error:
                self._failed += 1
                self._broke_off = reason(error)
                return
            self._packets += packet.size > 0
            yield packet

    def _ended_early(self, end: float) -> bool:
        """Whether the container states more frames than were read; the last one ends at `end` seconds at the latest."""
        kind = self.container.format.name
        if "mp4" in kind:  # its index lists every packet that the edit list keeps
            return self._packets < len(self.stream.index_entries)
        if "matroska" in kind:
            hours, _, rest = self.stream.metadata.get("DURATION", "").partition(":")
            minutes, _, seconds = rest.partition(":")
            if seconds:
                return end < 3600 * int(hours) + 60 * int(minutes) + float(seconds)
            return len(self.container.streams) == 1 and end < (self.container.duration or 0) / 1e6
        return False


class _Clock:
    """Times of frames in seconds since the first one, which never decrease.

    Attributes:
        seconds: Time of the last frame.
        end: Latest end of the last frame, as the container counts time.
    """

    def __init__(self, rate: float) -> None:
        self._step = 1 / rate
        self._first: float | None = None
        self._latest = 0.0
        self.seconds = self.end = 0.0

    def read(self, at: float | None, duration: float = 0.0) -> float:
        """Returns the time of the next frame; None is one frame after the last one."""
        if at is None:
            at = 0.0 if self._first is None else self._latest + self._step
        self._first = at if self._first is None else self._first
        self._latest = max(at, self._latest)
        self.seconds = max(self.seconds, at - self._first)
        self.end = at + max(2.5 * self._step, duration)
        return self.seconds


def import_av() -> Any:
    """Returns PyAV, which raises errors and prints none."""
    import av

    av.logging.set_libav_level(av.logging.PANIC)
    return av


def reason(error: Exception) -> str:
    """Returns the reason of an error of FFmpeg, without the file or address, which may contain a password."""
    return str(getattr(error, "strerror", None) or type(error).__name__).splitlines()[0]
