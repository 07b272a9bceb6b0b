"""Streams: poses of every frame of videos, network streams, webcams, folders and images in memory.

Reading, inference, decoding and tracking of different frames overlap (`cairn.inference.pipeline`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn import machine
from cairn.errors import CairnError, ImageError, LabelError, ModelError
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import MapsOfImage
from cairn.inference.pipeline import AHEAD, Parallel, overlap
from cairn.media.names import ImageName
from cairn.media.reading import ReadOptions, SourceFrame, SourceLike, open_source
from cairn.media.video.frames import SQUARE
from cairn.structures.geometry import Size
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.wording import counted

if TYPE_CHECKING:
    from cairn.tracking.tracker import Tracker

OnError: TypeAlias = Literal["warn", "raise", "yield"]
"""What happens with a frame that cannot be read."""

StreamBoxes: TypeAlias = ArrayLike | Mapping[Any, ArrayLike] | Callable[[SourceFrame], ArrayLike] | None
"""Boxes (P, 4) for every image, path -> (P, 4), or a function from the frame to (P, 4)."""

MAX_PARALLEL = 4
"""Maximum number of images that the network runs on at the same time: each needs the memory of its layers."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a stream, with its poses.

    Attributes:
        index: Number of the frame in its clip, from 0; of an image that is not part of a clip, in the stream.
        time: Seconds since the first frame of the clip; None for an image that is not part of a clip.
        image: (H, W, 3) uint8 RGB; None with `error`, and for a damaged frame of a video.
        poses: The poses in image pixels; empty without an image.
        name: What the image and its results are called.
        rate: Frames per second of the clip.
        count: Approximate number of frames of the clip; None where it is unknown.
        error: Why the image, or the rest of the clip, could not be read.
        maps: Output maps of the network, where they were requested.
        size: (height, width) of the image in pixels; of a damaged frame that of the frames before it; None with
            `error`.
        pixel_aspect: Width of a pixel divided by its height, as a player shows the clip.
        note: What was done to the range or pages of the image, in words that start with a verb; or "".
    """

    index: int
    time: float | None
    image: NDArray[np.uint8] | None
    poses: Poses
    name: ImageName
    rate: float
    count: int | None = None
    error: CairnError | None = None
    maps: MapsOfImage | None = None
    size: Size | None = None
    pixel_aspect: Fraction = SQUARE
    note: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether this is a frame of a video that could not be decoded: it is counted and has no poses."""
        return self.image is None and self.error is None

    @property
    def path(self) -> Path:
        """The file of the image or video; of an address its text, without credentials."""
        return self.name.path

    def __repr__(self) -> str:
        """One line: number, time, size, number of poses."""
        where = "" if self.time is None else f", time={self.time:.3f}"
        size = (
            "damaged"
            if self.is_damaged
            else "no image"
            if self.image is None
            else f"{self.image.shape[1]}x{self.image.shape[0]}"
        )
        return f"Frame({self.index}{where}, {self.path.name!r}, {size}, {counted(len(self.poses), 'pose')})"


@dataclass(frozen=True)
class StreamOptions:
    """Options of a stream; `cairn.inference.base.BasePredictor.stream` documents them."""

    track: bool = False
    smooth: float = 0.0
    min_confidence: float = 0.0
    threads: int = 0
    rate: float = 25.0
    boxes: StreamBoxes = None
    on_error: OnError = "warn"
    maps: bool = False
    reconnect: int = 0

    def __post_init__(self) -> None:
        """Raises CairnError for an invalid value."""
        if self.smooth and not self.track:
            raise CairnError("smooth needs track=True: keypoints are smoothed along tracks")
        if self.on_error not in ("warn", "raise", "yield"):
            raise CairnError(f"on_error must be warn, raise or yield, got {self.on_error!r}")
        if not 0 <= self.min_confidence <= 1:
            raise CairnError(f"min_confidence must be from 0 to 1, got {self.min_confidence}")
        if not 0 < self.rate < math.inf:
            raise CairnError(f"rate must be a positive number of frames per second, got {self.rate}")
        if self.threads < 0:
            raise CairnError(f"threads must be 0, for all, or more, got {self.threads}")
        if self.reconnect < 0:
            raise CairnError(f"reconnect must be 0, for never, or more, got {self.reconnect}")
        if self.track:
            _tracker(self)


