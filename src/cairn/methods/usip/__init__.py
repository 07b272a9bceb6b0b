"""USIP: keypoints of point clouds, learned from clouds alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairn.methods.method import Method
from cairn.methods.usip.detector import CloudDetector

if TYPE_CHECKING:
    from cairn.training.method import ArrayTraining

__all__ = ["METHOD"]


def _training() -> ArrayTraining:
    from cairn.methods.usip.training import TRAINING

    return TRAINING


METHOD = Method("usip", ("cloud",), CloudDetector, _training)
