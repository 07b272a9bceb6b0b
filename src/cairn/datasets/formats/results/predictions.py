"""Predicted instances as annotated ones: keypoints count as labeled from a confidence on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.text_file import is_file
from cairn.datasets.formats.format import ReadOptions
from cairn.datasets.formats.instances import Instance, checked_points
from cairn.errors import LabelError


class Predictions:
    """Collects the instances of a run.

    Attributes:
        instances: Those with a labeled keypoint.
        classes: Names of the classes, in order of first appearance.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.instances: list[Instance] = []
        self.classes: list[str] = []
        self._options = options
        self._labeled = 0
        self._low = 0

    def add(
        self,
        image: str,
        points: NDArray[np.float64],
        track: Any,
        record: str,
        name: str | None = None,
        occluded: NDArray[np.bool_] | None = None,
    ) -> None:
        """Adds an instance.

        Args:
            image: Name of the image.
            points: (K, 3) x, y in pixels and confidence; NaN or a confidence of 0 where not detected.
            track: Track ID; None or another value where there is none.
            record: Name of the record in messages.
            name: Name of its class; None where the model has one class.
            occluded: (K,) keypoints that are predicted to be occluded; None where the model does not predict it.

        Raises:
            LabelError: A value is not finite.
        """
        confidence = np.nan_to_num(points[:, 2], nan=0.0)
        if not ((confidence >= 0) & (confidence <= 2)).all():  # networks exceed 1 slightly
            raise LabelError(f"{record}: a confidence must be from 0 to 1, got {confidence.max():g}")
        labeled = (confidence > 0) & (confidence >= self._options.confidence)
        place = checked_points(np.where(labeled[:, None], points[:, :2], np.nan), record)
        if np.isnan(place[labeled]).any():
            raise LabelError(f"{record}: a keypoint with a confidence has no position")
        self._labeled += int(labeled.sum())
        self._low += int(((confidence > 0) & ~labeled).sum())
        if not labeled.any():
            self._options.problems.note("predicted instances without a keypoint of that confidence are dropped", record)
            return
        number = track if type(track) is int and 0 <= track < 2**63 else -1
        if name is not None and name not in self.classes:
            self.classes.append(name)
        index = 0 if name is None else self.classes.index(name)
        occluded = np.zeros(len(place), bool) if occluded is None else occluded & labeled
        self.instances.append(Instance(image, place, occluded, track=number, category=index))

    def note(self) -> None:
        """Notes how many keypoints are labeled."""
        threshold = self._options.confidence
        self._options.problems.note(
            f"keypoints are predictions: {self._labeled} with a confidence of at least {threshold:g} are labeled, "
            f"{self._low} are not"
        )


def image_name(name: Any, options: ReadOptions, record: str) -> str:
    """Returns the name of an image; absolute where the name is relative to the working directory, as in `detect`.

    Raises:
        LabelError: It is no name.
    """
    if not isinstance(name, str) or not name.strip():
        raise LabelError(f"{record} needs the path of an image, got {name!r:.80}")
    here = options.images is None and is_file(Path(name))
    return str(Path(name).absolute()) if here else name


def check_frames(frames: Mapping[str, Sequence[Any]], source: Path) -> None:
    """Checks that no image has several frames, which are those of a video.

    Raises:
        LabelError: They are frames of a video.
    """
    for name, numbers in frames.items():
        if len(numbers) > 1:
            raise LabelError(
                f"{source}: {name:.100} has {len(numbers)} frames: labels need images; write the frames of the video "
                "as images and detect in those"
            )
