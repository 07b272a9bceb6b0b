"""Fine-tuning: pretrained weights of a bundled model, an exported file or a run, also for other joints.

The checkpoint of a run has all weights. An exported file has them by name too, but its BatchNorms that follow a
convolution are folded into it: scale and offset are part of the convolution, mean and variance are lost.
`restore_norms` estimates them from images. The network then computes the same as before, and can be trained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.inference import zoo
from cairn.inference.model_spec import METADATA_KEY, ModelSpec
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.reading import current_names, read_weights
from cairn.training.engine.module import Channels
from cairn.training.recipe_tables import read_recipe
from cairn.training.run_folder import read_classes

FOLDED_BIAS = ".weight_bias"
"""Suffix that torch's exporter gives the bias of a convolution that had none before folding."""

SLOPES = ".slopes"
"""Suffix, after the name of a convolution, for the slopes of the PReLU that follows it in an exported file.

torch's exporter gives slopes names without meaning."""

LOSS = "loss"
"""Key of a specification's provenance for the loss of the heatmaps, where it is not the method's default."""

IMPORTED = "imported from"
"""Key of the provenance of an imported model; published networks are trained by the squared error."""

PREFIX = "network."
"""Prefix of a network's weights in checkpoints and exported files."""

CLASS_HEAD = "class_head."
"""Prefix of the weights of a network's class head; a network of one class has none."""

VISIBILITY_HEAD = "visibility_head."
"""The same of its head for the visibility of keypoints, which a network may lack."""


@dataclass(frozen=True)
class Start:
    """Pretrained weights.

    Attributes:
        name: Name in the recipe.
        method: Method of the model.
        skeleton: Skeleton of the model.
        weights: Weights of the network by name.
        classes: Names of its classes; empty for a model of one class.
        spec: Its specification; None for a run.
        loss: Name of the loss of its heatmaps; None for the method's default.
        stride: Pixels per cell of its heatmaps; None for the method's default.
    """

    name: str
    method: str
    skeleton: Skeleton
    weights: dict[str, Tensor]
    classes: tuple[str, ...] = ()
    spec: ModelSpec | None = None
    loss: str | None = None
    stride: int | None = None

    @property
    def imported(self) -> bool:
        """Whether it is a published network that `cairn import` converted."""
        return self.spec is not None and IMPORTED in self.spec.provenance

    def has(self, name: str) -> bool:
        """Whether the model has a part with this weight; only its heads for classes and visibility may be missing."""
        if name.startswith(VISIBILITY_HEAD):
            return any(key.startswith(VISIBILITY_HEAD) for key in self.weights)
        return bool(self.classes) or not name.startswith(CLASS_HEAD)


