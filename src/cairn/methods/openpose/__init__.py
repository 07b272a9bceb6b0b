"""OpenPose: all instances of an image, bottom-up, in a time that hardly depends on their number.

Cao, Simon, Wei, Sheikh: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, CVPR 2017.
Cao, Hidalgo, Simon, Wei, Sheikh: OpenPose, TPAMI 2019 (arXiv 1812.08008), whose sections are cited here.

| section or equation | here |
|---|---|
| 3.1 image in, confidence maps S and PAFs L out | `predictor`, `cairn.inference.predictor.BottomUpPredictor` |
| 3.2 the network, eq. 1 to 3 | `model` |
| 3.2 its backbone, VGG-19 | `cairn.training.backbones.vgg` |
| eq. 4 to 6, the loss, summed over stages | `training.stage_losses` |
| its mask W(p) | `training.supervised_cells` |
| eq. 7 and 8, confidence maps: the maximum over people | `cairn.ops.heatmaps.render_gaussians` |
| eq. 9 and 10, part affinity fields (PAFs): the average over people | `cairn.ops.pafs.render_pafs` |
| 3.3 non-maximum suppression of the confidence maps | `cairn.ops.heatmaps.find_peaks` |
| eq. 11 and 12, the line integral between two candidates | `cairn.ops.pafs.line_integral` |
| eq. 13 to 15, matching limb by limb | `cairn.ops.grouping` |
| 3.4 people assembled from limbs, and redundant limbs | `cairn.ops.grouping` |
| 3.3 and 3.4 in one call | `decode` |
| the released networks and their weights | `released`, `checkpoints` |
| the class of each instance, by class maps | `training.Encoder`, `classify` |
| hands and faces in a crop (Simon et al., CVPR 2017) | `decode_crop`, `cairn.inference.predictor.TopDownPredictor` |
| their training | `crops` |
| Lightweight OpenPose (Osokin, arXiv 1811.12004) and its weights | `lightweight`, `lightweight_checkpoints` |
| starts: VGG-19 and imported networks | `cairn.training.checkpoints.backbone_file`, `released_weights` |

Departures from the papers and the released code:

- Maps are decoded at the network's resolution with sub-cell refinement, not upsampled eight times: the same peaks for
  1/64 of the work.
- PAFs share the grid of the confidence maps, as in the paper; the released code renders them 0.44 cells off.
- There is no background channel, except with `network.background`: decoding does not use it.
- Confidence maps have the weighted cross-entropy of `training.weighted_loss` by default, not the squared error:
  training from scratch converges.
- Several categories that share a skeleton (none in the papers) add a head for class maps, one per category: its target
  is the maximum over the keypoints of that category. An instance has the class with the largest sum at its keypoints.
- The backbone is any registered one, and stages can be light ones, for speed on CPUs; the papers' are VGG-19 and
  `kind = "paper"` or `"cvpr"`. VGG-19 takes images as its pretrained weights do; the release takes x / 256 - 0.5
  (`network.normalization = "centered"`).
- Lightweight OpenPose has a learning rate for all layers, its release four and eight times as much for refinement
  stages; its decoder has a length prior and a minimum distance of peaks, ours has the thresholds alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.model_spec import CLASSES, VISIBILITY
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import BottomUpPredictor, TopDownPredictor, check_settings
from cairn.inference.resolution import Resolution
from cairn.inference.visibility import with_visibility
from cairn.methods.method import Method
from cairn.methods.openpose.decoder import classify, decode, decode_crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod

__all__ = ["METHOD", "classify", "decode", "decode_crop", "predictor"]


def predictor(
    network: Network, size: int | Resolution | None = None, **settings: Any
) -> BottomUpPredictor | TopDownPredictor:
    """Returns a predictor for a network with outputs `heatmaps` and `pafs`, or `heatmaps` of one instance in a crop.

    A network of several classes has the output `classes`, too, and one that predicts visibility `visibility`.

    Args:
        network: The network.
        size: Longest side of the image at inference, or side of the crop, in pixels; None: the specification's.
        **settings: Keyword arguments of `decode` or, for a crop, of `decode_crop`; they override the specification's.

    Raises:
        ModelError: The specification is of another method, or a setting is unknown or has the wrong type.
    """
    spec = network.spec
    settings = {**spec.decode, **settings}
    if spec.outputs == ("heatmaps",) and spec.task == "crop":
        check_settings("openpose", decode_crop, settings)
        return TopDownPredictor(network, partial(_decode_crop, skeleton=spec.skeleton, **settings), size)
    if set(spec.outputs) - {CLASSES, VISIBILITY} != {"heatmaps", "pafs"} or spec.task != "multi_instance":
        raise ModelError(
            f"openpose needs the outputs heatmaps and pafs for task multi_instance, or heatmaps for task crop; "
            f"model {spec.name} has {', '.join(spec.outputs)} for task {spec.task}"
        )
    check_settings("openpose", decode, settings)
    decoder = partial(_decode, skeleton=spec.skeleton, classes=spec.classes, **settings)
    return BottomUpPredictor(network, decoder, size)


def _decode(maps: Maps, skeleton: Skeleton, classes: tuple[str, ...], **settings: Any) -> Poses:
    poses = with_visibility(decode(maps["heatmaps"], maps["pafs"], skeleton, **settings), maps)
    return classify(poses, maps[CLASSES], classes) if classes else poses


def _decode_crop(maps: Maps, skeleton: Skeleton, **settings: Any) -> Poses:
    return decode_crop(maps["heatmaps"], skeleton, **settings)


def _training() -> TrainingMethod:
    from cairn.methods.openpose.training import TRAINING

    return TRAINING


def _autoconfig() -> Autoconfig:
    from cairn.methods.openpose.autoconfig import AUTOCONFIG

    return AUTOCONFIG


def _checkpoints() -> CheckpointReader:
    from cairn.methods.openpose.checkpoints import READER

    return READER


METHOD = Method("openpose", ("multi_instance", "crop"), predictor, _training, _autoconfig, _checkpoints)
