"""Stacked Hourglass: one object in a crop.

Newell, Yang, Deng: Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016 (arXiv 1603.06937), whose
sections are cited here.

| section or figure | here |
|---|---|
| 3.1, figure 3, one hourglass: down by pooling, up by nearest neighbor, a branch at every resolution | `model.Level` |
| 3.2, figure 4 left, the residual module | `model.Residual` |
| 3.2, the convolution and pooling before the first hourglass | `model.Stem`, or `cairn.training.backbones.efficientnet` |
| 3.2, figure 4 right, two rounds of 1×1 convolutions and the heatmaps | `model.Stack` |
| 3.3, predictions fed back into the features of the next hourglass | `model.Merge`, `model.Hourglass` |
| 3.3, intermediate supervision: the same target for every stack | `losses` |
| 3.4, the crop around one person | `cairn.inference.predictor.TopDownPredictor` |
| 3.4, squared error against Gaussians of σ = 1 cell | `losses.squared_error`, `cairn.ops.heatmaps.render_gaussians` |
| 3.4, the flip test: heatmaps of the crop and of its mirror, averaged | `cairn.inference.predictor.TopDownPredictor` |
| 3.4, the highest cell, a quarter towards its neighbor | `decode`, `cairn.ops.heatmaps.argmax_keypoints` |

Where we depart: a joint that is not labeled gives no loss instead of an empty target; `losses.cross_entropy`
stands beside the paper's loss; the first layers may be features learned on ImageNet; decoding takes the log-parabola
unless told otherwise, and does not truncate to integers as the first releases do.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import TopDownPredictor, check_settings
from cairn.methods.hourglass.decoder import decode
from cairn.methods.method import Method
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod

__all__ = ["METHOD", "decode", "predictor"]


def predictor(network: Network, size: int | None = None, flip: bool = False, **settings: Any) -> TopDownPredictor:
    """A predictor over a network whose output is `heatmaps`.

    size      side in pixels of the crop that the network is shown; None takes the specification's
    flip      average the maps of each crop and of its mirror: twice the time
    settings  of `decode`, in place of the specification's

    Raises ModelError where the specification is not of this method, or a setting is unknown or of another kind.
    """
    spec = network.spec
    if spec.outputs != ("heatmaps",) or spec.task == "multi_instance":
        raise ModelError(
            f"hourglass needs the output heatmaps of a crop; "
            f"model {spec.name} gives {', '.join(spec.outputs)} for task {spec.task}"
        )
    settings = {**spec.decode, **settings}
    check_settings("hourglass", decode, settings)
    return TopDownPredictor(network, partial(_decode_maps, skeleton=spec.skeleton, **settings), size, flip)


def _decode_maps(maps: Maps, skeleton: Skeleton, **settings: Any) -> Poses:
    return decode(maps["heatmaps"], skeleton, **settings)


def _training() -> TrainingMethod:
    from cairn.methods.hourglass.training import TRAINING

    return TRAINING


def _autoconfig() -> Autoconfig:
    from cairn.methods.hourglass.autoconfig import AUTOCONFIG

    return AUTOCONFIG


def _checkpoints() -> CheckpointReader:
    from cairn.methods.hourglass.checkpoints import READER

    return READER


METHOD = Method("hourglass", ("single_instance", "crop"), predictor, _training, _autoconfig, _checkpoints)