def read_start(source: str) -> Start:
    """Reads pretrained weights.

    Args:
        source: A bundled model by name, an .onnx file, the folder of a run (its best checkpoint), or a checkpoint.

    Raises:
        ModelError: There are no weights, or they cannot be read.
        RecipeError: The recipe of the run is damaged.
        SkeletonError: The skeleton of the run is damaged.
    """
    path = Path(source)
    if path.is_dir():
        checkpoints = [path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
        path = next((entry for entry in checkpoints if entry.is_file()), checkpoints[0])
    if path.suffix == ".ckpt":
        return _of_run(source, path)
    return _of_onnx(source, path if path.suffix == ".onnx" else zoo.path_to_learn_from(source))


def carry_over(network: nn.Module, start: Start, now: Channels, then: Channels) -> tuple[int, int]:
    """Copies pretrained weights into a network; channels of joints and limbs that they lack keep their values.

    So do the channels of classes that they lack, and the whole class head where they have none.

    Args:
        network: The network.
        start: The pretrained weights.
        now: Joint or limb of each channel of the weights of `network`.
        then: Joint or limb of each channel in the pretrained model.

    Returns:
        Number of channels of joints and limbs that were copied, and of all of them.

    Raises:
        ModelError: The weights are of another network, which is then unchanged.
    """
    weights = _unfolded(network, start)
    state = network.state_dict()
    filled: dict[str, Tensor] = {}
    carried = places = 0
    for name, value in state.items():
        if name.endswith("num_batches_tracked") or not start.has(name):
            continue
        if name not in weights:
            raise ModelError(f"{start.name} has no weights {name}: it is of another network than the recipe describes")
        given = weights[name].to(value.dtype)
        axis, meanings = now.get(name, (0, ()))
        _, before = then.get(name, (0, ()))
        expected = list(value.shape)
        if before:
            expected[axis] = len(before)
        if list(given.shape) != expected:
            shapes = ", expected ".join(" x ".join(map(str, shape)) for shape in (given.shape, expected))
            raise ModelError(f"{start.name} is of another network than the recipe describes: {name} has shape {shapes}")
        if before:
            where = {meaning: i for i, meaning in enumerate(before)}
            pairs = [(i, where[meaning]) for i, meaning in enumerate(meanings) if meaning in where]
            if not name.startswith(CLASS_HEAD):
                carried, places = carried + len(pairs), places + len(meanings)
            to, source = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
            given = value.clone().index_copy(axis, to, given.index_select(axis, source))
        filled[name] = given
    network.load_state_dict(filled, strict=False)
    return carried, places


def folded_norms(network: nn.Module, start: Start) -> list[str]:
    """Returns the names of a network's BatchNorms that are not in the weights: they were folded into convolutions."""
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    return [name for name in norms if f"{name}.weight" not in start.weights and start.has(name)]


@torch.no_grad()
def restore_norms(network: nn.Module, names: Iterable[str], batches: Iterable[Tensor]) -> None:
    """Estimates the statistics of identity BatchNorms from their inputs; the network's output stays the same.

    Args:
        network: The network.
        names: Names of its BatchNorms, with scale 1, offset 0, mean 0 and variance 1, but for a convolution's bias.
        batches: Images (B, 3, h, w), RGB from 0 to 255.
    """
    norms = {name: norm for name in names if isinstance(norm := network.get_submodule(name), nn.BatchNorm2d)}
    sums = {name: torch.zeros(3, norm.num_features) for name, norm in norms.items()}  # count, sum, sum of squares

    def counting(name: str) -> Any:
        def count(_: nn.Module, inputs: tuple[Tensor]) -> None:
            x = inputs[0].transpose(0, 1).flatten(1).double()  # (C, B·h·w)
            sums[name] = sums[name] + torch.stack([torch.full_like(x[:, 0], x.shape[1]), x.sum(1), x.square().sum(1)])

        return count

    hooks = [norm.register_forward_pre_hook(counting(name)) for name, norm in norms.items()]
    was_training = network.training
    network.eval()
    try:
        for batch in batches:
            network(batch)
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    for name, norm in norms.items():
        number, total, squares = sums[name]
        mean = total / number
        variance = (squares / number - mean.square()).clamp(min=0)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def _unfolded(network: nn.Module, start: Start) -> dict[str, Tensor]:
    """Weights with identity BatchNorms where they were folded; a convolution's new bias becomes their offset."""
    result = dict(start.weights)
    folded = set(folded_norms(network, start))
    convolution = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = name
        if isinstance(module, nn.PReLU) and convolution + SLOPES in result:
            result[f"{name}.weight"] = result.pop(convolution + SLOPES).flatten()
        if name in folded and isinstance(module, nn.BatchNorm2d):
            nothing = torch.zeros(module.num_features)
            result[f"{name}.weight"] = nothing + 1
            result[f"{name}.bias"] = result.pop(convolution + FOLDED_BIAS, nothing)
            result[f"{name}.running_mean"] = nothing
            result[f"{name}.running_var"] = nothing + 1 - module.eps
    return result


def _of_run(source: str, path: Path) -> Start:
    run = path.parent.parent
    weights = read_weights(path).weights
    recipe = read_recipe(run / "recipe.toml")
    loss = recipe.get("loss")
    loss = loss.get("kind") if isinstance(loss, Mapping) else loss
    network = recipe.get("network")
    stride = network.get("stride") if isinstance(network, Mapping) else None
    return Start(
        source,
        str(recipe.get("method")),
        load_skeleton(str(run / "skeleton.toml")),
        _within(weights),
        read_classes(run),
        loss=loss if isinstance(loss, str) else None,
        stride=stride if isinstance(stride, int) else None,
    )


def _of_onnx(source: str, path: Path) -> Start:
    import onnx

    try:
        proto = onnx.load(str(path))
    except OSError as error:
        raise ModelError(f"no model to fine-tune at {path}: {error.strerror}") from None
    except Exception as error:  # protobuf's own types
        raise ModelError(f"{path} is not an ONNX model ({type(error).__name__})") from None
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path} is an ONNX model without {METADATA_KEY} metadata: expected one that Cairn exported")
    spec = ModelSpec.from_json(metadata[METADATA_KEY], str(path))
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    floats = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind == "f"}
    floats |= _dequantized(proto.graph, arrays)
    floats |= {name: floats[slopes] for name, slopes in _slopes(proto.graph).items() if slopes in floats}
    named = {name: torch.from_numpy(array.copy()) for name, array in floats.items()}
    weights = _within(named) or named
    if not any("." in name for name in weights):
        raise ModelError(f"{path} contains no weights by the names of a network of Cairn: it cannot be fine-tuned")
    loss = spec.provenance.get(LOSS, "squared" if IMPORTED in spec.provenance else None)
    loss = None if loss is None else str(loss)
    return Start(source, spec.method, spec.skeleton, weights, spec.classes, spec, loss, spec.stride)


def _dequantized(graph: Any, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """Name of a weight that is stored in 8 bits -> its values."""
    result = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            steps, scale, *zero = (arrays[name] for name in node.input)
            axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
            along = [-1 if dimension == axis else 1 for dimension in range(steps.ndim)] if scale.size > 1 else ()
            middle = zero[0].astype(np.float32).reshape(along) if zero else np.float32(0)
            values = (steps.astype(np.float32) - middle) * scale.astype(np.float32).reshape(along)
            result[node.input[0].removesuffix("_quantized")] = values
    return result


def _slopes(graph: Any) -> dict[str, str]:
    """Name of a convolution with `SLOPES` -> name of the initializer with the slopes of the PReLU that follows it."""
    convolutions = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "Conv"}
    return {
        convolutions[node.input[0]].removesuffix(".weight") + SLOPES: node.input[1]
        for node in graph.node
        if node.op_type == "PRelu" and node.input[0] in convolutions
    }


def _within(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network, by their present names in it."""
    return {
        name.removeprefix(PREFIX): value for name, value in current_names(weights).items() if name.startswith(PREFIX)
    }
