"""Weights that others published, read from a file: every tensor by its name, and nothing that could run code."""

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


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the weights of a run or of an exported file under the names that they have in today's modules."""
    return {current_name(name): value for name, value in weights.items()}


@dataclass(frozen=True)
class Checkpoint:
    """What a file of weights holds.

    weights  every tensor by its name; of a caffemodel `layer.weight`, `layer.bias`
    wrapped  they stood in a training state, beside epoch and optimizer
    """

    path: Path
    weights: dict[str, Tensor]
    wrapped: bool = False


def read_weights(path: str | Path) -> Checkpoint:
    """Reads .caffemodel and numpy's .npz by their endings, and takes all else for PyTorch's.

    Only weights are read: a file that holds anything else is refused, for it could run code.
    Raises ModelError where the file is missing, damaged, or holds no named weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"no checkpoint at {path}")
    if path.suffix.lower() == ".caffemodel":
        arrays = read_caffemodel(path)
    elif path.suffix.lower() == ".npz":
        arrays = _read_npz(path)
    else:
        return _read_pytorch(path)
    return Checkpoint(path, {name: torch.from_numpy(array) for name, array in arrays.items()})


def few(names: Iterable[str], most: int = 1) -> str:
    """Names for an error's one line: the first ones, and how many more there are."""
    ordered = sorted(names)
    named = ", ".join(ordered[:most])
    return f"{named} and {len(ordered) - most} more" if len(ordered) > most else named


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except Exception as error:  # a damaged file makes numpy raise half a dozen unrelated types
        raise ModelError(f"{path} is truncated, or no .npz of plain arrays ({type(error).__name__})") from None
    numbers = {name: array.astype(np.float32) for name, array in arrays.items() if array.dtype.kind in "fiu"}
    if not numbers:
        raise ModelError(f"{path} holds no arrays of numbers: expected one for each layer's weights")
    return numbers


def _read_pytorch(path: Path) -> Checkpoint:
    try:
        with torch.serialization.safe_globals(_numbers()), warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if named := re.search(r"GLOBAL (\S+)", str(error)):
            raise ModelError(
                f"{path} holds more than weights ({named[1]}), which could run code: it was not read. "
                "Ask its author for the state_dict alone"
            ) from None
        raise ModelError(f"{path} is truncated, or no PyTorch checkpoint{_ENDINGS}") from None
    except Exception as error:  # a damaged file makes torch raise a dozen unrelated types
        raise ModelError(f"{path} is truncated, or no PyTorch checkpoint ({type(error).__name__}){_ENDINGS}") from None
    wrapped = isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping)
    state: Any = content["state_dict"] if wrapped else content
    if not isinstance(state, Mapping) or not (
        weights := {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    ):
        raise ModelError(f"{path} is a PyTorch file, but holds no named weights: expected a state_dict")
    return Checkpoint(path, weights, wrapped)


_ENDINGS = "; other files of weights must end in .caffemodel or .npz"


def _numbers() -> list[Any]:
    """What a numpy number needs to be unpickled: trainers keep their best accuracy beside the weights as one."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int64)}
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]
