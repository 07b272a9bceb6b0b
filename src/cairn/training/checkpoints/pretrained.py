"""Starting from weights that were trained before, on other joints perhaps.

A run's checkpoint has every weight. An exported file has them by their names too, but where a BatchNorm followed its
convolution the exporter has folded it in: scale and offset are in the convolution, mean and deviation are gone. They
are found again by showing the network images (`restore_norms`): it computes the same as before, and can learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cairn.errors import ModelError
from cairn.inference import zoo
from cairn.inference.model_spec import METADATA_KEY, ModelSpec
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.reading import current_names, read_weights
from cairn.training.engine.module import Channels
from cairn.training.recipe import read_recipe

FOLDED_BIAS = ".weight_bias"
"""What torch's exporter appends to a convolution without a bias for the bias that folding gave it."""

PREFIX = "network."


@dataclass(frozen=True)
class Start:
    """weights: of the network, by their names in it."""

    name: str
    method: str
    skeleton: Skeleton
    weights: dict[str, Tensor]


def read_start(source: str) -> Start:
    """Weights of an embedded model by name, of an .onnx file, of a run's folder (its best) or of a checkpoint in it.

    Raises ModelError where there are none, RecipeError or SkeletonError where the run's files are damaged.
    """
    path = Path(source)
    if path.is_dir():
        found = [path / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
        path = next((entry for entry in found if entry.is_file()), found[0])
    if path.suffix == ".ckpt":
        return _of_run(source, path)
    return _of_onnx(source, path if path.suffix == ".onnx" else zoo.path_to_learn_from(source))


def carry_over(network: nn.Module, start: Start, now: Channels, then: Channels) -> tuple[int, int]:
    """Fills a network with the weights of a start; what stands for another joint or limb stays as it is.

    now, then  what the places of weights stand for in `network`, and in the start
    Returns how many of those places were carried over, of how many. Raises ModelError where the start is of another
    network: nothing is changed.
    """
    weights = _unfolded(network, start.weights)
    state = network.state_dict()
    filled: dict[str, Tensor] = {}
    carried = places = 0
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
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
            shapes = " and ".join(" x ".join(map(str, shape)) for shape in (given.shape, expected))
            raise ModelError(f"{start.name} is of another network than the recipe describes: {name} are {shapes}")
        if before:
            where = {meaning: i for i, meaning in enumerate(before)}
            pairs = [(i, where[meaning]) for i, meaning in enumerate(meanings) if meaning in where]
            carried, places = carried + len(pairs), places + len(meanings)
            to, source = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
            given = value.clone().index_copy(axis, to, given.index_select(axis, source))
        filled[name] = given
    network.load_state_dict(filled, strict=False)
    return carried, places


def folded_norms(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Names of the network's BatchNorms of which the weights have nothing: they were folded into convolutions."""
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)]
    return [name for name in norms if f"{name}.weight" not in weights]


@torch.no_grad()
def restore_norms(network: nn.Module, names: Iterable[str], batches: Iterable[Tensor]) -> None:
    """Gives BatchNorms that pass on what they get the statistics of what they get; what comes out stays the same.

    batches  (B, 3, h, w) images, RGB from 0 to 255
    """
    norms = {name: network.get_submodule(name) for name in names}
    sums = {name: torch.zeros(3, norm.num_features) for name, norm in norms.items()}  # number, sum, sum of squares

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
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_((variance + norm.eps).sqrt())  # type: ignore[operator]
        norm.bias.add_(mean)  # type: ignore[operator]


def _unfolded(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with BatchNorms that pass on what they get, and add a convolution's new bias, where they were folded."""
    result = dict(weights)
    folded = set(folded_norms(network, weights))
    convolution = ""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = name
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
    method = str(read_recipe(run / "recipe.toml").get("method"))
    return Start(source, method, load_skeleton(str(run / "skeleton.toml")), _within(weights))


def _of_onnx(source: str, path: Path) -> Start:
    import onnx

    try:
        proto = onnx.load(str(path))
    except OSError as error:
        raise ModelError(f"no model to start from at {path}: {error.strerror}") from None
    except Exception as error:  # protobuf's own types
        raise ModelError(f"{path} is no ONNX model ({type(error).__name__})") from None
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    if METADATA_KEY not in metadata:
        raise ModelError(f"{path} is an ONNX model, but not one of Cairn's: it has no {METADATA_KEY} metadata")
    spec = ModelSpec.from_json(metadata[METADATA_KEY], str(path))
    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    if any(array.dtype == np.int8 and array.ndim == 4 for array in arrays.values()):
        raise ModelError(f"{path} has weights of 8 bits, too coarse to learn on: start from its fp32 or fp16 file")
    floats = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind == "f"}
    weights = _within({name: torch.from_numpy(array) for name, array in floats.items()})
    if not weights:
        raise ModelError(f"{path} holds no weights by the names of a network of Cairn's, so nothing can start from it")
    return Start(source, spec.method, spec.skeleton, weights)


def _within(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(PREFIX): value for name, value in current_names(weights).items() if name.startswith(PREFIX)
    }
