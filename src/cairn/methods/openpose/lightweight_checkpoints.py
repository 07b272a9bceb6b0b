"""Imports the published weights of Lightweight OpenPose (Daniil-Osokin/lightweight-human-pose-estimation.pytorch).

The modules of `lightweight` have the structure of the published ones; only the names of the outer ones differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.methods.openpose.lightweight import LightweightOpenPose, lightweight_openpose
from cairn.methods.openpose.model import STRIDE
from cairn.methods.openpose.training import LastStage
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.backbone_file import MOBILENET_BLOCKS
from cairn.training.checkpoints.reading import Checkpoint, few

KNOWN = "Lightweight OpenPose"

MARK = "cpm.align.0.weight"
"""Name of a weight in every file, but for the prefix of its trainer."""

IMAGE_KERNEL = "model.0.0.weight"
"""The kernel of the convolution that takes images."""

PARSING: dict[str, float | int | bool | str] = {
    "peak_threshold": 0.1,
    "sample_threshold": 0.05,
    "sample_share": 0.8,
    "min_parts": 3,
    "min_score": 0.2,
    "free_length": 0.5,
    "second_try": False,
}
"""Thresholds of the published code."""

INFERENCE_SIZE = 656
"""Longest side in pixels: the 368 rows of the published evaluation, in an image of 16:9."""


def recognizes(checkpoint: Checkpoint) -> bool:
    """Whether the weights have the names of this network."""
    return any(f".{name}".endswith(f".{MARK}") for name in checkpoint.weights)


def read_checkpoint(
    checkpoint: Checkpoint, name: str, joints: Skeleton | None = None, stages: int | None = None
) -> tuple[nn.Module, ModelSpec]:
    """Returns the published network with a file's weights, in evaluation mode, and its specification.

    Args:
        checkpoint: The weights.
        name: Name of the model.
        joints: Skeleton of its outputs, with the limbs in the order of the PAFs; None: `coco18`, as published.
        stages: Number of stages to keep, the initial one included; None: all.

    Raises:
        ModelError: Layers are missing or unknown, a shape differs from the network's, the outputs do not fit the
            skeleton, or there are fewer stages.
    """
    path, joints = checkpoint.path, joints or load_skeleton("coco18")
    prefix = next(key for key in checkpoint.weights if f".{key}".endswith(f".{MARK}")).removesuffix(MARK)
    weights = {
        key.removeprefix(prefix): value
        for key, value in checkpoint.weights.items()
        if not key.endswith("num_batches_tracked")
    }
    available = 1 + len({name.split(".")[1] for name in weights if name.startswith("refinement_stages.")})
    if stages is not None and not 1 <= stages <= available:
        raise ModelError(f"{path} has {available} stages: expected --stages from 1 to {available}, got {stages}")
    kept = stages or available
    dropped = tuple(f"refinement_stages.{i}." for i in range(kept - 1, available - 1))
    _check_widths(weights, joints, str(path))
    network = lightweight_openpose(len(joints) + 1, 2 * len(joints.limbs), stages=kept)
    _fill(network, {key: value for key, value in weights.items() if not key.startswith(dropped)}, str(path))
    spec = ModelSpec(
        name=name,
        method="openpose",
        skeleton=joints,
        task="multi_instance",
        input=InputSpec(resize="letterbox", size=INFERENCE_SIZE, multiple=STRIDE, margin=1.0),
        stride=STRIDE,
        outputs=("heatmaps", "pafs"),
        decode=PARSING,
        draw_threshold=0.1,
        license="Apache-2.0",
        sources=("https://github.com/Daniil-Osokin/lightweight-human-pose-estimation.pytorch",),
        provenance={"imported from": KNOWN, "stages": kept},
    )
    return LastStage(network, logits=False).eval(), spec


def _check_widths(weights: Mapping[str, Tensor], joints: Skeleton, what: str) -> None:
    """Raises ModelError where the outputs do not fit the skeleton."""
    biases = [f"initial_stage.{part}.1.0.bias" for part in ("heatmaps", "pafs")]
    widths = [len(weights[bias]) if bias in weights else 0 for bias in biases]
    expected = [len(joints) + 1, 2 * len(joints.limbs)]
    if all(widths) and widths != expected:
        raise ModelError(
            f"{what} has {widths[0]} maps and {widths[1]} fields, but skeleton {joints.name} needs {expected[0]} maps "
            f"and {expected[1]} fields: name the skeleton that it was trained for with --skeleton"
        )


def _published_name(name: str) -> str:
    """The published name of one of our weights."""
    if match := re.fullmatch(r"backbone\.stages\.(\d)\.(\d)\.(.+)", name):
        return f"model.{MOBILENET_BLOCKS[int(match[1])][int(match[2])]}.{match[3]}"
    return re.sub(r"^features\.", "cpm.", name).replace(".body.", ".trunk.")  # vocabulary: allow


def _fill(network: LightweightOpenPose, weights: Mapping[str, Tensor], what: str) -> None:
    """Copies weights by their published names. Raises ModelError where they are of another network."""
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    places = {_published_name(key): key for key in state}
    faults = []
    if missing := places.keys() - weights.keys():
        faults.append(f"it lacks {few(missing, 3)}")
    if unknown := weights.keys() - places.keys():
        faults.append(f"it has {few(unknown, 3)}, which that network lacks")
    if faults:
        raise ModelError(f"{what} has an incomplete Lightweight OpenPose, or another network: {'; '.join(faults)}")
    for name, value in weights.items():
        expected = state[places[name]].shape
        if value.shape != expected:
            raise ModelError(f"{what}: {name} must be {tuple(expected)}, got {tuple(value.shape)}")
        if not value.isfinite().all():
            raise ModelError(f"{what} is damaged: {name} has values that are not finite")
        state[places[name]] = value.flip(1) if name == IMAGE_KERNEL else value  # BGR -> RGB
    network.load_state_dict(state, strict=False)
