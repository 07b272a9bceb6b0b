"""Runs a predictor and a tracker over labeled frames: video by video, in the order of the frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.video_frames import last_number
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.tracking import check_unique
from cairn.structures.poses import Poses
from cairn.tracking.tracker import DEFAULT_RATE, Tracker

Video = Sequence[tuple[LabeledImage, float | None]]
"""The frames of a video in order, and their times in seconds."""


def predict_tracks(
    predict: Callable[[LabeledImage], Poses], labels: Labels, progress: Callable[[int], object] | None = None
) -> tuple[Labels, list[Poses]]:
    """Returns the labels in the order of the frames, and the tracked instances of each, without images.

    Each video has a tracker of its own, and track IDs that no other has, in the labels too.

    Args:
        predict: Returns the poses of an image, which has been read.
        labels: Frames of one or several videos with track IDs.
        progress: Called with the number of frames done.

    Raises:
        LabelError: No labeled instance has a track ID, or a frame has one twice.
    """
    tracked = [_tracked(image) for image in labels]
    if not any(map(len, tracked)):
        raise LabelError("the labels have no track IDs: expected track or track_id beside the keypoints")
    for image, ids in zip(labels, tracked, strict=True):
        check_unique(ids, "label", image.path.name)
    images: list[LabeledImage] = []
    found: list[Poses] = []
    numbers: dict[tuple[int, str, int], int] = {}
    for i, video in enumerate(videos_of(labels)):
        tracker = Tracker()

        def unique(side: str, ids: np.ndarray, i: int = i) -> np.ndarray:
            each = [-1 if one < 0 else numbers.setdefault((i, side, one), len(numbers)) for one in ids.tolist()]
            return np.array(each, np.int64)

        for image, time in video:
            poses = tracker(predict(image), time)
            assert poses.ids is not None
            found.append(replace(poses, ids=unique("predicted", poses.ids), image=None))
            annotation = image.annotation
            if annotation.tracks is not None:
                annotation = replace(annotation, tracks=unique("true", annotation.tracks))
            images.append(replace(image, annotation=annotation))
            if progress is not None:
                progress(len(found))
    return replace(labels, images=tuple(images)), found


def _tracked(image: LabeledImage) -> NDArray[np.int64]:
    """Returns the track IDs of the labeled instances that have one."""
    annotation = image.annotation
    if annotation.tracks is None:
        return np.zeros(0, np.int64)
    return annotation.tracks[annotation.labeled & (annotation.tracks >= 0)]


def videos_of(labels: Labels) -> list[Video]:
    """Returns the videos of labels, each with its frames in order.

    A video is the group that the labels state, otherwise the folder of the images. Frames are ordered by their number,
    which is that of the labels or the last one of the file name; without numbers the order is that of the labels. The
    smallest step between two numbers counts as 1/25 s, so that frames which are missing take their time.
    """
    videos: dict[tuple[str, ...], list[LabeledImage]] = {}
    for image in labels:
        videos.setdefault(image.groups or (str(image.path.parent),), []).append(image)
    return [_ordered(images) for images in videos.values()]


def _ordered(images: list[LabeledImage]) -> Video:
    known = {i: last_number(image.path.name) if image.frame is None else image.frame for i, image in enumerate(images)}
    numbers = {i: number for i, number in known.items() if number is not None}
    if len(numbers) < len(images):
        return [(image, None) for image in images]
    order = sorted(numbers, key=lambda i: numbers[i])
    clock = np.array([numbers[i] for i in order], np.float64)
    steps = np.diff(clock)
    step = steps[steps > 0].min(initial=np.inf)
    times = (clock - clock[0]) / step / DEFAULT_RATE
    return [(images[i], time) for i, time in zip(order, times.tolist(), strict=True)]
