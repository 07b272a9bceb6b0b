"""USIP: keypoints of point clouds, trained on clouds alone, without labels.

Li, Lee: USIP: Unsupervised Stable Interest Point Detection from 3D Point Clouds, ICCV 2019 (arXiv 1904.00229).

| part of the method | code |
|---|---|
| nodes by farthest point sampling; each point goes to its nearest node | `grouping.spaced_points`, `grouping.group` |
| network: a PointNet for each node, features over the k nearest nodes, offset and sigma | `network` |
| probabilistic chamfer loss, both directions, with the mean of both sigmas | `losses.chamfer` |
| point-to-point and point-to-plane loss, weighted by lambda | `losses.point_to_point`, `losses.point_to_plane` |
| degenerate keypoints: the receptive field is limited | `recipe.Input.neighbors` |
| training pairs by random transformations | `views`, `training.Pairs` |
| the most certain keypoints after non-maximum suppression | `detector` |

Sampling and grouping are outside of the graph, in NumPy, and the same for training and inference. The distance between
nodes is a multiple of the resolution of the cloud (`views.spacing`), and all lengths of the network are multiples of
this distance. So neither the unit nor the scale of a cloud matters, and a cloud has as many nodes as its size needs;
the paper has 512 of any cloud, each in the scale of its data set.

Departures from the paper, with the setting of a recipe that gives the paper's method:

| departure | setting of the paper |
|---|---|
| a grid thins clouds before sampling: dense clouds give the input of sparse ones | `input.cells = 100` |
| pairs are scans from two sides, of which only the places count that both have | `views.scans = 0` |
| nodes may have frames by the shape of their neighborhoods | `input.frames = "cloud"` (the default) |
| of the points of a node at most `input.points` are taken, evenly chosen | `input.points = 1000` |
| the learning rate follows a cosine, and weights are averaged | `optimizer.schedule = "constant"`, `ema = 0` |
| the release measures point-to-plane by the squared cosine of an angle; Cairn by the distance | none |
"""

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
