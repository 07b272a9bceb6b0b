"""OpenPose: every object in an image, bottom-up, at a cost that hardly depends on their number.

Cao, Simon, Wei, Sheikh: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, CVPR 2017.
Cao, Hidalgo, Simon, Wei, Sheikh: OpenPose, TPAMI 2019 (arXiv 1812.08008), whose sections are cited here.

| section or equation | here |
|---|---|
| 3.1 an image in, maps S and fields L out | `predictor`, `cairn.inference.predictor.BottomUpPredictor` |
| 3.2 the network, eq. 1 to 3 | `model` |
| eq. 4 to 6, the loss with its mask W(p), summed over stages | `training` |
| eq. 7 and 8, confidence maps: the maximum over people | `cairn.ops.heatmaps.render_gaussians` |
| eq. 9 and 10, part affinity fields: the average over people | `cairn.ops.pafs.render_pafs` |
| 3.3 non-maximum suppression of the maps | `cairn.ops.heatmaps.find_peaks` |
| eq. 11 and 12, the line integral between two candidates | `cairn.ops.pafs.line_integral` |
| eq. 13 to 15, matching limb by limb | `cairn.ops.grouping` |
| 3.4, people from limbs, and the redundant limbs | `cairn.ops.grouping` |
| 3.3 and 3.4 in one call | `decode` |
| the released networks, and what was trained for them | `released`, `checkpoints` |
| hand and face in a crop around each (Simon et al., CVPR 2017) | `decode_crop`, `cairn.inference.predictor.TopDownPredictor` |

Where we depart: maps are decoded as they leave the network, with sub-cell refinement in place of the
released eightfold upsampling, and fields are rendered on the same grid as maps (the released code's lie
0.44 cell off).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import BottomUpPredictor, TopDownPredictor, check_settings
from cairn.inference.resolution import Resolution
from cairn.methods.method import Method
from cairn.methods.openpose.decoder import decode, decode_crop
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import Autoconfig, CheckpointReader, TrainingMethod

__all__ = ["METHOD", "decode", "decode_crop", "predictor"]


def predictor(
    network: Network, size: int | Resolution | None = None, **settings: Any
) -> BottomUpPredictor | TopDownPredictor:
    """A predictor over a network whose outputs are `heatmaps` and `pafs`, or of one object in a crop `heatmaps`.

    size      what of an image the network is shown, the longest side in pixels, or the side of its crop; None
              takes the specification's
    settings  of `decode`, of a crop of `decode_crop`, in place of the specification's

    Raises ModelError where the specification is not of this method, or a setting is unknown or of another kind.
    """
    spec = network.spec
    settings = {**spec.decode, **settings}
    if spec.outputs == ("heatmaps",) and spec.task == "crop":
        check_settings("openpose", decode_crop, settings)
        return TopDownPredictor(network, partial(_decode_crop, skeleton=spec.skeleton, **settings), size)
    if set(spec.outputs) != {"heatmaps", "pafs"} or spec.task != "multi_instance":
        raise ModelError(
            f"openpose needs outputs heatmaps, pafs of a letterboxed image, or heatmaps of a crop; "
            f"model {spec.name} gives {', '.join(spec.outputs)} for task {spec.task}"
        )
    check_settings("openpose", decode, settings)
    return BottomUpPredictor(network, partial(_decode, skeleton=spec.skeleton, **settings), size)


def _decode(maps: Maps, skeleton: Skeleton, **settings: Any) -> Poses:
    return decode(maps["heatmaps"], maps["pafs"], skeleton, **settings)


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
