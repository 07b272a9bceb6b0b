"""Refinement: top-down prediction in the boxes that another predictor detects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ModelError
from cairn.inference.base import BasePredictor
from cairn.inference.boxes import large_enough, overlapping, scaled
from cairn.inference.merging import merged, merged_groups, similar_groups
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network
from cairn.inference.protocol import Predictor
from cairn.inference.top_down import PLAIN, SIZES, TopDownPredictor
from cairn.structures.poses import Poses

SECOND_MARGIN = "second_margin"
"""Setting of a model of crops: side of a second crop around the keypoints of the first, over their bounding box."""

WIDE_MARGIN = "wide_margin"
"""Setting of a model of crops: side of a wider crop beside that of `input.margin`, over the bounding box."""

OUTSIDE = 0.05
"""Distance from the image, over the size of an instance, from which on a keypoint outside is dropped beside `plain`."""

REFINER_SETTINGS = {SECOND_MARGIN, WIDE_MARGIN}
"""Settings of a model of crops that apply only where it refines another model."""


class RefinedPredictor(BasePredictor[Poses]):
    """Detects instances with one model and predicts the keypoints of each with another.

    The second model gives the classes where it distinguishes several; else those of the first are kept. With the
    setting `second_margin` in its specification it predicts each instance twice, the second time around the keypoints
    that it predicted, because the boxes of the first model are less exact. With the setting `wide_margin` it starts
    from two crops, because some of the keypoints tell little about the size of the instance. Similar poses are merged
    before the second time, which then averages the heatmaps of three sizes of the crop.

    Attributes:
        whole: Detects the instances; their keypoints give the boxes, and their scores are used.
        crops: Predicts the keypoints in each box, and defines the skeleton.
        first, last: The same in the boxes of the first model, and in those of the keypoints, with other views.
        min_score: Detections of the first model with a lower score are dropped.
    """

    def __init__(
        self, whole: Predictor, crops: Predictor, min_score: float = 0.0, plain: Predictor | None = None
    ) -> None:
        """Creates a predictor.

        Args:
            whole: A predictor of all instances of an image.
            crops: A predictor of one instance per crop.
            min_score: Minimum score of a detection of the first predictor; others are dropped.
            plain: Predictor of frames of videos, and of maps; the specification is its own. It detects nothing outside
                of the image, and neither does this one then. None: this one.

        Raises:
            ModelError: The predictors have other tasks, or `plain` has other keypoints.
        """
        if whole.spec.task != "multi_instance" or crops.spec.task == "multi_instance":
            raise ModelError(
                f"refinement needs a model of all instances and a model of one instance per crop, "
                f"got {whole.name} ({whole.spec.task}) and {crops.name} ({crops.spec.task})"
            )
        if plain is not None and plain.skeleton.joints != crops.skeleton.joints:
            raise ModelError(f"{plain.name} and {crops.name} have other keypoints: refine videos, too")
        self.whole = whole
        self.crops = self.first = self.last = crops
        self.min_score = min_score
        self._plain = plain
        if all(crops.spec.decode.get(name) for name in REFINER_SETTINGS) and isinstance(crops, TopDownPredictor):
            self.first, self.last = crops.with_views(False, PLAIN), crops.with_views(crops.flip, SIZES)

    @property
    def spec(self) -> ModelSpec:
        """The specification of `plain`, or that of the model of crops, with the task and the classes of the poses."""
        spec = self.crops.spec
        if self._plain is not None:  # the confidences are those of the model of crops
            return self._plain.spec.model_copy(update={"draw_threshold": spec.draw_threshold})
        return spec.model_copy(
            update={"task": self.whole.spec.task, "classes": spec.classes or self.whole.spec.classes}
        )

    @property
    def plain(self) -> Predictor:
        """The predictor of frames of videos, and of maps."""
        return self._plain or self

    @property
    def has_maps(self) -> bool:
        """Whether `plain` has output maps of the whole image."""
        return self._plain is not None and self._plain.has_maps

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of both predictors."""
        return (*self.whole.networks, *self.crops.networks)

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        """Returns the poses; an instance's score is the product of both predictors' scores.

        With `wide_margin` it is the mean of squared confidences in the crop, times the probability of the class, times
        the square root of the first predictor's score.

        Args:
            pixels: (H, W, 3) uint8 RGB.
            boxes: None.

        Raises:
            ModelError: Boxes are given.
        """
        if boxes is not None and self._plain is not None:
            self._plain.infer(pixels, boxes)  # raises the error of a model that takes no boxes
        if boxes is not None:
            raise ModelError("refinement detects the boxes itself: give boxes or refine, not both")
        return self._refined(pixels, self.whole(pixels))

    def infer_batch(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike | None]) -> list[Poses]:
        """Returns the poses of each image; the first predictor runs on all of them at once."""
        if any(own is not None for own in boxes):
            return super().infer_batch(images, boxes)  # raises the error of `infer`
        return [self._refined(image, coarse) for image, coarse in zip(images, self.whole.batch(images), strict=True)]

    def _refined(self, pixels: NDArray[np.uint8], coarse: Poses) -> Poses:
        """Returns the poses of an image, of those that the first predictor detects there."""
        coarse = coarse[np.flatnonzero(coarse.detected.any(axis=1) & (coarse.scores >= self.min_score))]
        found = large_enough(coarse.boxes)
        inside = overlapping(found, pixels.shape[:2])  # a false detection may lie in the padding
        found, coarse = found[inside], coarse[inside]
        if not self.crops.spec.decode.get(WIDE_MARGIN):
            poses = self._scored(self._again(pixels, self.first(pixels, found)), coarse, coarse.scores)
        else:
            poses, coarse = self._from_two_crops(pixels, found, coarse)
            poses = merged(self._clear(self._again(pixels, poses), coarse))
        return poses if self._plain is None else _inside(poses, pixels.shape[:2])

    def _from_two_crops(
        self, pixels: NDArray[np.uint8], boxes: NDArray[np.float64], coarse: Poses
    ) -> tuple[Poses, Poses]:
        """Returns poses of a narrow and a wide crop of each box, similar ones merged, and the first model's of each."""
        spec = self.crops.spec
        wide = scaled(boxes, float(spec.decode[WIDE_MARGIN]) / spec.input.margin)
        poses = self.first(pixels, np.concatenate([boxes, wide]))
        twice = coarse[np.tile(np.arange(len(coarse)), 2)]
        scored = self._clear(poses, twice)
        groups = similar_groups(scored)
        leaders = np.array([rows[0] for rows in groups], np.intp)
        return replace(merged_groups(scored, groups), scores=poses.scores[leaders]), twice[leaders]

    def _again(self, pixels: NDArray[np.uint8], poses: Poses) -> Poses:
        """Returns poses predicted again around their keypoints, if the specification has a margin for it."""
        spec = self.crops.spec
        margin = float(spec.decode.get(SECOND_MARGIN, 0.0))
        if not margin or not len(poses):
            return poses
        boxes = scaled(large_enough(poses.boxes), margin / spec.input.margin)
        inside = overlapping(boxes, pixels.shape[:2]) & poses.detected.any(axis=1)
        again, rest = np.flatnonzero(inside), np.flatnonzero(~inside)
        both = Poses.concatenate([self.last(pixels, boxes[again]), poses[rest]], poses.skeleton)
        return both[np.argsort(np.concatenate([again, rest]))]

    def _clear(self, poses: Poses, coarse: Poses) -> Poses:
        """Returns poses whose score is times the clarity of their keypoints and the root of the first model's.

        Two crops also find instances of which the first model has few keypoints: its score counts less.
        """
        return self._scored(poses, coarse, np.sqrt(coarse.scores) * _clarity(poses))

    def _scored(self, poses: Poses, coarse: Poses, scores: NDArray[np.float32]) -> Poses:
        """Returns poses with their scores times others, and the first model's classes where they have none."""
        poses = replace(poses, scores=poses.scores * scores)
        if poses.class_names:
            return poses
        return replace(poses, classes=coarse.classes, class_names=coarse.class_names)

    def decode_raw(self, raw: Poses) -> Poses:
        """Returns the poses, which `infer` has decoded."""
        return raw


def _inside(poses: Poses, size: tuple[int, ...]) -> Poses:
    """Returns poses without the keypoints that are `OUTSIDE` an image of this (height, width)."""
    reach = OUTSIDE * np.sqrt(poses.boxes[:, 2] * poses.boxes[:, 3])[:, None, None]  # (P, 1, 1)
    corner = np.array(size[::-1]) - 1
    outside = ((poses.keypoints < -reach) | (poses.keypoints > corner + reach)).any(axis=-1)  # (P, K)
    return poses.where(~outside)


def _clarity(poses: Poses) -> NDArray[np.float32]:
    """Returns (P,) the mean of squared confidences over the mean of confidences.

    A score that is a mean of confidences becomes one of their squares: a few clear keypoints tell more about an
    instance than many unclear ones.
    """
    ratio: NDArray[np.float32] = (poses.confidence**2).sum(axis=1) / np.maximum(poses.confidence.sum(axis=1), 1e-9)
    return ratio
