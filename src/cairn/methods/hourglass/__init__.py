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
| 3.4, rotation and scaling | `recipe.Views` |
| 3.4, squared error against Gaussians of σ = 1 cell | `losses.squared_error`, `cairn.ops.heatmaps.render_gaussians` |
| 3.4, learning rate divided by five at a plateau | `cairn.training.engine.plateau` |
| 3.4, flip test: average over the crop and its mirror image | `cairn.inference.predictor.TopDownPredictor` |
| 3.4, the highest cell, a quarter of a cell toward its neighbor | `decode`, `cairn.ops.heatmaps.argmax_keypoints` |
| the visibility of joints | `cairn.training.data.visibility`, `cairn.inference.visibility` |

Departures from the paper and the released code. The setting that restores the original is in parentheses. The paper
numbers no equations.

- Size. Original: 8 stacks of 256 features, crops of 256 px. Here: 1 of 128, 128 px (`network.stacks`,
  `network.features`, `input.size`).
- Layers before the first hourglass. Original: figure 4. Here: the default, or any registered backbone, pretrained for
  small data sets (docs/decisions/0066-hourglass-on-efficientnet.md).
- Loss. Original: squared error. Here: cross-entropy, which leaves the all-zero solution early (`loss = "squared"`).
- Unlabeled joint. Original: an empty target. Here: no loss, because it may be visible.
- W(p). Here: none: a crop has one instance, and people beside it are background, as in the paper.
- Target. Original: σ = 1 cell; release: centered on a whole cell, cut at 3σ. Here: the same σ, `exp(-d²/2σ²)`, centered
  on the exact position, cut at 1%.
- Background channel. Original: none. Here: none.
- Cells. Original: release: pixel 4i. Here: pixel (i + 0.5)·4 - 0.5, in training and decoding.
- Rotation, scale. Original: ±30°, 0.75 to 1.25; release: normal, clipped, rotation with p = 0.4. Here: ±30° uniform,
  0.75 to 1.25 log-uniform (`augmentation`).
- Shift. Original: none. Here: ±5% of the crop (`augmentation.shift = 0`).
- Colors. Original: release: channels times 0.6 to 1.4. Here: brightness, contrast, saturation, channels, gray
  (`augmentation.color`).
- Optimizer. Original: RMSprop, 2.5e-4, once divided by 5. Here: AdamW, cosine, averaged weights (`optimizer.name =
  "rmsprop"`, `learning_rate = 2.5e-4`, `schedule = "plateau"`, `warmup = 0`, `ema = 0`).
- Crop. Original: MPII's center and scale. Here: 1.25 times the longer side of a bounding box; readers give the box of
  MPII's scale.
- Padding of crops. Original: black. Here: gray.
- Flip test. Original: in all results. Here: on request (`flip=True`), in twice the time.
- Average over crops of three sizes that are turned by quarters of a circle. Original: none. Here: on request
  (`turns=True`), in four times the time; automatic configuration requests it for small objects in all orientations.
- Exported heatmaps. Original: as they are. Here: those of cross-entropy are smoothed by a Gaussian of one cell
  (`smoothing = 0`).
- Refinement. Original: a quarter of a cell. Here: log-parabola: 0.05 cells of error on a Gaussian, against 0.25
  (`refinement`).
- Coordinates. Original: first releases: truncated to integers. Here: not truncated.
- Several categories (none in the paper). Here: a class head: mean of the last stack's features, and a linear layer; the
  score is multiplied by the probability of the class.
- Occluded joints. Original: trained like visible ones. Here: likewise; `network.visibility` adds a head that tells them
  apart.
- Several people in a crop. Original: the one nearest the center. Here: the same; boxes, or `--refine`, give one crop
  for each.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.model_spec import CLASSES, VISIBILITY
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import TopDownPredictor, check_settings
from cairn.inference.refine import REFINER_SETTINGS
from cairn.inference.top_down import PLAIN, TURNED
from cairn.inference.visibility import with_visibility
from cairn.methods.hourglass.decoder import classify, decode
from cairn.methods.method import Method
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.exporting.decoding.decoder import GraphDecoder
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod

__all__ = ["METHOD", "classify", "decode", "predictor"]


def predictor(
    network: Network, size: int | None = None, flip: bool | None = None, turns: bool | None = None, **settings: Any
) -> TopDownPredictor:
    """Returns a predictor for a network with the output `heatmaps`; `classes` and `visibility` may follow.

    Args:
        network: The network.
        size: Side of the crop in pixels; None: the specification's.
        flip: Whether to average the outputs for each crop and for its mirror image, in twice the time. None: as the
            specification says, by default not.
        turns: Whether to average the outputs for each crop and for three others, turned by 90, 180 and 270 degrees, of
            0.8, 1 and 1.25 times its side; in four times the time. None: as the specification says, by default not.
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
    given = {name: value for name, value in (("flip", flip), ("turns", turns)) if value is not None}
    settings = {**spec.decode, **settings, **given}
    flipped, turned = (bool(settings.pop(name, False)) for name in ("flip", "turns"))
    settings = {name: value for name, value in settings.items() if name not in REFINER_SETTINGS}
    check_settings("hourglass", decode, settings)
    decoder = partial(_decode_maps, skeleton=spec.skeleton, classes=spec.classes, **settings)
    return TopDownPredictor(network, decoder, size, flipped, TURNED if turned else PLAIN)


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


def _graph_decoder() -> GraphDecoder:
    from cairn.methods.hourglass.graph import DECODER

    return DECODER


METHOD = Method(
    "hourglass", ("single_instance", "crop"), predictor, _training, _autoconfig, _checkpoints, _graph_decoder
)
