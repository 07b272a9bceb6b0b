"""OpenPose: all instances of an image, bottom-up, in a time that hardly depends on their number.

Cao, Simon, Wei, Sheikh: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields, CVPR 2017.
Cao, Hidalgo, Simon, Wei, Sheikh: OpenPose, TPAMI 2019 (arXiv 1812.08008), whose sections are cited here.

| section or equation | here |
|---|---|
| 3 image in, confidence maps S and PAFs L out | `predictor`, `cairn.inference.predictor.BottomUpPredictor` |
| 3.1 the stages, figure 3 | `model` |
| 3.2 the network, eq. 1 to 3 | `model` |
| 3.2 its backbone, VGG-19 | `cairn.training.backbones.vgg` |
| eq. 4 to 6, the loss, summed over stages | `training.stage_losses` |
| its mask W(p) | `training.supervised_cells` |
| 3.3, eq. 7 and 8, confidence maps: the maximum over people | `cairn.ops.heatmaps.render_gaussians` |
| 3.3 non-maximum suppression of the confidence maps | `cairn.ops.heatmaps.find_peaks` |
| 3.4, eq. 9 and 10, part affinity fields (PAFs): the average over people | `cairn.ops.pafs.render_pafs` |
| eq. 11 and 12, the line integral between two candidates | `cairn.ops.pafs.line_integral` |
| 3.5, eq. 13 to 16, matching limb by limb | `cairn.ops.grouping` |
| 3.5 people assembled from limbs, and redundant limbs | `cairn.ops.grouping` |
| 3.3 to 3.5 in one call | `decode` |
| CVPR's eq. 1 to 5 network and loss, 6 and 7 maps, 8 and 9 PAFs, 10 and 11 integral, 12 to 15 matching | likewise |
| the released scale of training crops | `training.random_square` |
| the released networks and their weights | `released`, `checkpoints` |
| the class of each instance, by class maps | `training.Encoder`, `classify` |
| the visibility of keypoints | `cairn.training.data.visibility`, `cairn.inference.visibility` |
| hands and faces in a crop (Simon et al., CVPR 2017) | `decode_crop`, `cairn.inference.predictor.TopDownPredictor` |
| their training | `crops` |
| Lightweight OpenPose (Osokin, arXiv 1811.12004) and its weights | `lightweight`, `lightweight_checkpoints` |
| starts: VGG-19 and imported networks | `cairn.training.checkpoints.backbone_file`, `released_weights` |

Departures from the papers and the released code. The setting that restores the original is in parentheses.

- Backbone. Original: VGG-19. Here: any registered one, light stages for CPUs (`kind = "paper"`, `"cvpr"`).
- Images. Original: x / 256 - 0.5. Here: as the backbone's pretrained weights take them (`network.normalization =
  "centered"`).
- Background channel. Original: 1 - max over parts, last. Here: none, decoding does not use it (`network.background`).
- Σ of eq. 7. Original: exp(-d²/σ²). Here: exp(-d²/2σ²) as the release: the paper's σ is √2 times `targets.sigma`; 7 px
  at stride 8.
- PAF grid. Original: release: rendered at x/8, 0.44 cells off the maps. Here: the grid of the confidence maps, as in
  the paper.
- Loss. Original: squared error. Here: weighted cross-entropy of the maps (`loss.kind = "squared"`).
- Size of the loss. Original: release: half of it, mean over the batch. Here: eq. 4 to 6, mean over the batch.
- W(p), eq. 4 and 5. Original: release: 0 in the outlines of people without keypoints, and in those of crowds without
  the outlines of labeled people. Here: the same outlines; a box where there is none; crowds and such boxes count within
  boxes of labeled people.
- Joints that a data set never labels. Here: no loss, and none for their limbs (`unlabeled` of a source: per image).
- Scale of training crops. Original: release: box height = 0.6 of 368 px, times 0.5 to 1.1 (later 1/3 to 1.5), uniform.
  Here: the image as at inference, times `augmentation.scale`, log-uniform (`input.person_height = 0.6`, of 480 px 0.46;
  the law stays).
- Center of crops. Original: release: each person with 5 keypoints and 32² px, apart from others; ±40 px. Here: a random
  labeled person of each image per epoch; ±`augmentation.shift` of the crop (40/368).
- Colors. Original: unchanged. Here: jitter, gray and occlusion (`color`, `gray`, `occlude` = 0).
- Learning rate. Original: release: 4 times as much for stages from 2 on, 8 for biases; of Lightweight OpenPose
  likewise. Here: one for all layers; `network.backbone_lr_factor` for the backbone.
- Optimizer. Original: release: SGD or Adam in steps. Here: AdamW, cosine, averaged weights (`optimizer`).
- Padding at inference. Original: black, to multiples of 16. Here: gray, to multiples of 16, or of what the
  backbone needs.
- Resolution of decoding. Original: maps enlarged 8 times, centroid of 7×7. Here: the network's, log-parabola of 3×3:
  1/64 of the work.
- Samples of eq. 11. Original: 5 to 25 by length; CVPR 10. Here: likewise, an odd number, inset at both ends.
- Near candidates. Original: release: below √(WH)/150 px. Here: below one cell.
- Score of a limb. Original: eq. 11; CVPR's release with a length prior. Here: eq. 11, and the prior by
  `free_length = 0.5`, which the bundled `person` has.
- Order of candidates, eq. 13 to 16. Original: the integral alone; the CUDA release adds 0.1 times the confidences of
  both parts. Here: as the CUDA release, in greedy and in Hungarian matching: the latter maximizes this sum, not E
  alone.
- Matching, eq. 13 to 16. Original: CVPR: Hungarian; TPAMI: greedy. Here: greedy, then two limbs replace those in their
  way where they are worth more (`matching = "greedy"`, `"hungarian"`).
- Assembly. Original: limb by limb; the CUDA release all limbs by priority. Here: all limbs by priority (`order =
  "limb"`).
- Joint without limbs. Here: a person of its own.
- Minimum number of parts. Original: 3. Here: 3, or all of a component of the skeleton with fewer.
- Several categories (none in the papers). Here: a head for class maps, one per category: its target is the maximum over
  the keypoints of that category; an instance has the class with the largest sum at its keypoints.
- Occluded keypoints. Original: trained like visible ones. Here: likewise; `network.visibility` adds a head that tells
  them apart.
- Decoder of Lightweight OpenPose. Original: minimum distance of peaks. Here: its thresholds and its length prior.
"""

from __future__ import annotations

from dataclasses import replace
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
    from cairn.training.exporting.decoding.decoder import GraphDecoder
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
    poses = decode(maps["heatmaps"], maps["pafs"], skeleton, **settings)
    poses = with_visibility(replace(poses, skeleton=skeleton.shown), maps)
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


def _graph_decoder() -> GraphDecoder:
    from cairn.methods.openpose.graph import DECODER

    return DECODER


METHOD = Method("openpose", ("multi_instance", "crop"), predictor, _training, _autoconfig, _checkpoints, _graph_decoder)
