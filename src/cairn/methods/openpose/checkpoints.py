"""Weights of the released networks, in files for Caffe, PyTorch or numpy, as a model of ours.

They are matched by the released layers' names, which every conversion keeps at the end of its own:
`conv1_1.weight`, `model0.conv1_1.weight`, `conv1_1/kernel`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.methods.openpose.released import STRIDE, Architecture, Released, body_25, one_branch, two_branches
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.reading import Checkpoint, few
from cairn.training.method import CheckpointReader

KNOWN = "OpenPose's COCO, MPI, BODY_25, hand and face"


@dataclass(frozen=True)
class Form:
    """Networks that differ in their widths alone.

    widths  argument of `build` -> the layer that has so many channels
    staged  `build` takes a number of stages, the first few of which are a network too
    """

    build: Callable[..., Architecture]
    widths: dict[str, str]
    staged: bool = True

    def architecture(self, stages: int, widths: Mapping[str, int] | None = None) -> Architecture:
        """widths: None where only the layers' names matter."""
        given = widths or dict.fromkeys(self.widths, 1)
        return self.build(**given, stages=stages) if self.staged else self.build(**given)


TWO_BRANCHES = Form(two_branches, {"maps": "conv5_5_CPM_L2", "fields": "conv5_5_CPM_L1"})
BODY_25 = Form(body_25, {"maps": "Mconv7_stage0_L1", "fields": "Mconv7_stage0_L2"}, staged=False)
ONE_BRANCH = Form(one_branch, {"maps": "conv6_2_CPM"})
FORMS = TWO_BRANCHES, BODY_25, ONE_BRANCH
STAGES = 6


@dataclass(frozen=True)
class Published:
    """A released network, with what the released code sets for it.

    draw_threshold  its render_threshold
    """

    name: str
    form: Form
    skeleton: str
    draw_threshold: float
    decode: dict[str, float | int | bool | str] = field(default_factory=dict)
    stages: int = STAGES


PARSING: dict[str, float | int | bool | str] = {
    "peak_threshold": 0.05,
    "sample_threshold": 0.05,
    "sample_share": 0.95,
    "min_parts": 3,
    "min_score": 0.4,
}
MPI = PARSING | {"peak_threshold": 0.6, "sample_threshold": 0.01}

FEET = "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"
"""They do not count towards a person's least number of parts: one foot is often found as both."""

PUBLISHED = (
    Published("COCO", TWO_BRANCHES, "coco18", 0.05, PARSING),
    Published("MPI", TWO_BRANCHES, "mpii15", 0.05, MPI),
    Published("MPI", TWO_BRANCHES, "mpii15", 0.05, MPI | {"peak_threshold": 0.3}, stages=4),
    Published("BODY_25", BODY_25, "body25", 0.05, PARSING),
    Published("hand", ONE_BRANCH, "hand21", 0.2),
    Published("face", ONE_BRANCH, "face70", 0.4),
)


def recognizes(checkpoint: Checkpoint) -> bool:
    """Whether a layer has a name that only these networks know."""
    return _form({_name(key) for key in checkpoint.weights}) is not None


def read_checkpoint(
    checkpoint: Checkpoint, name: str, joints: Skeleton | None = None, stages: int | None = None
) -> tuple[Released, ModelSpec]:
    """A released network with a file's weights, in evaluation mode, and its specification.

    joints  what its maps stand for, with its limbs in the order of its fields; None: as published
    stages  take the first so many alone; None: all

    Raises ModelError where the file is of no released network, layers are missing or unknown, a shape is not the
    network's, maps and fields are not the skeleton's, or there are no such stages.
    """
    path, weights = checkpoint.path, _by_name(checkpoint)
    form = _form(weights)
    if form is None:
        raise ModelError(f"{path} is of another network than {KNOWN}: it names {few(checkpoint.weights, 3)}")
    found = _stages(weights) if form.staged else STAGES
    if stages is not None and not form.staged:
        raise ModelError(f"{path} is of BODY_25, whose stages cannot be chosen: leave their number out")
    if stages is not None and not 1 <= stages <= found:
        raise ModelError(f"{path} has {found} stages: expected 1 to {found} to take, got {stages}")
    taken = stages or found
    _check_names(path, weights, _empty(form.architecture(found)))
    widths = {argument: weights[f"{layer}.bias"].numel() for argument, layer in form.widths.items()}
    joints, published = _published(path, form, widths, taken, joints)
    network = _filled(path, weights, _empty(form.architecture(taken, widths)))
    crop = "fields" not in widths
    feet = " ".join(joint for joint in FEET if joint in joints.joints)
    spec = ModelSpec(
        name=name,
        method="openpose",
        skeleton=joints,
        task="crop" if crop else "multi_instance",
        input=InputSpec(resize="square" if crop else "letterbox", size=368 if crop else 656, multiple=16, margin=1.0),
        stride=STRIDE,
        outputs=("heatmaps",) if crop else ("heatmaps", "pafs"),
        decode=published.decode | ({"ignore_keypoints": feet} if feet and not crop else {}),
        draw_threshold=published.draw_threshold,
        license="its publisher's; CMU's own weights are for non-commercial research only",
        sources=("https://github.com/CMU-Perceptual-Computing-Lab/openpose",),
        provenance={"imported from": f"OpenPose {published.name}", "stages": taken},
    )
    return network.eval(), spec


