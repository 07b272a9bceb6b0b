"""Reads the weights of a network trained with Caffe (.caffemodel), without Caffe and without protobuf.

A protobuf message is a sequence of fields: a tag, number * 8 + kind as a varint, and a value. These fields of Caffe's
schema (caffe.proto) are read, all others skipped:

| message | fields |
|---|---|
| NetParameter | layer 100; until 2015 layers 2 |
| LayerParameter | name 1, blobs 7; in layers name 4, blobs 6 |
| BlobProto | shape 7, data 5 or double_data 8; until 2015 num 1, channels 2, height 3, width 4 |
| BlobShape | dim 1 |
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ModelError

LAYERS = {100: (1, 7), 2: (4, 6)}
"""Field of NetParameter -> fields of its layers' name and blobs."""

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
"""Kinds of fields; 3 and 4 are groups, which Caffe does not use."""

BLOBS = "weight", "bias"
"""The blobs of a convolution, in order; the slopes of a PReLU are its only blob."""


def read_caffemodel(path: Path) -> dict[str, NDArray[np.float32]]:
    """Returns the blobs of all layers in the network's order: `layer.weight`, `layer.bias`, then `layer.2` and so on.

    Blobs have their own shapes. A flat blob of the old format, which has no shapes, has one axis.

    Raises:
        ModelError: The file cannot be read, is truncated or damaged, is not a caffemodel, or has no weights.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    weights: dict[str, NDArray[np.float32]] = {}
    layer = ""
    try:
        for number, kind, value in _fields(content):
            if kind != BYTES or number not in LAYERS:
                continue
            layer, blobs = _layer(_message(value), *LAYERS[number])
            for i, blob in enumerate(blobs):
                name = f"{layer}.{BLOBS[i] if i < len(BLOBS) else i}"
                if name in weights:
                    raise _Malformed("a second layer has the same name")
                weights[name] = blob
    except _CutOff:
        if layer:
            raise ModelError(f"{path} is truncated: it ends after layer {layer}, in the middle of a field") from None
        raise ModelError(f"{path} is truncated, or not a caffemodel") from None
    except _Malformed as error:
        if layer:
            raise ModelError(f"{path} is damaged at layer {layer} or after it: {error}") from None
        raise ModelError(f"{path} is not a caffemodel: {error}") from None
    if not weights:
        raise ModelError(f"{path} is not a caffemodel, or has no weights: expected a trained network")
    return weights


class _Malformed(Exception):
    """The bytes are not valid protobuf."""


class _CutOff(_Malformed):
    """The file ends within a field."""


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """The number, kind and value of each field: an int for a varint, bytes for the others."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            integer, at = _varint(message, at)
            yield number, kind, integer
            continue
        if kind == BYTES:
            length, at = _varint(message, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if kind == EIGHT_BYTES else 4
        else:
            raise _Malformed(f"a field of unknown kind {kind}")
        if length > len(message) - at:
            raise _CutOff(f"a field of {length} bytes, with {len(message) - at} left")
        yield number, kind, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and its end."""
    value = 0
    for i, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise _CutOff("a number without an end") if len(message) - at < 10 else _Malformed("a number without an end")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("expected a message, got a number")
    return value


def _layer(message: memoryview, name_field: int, blobs_field: int) -> tuple[str, list[NDArray[np.float32]]]:
    name, blobs = "", []
    try:
        for number, _, value in _fields(message):
            if number == name_field:
                name = bytes(_message(value)).decode()
            elif number == blobs_field:
                blobs.append(_blob(_message(value)))
        if not name.isprintable():
            raise _Malformed("its name is not text")
    except (_Malformed, UnicodeDecodeError) as error:  # the layer is complete: a truncated field in it is damage
        known = name if name and name.isprintable() else "without a name"
        raise _Malformed(f"layer {known} cannot be read ({error})") from None
    return name, blobs


def _blob(message: memoryview) -> NDArray[np.float32]:
    sides, shape = [0, 0, 0, 0], None
    parts: list[NDArray[np.float32 | np.float64]] = []
    for number, kind, value in _fields(message):
        if number in (1, 2, 3, 4) and isinstance(value, int):
            sides[number - 1] = value
        elif number in (5, 8):  # packed, or one number per field
            width = FOUR_BYTES if number == 5 else EIGHT_BYTES
            if kind not in (BYTES, width) or len(_message(value)) % (4 if number == 5 else 8):
                raise _Malformed("a blob with an incomplete number")
            parts.append(np.frombuffer(_message(value), "<f4" if number == 5 else "<f8"))
        elif number == 7:
            shape = _dims(_message(value))
    if shape is None:
        shape = sides[3:] if sides[:3] == [1, 1, 1] else sides
    count = sum(len(part) for part in parts)
    if math.prod(shape) != count:
        raise _Malformed(f"a blob of {' x '.join(map(str, shape))} has {count} numbers")
    return np.concatenate(parts or [np.zeros(0)]).astype(np.float32, copy=False).reshape(shape)


def _dims(message: memoryview) -> list[int]:
    dims: list[int] = []
    for number, _, value in _fields(message):
        if number != 1:
            continue
        if isinstance(value, int):
            dims.append(value)
            continue
        at = 0
        while at < len(value):
            dim, at = _varint(value, at)
            dims.append(dim)
    return dims
