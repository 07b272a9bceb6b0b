"""The `Predictor` protocol, and every class that implements it."""

from __future__ import annotations

from cairn.inference.base import to_input
from cairn.inference.bottom_up import BottomUpPredictor
from cairn.inference.boxes import MIN_CROP, check_boxes, large_enough, overlapping
from cairn.inference.protocol import Predictor
from cairn.inference.refine import RefinedPredictor
from cairn.inference.settings import check_settings
from cairn.inference.shared_joints import SharedJointsPredictor
from cairn.inference.top_down import CROPS_AT_ONCE, TopDownPredictor

__all__ = [
    "CROPS_AT_ONCE",
    "MIN_CROP",
    "BottomUpPredictor",
    "Predictor",
    "RefinedPredictor",
    "SharedJointsPredictor",
    "TopDownPredictor",
    "check_boxes",
    "check_settings",
    "large_enough",
    "overlapping",
    "to_input",
]
