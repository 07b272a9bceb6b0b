"""Factorized Spatial Embeddings: landmarks of an object class without labels.

Thewlis, Bilen, Vedaldi: Unsupervised Learning of Object Landmarks by Factorized Spatial Embeddings, ICCV 2017
(arXiv 1705.02193). Sections and equations are the paper's.

| section or equation | code |
|---|---|
| 3.1, equivariance: landmarks follow the object, Φ(x∘g) = g⁻¹(Φ(x)) | `measures.consistency` |
| 3.2, score maps and their softmax | `model.PaperNetwork`, `model.HourglassNetwork`, `losses.probabilities` |
| equation 4, soft-argmax | `losses.positions`, `model.Detector` |
| 3.3, alignment of points (3) and of probabilities (6) | `losses.align_points`, `losses.align_probabilities` |
| 3.3, diversity, pairwise (7) and in linear time (8), over patches | `losses.diversity_pairwise`, `losses.diversity` |
| 3.4, pairs from random thin-plate splines | `warp`, `pairs.PairMaker` |
| 4, regression of labeled points from landmarks | `regression`, `teaching` |

Departures from the paper, with the setting of a recipe that gives the paper's method. `recipes/papers/landmarks-*.toml`
have all of them:

| departure | setting of the paper |
|---|---|
| convolutions use reflection padding instead of zero padding (see `model`) | none |
| the default network is an hourglass of one level | `network.kind = "paper"` |
| images of 128 pixels whose middle 96 are the input, not 100 and 80 | `input.size = 80`, `input.middle = 0.8` |
| both images of a pair get random color changes | `augmentation.color = 0` |
| coordinates from -1 to 1 across the input, not cells, so that γ holds for every size | `loss.weight` = 4 γ / cells² |
| diversity sums p over patches; their mean is m² smaller | `loss.weight` |
| warps map the second view into the first, so landmarks obey g(Φ(x′)) = Φ(x): no warp is inverted | none |
| AdamW 2·10⁻³ with a cosine, a moving average of weights | `optimizer.name`, `schedule`, `ema` |
| a landmark has a confidence: its probability near its position | none |
| taught points may come from ridge regression, and from the mirror image, too | no `--ridge`, no `--mirror` |

These are off by default, and `recipes/landmarks-long.toml` turns them on for long runs:

| departure | setting of the paper |
|---|---|
| the input includes the image around its middle, and maps are cut to the middle | `input.context = false` |
| a further shift moves the two views of a pair in opposite directions | `warps.apart = 0` |
| alignment ignores a landmark that one of both views does not contain | `loss.in_view = false` |
| the logarithm of the alignment is minimized | `loss.log = false`, with a `loss.weight` of 0.03 (0.3 with it) |
| later, the logarithm of each landmark's own alignment | `loss.each = false` |
| later, more rotation and scale between the views | `warps.growth = 1` |
| the weight of diversity falls during the run | `loss.final = 1` |

The decision records 0042 and 0087 measure their effect. `drift` ends a run whose landmarks settle on a fixed grid.
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
    from cairn.training.exporting.decoding.decoder import GraphDecoder
    from cairn.training.method import TrainingMethod

__all__ = ["METHOD", "decode", "predictor"]


def predictor(network: Network, size: int | None = None, **settings: Any) -> TopDownPredictor:
    """Returns a predictor for a network with the outputs `keypoints` and `confidence`.

    Args:
        network: The network, with its specification.
        size: Input side in pixels; only the model's own is possible.
        **settings: Must be empty: `decode` has no settings.

    Raises:
        ModelError: The specification is not of this method, the size is not the model's own, or a setting is given.
    """
    spec = network.spec
    if spec.outputs != ("keypoints", "confidence") or spec.task not in METHOD.tasks:
        raise ModelError(
            f"landmarks needs outputs keypoints, confidence of a whole image or a crop; "
            f"model {spec.name} gives {', '.join(spec.outputs)} for task {spec.task}"
        )
    if size not in (None, spec.input.size):
        raise ModelError(f"model {spec.name} has a fixed input size of {spec.input.size} pixels, got {size}")
    check_settings("landmarks", decode, {**spec.decode, **settings})
    return TopDownPredictor(network, partial(_decode_outputs, skeleton=spec.skeleton), size)


def _decode_outputs(maps: Maps, skeleton: Skeleton) -> Poses:
    return decode(maps["keypoints"], maps["confidence"], skeleton)


def _training() -> TrainingMethod:
    from cairn.methods.landmarks.training import TRAINING

    return TRAINING


def _graph_decoder() -> GraphDecoder:
    from cairn.methods.landmarks.graph import DECODER

    return DECODER


METHOD = Method("landmarks", ("single_instance", "crop"), predictor, _training, graph_decoder=_graph_decoder)
