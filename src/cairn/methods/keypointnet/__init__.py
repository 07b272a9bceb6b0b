"""KeypointNet: 3D keypoints of an object class from views with known cameras, without labels.

Suwajanakorn, Snavely, Tompson, Norouzi: Discovery of Latent 3D Keypoints via End-to-end Geometric Reasoning, NeurIPS
2018 (arXiv 1807.03146).

| part of the method | code |
|---|---|
| pairs of views with a known relative pose (section 3) | `views`, `pairs` |
| unprojection and projection of (u, v, d) | `losses.unproject`, `losses.project` |
| multi-view consistency, both ways | `losses.consistency` |
| relative pose by orthogonal Procrustes, with noise | `losses.relative_pose`, `losses.relative_rotation` |
| separation, silhouette, variance of the maps | `losses.separation`, `losses.silhouette`, `losses.variance` |
| spatial softmax, its mean and the expected depth | `network.KeypointNetwork` |
| twelve dilated convolutions | `features.DilatedFeatures` |
| orientation network; annealing of its prediction | `network.OrientationNetwork`, `training.KeypointNetModule` |
| angular error, and other measures without labels | `measures` |

Weights of the losses are those of the release. Departures, with the setting of a recipe that gives the paper's method:

| departure | setting of the paper |
|---|---|
| a small network at stride 4 | `network.backbone = "dilated"`, `network.features = 64` |
| 64 px | `input.size = 128` |
| the weight of the pose starts at ten times its value, its noise at 0 | `losses.boost = 1`, `losses.boosted = [0, 0]` |
| the learning rate is 3e-3 and follows a cosine | `optimizer.learning_rate = 1e-3`, `schedule = "constant"` |
| weights are averaged, gradients clipped | `optimizer.ema = 0`, `clip = 0` |
| 40,000 pairs in batches of 16 | `run.epochs = 800`, `run.batch_size = 8` |
| the unit of length is the radius of a disk of the area of the masks, at the object's distance | none |
| images have three channels; the mask is for the loss alone, so that inference needs none | none |
| the dominant axis is that of the objects' visual hulls | `network.axis = "x"`, `"y"` or `"z"` |
| masks and cameras are compared by visual hulls: mirrored cameras are refused | none |
| brightness and contrast vary | `augmentation.color = 0` |
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