class StreamPredictor(Protocol):
    """The members of a predictor that a stream uses; `cairn.inference.base.BasePredictor` documents each."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Keypoints and limbs of the poses."""
        ...

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model."""
        ...

    @property
    def threads(self) -> int:
        """Number of CPU cores that the network uses for one image; 0 is all."""
        ...

    @property
    def plain(self) -> StreamPredictor:
        """The predictor of frames of videos, and of maps."""
        ...

    @property
    def has_maps(self) -> bool:
        """Whether `infer` of `plain` gives the output maps of the whole image."""
        ...

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Any:
        """Runs the network on one image (H, W, 3) uint8 RGB."""
        ...

    def decode_raw(self, raw: Any) -> Poses:
        """Returns the poses, in image pixels, of the result of `infer`."""
        ...

    def maps_of(self, raw: Any) -> MapsOfImage | None:
        """Returns the output maps of the whole image; None where `has_maps` is False."""
        ...


@dataclass
class _Work:
    """A frame between two stages."""

    frame: SourceFrame
    error: CairnError | None = None
    raw: Any = None
    poses: Poses | None = None
    maps: MapsOfImage | None = None


def open_stream(predictor: StreamPredictor, source: SourceLike, options: StreamOptions) -> Generator[Frame, None, None]:
    """Returns a generator over the frames of a source; closing it stops all threads.

    Raises:
        ImageError: The source names nothing.
        ModelError: Maps are requested from a predictor that has none.
    """
    if options.maps and not predictor.has_maps:
        raise ModelError(f"{predictor.name} has no output maps of the whole image")
    reading = ReadOptions(options.threads, options.rate, options.reconnect)
    return _frames(predictor, open_source(source, reading), options)


def predictor_of(predictor: StreamPredictor, name: ImageName, options: StreamOptions) -> StreamPredictor:
    """Returns the predictor of an image: `plain` for a frame of a clip, and for maps."""
    return predictor.plain if name.clip is not None or options.maps else predictor


def share_cores(threads: int) -> tuple[int, int]:
    """Returns the number of images that the network runs on at the same time, and the cores for each.

    Args:
        threads: Number of cores to use; 0 is all.
    """
    used = threads or machine.available_cores()
    parallel = min(used, MAX_PARALLEL)
    return parallel, used // parallel


def queue_length(threads: int) -> int:
    """Returns how many items wait between two stages; 0, which means no threads, on a single core."""
    return 0 if threads == 1 or machine.available_cores() == 1 else AHEAD


def _frames(
    predictor: StreamPredictor, frames: Iterator[SourceFrame], options: StreamOptions
) -> Generator[Frame, None, None]:
    stages = _stages(predictor, options)
    alone = 0  # images that are not part of a clip
    noted: set[str] = set()
    empty, failed = True, None  # the last error before the first frame: raised where no frame follows
    works = overlap((_Work(frame, frame.error) for frame in frames), *stages, ahead=queue_length(options.threads))
    with closing(works):
        for work in works:
            if work.error is not None and options.on_error == "raise":
                raise work.error
            if failed is not None:
                log.warning("%s", failed)
                failed = None
            if work.error is None or options.on_error == "yield":
                empty = False
                _log_note(work.frame, noted, options)
                yield _frame_of(work, alone, predictor)
            elif empty:
                failed = work.error
            else:
                log.warning("%s", work.error)
            alone += work.frame.name.clip is None
            del work  # while the next one is awaited
    if failed is not None:
        raise failed


def _log_note(frame: SourceFrame, noted: set[str], options: StreamOptions) -> None:
    """Logs each kind of note once; with "yield" the caller gets them."""
    if frame.note and frame.note not in noted and options.on_error != "yield":
        noted.add(frame.note)
        log.warning("%s %s", frame.name.text, frame.note)


def _frame_of(work: _Work, alone: int, predictor: StreamPredictor) -> Frame:
    frame = work.frame
    return Frame(
        index=alone if frame.name.frame is None else frame.name.frame,
        time=frame.name.seconds,
        image=None if work.error else frame.image,
        poses=Poses.empty(predictor.skeleton, predictor.spec.classes) if work.poses is None else work.poses,
        name=frame.name,
        rate=frame.rate,
        count=frame.count,
        error=work.error,
        maps=work.maps,
        size=frame.size if frame.image is None else (frame.image.shape[0], frame.image.shape[1]),
        pixel_aspect=frame.pixel_aspect,
        note=frame.note,
    )


def _tracker(options: StreamOptions) -> Tracker:
    from cairn.tracking.tracker import Tracker  # one image needs none

    return Tracker(smooth=options.smooth)


def _stages(predictor: StreamPredictor, options: StreamOptions) -> list[Callable[[_Work], _Work]]:
    tracker: Tracker | None = None
    clip: PurePath | None = None

    def infer(work: _Work) -> _Work:
        frame = work.frame
        if frame.image is None or work.error is not None:
            return work
        try:
            work.raw = predictor_of(predictor, frame.name, options).infer(frame.image, _boxes_of(frame, options.boxes))
        except (ImageError, LabelError) as error:  # with the name of the image
            work.error = type(error)(f"{frame.name.text}: {error}")
        return work

    def decode(work: _Work) -> _Work:
        nonlocal tracker, clip
        if work.frame.is_damaged:
            poses = Poses.empty(predictor.skeleton)
        elif work.raw is None:
            return work
        else:
            one = predictor_of(predictor, work.frame.name, options)
            poses = one.decode_raw(work.raw).above(options.min_confidence)
            work.maps = one.maps_of(work.raw) if options.maps else None
        work.raw = None
        if options.track:
            name = work.frame.name
            if name.clip is None:
                raise CairnError(
                    f"tracking is for videos, webcams and numbered images (frame_%05d.png): {name.text} is one image"
                )
            if tracker is None or name.clip != clip:
                tracker, clip = _tracker(options), name.clip
            poses = tracker(poses, name.seconds, work.frame.image)
        work.poses = replace(poses, image=work.frame.image)
        return work

    return [Parallel(infer, _parallel(predictor.threads, options.threads)), decode]


def _parallel(network_threads: int, threads: int) -> int:
    """Returns how many images the network runs on at the same time, by the cores that it uses for each."""
    if not network_threads:
        return 1
    return max(1, min(MAX_PARALLEL, (threads or machine.available_cores()) // network_threads))


def _boxes_of(frame: SourceFrame, boxes: StreamBoxes) -> ArrayLike | None:
    if callable(boxes):
        return boxes(frame)
    if not isinstance(boxes, Mapping):
        return boxes
    path = frame.name.path
    if path in boxes:
        own: ArrayLike = boxes[path]
        return own
    for key, own in boxes.items():
        if isinstance(key, str | PathLike) and Path(key) == path:
            return own
    raise LabelError(f"no boxes are given for {path}")
