"""COCO's `segmentation`: polygons, or run lengths as a list or as a string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from struct import error as StructError
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.structures.outline import Outline, Polygons, RunLengths

MIN_NUMBERS = 6  # x and y of three corners

BITS = 5
MORE = 1 << BITS
"""A character of a string is a number from 0 to 63 plus 48: five bits, and whether the next one continues it."""

MAX_CHARACTERS = 12  # of one number: 60 bits


def read_outline(value: Any) -> Outline | None:
    """Returns the outline of a `segmentation`; None where there is none.

    Raises:
        ValueError: It is invalid; the message says what was expected.
    """
    if not value:
        return None
    if isinstance(value, dict):
        return _run_lengths(value)
    if not isinstance(value, list):
        raise ValueError(f"expected polygons or run lengths, got {value!r:.40}")
    return Polygons(tuple(map(_ring, value)))


def counts_of(text: str) -> NDArray[np.int64]:
    """Returns the run lengths that a string encodes.

    Each number has its lowest five bits first, and its sign in the last character. From the fourth on it is the
    difference to the number two before it.

    Raises:
        ValueError: It is no such string.
    """
    values = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int64) - 48
    if not len(values) or values.min() < 0 or values.max() >= 2 * MORE or values[-1] & MORE:
        raise ValueError(f"expected the characters of run lengths, got {text!r:.40}")
    ends = np.flatnonzero(values & MORE == 0)
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    if lengths.max() > MAX_CHARACTERS:
        raise ValueError(f"a run length has more than {MAX_CHARACTERS} characters")
    place = np.arange(len(values)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((values & (MORE - 1)) << (BITS * place), starts)
    negative = values[ends] & (MORE >> 1) != 0
    numbers = np.where(negative, numbers - (np.int64(1) << (BITS * lengths)), numbers)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def _run_lengths(value: Mapping[str, Any]) -> RunLengths:
    counts, size = value.get("counts"), value.get("size")
    if not isinstance(size, Sequence) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ValueError(f"expected the size [height, width] of run lengths, got {size!r:.40}")
    if isinstance(counts, str):
        numbers = counts_of(counts)
    elif isinstance(counts, Sequence) and all(type(count) is int and abs(count) < 2**62 for count in counts):
        numbers = np.array(counts, np.int64)
    else:
        raise ValueError(f"expected run lengths, a list or a string, got {counts!r:.40}")
    pixels = size[0] * size[1]
    if (numbers < 0).any() or (numbers > pixels).any() or numbers.sum() != pixels:
        raise ValueError(f"run lengths must add up to {size[0]} x {size[1]} pixels, got {numbers.sum()}")
    return RunLengths(numbers.astype(np.min_scalar_type(int(numbers.max()))), (size[0], size[1]))


def _ring(value: Any) -> bytes:
    try:
        ring = pack(f"<{len(value)}f", *value)  # little-endian tells too large numbers, native order does not
    except (TypeError, OverflowError, StructError):
        ring = b""
    if not ring or len(value) < MIN_NUMBERS or len(value) % 2 or not isfinite(sum(value)):
        raise ValueError(f"a polygon must be x, y of three corners at least, got {value!r:.40}")
    return ring
