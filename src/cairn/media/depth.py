"""Pixels of more than 8 bits as 8 bits: the declared or measured range is stretched to 0 to 255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError

FULL = 65535

PEAKS = (255, 1023, 4095, 16383)
"""Highest values of data of 8, 10, 12 and 14 bits."""


def to_8_bits(pixels: NDArray[Any], peak: int | None = None) -> tuple[NDArray[np.uint8], str]:
    """Returns pixels as uint8, and a note in words where a range other than that of the type is stretched, else "".

    Args:
        pixels: (H, W) or (H, W, C) uint8, uint16 or float; float from 0 to 1.
        peak: Value of 16-bit pixels that is white; None is `highest_value`.

    Raises:
        ImageError: The pixels have another type, or float values beyond 0 to 1. The message starts with a verb.
    """
    if pixels.dtype == np.uint8:
        return pixels, ""
    if pixels.dtype == np.uint16:
        peak = highest_value(pixels) if peak is None else peak
        if peak == FULL:
            return _scaled(pixels, FULL), ""
        return _stretched(pixels, peak), f"has {peak.bit_length()}-bit data in 16 bits: 0 to {peak} is stretched"
    if pixels.dtype.kind == "f":
        if not (pixels.size and bool(((pixels >= 0) & (pixels <= 1)).all())):  # not a number is neither
            raise ImageError(f"has {pixels.dtype} pixels beyond 0 to 1, whose range is unknown: scale them to 0 to 1")
        return (pixels * 255 + 0.5).astype(np.uint8), f"has {pixels.dtype} data: 0 to 1 is stretched"
    raise ImageError(f"has {pixels.dtype} pixels, whose range is unknown: expected 8 or 16 bits a channel")


def highest_value(pixels: NDArray[np.uint16], declared: int | None = None, scaled: bool = False) -> int:
    """Returns the value that is white.

    16-bit files often hold data of 10, 12 or 14 bits, which would be nearly black. Their range is the declared one, or
    else that of the smallest number of bits that holds all values. Values that come from 8 bits, multiples of 257, use
    the full range.

    Args:
        pixels: (H, W) or (H, W, C).
        declared: Highest value that the file declares; `FULL` where it declares 16 bits.
        scaled: Whether values should have been scaled to 16 bits whatever is declared, as in PNG.
    """
    if declared is not None and declared >= FULL:
        return FULL
    color, _ = _color_and_alpha(pixels)
    highest = int(color.max(initial=0))
    if declared is not None and highest <= declared:
        step = 1 << (16 - declared.bit_length())
        return declared if not scaled or (color % step).any() else FULL
    if highest == 0 or highest > PEAKS[-1] or not (color % 257).any():
        return FULL
    return next(peak for peak in PEAKS if highest <= peak)


def _color_and_alpha(pixels: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16] | None]:
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        return pixels[..., :-1], pixels[..., -1:]
    return pixels, None


def _stretched(pixels: NDArray[np.uint16], peak: int) -> NDArray[np.uint8]:
    color, alpha = _color_and_alpha(pixels)
    if alpha is None:
        return _scaled(color, peak)
    opaque = _scaled(alpha, peak if alpha.max(initial=0) <= peak else FULL)
    return np.concatenate([_scaled(color, peak), opaque], axis=2)


def _scaled(pixels: NDArray[np.uint16], peak: int) -> NDArray[np.uint8]:
    return ((pixels.astype(np.uint32) * 255 + peak // 2) // peak).astype(np.uint8)
