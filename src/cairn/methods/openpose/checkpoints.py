"""Imports the weights of the released networks from files of Caffe, PyTorch or numpy.

Weights are matched by the names of the released layers, with which the names of every conversion end:
`conv1_1.weight`, `model0.conv1_1.weight`, `conv1_1/kernel`. An early conversion of COCO's and MPI's networks to PyTorch
numbers the modules instead: `model0.0.weight`, `model1_1.2.bias`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.methods.openpose import lightweight_checkpoints
from cairn.methods.openpose.released import BODY, STRIDE, Architecture, Released, body_25, one_branch, two_branches
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.reading import Checkpoint, few
from cairn.training.method import CheckpointReader

KNOWN = "OpenPose's COCO, MPI, BODY_25, hand and face"


@dataclass(frozen=True)
class Form:
    """Networks that differ only in their widths.

    Attributes:
        build: Returns the architecture.
        widths: Argument of `build` -> the layer that has this number of channels.
        staged: Whether `build` takes a number of stages; the first few stages are a network too.
    """

    build: Callable[..., Architecture]
    widths: dict[str, str]
    staged: bool = True

    def architecture(self, stages: int, widths: Mapping[str, int] | None = None) -> Architecture:
        """Returns the architecture.

        Args:
            stages: Number of stages.
            widths: Arguments of `build`; None where only the names of layers matter.
        """
        given = widths or dict.fromkeys(self.widths, 1)
        return self.build(**given, stages=stages) if self.staged else self.build(**given)


TWO_BRANCHES = Form(two_branches, {"maps": "conv5_5_CPM_L2", "fields": "conv5_5_CPM_L1"})
BODY_25 = Form(body_25, {"maps": "Mconv7_stage0_L1", "fields": "Mconv7_stage0_L2"}, staged=False)
ONE_BRANCH = Form(one_branch, {"maps": "conv6_2_CPM"})
FORMS = TWO_BRANCHES, BODY_25, ONE_BRANCH
STAGES = 6


@dataclass(frozen=True)
class Published:
    """A released network, with the settings of the released code.

    Attributes:
        name: Name in messages and in the exported file.
        form: Architecture of the network.
        skeleton: Name of its skeleton.
        draw_threshold: The released render_threshold.
        decode: Settings of `decoder.decode`.
        stages: Number of stages.
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
"""Joints that do not count for a person's minimum number of parts: one foot is often detected as both."""

PUBLISHED = (
    Published("COCO", TWO_BRANCHES, "coco18", 0.05, PARSING),
    Published("MPI", TWO_BRANCHES, "mpii15", 0.05, MPI),
    Published("MPI", TWO_BRANCHES, "mpii15", 0.05, MPI | {"peak_threshold": 0.3}, stages=4),
    Published("BODY_25", BODY_25, "body25", 0.05, PARSING),
    Published("hand", ONE_BRANCH, "hand21", 0.2),
    Published("face", ONE_BRANCH, "face70", 0.4),
)


def recognizes(checkpoint: Checkpoint) -> bool:
    """Whether a layer has a name that occurs only in these networks."""
    return _form({_name(key) for key in checkpoint.weights}) is not None


def read_checkpoint(
    checkpoint: Checkpoint, name: str, joints: Skeleton | None = None, stages: int | None = None
) -> tuple[Released, ModelSpec]:
    """Returns a released network with a file's weights, in evaluation mode, and its specification.

    Args:
        checkpoint: The weights.
        name: Name of the model.
        joints: Skeleton of its outputs, with the limbs in the order of the PAFs; None: as published.
        stages: Number of stages to keep, counted from the first; None: all.

    Raises:
        ModelError: The file is of no released network, layers are missing or unknown, a shape differs from the
            network's, the outputs do not fit the skeleton, or there are fewer stages.
    """
    path, weights = checkpoint.path, _by_name(checkpoint)
    form = _form(weights)
    if form is None:
        raise ModelError(
            f"{path} has the weights of another network than {KNOWN}: it contains {few(checkpoint.weights, 3)}"
        )
    available = _stages(weights) if form.staged else STAGES
    if stages is not None and not form.staged:
        raise ModelError(f"{path} is of BODY_25, which is imported with all stages: omit --stages")
    if stages is not None and not 1 <= stages <= available:
        raise ModelError(f"{path} has {available} stages: expected --stages from 1 to {available}, got {stages}")
    kept = stages or available
    _check_names(path, weights, _empty(form.architecture(available)))
    widths = {argument: weights[f"{layer}.bias"].numel() for argument, layer in form.widths.items()}
    joints, published = _published(path, form, widths, kept, joints)
    network = _filled(path, weights, _empty(form.architecture(kept, widths)))
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
        provenance={"imported from": f"OpenPose {published.name}", "stages": kept},
    )
    return network.eval(), spec


