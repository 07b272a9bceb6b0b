"""Resolution of the network input, and averaging over test-time scales.

The terms are OpenPose's: `net_resolution`, `scale_number`, `scale_gap`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, ModelError
from cairn.structures.geometry import Affine, Size, image_to_field, letterbox

SIDES = 32, 8192
"""Minimum and maximum side in pixels of a network input."""

DEFAULT_GAP = 0.25  # OpenPose's scale_gap

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resolution:
    """Resolution of the input of a network that runs on whole images.

    Attributes:
        longest: Longest side in pixels. None, where width and height are None too, is the model's own.
        width: Pixels. With `height` the image is fitted into both; without, the height follows the aspect ratio.
        height: Likewise.
        scales: Number of test-time scales: 1, 1 - gap, 1 - 2·gap, ... times the first. None is the model's own number,
            reduced where the smallest scale would be below the minimum side.
        scale_gap: Difference between two scales.

    Raises:
        ModelError: The values contradict each other.
    """

    longest: int | None = None
    width: int | None = None
    height: int | None = None
    scales: int | None = None
    scale_gap: float = DEFAULT_GAP

    def __post_init__(self) -> None:
        for name in ("longest", "width", "height", "scales"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral)):
                raise ModelError(f"{name} must be a whole number, got {value!r:.40}")
        gap: Any = self.scale_gap
        if isinstance(gap, bool) or not isinstance(gap, Real):
            raise ModelError(f"scale_gap must be a number, got {gap!r:.40}")
        if self.longest is not None and (self.width or self.height):
            raise ModelError("give the longest side, or width and height, not both")
        for side in (self.longest, self.width, self.height):
            if side is not None and not SIDES[0] <= side <= SIDES[1]:
                raise ModelError(f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got {side}")
        if self.scales is not None and self.scales < 1:
            raise ModelError(f"scales must be at least 1, got {self.scales}")
        if not 0 < self.scale_gap < 1:
            raise ModelError(f"the gap between scales must be between 0 and 1, got {self.scale_gap:g}")
        if self.scales is None and self.scale_gap != DEFAULT_GAP:
            raise ModelError("scale_gap needs scales, the number of test-time scales")
        if self.factors[-1] < 1e-6:  # 1 - 4·0.25 is no scale, however floats round it
            raise ModelError(
                f"{self.scales} scales with a gap of {self.scale_gap:g} end at {self.factors[-1]:g} times the image: "
                f"(scales - 1) × gap must be below 1"
            )

    @classmethod
    def parse(cls, text: str) -> Resolution:
        """Parses WxH as OpenPose's `--net_resolution` does: `656x368`; -1 follows the image's aspect ratio.

        Raises:
            ModelError: The text is something else.
        """
        sides = text.lower().split("x")
        try:
            width, height = (int(side) for side in sides)
        except ValueError:
            raise ModelError(f"a net resolution is WxH, such as 656x368 or -1x368, got {text!r}") from None
        if width == height == -1:
            raise ModelError(f"only one side of a net resolution can be -1, got {text!r}")
        return cls(width=None if width == -1 else width, height=None if height == -1 else height)

    @property
    def factors(self) -> tuple[float, ...]:
        """Size of each scale, relative to the first one."""
        return tuple(1 - i * self.scale_gap for i in range(self.scales or 1))

    def of_model(self, size: int, multiple: int, scales: int = 1, scale_gap: float = DEFAULT_GAP) -> Resolution:
        """Returns the resolution with the model's own values where none are given.

        Width and height are rounded to the nearest multiple that the model accepts, the larger one of two; a warning
        is logged.

        Args:
            size: Longest side of the model's own input.
            multiple: Number of pixels of which each side must be a multiple.
            scales: The model's own number of test-time scales.
            scale_gap: The model's own difference between two scales.

        Raises:
            ModelError: The smallest scale is below the minimum side.
        """
        rounded = {
            name: max(multiple, (side + multiple // 2) // multiple * multiple)
            for name, side in (("width", self.width), ("height", self.height))
            if side is not None and side % multiple
        }
        if rounded:
            self._log_rounding(rounded, multiple)
            return replace(self, **rounded).of_model(size, multiple, scales, scale_gap)
        given = self if self.width or self.height or self.longest else replace(self, longest=size)
        largest = max(side for side in (given.longest, given.width, given.height) if side is not None)
        if self.scales is None:
            enough = (1 - SIDES[0] / largest) / scale_gap  # gaps until the minimum side
            return replace(given, scales=min(scales, 1 + int(max(enough, 0) + 1e-6)), scale_gap=scale_gap)
        if largest * self.factors[-1] < SIDES[0]:
            raise ModelError(
                f"the last of {self.scales} scales with a gap of {self.scale_gap:g} would be "
                f"{largest * self.factors[-1]:.0f} pixels; the minimum is {SIDES[0]}"
            )
        return given

    def fit(self, size: Size, multiple: int) -> list[tuple[Affine, Size]]:
        """Returns, for each scale, the map from an image of `size` to the network input, and the input's size.

        The first scale is the resolution, each side rounded up to a multiple; the others are smaller by `factors`.
        All are anchored top-left.

        Raises:
            ImageError: A side that follows the aspect ratio would be too long.
        """
        longest = self._longest(size)
        if longest > SIDES[1]:
            raise ImageError(
                f"the image is {size[1]} x {size[0]} pixels, and its network input would be {longest:.0f} pixels long; "
                f"the maximum is {SIDES[1]}: give both sides of the net resolution"
            )
        fits = [letterbox(size, longest * factor, multiple) for factor in self.factors]
        if self.width and self.height:  # exactly these sides
            fits[0] = fits[0][0], (self.height, self.width)
        return fits

    def _longest(self, size: Size) -> float:
        """Returns the longest side of the network input in the first scale, in pixels."""
        if self.longest is not None:
            return self.longest
        sides = (self.height, self.width)
        factor = min(side / own for side, own in zip(sides, size, strict=True) if side)
        return max(size) * factor

    def _log_rounding(self, rounded: dict[str, int], multiple: int) -> None:
        changes = " and ".join(f"{name} {getattr(self, name)} to {side}" for name, side in rounded.items())
        log.warning("net resolution: rounded %s, a multiple of %d", changes, multiple)


def average_maps(maps: Sequence[NDArray[Any]], affines: Sequence[Affine]) -> NDArray[np.float32]:
    """Returns the mean of the maps of one image at several scales, on the cells of the first scale.

    Cell i of the first scale, whose factor is f, is at (i + 0.5)·f'/f - 0.5 in a scale of factor f'. There the maps are
    sampled bilinearly; beyond the border the border cells are repeated.

    Args:
        maps: Maps of each scale, (C, h, w).
        affines: Map from the image to the network input of each scale.
    """
    if len(maps) == 1:
        return maps[0]
    total = maps[0].astype(np.float32)
    for values, affine in zip(maps[1:], affines[1:], strict=True):
        _add_resized(total, values, affine.scale / affines[0].scale)
    total /= len(maps)
    return total


def _add_resized(total: NDArray[np.float32], maps: NDArray[Any], step: float) -> None:
    """Adds maps (C, h, w), sampled bilinearly, to others (C, H, W), whose cells are `step` cells of theirs apart."""
    import cv2

    height, width = total.shape[1:]
    by_opencv = tuple(round(side / step) for side in maps.shape[1:])  # what it returns for this step
    if by_opencv == maps.shape[1:] or by_opencv[0] < height or by_opencv[1] < width:  # a copy, or too few cells
        columns, rows = (image_to_field(np.arange(count), 1 / step) for count in (width, height))
        total += _sampled(_sampled(maps, -1, columns), -2, rows)
        return
    for one, other in zip(total, maps.astype(np.float32, copy=False), strict=True):  # one by one they fit in the cache
        one += cv2.resize(other, None, fx=1 / step, fy=1 / step)[:height, :width]


def zoomed(maps: NDArray[Any], factor: float) -> NDArray[np.float32]:
    """Returns maps (..., h, w) of a square as those of a square around the same center, with `factor` times its side.

    They are sampled bilinearly, and 0 outside the square that they are of.
    """
    for axis in (-1, -2):
        cells = maps.shape[axis]
        middle = (cells - 1) / 2
        places = (np.arange(cells) - middle) * factor + middle
        inside = (np.abs(places - middle) <= cells / 2).astype(np.float32)
        maps = _sampled(maps, axis, places) * (inside if axis == -1 else inside[:, None])
    return maps


def _sampled(values: NDArray[Any], axis: int, places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns samples along an axis, -1 or -2, of maps (..., h, w), at places between cells; at the border, beyond it.

    A product with a matrix of weights would be shorter; but BLAS computes it in threads of its own, which wait for one
    another in a loop: beside another process that took 20 times as long.
    """
    cells = values.shape[axis]
    places = np.clip(places, 0, cells - 1)
    low = np.minimum(places.astype(int), max(cells - 2, 0))
    weights = (places - low).astype(np.float32)
    if axis == -2:
        weights = weights[:, None]
    first: NDArray[np.float32] = values.take(low, axis=axis, mode="clip").astype(np.float32, copy=False)
    between = values.take(low + 1, axis=axis, mode="clip") - first  # beyond the last cell: that cell
    between *= weights
    first += between
    return first
