"""One instance per crop by two models: the keypoints that both have are those of the second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ModelError
from cairn.inference.base import BasePredictor
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Network
from cairn.inference.protocol import Predictor
from cairn.inference.top_down import SIZES, TopDownPredictor
from cairn.structures.poses import Poses


class SharedJointsPredictor(BasePredictor[Poses]):
    """Predicts one instance in each box with one model, and the joints that a finer model has, too, with that one.

    The finer model averages the heatmaps of three sizes of the crop and of their mirror images. The skeleton, and the
    joints that the finer model lacks, are those of the first.

    Attributes:
        crops: Predicts all keypoints in each box.
        finer: Predicts some of them again, in the same boxes.
    """

    def __init__(self, crops: Predictor, finer: Predictor, plain: Predictor | None = None) -> None:
        """Creates a predictor.

        Args:
            crops: A predictor of one instance per crop.
            finer: Another one, with some of the same joints.
            plain: Predictor of frames of videos. None: this one.

        Raises:
            ModelError: A predictor has another task, or there is no joint that both have.
        """
        if (crops.spec.task, finer.spec.task) != ("crop", "crop"):
            raise ModelError(
                f"one instance per crop is refined by another model of one instance per crop, "
                f"got {crops.name} ({crops.spec.task}) and {finer.name} ({finer.spec.task})"
            )
        others = finer.spec.skeleton.joints
        shared = np.array([joint in others for joint in crops.spec.skeleton.joints])
        if not shared.any():
            raise ModelError(f"{finer.name} cannot refine {crops.name}: they have no joint of the same name")
        self.crops = crops
        self.finer = finer.with_views(True, SIZES) if isinstance(finer, TopDownPredictor) else finer
        self._plain = plain
        self._shared = shared

    @property
    def spec(self) -> ModelSpec:
        """The specification of the first model."""
        return self.crops.spec

    @property
    def plain(self) -> Predictor:
        """The predictor of frames of videos."""
        return self._plain or self

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks of both models."""
        return (*self.crops.networks, *self.finer.networks)

    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Poses:
        """Returns one instance for each box, as the first model does."""
        return self.infer_batch([pixels], [boxes])[0]

    def infer_batch(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike | None]) -> list[Poses]:
        """Returns the instances of each image; crops of all images run together."""
        pairs = zip(self.crops.batch(images, boxes), self.finer.batch(images, boxes), strict=True)
        return [self._joined(poses, finer) for poses, finer in pairs]

    def decode_raw(self, raw: Poses) -> Poses:
        """Returns the poses, which `infer` has decoded."""
        return raw

    def _joined(self, poses: Poses, finer: Poses) -> Poses:
        """Returns poses with the finer keypoints in place of their own; scores change as the mean confidences do."""
        finer = finer.mapped(poses.skeleton)
        keypoints = np.where(self._shared[:, None], finer.keypoints, poses.keypoints)
        confidence = np.where(self._shared, finer.confidence, poses.confidence)
        change = confidence.mean(axis=1) / np.maximum(poses.confidence.mean(axis=1), np.float32(1e-9))
        return replace(poses, keypoints=keypoints, confidence=confidence, scores=poses.scores * change)
