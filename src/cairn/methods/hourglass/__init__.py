"""Stacked Hourglass: one instance in a crop.

Newell, Yang, Deng: Stacked Hourglass Networks for Human Pose Estimation, ECCV 2016 (arXiv 1603.06937), whose
sections are cited here.

| section or figure | here |
|---|---|
| 3.1, figure 3, one hourglass: pooling, nearest neighbor, a branch at every resolution | `model.Level` |
| 3.2, figure 4 left, the residual module | `cairn.training.backbones.hourglass_stem.Residual` |
| 3.2, layers before the first hourglass | `cairn.training.backbones.hourglass_stem.HourglassStem` |
| 3.2, figure 4 right, two rounds of 1×1 convolutions and the heatmaps | `model.Stack` |
| 3.3, predictions fed back into the features of the next hourglass | `model.Merge`, `model.Hourglass` |
| 3.3, intermediate supervision: the same target for every stack | `losses` |
| 3.4, the crop around the bounding box of one person | `cairn.inference.predictor.TopDownPredictor` |
| 3.4, squared error against Gaussians of σ = 1 cell | `losses.squared_error`, `cairn.ops.heatmaps.render_gaussians` |
| 3.4, flip test: average over the crop and its mirror image | `cairn.inference.predictor.TopDownPredictor` |
| 3.4, the highest cell, a quarter of a cell toward its neighbor | `decode`, `cairn.ops.heatmaps.argmax_keypoints` |

Departures from the paper and the released code:

- Several categories that share a skeleton (none in the paper) add a class head: the mean of the last stack's features
  over the crop, and a linear layer.
- An unlabeled joint has no loss, because it may be visible; the release has an empty target for it.
- The loss is `losses.cross_entropy` by default, which leaves the all-zero solution early in training.
- The layers before the first hourglass are any registered backbone, pretrained for small data sets
  (docs/decisions/0066-hourglass-on-efficientnet.md); the paper's are the default.
- Decoding refines the highest cell by the log-parabola by default (0.05 cells of error on a Gaussian, against 0.25),
  and does not truncate coordinates to integers as the first releases do.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.model_spec import CLASSES, VISIBILITY
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import TopDownPredictor, check_settings
from cairn.inference.visibility import with_visibility
from cairn.methods.hourglass.decoder import classify, decode
from cairn.methods.method import Method
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod

__all__ = ["METHOD", "classify", "decode", "predictor"]


def predictor(network: Network, size: int | None = None, flip: bool = False, **settings: Any) -> TopDownPredictor:
    """Returns a predictor for a network with the output `heatmaps`; `classes` and `visibility` may follow.

    Args:
        network: The network.
        size: Side of the crop in pixels; None: the specification's.
        flip: Whether to average the outputs for each crop and for its mirror image, in twice the time.
        **settings: Keyword arguments of `decode`, which override the specification's.

    Raises:
        ModelError: The specification is of another method, or a setting is unknown or has the wrong type.
    """
    spec = network.spec
    if set(spec.outputs) - {CLASSES, VISIBILITY} != {"heatmaps"} or spec.task == "multi_instance":
        raise ModelError(
            f"hourglass needs the output heatmaps for task crop or single_instance; "
            f"model {spec.name} has {', '.join(spec.outputs)} for task {spec.task}"
        )
    settings = {**spec.decode, **settings}
    check_settings("hourglass", decode, settings)
    decoder = partial(_decode_maps, skeleton=spec.skeleton, classes=spec.classes, **settings)
    return TopDownPredictor(network, decoder, size, flip)


def _decode_maps(maps: Maps, skeleton: Skeleton, classes: tuple[str, ...], **settings: Any) -> Poses:
    pose = with_visibility(decode(maps["heatmaps"], skeleton, **settings), maps)
    return classify(pose, maps[CLASSES], classes) if classes else pose


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
