"""Videos and images of a board, one camera each, searched for its corners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CairnError, CameraError
from cairn.machine import in_threads
from cairn.media.reading import SourceFrame, read_sources
from cairn.media.sources import Source, find_sources
from cairn.multiview.board_detection import BoardDetector, sharpness
from cairn.multiview.observations import Sightings
from cairn.structures.geometry import Size

BATCH = 16
"""Frames that are in memory at a time."""

MAX_SLACK = 5
"""Frames by which synchronous videos may differ in length: recorders stop a little earlier or later."""


@dataclass(frozen=True)
class CameraSource:
    """What one camera recorded.

    Attributes:
        name: Name of the camera: of its video without the suffix, or of its folder.
        sources: One clip, or its images.
    """

    name: str
    sources: tuple[Source, ...]

    @property
    def is_clip(self) -> bool:
        """Whether it is a clip, whose frames have numbers."""
        return len(self.sources) == 1 and self.sources[0].is_clip

    @property
    def path(self) -> Path:
        """Its clip, or its first image."""
        return self.sources[0].name.path

    def frames(self) -> Iterator[SourceFrame]:
        """Yields its frames, read on demand.

        Raises:
            CairnError: A frame cannot be read.
        """
        with closing(read_sources(self.sources)) as frames:
            for frame in frames:
                if frame.error is not None:
                    raise frame.error
                yield frame


def camera_sources(sources: Sequence[str | Path]) -> list[CameraSource]:
    """Returns the cameras: one for each video, and one for each folder of images.

    Args:
        sources: Videos, folders of images, or one folder that holds the videos or the folders.

    Raises:
        CameraError: Two cameras have one name.
        ImageError: There is no video or image.
    """
    paths = [str(source) for source in sources]
    if len(paths) == 1 and Path(paths[0]).is_dir():
        inside = sorted(path for path in Path(paths[0]).iterdir() if not path.name.startswith("."))
        folders = [path for path in inside if path.is_dir() and _media(path)]
        if folders:
            paths = [str(path) for path in folders]
    found: list[CameraSource] = []
    for path in paths:
        each = find_sources([path])
        clips = [source for source in each if source.is_clip]
        if clips and Path(path).is_dir() and len(paths) > 1 and len(clips) == 1:  # a folder with the video of a camera
            found.append(CameraSource(Path(path).name, (clips[0],)))
        elif clips:
            found += [CameraSource(source.name.path.stem, (source,)) for source in clips]
        else:
            name = Path(path).name if Path(path).is_dir() else each[0].name.path.parent.name
            found.append(CameraSource(name, tuple(each)))
    names = [camera.name for camera in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CameraError(f"two cameras are named {twice[0]}: give each video or folder a name of its own")
    return found


def find_boards(
    camera: CameraSource, detector: BoardDetector, every: int = 1, progress: Callable[[int, int], None] | None = None
) -> tuple[Sightings, float]:
    """Searches the frames of a camera; returns what it sees, with the number of a frame as its moment, and the rate.

    The moment of an image is the last number in its name, so that images of one moment share it; without such numbers,
    or where two are equal, its position.

    Args:
        camera: The camera.
        detector: Finds the board.
        every: Searches each so many-th frame of a clip.
        progress: Called with the number of frames searched, and their approximate total.

    Raises:
        CameraError: Its images differ in size.
        CairnError: A frame cannot be read.
    """
    numbers = None if camera.is_clip else _numbers([source.name.path.stem for source in camera.sources])
    rows: list[tuple[int, NDArray[np.float64], float, str]] = []
    size: Size | None = None
    done, rate = 0, 0.0

    def run(frame: SourceFrame) -> tuple[NDArray[np.float64], float] | None:
        corners = None if frame.image is None else detector(frame.image)
        return None if corners is None or frame.image is None else (corners, sharpness(frame.image, corners))

    frames = camera.frames()
    with closing(frames):  # type: ignore[type-var]
        for batch in _batches(frames, BATCH):
            kept = [(done + i, frame) for i, frame in enumerate(batch) if not camera.is_clip or (done + i) % every == 0]
            for (index, frame), result in zip(kept, in_threads(lambda entry: run(entry[1]), kept), strict=True):
                if frame.image is not None:
                    size = _same_size(size, frame, camera.name)
                if result is not None:
                    moment = index if numbers is None else numbers[index]
                    text = f"frame {index}" if camera.is_clip else frame.name.path.name
                    rows.append((moment, *result, text))
            done += len(batch)
            rate = batch[0].rate
            if progress is not None:
                progress(done, max(done, batch[0].count or len(camera.sources)))
    if size is None:
        raise CameraError(f"camera {camera.name} has no frame that can be read")
    rows.sort(key=lambda row: row[0])
    count = len(detector.board.points)
    return Sightings(
        camera.name,
        size,
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64).reshape(-1, count, 2),
        np.array([row[2] for row in rows], np.float64),
        tuple(row[3] for row in rows),
        done,
    ), rate


def check_synchronous(sightings: Sequence[Sightings], rates: Sequence[float]) -> None:
    """Checks that clips that should be synchronous are of one rate and length.

    Raises:
        CameraError: They are not.
    """
    names = [each.name for each in sightings]
    if max(rates) > 1.01 * min(rates):
        listed = ", ".join(f"{name} {rate:.3g}" for name, rate in zip(names, rates, strict=True))
        raise CameraError(
            f"the videos have different frame rates ({listed} frames per second), so equal frame numbers are different "
            "moments: convert them to one rate, or pass a timestamps file as --sync"
        )
    totals = [each.total for each in sightings]
    if max(totals) - min(totals) > MAX_SLACK:
        listed = ", ".join(f"{name} {total}" for name, total in zip(names, totals, strict=True))
        raise CameraError(
            f"the videos have different lengths ({listed} frames), so they are probably not synchronous: find their "
            "offsets with cairn sync, and pass the file as --sync"
        )


def with_moments(sightings: Sightings, moments: NDArray[np.int64]) -> Sightings:
    """Returns sightings with the moments that a file states for their frames; frames without a moment are dropped."""
    from dataclasses import replace

    new = moments[sightings.moments]
    kept = replace(sightings, moments=new).take(new >= 0)
    _, first = np.unique(kept.moments, return_index=True)
    return kept.take(first)


def samples(cameras: Iterable[CameraSource], each: int) -> list[NDArray[np.uint8]]:
    """Returns a few gray images of each camera, spread over what it recorded, at most 1280 pixels wide.

    Raises:
        CairnError: A frame cannot be read.
    """
    import cv2

    found = []
    for camera in cameras:
        frames = camera.frames()
        kept: list[NDArray[np.uint8]] = []
        step = 1
        with closing(frames):  # type: ignore[type-var]
            for index, frame in enumerate(frames):
                if index == 0 and camera.is_clip:
                    step = max(1, (frame.count or 1) // each)
                elif index == 0:
                    step = max(1, len(camera.sources) // each)
                if index % step == step // 2 and frame.image is not None:
                    gray = cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY)
                    scale = 1280 / gray.shape[1]
                    kept.append(
                        cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else gray
                    )
                if len(kept) >= each:
                    break
        found += kept
    return found


def _media(folder: Path) -> bool:
    try:
        return bool(find_sources([str(folder)]))
    except CairnError:
        return False


def _numbers(stems: Sequence[str]) -> list[int]:
    found = [re.findall(r"\d+", stem) for stem in stems]
    best: list[int] = list(range(len(stems)))
    if all(found) and len({len(each) for each in found}) == 1:
        for place in reversed(range(len(found[0]))):
            numbers = [int(each[place]) for each in found]
            if len(set(numbers)) == len(numbers):
                return numbers
    return best


def _batches(frames: Iterator[SourceFrame], size: int) -> Iterator[list[SourceFrame]]:
    while batch := list(islice(frames, size)):
        yield batch


def _same_size(size: Size | None, frame: SourceFrame, name: str) -> Size:
    assert frame.image is not None
    height, width = frame.image.shape[:2]
    if size is not None and size != (height, width):
        raise CameraError(
            f"camera {name}: {frame.name.path} is {width}x{height} and the images before it {size[1]}x{size[0]}: "
            "intrinsics hold for one size"
        )
    return height, width
