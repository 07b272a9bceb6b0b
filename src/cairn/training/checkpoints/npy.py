"""Reads weights from a numpy file of one dictionary (.npy), as conversions from Caffe to TensorFlow write it.

The dictionary has, for each layer, a dictionary of its arrays (`weights`, `biases`) or a list of them. numpy stores it
by pickle, which could run any code. `_Plain` allows the few types that such a file needs, and rejects all others.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from cairn.errors import ModelError

MODULES = "numpy.core.multiarray", "numpy._core.multiarray"
"""Names that numpy's own module has had in pickles."""

ARRAYS = "weights", "biases"
"""Names of the arrays of a layer that is a list."""


def read_npy(path: Path) -> dict[str, NDArray[np.float32]]:
    """Returns the arrays of all layers: `layer/weights`, `layer/biases`.

    Raises:
        ModelError: The file cannot be read, is truncated, or has anything but a dictionary of arrays.
    """
    try:
        with path.open("rb") as file:
            content = _content(file)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except _Forbidden as error:
        raise ModelError(
            f"{path} contains more than weights ({error}), which could run code, and was not read: ask its author for "
            "an .npz file of plain arrays"
        ) from None
    except Exception as error:  # a damaged pickle makes Python raise a dozen unrelated types
        raise ModelError(f"{path} is truncated, or not an .npy file of weights ({type(error).__name__})") from None
    weights = {}
    for layer, arrays in content.items() if isinstance(content, Mapping) else ():
        if isinstance(arrays, list | tuple):
            arrays = dict(zip(ARRAYS, arrays, strict=False))
        for leaf, values in arrays.items() if isinstance(arrays, Mapping) else ():
            if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
                weights[f"{_text(layer)}/{_text(leaf)}"] = values.astype(np.float32)
    if not weights:
        raise ModelError(f"{path} is an .npy file, but has no weights by name: expected a dictionary of layers")
    return weights


class _Forbidden(Exception):
    """The file names a type that weights do not need."""


class _Plain(pickle.Unpickler):
    """Unpickles dictionaries, lists, numbers, texts and numpy arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the types that arrays need."""
        if module in MODULES and name == "_reconstruct":
            return _new_array
        if module in MODULES and name == "scalar":
            return _scalar
        if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":
            return _from_buffer
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise _Forbidden(f"{module}.{name}")


def _content(file: BinaryIO) -> Any:
    """The Python object in the one cell of an .npy file."""
    version = npy_format.read_magic(file)
    reading = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    _, _, dtype = reading(file)
    if not dtype.hasobject:
        return None
    content = _Plain(file, encoding="latin1").load()  # Python 2 wrote texts as bytes
    return content.item() if isinstance(content, np.ndarray) and content.size == 1 else content


def _new_array(kind: Any, shape: Any, code: Any) -> NDArray[Any]:
    """What numpy's `_reconstruct` returns: an empty array, which takes its state next."""
    if kind is not np.ndarray or tuple(shape) != (0,):
        raise _Forbidden("an array of another type")
    return np.ndarray((0,), "b")


def _scalar(dtype: Any, content: bytes) -> Any:
    return np.frombuffer(content, dtype)[0]


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 pickles them for Python 2."""
    if encoding != "latin1":
        raise _Forbidden(f"the encoding {encoding}")
    return text.encode(encoding)


def _text(name: Any) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)
