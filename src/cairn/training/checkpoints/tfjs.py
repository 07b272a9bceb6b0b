"""Reads the weights of a TensorFlow.js model (model.json beside its .bin files), without TensorFlow.

The manifest lists names, shapes and types in the order of the concatenated .bin files. Values may be quantized: to
float16, or to integers with a scale and a minimum.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError

MANIFEST = "weightsManifest"

TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "bool": "u1"}
"""Type in the manifest -> type of numpy."""


def read_tfjs(path: Path) -> dict[str, NDArray[np.float32]]:
    """Returns the weights of a TensorFlow.js model by name.

    Args:
        path: The .json file; its .bin files are beside it.

    Raises:
        ModelError: The file is no such model, or a .bin file is missing or truncated.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ModelError(f"{path} is truncated, or not JSON: expected a TensorFlow.js model") from None
    if not isinstance(content, Mapping) or not isinstance(content.get(MANIFEST), Sequence):
        raise ModelError(f"{path} has no {MANIFEST}: expected the .json file of a TensorFlow.js model")
    weights: dict[str, NDArray[np.float32]] = {}
    try:
        for group in content[MANIFEST]:
            weights |= _group(path, group["paths"], group["weights"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} has a damaged {MANIFEST} ({type(error).__name__}: {error})") from None
    return weights


def _group(path: Path, files: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float32]]:
    """The weights that follow one another in some .bin files."""
    data = b"".join(_bytes(path, name) for name in files)
    weights, offset = {}, 0
    for entry in entries:
        quantization = entry.get("quantization") or {}
        kind = np.dtype(TYPES[quantization.get("dtype", entry["dtype"])])
        count = prod(map(int, entry["shape"]))
        end = offset + count * kind.itemsize
        if count < 0 or end > len(data):
            raise ModelError(
                f"{path}: {', '.join(files)} is truncated: {entry['name']} ends at byte {end:,}, got {len(data):,}"
            )
        values = np.frombuffer(data, kind, count, offset).astype(np.float32)
        if "scale" in quantization:
            values = values * np.float32(quantization["scale"]) + np.float32(quantization.get("min", 0))
        weights[str(entry["name"])] = values.reshape(entry["shape"])
        offset = end
    return weights


def _bytes(path: Path, name: str) -> bytes:
    file = path.parent / Path(name).name  # never outside the folder of the model
    try:
        return file.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} needs {file.name} beside it: {error.strerror or error}") from None
