"""Boxes of what moves, for frames of a static camera: one box for each image, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import ImageError, LabelError
from cairn.machine import in_threads
from cairn.media.folders import is_input
from cairn.media.images import IMAGE_SUFFIXES, image_size, read_image
from cairn.ops.motion import MAX_FRAMES, MAX_MOVING, Background, background_of, reduced
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Size

MIN_FRAMES = 5
"""Minimum number of frames for a background."""

CHECKED = 15
"""Number of frames by which a moving camera is recognized."""

SEVERAL = "images have several instances, and motion gives one box: they are skipped"


def with_motion_boxes(labels: Labels, problems: Problems) -> Labels:
    """Returns labels whose instances have the box of what moves in their image; an image has one instance at most.

    The frames of one camera are in a folder of their own: its background is that of all images there. An image without
    instances gets one without keypoints.

    Args:
        labels: The labels.
        problems: Collects notes about the images that are skipped.

    Raises:
        LabelError: The camera moves, there are too few frames, they differ in size, or nothing moves in any.
        ImageError: An image cannot be read.
    """
    kept = []
    for image in labels:
        rows = np.flatnonzero(~image.annotation.crowd)
        several = len(rows) > 1 and image.annotation.labeled.sum() != 1
        if several:
            problems.note(SEVERAL, image.path.name)
        else:
            kept.append(
                replace(image, annotation=image.annotation[image.annotation.labeled if len(rows) > 1 else rows])
            )
    boxes = motion_boxes([image.path for image in kept])
    result = []
    for image, box in zip(kept, boxes, strict=True):
        if box is None:
            problems.note("images are skipped, because nothing moves in them", image.path.name)
        else:
            result.append(replace(image, annotation=_boxed(image, box, len(labels.skeleton))))
    if kept and not result:
        raise LabelError(f"nothing moves in any of {len(kept)} images of {kept[0].path.parent}: crop by boxes instead")
    return replace(labels, images=tuple(result))


def motion_boxes(paths: Sequence[Path]) -> list[NDArray[np.float64] | None]:
    """Returns the (4,) box x, y, width, height of what moves in each image; None where nothing does.

    Raises:
        LabelError: As `with_motion_boxes`.
        ImageError: An image cannot be read.
    """
    order = sorted(range(len(paths)), key=lambda i: str(paths[i].parent))
    boxes: list[NDArray[np.float64] | None] = [None] * len(paths)
    for folder, group in groupby(order, key=lambda i: paths[i].parent):
        numbers = list(group)
        background = folder_background(folder, image_size(paths[numbers[0]]))

        def box(number: int, background: Background = background) -> NDArray[np.float64] | None:
            image = read_image(paths[number])
            check_size(image.shape[:2], background, str(paths[number]))
            return background.box(image)

        for number, found in zip(numbers, in_threads(box, numbers), strict=True):
            boxes[number] = found
    return boxes


def folder_background(folder: Path, size: Size) -> Background:
    """Returns the background of the images of a size (height, width) in a folder.

    Raises:
        LabelError: The camera moves, or there are too few frames.
    """
    frames = sorted(path for path in folder.iterdir() if is_input(path, IMAGE_SUFFIXES))
    chosen = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int))]

    def read(path: Path) -> NDArray[np.uint8] | None:
        try:
            image = read_image(path)
        except ImageError:  # reported where it is used
            return None
        return reduced(image).copy() if image.shape[:2] == size else None

    return checked_background([frame for frame in in_threads(read, chosen) if frame is not None], size, str(folder))


def checked_background(frames: Sequence[NDArray[np.uint8]], size: Size, source: str) -> Background:
    """Returns the background of frames.

    Args:
        frames: Frames as `cairn.ops.motion.reduced` returns them.
        size: (height, width) of the frames before that.
        source: Their folder or video, for messages.

    Raises:
        LabelError: The camera moves, or there are too few frames.
    """
    if len(frames) < MIN_FRAMES:
        raise LabelError(
            f"{source} has {len(frames)} frames of {size[1]}x{size[0]}: motion needs at least {MIN_FRAMES} of one "
            "camera"
        )
    background = background_of(frames, size)
    some = frames[:: max(1, len(frames) // CHECKED)]
    if (share := float(np.median([background.changed(frame) for frame in some]))) > MAX_MOVING:
        raise LabelError(
            f"{source}: {100 * share:.0f} % of the pixels change in half of the frames: motion needs a camera that "
            "stands still, and a folder for each; crop by boxes instead"
        )
    return background


def check_size(size: tuple[int, ...], background: Background, name: str) -> None:
    """Raises LabelError for an image of another (height, width) than its background."""
    if size != background.size:
        raise LabelError(
            f"{name} is {size[1]}x{size[0]}, and other frames are {background.size[1]}x{background.size[0]}: put the "
            "frames of each camera into a folder of their own"
        )


def _boxed(image: LabeledImage, box: NDArray[np.float64], joints: int) -> Annotation:
    """The one instance of an image with a box; without keypoints where it has none."""
    if len(image.annotation):
        return replace(image.annotation, boxes=box[None].astype(np.float32))
    return Annotation(
        np.full((1, joints, 2), np.nan, np.float32),
        np.zeros((1, joints), np.uint8),
        box[None].astype(np.float32),
        np.array([box[2] * box[3]], np.float32),
        np.zeros(1, bool),
    )