def _name(key: str) -> str:
    """The key of a conversion as `layer.weight` or `layer.bias`; other keys unchanged."""
    key = _numbered_name(key)
    matched = re.match(r"(?:.*[./])?([^./]+)[./](?:(weights?|kernel|W|alphas?)|bias(?:es)?|b)(?::0)?$", key)
    return f"{matched[1]}.{'weight' if matched[2] else 'bias'}" if matched else key


NUMBERED = r"(?:.*\.)?model(\d)(?:_([12]))?\.(\d+)\.(weight|bias)"
"""A name of the conversion that numbers modules: stage (0 for the backbone), branch, module in it."""

BACKBONE_MODULES = dict(zip((0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25), BODY, strict=True))
"""Number of a module of the backbone, where activations and poolings count, too -> name of the layer."""


def _numbered_name(key: str) -> str:
    """The released name of a numbered module; other keys unchanged."""
    match = re.fullmatch(NUMBERED, key)
    if match is None or (match[1] == "0") != (match[2] is None):
        return key
    stage, branch, module, leaf = match.groups()
    if stage == "0":
        return f"{BACKBONE_MODULES[int(module)]}.{leaf}" if int(module) in BACKBONE_MODULES else key
    number = int(module) // 2 + 1  # every other module is an activation
    if int(module) % 2 or number > (5 if stage == "1" else 7):
        return key
    layer = f"conv5_{number}_CPM_L{branch}" if stage == "1" else f"Mconv{number}_stage{stage}_L{branch}"
    return f"{layer}.{leaf}"


def _by_name(checkpoint: Checkpoint) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    for key, value in checkpoint.weights.items():
        if _name(key) in weights:
            raise ModelError(
                f"{checkpoint.path} has {_name(key)} twice, the second time as {key}: expected one network"
            )
        weights[_name(key)] = value
    return weights


def _stages(names: Collection[str]) -> int:
    return max((int(n) for name in names for n in re.findall(r"^Mconv\d_stage(\d+)", name)), default=1)


def _form(names: Collection[str]) -> Form | None:
    """The form with the most of these names, counting only names that no other form has."""
    known = [_names(_empty(form.architecture(STAGES))) for form in FORMS]
    alone = [mine.difference(*(other for other in known if other is not mine)) for mine in known]
    hits = [len(mine.intersection(names)) for mine in alone]
    return FORMS[hits.index(max(hits))] if max(hits) else None


def _empty(architecture: Architecture) -> Released:
    """The network without memory for weights."""
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
        faults.append(f"it has {few(unknown, 3)}, which that network lacks")
    if faults:
        raise ModelError(f"{path} has an incomplete OpenPose network, or another one: {'; '.join(faults)}")


def _published(
    path: Path, form: Form, widths: Mapping[str, int], stages: int, joints: Skeleton | None
) -> tuple[Skeleton, Published]:
    """The skeleton of the outputs, and the released network whose settings apply: by default its form's first."""

    def fits(skeleton: Skeleton) -> bool:
        return _widths(skeleton).items() >= widths.items()

    of_form = [one for one in PUBLISHED if one.form is form]
    same = [one for one in of_form if fits(load_skeleton(one.skeleton))]
    published = next((one for one in same if one.stages == stages), (same or of_form)[0])
    if joints is None and not same:
        raise ModelError(
            f"{path} has {_described(widths)}, unlike every released network: name their skeleton with --skeleton"
        )
    joints = joints or load_skeleton(published.skeleton)
    if not fits(joints):
        expected = {argument: _widths(joints)[argument] for argument in widths}
        raise ModelError(f"{path} has {_described(widths)}, but skeleton {joints.name} needs {_described(expected)}")
    return joints, published


def _widths(skeleton: Skeleton) -> dict[str, int]:
    return {"maps": len(skeleton) + 1, "fields": 2 * len(skeleton.limbs)}


def _described(widths: Mapping[str, int]) -> str:
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
            raise ModelError(f"{path} is damaged: {key} has values that are not finite")
        state[key] = value.float().contiguous()
    network.layer.load_state_dict(state, assign=True)
    return network


def _recognizes_any(checkpoint: Checkpoint) -> bool:
    return lightweight_checkpoints.recognizes(checkpoint) or recognizes(checkpoint)


def _read_any(checkpoint: Checkpoint, name: str, **options: Any) -> tuple[nn.Module, ModelSpec]:
    """`read_checkpoint` of the network that the weights are of."""
    if lightweight_checkpoints.recognizes(checkpoint):
        return lightweight_checkpoints.read_checkpoint(checkpoint, name, **options)
    return read_checkpoint(checkpoint, name, **options)


READER = CheckpointReader(f"{KNOWN}, {lightweight_checkpoints.KNOWN}", _recognizes_any, _read_any, has_stages=True)