def _name(key: str) -> str:
    """A conversion's key as `layer.weight` or `layer.bias`; any other as it is."""
    matched = re.match(r"(?:.*[./])?([^./]+)[./](?:(weights?|kernel|W|alphas?)|bias(?:es)?|b)(?::0)?$", key)
    return f"{matched[1]}.{'weight' if matched[2] else 'bias'}" if matched else key


def _by_name(checkpoint: Checkpoint) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for key, value in checkpoint.weights.items():
        if _name(key) in weights:
            raise ModelError(f"{checkpoint.path} has {_name(key)} twice, once more as {key}: expected one network")
        weights[_name(key)] = value
    return weights


def _stages(names: Collection[str]) -> int:
    return max((int(n) for name in names for n in re.findall(r"^Mconv\d_stage(\d+)", name)), default=1)


def _form(names: Collection[str]) -> Form | None:
    """The form that knows the most of these names among those that no other form knows."""
    known = [_names(_empty(form.architecture(STAGES))) for form in FORMS]
    alone = [mine.difference(*(other for other in known if other is not mine)) for mine in known]
    hits = [len(mine.intersection(names)) for mine in alone]
    return FORMS[hits.index(max(hits))] if max(hits) else None


def _empty(architecture: Architecture) -> Released:
    """Without memory for weights."""
    with torch.device("meta"):
        return Released(architecture)


def _names(network: Released) -> set[str]:
    return set(network.layer.state_dict())


def _check_names(path: Path, names: Collection[str], network: Released) -> None:
    wanted = _names(network)
    faults = []
    if missing := wanted.difference(names):
        faults.append(f"it lacks {few(missing, 3)}")
    if unknown := set(names) - wanted:
        faults.append(f"it has {few(unknown, 3)}, which that network has not")
    if faults:
        raise ModelError(f"{path} is not the whole of an OpenPose network, or of another one: {'; '.join(faults)}")


def _published(
    path: Path, form: Form, widths: Mapping[str, int], stages: int, joints: Skeleton | None
) -> tuple[Skeleton, Published]:
    """What the outputs stand for, and the released network whose settings hold: of other widths, its form's first."""

    def fits(skeleton: Skeleton) -> bool:
        return _widths(skeleton).items() >= widths.items()

    alike = [one for one in PUBLISHED if one.form is form]
    same = [one for one in alike if fits(load_skeleton(one.skeleton))]
    published = next((one for one in same if one.stages == stages), (same or alike)[0])
    if joints is None and not same:
        raise ModelError(f"{path} has {_said(widths)}, as no released network: say which skeleton they stand for")
    joints = joints or load_skeleton(published.skeleton)
    if not fits(joints):
        expected = {argument: _widths(joints)[argument] for argument in widths}
        raise ModelError(f"{path} has {_said(widths)}, and skeleton {joints.name} is for {_said(expected)}")
    return joints, published


def _widths(skeleton: Skeleton) -> dict[str, int]:
    return {"maps": len(skeleton) + 1, "fields": 2 * len(skeleton.limbs)}


def _said(widths: Mapping[str, int]) -> str:
    return " and ".join(f"{width} {argument}" for argument, width in widths.items())


def _filled(path: Path, weights: Mapping[str, Tensor], network: Released) -> Released:
    state = {}
    for key, wanted in network.layer.state_dict().items():
        value = weights[key]
        if wanted.ndim == 4 and value.ndim == 4 and value.permute(3, 2, 0, 1).shape == wanted.shape:
            value = value.permute(3, 2, 0, 1)  # (h, w, in, out), TensorFlow's; no kernel is as large as its channels
        elif wanted.ndim == 1 and value.numel() == wanted.numel():
            value = value.flatten()
        if value.shape != wanted.shape:
            raise ModelError(f"{path}: {key} must be {tuple(wanted.shape)}, got {tuple(value.shape)}")
        if not value.isfinite().all():
            raise ModelError(f"{path} is damaged: {key} has numbers that are not finite")
        state[key] = value.float().contiguous()
    network.layer.load_state_dict(state, assign=True)
    return network


READER = CheckpointReader(KNOWN, recognizes, read_checkpoint, has_stages=True)
