"""Reads files of weights: every tensor by its name, and nothing that could run code."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cairn.errors import ModelError
from cairn.training.backbones.migration import current_name
from cairn.training.checkpoints.caffe import read_caffemodel
from cairn.training.checkpoints.npy import read_npy
from cairn.training.checkpoints.tfjs import read_tfjs


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of a run or of an exported file under their names in present modules."""
    return {current_name(name): value for name, value in weights.items()}


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file of weights.

    Attributes:
        path: The file.
        weights: Every tensor by its name; of a caffemodel `layer.weight`, `layer.bias`.
        wrapped: Whether they were part of a training state, beside epoch and optimizer.
    """

    path: Path
    weights: dict[str, Tensor]
    wrapped: bool = False


def read_weights(path: str | Path) -> Checkpoint:
    """Reads a file of weights: .caffemodel, numpy's .npz or .npy, TensorFlow.js' .json, or with any other PyTorch's.

    Files with anything but weights are rejected, because they could run code.

    Raises:
        ModelError: The file is missing or damaged, has no named weights, or has more than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no checkpoint at {path}")
    if path.suffix.lower() == ".caffemodel":
        arrays = read_caffemodel(path)
    elif path.suffix.lower() == ".npz":
        arrays = _read_npz(path)
    elif path.suffix.lower() == ".npy":
        arrays = read_npy(path)
    elif path.suffix.lower() == ".json":
        arrays = read_tfjs(path)
    else:
        return _read_pytorch(path)
    return Checkpoint(path, {name: torch.from_numpy(array) for name, array in arrays.items()})


def few(names: Iterable[str], maximum: int = 1) -> str:
    """Returns names for a message: the first ones, and the number of the others."""
    ordered = sorted(names)
    named = ", ".join(ordered[:maximum])
    return f"{named} and {len(ordered) - maximum} more" if len(ordered) > maximum else named


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged file makes numpy raise half a dozen unrelated types
        raise ModelError(f"{path} is truncated, or not an .npz file of plain arrays ({type(error).__name__})") from None
    numbers = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind in "fiu"}
    if not numbers:
        raise ModelError(f"{path} contains no numeric arrays: expected one for the weights of each layer")
    return numbers


def _read_pytorch(path: Path) -> Checkpoint:
    try:
        with torch.serialization.safe_globals(_numbers()), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise ModelError(
                f"{path} contains more than weights ({named[1]}), which could run code, and was not read: "
                "ask its author for the state_dict alone"
            ) from None
        raise ModelError(f"{path} is truncated, or not a PyTorch checkpoint{_SUFFIXES}") from None
    except Exception as error:  # a damaged file makes torch raise a dozen unrelated types
        raise ModelError(
            f"{path} is truncated, or not a PyTorch checkpoint ({type(error).__name__}){_SUFFIXES}"
        ) from None
    wrapped = isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping)
    state: Any = content["state_dict"] if wrapped else content
    if not isinstance(state, Mapping) or not (
        weights := {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    ):
        raise ModelError(f"{path} is a PyTorch file, but contains no named weights: expected a state_dict")
    return Checkpoint(path, weights, wrapped)


_SUFFIXES = "; other formats need the suffix .caffemodel, .npz or .npy"


def _numbers() -> list[Any]:
    """The types of a pickled numpy number: trainers save their best accuracy beside the weights as one."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)}
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
