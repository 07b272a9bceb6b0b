"""Lifting: 3D keypoints from the 2D keypoints of one view.

Martinez, Hossain, Romero, Little: A simple yet effective baseline for 3d human pose estimation, ICCV 2017
(arXiv 1705.03098). Sections are the paper's.

| section | code |
|---|---|
| 3.1, 2D keypoints in; out 3D keypoints relative to the root in the camera's frame | `views`, `inference.lifter` |
| 3.2, two residual blocks of linear, batch norm, ReLU, dropout; figure 2 | `network.Lifting` |
| 3.2, max-norm of weights 1 | `network.clip_norms`, after each step |
| 3.3, 2D and 3D standardized by the statistics of the training set | `network.LiftingGraph`, `training.statistics` |
| 4, Adam 1e-3, exponential decay, batches of 64, 200 epochs | `recipe` |

Departures from the paper, with the setting of a recipe that gives the paper's method:

| departure | setting of the paper |
|---|---|
| random virtual cameras around the motion, instead of the four of Human3.6M | `cameras.kind = "rig"` |
| 2D keypoints are centered and scaled per pose, so that any camera can be used | `input.frame = "camera"` |
| keypoints may be missing: a third input says which are known, and training hides some | `noise.missing = 0` |
| 2D keypoints get noise as of a detector | `noise.spread = 0`, `noise.outliers = 0` |
| half of the poses are mirrored | `flip = false` |
| limbs get random lengths, because a recording has few people | `lengths = 0` |
| the learning rate follows a cosine, and weights are averaged | `optimizer.schedule = "steps"`, `ema = 0` |
| lengths of limbs in the image as further inputs, which speeds up training; off by default | `input.limbs = false` |
| the loss can be the mean distance, MPJPE; off by default | `loss = "squared"` |
| limbs of other poses, parts missing together, exact poses; off by default | `mix = 0`, `noise.parts = []` |
| the release of the paper decays the rate by 0.96 every 100,000 steps; Cairn has no such schedule | none |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cairn.inference.lifter import Lifter
from cairn.methods.method import Method

if TYPE_CHECKING:
    from cairn.training.method import ArrayTraining

__all__ = ["METHOD"]


def _training() -> ArrayTraining:
    from cairn.methods.lifting.training import TRAINING

    return TRAINING


METHOD = Method("lifting", ("lifting",), Lifter, _training)
