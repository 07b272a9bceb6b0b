"""A table of bits that tells where a PAF can exceed a threshold at all, by direction.

The directions of a plane are divided into eight sectors of 45°, one bit each. To look a sample up in the table takes a
tenth of the time of its exact value, and as the bits are an upper bound, a sample that misses by the table misses.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-4
"""By this much the threshold is lowered, since rounding moves samples of the same line apart."""

# Sector s is bit s; s = (dx > 0) + 2·(dy > 0) + 4·(|dx| > |dy|). Its two edges are directions of the eight at multiples
# of 45°, and each direction is the edge of two sectors. These are their bits, with y downwards.
RIGHT, LEFT, DOWN, UP = 0xA0, 0x50, 0x0C, 0x03
DOWN_RIGHT, UP_LEFT, UP_RIGHT, DOWN_LEFT = 0x88, 0x11, 0x22, 0x44


def sectors_above(pafs: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
    """Returns the sectors (L, h, w) with a direction d for which PAF · d can exceed the threshold, one bit each.

    A cell stands for all samples between it and its neighbors right and below. Where the product of a vector with some
    direction of a sector exceeds t > 0, its product with one of the two edges exceeds t·cos 22.5°.

    Args:
        pafs: (2L, h, w).
        threshold: Threshold of PAF · d.
    """
    limit = min(threshold, threshold * math.cos(math.pi / 8)) - ROUNDING
    diagonal = limit * math.sqrt(2)
    x, y = pafs[0::2], pafs[1::2]
    table = np.zeros(x.shape, dtype=np.uint8)
    above = np.empty(x.shape, dtype=bool)
    bits = above.view(np.uint8)
    product = np.empty(x.shape, dtype=np.float32)
    for products, least, positive, negative in (
        (lambda: x, limit, RIGHT, LEFT),
        (lambda: y, limit, DOWN, UP),
        (lambda: np.add(x, y, out=product), diagonal, DOWN_RIGHT, UP_LEFT),
        (lambda: np.subtract(x, y, out=product), diagonal, UP_RIGHT, DOWN_LEFT),
    ):
        values = products()
        for compare, value, edge in ((np.greater, least, positive), (np.less, -least, negative)):
            compare(values, value, out=above)
            bits *= np.uint8(edge)
            table |= bits
    cells, width = table.ravel(), x.shape[2]
    cells[:-1] |= cells[1:]  # the last column and the last row get a few bits more than they need
    cells[:-width] |= cells[width:]
    return table


def sector_of(dx: NDArray[Any], dy: NDArray[Any], flat: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Returns the bit of the sector of each direction; `flat` is |dx| > |dy|."""
    bits: NDArray[np.uint8] = _either(dx > 0, 0x55)
    bits &= _either(dy > 0, 0x33)
    bits &= _either(flat, 0x0F)
    return bits


def _either(condition: NDArray[np.bool_], otherwise: int) -> NDArray[np.uint8]:
    """Returns the bits `otherwise` where a condition is false, and all others where it is true."""
    bits = condition.view(np.uint8)
    np.negative(bits, out=bits)
    bits ^= np.uint8(otherwise)
    return bits
