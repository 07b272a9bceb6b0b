"""OpenPose: every object in a picture, bottom-up, at a cost that hardly depends on their number.

Cao, Simon, Wei, Sheikh: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, CVPR 2017.
Cao, Hidalgo, Simon, Wei, Sheikh: OpenPose, TPAMI 2019 (arXiv 1812.08008), whose sections are cited here.

| section or equation | here |
|---|---|
| 3.1 a picture in, maps S and fields L out | `predictor`, `cairn.predictor.Predictor` |
| 3.2 the network, eq. 1 to 3 | `model` |
| eq. 4 to 6, the loss with its mask W(p), summed over stages | `training` |
| eq. 7 and 8, confidence maps: the maximum over people | `cairn.heatmaps.render_gaussians` |
| eq. 9 and 10, part affinity fields: the average over people | `cairn.fields.render_pafs` |
| 3.3 non-maximum suppression of the maps | `cairn.heatmaps.find_peaks` |
| eq. 11 and 12, the line integral between two candidates | `cairn.fields.line_integral` |
| eq. 13 to 15, matching limb by limb | `cairn.grouping` |
| 3.4, people from limbs, and the redundant limbs | `cairn.grouping` |
| 3.3 and 3.4 in one call | `decode` |

Where we depart: maps are decoded as they leave the network, with sub-cell refinement in place of the
released eightfold upsampling, and fields are rendered on the same grid as maps (the released code's lie
0.44 cell off).
"""

from __future__ import annotations

from typing import Any

from cairn.errors import ModelError
from cairn.methods.openpose.decoder import decode
from cairn.network import Maps, Network
from cairn.poses import Poses
from cairn.predictor import Predictor, check_settings

__all__ = ["decode", "predictor"]


def predictor(network: Network, size: int | None = None, **thresholds: Any) -> Predictor:
    """A predictor over a network whose outputs are `heatmaps` and `pafs`.

    size        longest side in pixels that the network is shown; None takes the specification's
    thresholds  of `decode`, in place of the specification's

    Raises ModelError where the specification is not of this method, or a threshold is unknown or of another kind.
    """
    spec = network.spec
    if set(spec.outputs) != {"heatmaps", "pafs"} or spec.input.fit != "letterbox":
        raise ModelError(
            f"openpose needs outputs heatmaps, pafs of a letterboxed picture; "
            f"model {spec.name} gives {', '.join(spec.outputs)} of a {spec.input.fit}"
        )
    settings = {**spec.decode, **thresholds}
    check_settings("openpose", decode, settings)

    def decode_maps(maps: Maps) -> Poses:
        return decode(maps["heatmaps"], maps["pafs"], spec.skeleton, **settings)

    return Predictor(network, decode_maps, size)
