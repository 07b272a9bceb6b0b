"""KeypointNet: 3D keypoints of an object class from views with known cameras, without labels.

Suwajanakorn, Snavely, Tompson, Norouzi: Discovery of Latent 3D Keypoints via End-to-end Geometric Reasoning, NeurIPS
2018 (arXiv 1807.03146). Sections and equations are the paper's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairn.inference.keypoints3d import Keypoints3D
from cairn.methods.method import Method

if TYPE_CHECKING:
    from cairn.training.method import ArrayTraining

__all__ = ["METHOD"]


def _training() -> ArrayTraining:
    from cairn.methods.keypointnet.training import TRAINING

    return TRAINING


METHOD = Method("keypointnet", ("keypoints3d",), Keypoints3D, _training)
