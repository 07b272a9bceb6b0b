"""Factorized Spatial Embeddings: landmarks of a kind of object that nobody has labeled.

Thewlis, Bilen, Vedaldi: Unsupervised Learning of Object Landmarks by Factorized Spatial Embeddings, ICCV 2017
(arXiv 1705.02193), whose sections and equations are cited here.

| section or equation | here |
|---|---|
| 3.1, equivariance: landmarks follow the object, Φ(x∘g) = g⁻¹(Φ(x)) | `measures.consistency` |
| 3.2, score maps and their softmax | `model.PaperBackbone`, `model.HourglassBackbone`, `losses.probabilities` |
| soft-argmax | `losses.positions`, `model.Detector` |
| 3.3, alignment of points and of probabilities | `losses.align_points`, `losses.align_probabilities` |
| 3.3, diversity, pairwise and in linear time, over patches | `losses.diversity_pairwise`, `losses.diversity` |
| 3.4, pairs from random thin-plate splines | `warp`, `pairs.PairMaker` |
| 4, regression of labeled points from landmarks | `teaching` |

Where we depart: convolutions mirror their input at the edge instead of adding zeros (see `model`), the usual backbone is
an hourglass of one level, and both images of a pair change their colors (docs/decisions/0042-landmarks.md says what
each is worth).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from cairn.errors import ModelError
from cairn.inference.network import Maps, Network
from cairn.inference.predictor import TopDownPredictor, check_settings
from cairn.methods.landmarks.decoder import decode
from cairn.methods.method import Method
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.training.method import TrainingMethod

__all__ = ["METHOD", "decode", "predictor"]


def predictor(network: Network, size: int | None = None, **settings: Any) -> TopDownPredictor:
    """A predictor over a network whose outputs are `keypoints` and `confidence` of a whole image.

    Raises ModelError where the specification is not of this method, a size is given that is not the model's own,
    or any setting, since `decode` has none.
    """
    spec = network.spec
    if spec.outputs != ("keypoints", "confidence") or spec.task != "single_instance":
        raise ModelError(
            f"landmarks needs outputs keypoints, confidence of a whole image; "
            f"model {spec.name} gives {', '.join(spec.outputs)} for task {spec.task}"
        )
    if size not in (None, spec.input.size):
        raise ModelError(f"model {spec.name} is shown {spec.input.size} pixels and no other size, got {size}")
    check_settings("landmarks", decode, {**spec.decode, **settings})
    return TopDownPredictor(network, partial(_decode, skeleton=spec.skeleton), size)


def _decode(maps: Maps, skeleton: Skeleton) -> Poses:
    return decode(maps["keypoints"], maps["confidence"], skeleton)


def _training() -> TrainingMethod:
    from cairn.methods.landmarks.training import TRAINING

    return TRAINING


METHOD = Method("landmarks", ("single_instance",), predictor, _training)
