"""How large a network is shown an image, and at how many scales its maps are averaged.

The words are OpenPose's: `net_resolution`, `scale_number`, `scale_gap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, ModelError
from cairn.structures.geometry import Affine, Size, image_to_field, letterbox

SIDES = 32, 8192
"""The shortest and the longest side in pixels that a network can be asked to look at."""

DEFAULT_GAP = 0.25  # OpenPose's scale_gap


@dataclass(frozen=True)
class Resolution:
    """What a network of whole images is shown of each.

    longest  longest side in pixels; None, where width and height are None too, takes the model's own
    width    pixels; with `height` the image is fitted into both, without it the height follows its aspect
    height   likewise
    scales   the image is shown so often, smaller each time: 1, 1 - gap, 1 - 2·gap, ... times as large; None takes
             the model's own, as many as leave an image to look at
    gap      between two scales

    Raises ModelError where these contradict each other.
    """

    longest: int | None = None
    width: int | None = None
    height: int | None = None
    scales: int | None = None
    scale_gap: float = DEFAULT_GAP

    def __post_init__(self) -> None:
        if self.longest is not None and (self.width or self.height):
            raise ModelError("give the longest side, or width and height, not both")
        for side in (self.longest, self.width, self.height):
            if side is not None and not SIDES[0] <= side <= SIDES[1]:
                raise ModelError(f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got {side}")
        if self.scales is not None and self.scales < 1:
            raise ModelError(f"scales must be 1 at least, got {self.scales}")
        if not 0 < self.scale_gap < 1:
            raise ModelError(f"the gap between scales must be between 0 and 1, got {self.scale_gap:g}")
        if self.scales is None and self.scale_gap != DEFAULT_GAP:
            raise ModelError("a gap is between scales: say how many")
        if self.factors[-1] < 1e-6:  # 1 - 4·0.25 is no scale, however floats round it
            raise ModelError(
                f"{self.scales} scales with a gap of {self.scale_gap:g} end at {self.factors[-1]:g} times the image: "
                f"(scales - 1) × gap must be below 1"
            )

    @classmethod
    def parse(cls, text: str) -> Resolution:
        """WxH as OpenPose's `--net_resolution` takes it: `656x368`; -1 for what follows the image's aspect.

        Raises ModelError for anything else.
        """
        sides = text.lower().split("x")
        try:
            width, height = (int(side) for side in sides)
        except ValueError:
            raise ModelError(f"a net resolution is WxH, such as 656x368 or -1x368, got {text!r}") from None
        if width == height == -1:
            raise ModelError(f"only one side of a net resolution can follow from the image's aspect, got {text!r}")
        return cls(width=None if width == -1 else width, height=None if height == -1 else height)

    @property
    def factors(self) -> tuple[float, ...]:
        """Size of each scale, relative to the first."""
        return tuple(1 - i * self.scale_gap for i in range(self.scales or 1))

    def of_model(self, size: int, multiple: int, scales: int = 1, scale_gap: float = DEFAULT_GAP) -> Resolution:
        """The same with a model's own size where none is given, and its own scales likewise.

        Raises ModelError where width or height is not a multiple of what the model can be shown, or the smallest
        scale would be below the least size.
        """
        for name in ("width", "height"):
            side = getattr(self, name)
            if side is not None and side % multiple:
                nearest = sorted({max(side // multiple, 1) * multiple, -(-side // multiple) * multiple})
                raise ModelError(
                    f"the {name} must be a multiple of {multiple} for this model, got {side}: "
                    f"take {' or '.join(map(str, nearest))}"
                )
        given = self if self.width or self.height or self.longest else replace(self, longest=size)
        largest = max(side for side in (given.longest, given.width, given.height) if side is not None)
        if self.scales is None:
            enough = (1 - SIDES[0] / largest) / scale_gap  # gaps until the least side
            return replace(given, scales=min(scales, 1 + int(max(enough, 0) + 1e-6)), scale_gap=scale_gap)
        if largest * self.factors[-1] < SIDES[0]:
            raise ModelError(
                f"the last of {self.scales} scales with a gap of {self.scale_gap:g} would be "
                f"{largest * self.factors[-1]:.0f} pixels; the least is {SIDES[0]}"
            )
        return given

    def fit(self, size: Size, multiple: int) -> list[tuple[Affine, Size]]:
        """The map onto the network's image, and that image's size, for each scale of an image of `size`.

        The first is as asked for, each side rounded up to a multiple; the others are as much smaller as `factors`
        say. All are anchored top-left. Raises ImageError where the image is too long for a side that follows.
        """
        longest = self._longest(size)
        if longest > SIDES[1]:
            raise ImageError(
                f"the image is {size[1]} x {size[0]} pixels, and would be shown {longest:.0f} pixels long; the most "
                f"is {SIDES[1]}: give both sides of the net resolution"
            )
        fits = [letterbox(size, longest * factor, multiple) for factor in self.factors]
        if self.width and self.height:  # asked for to the pixel
            fits[0] = fits[0][0], (self.height, self.width)
        return fits

    def _longest(self, size: Size) -> float:
        """Length in pixels of an image's longest side in the first scale."""
        if self.longest is not None:
            return self.longest
        asked = (self.height, self.width)
        factor = min(side / own for side, own in zip(asked, size, strict=True) if side)
        return max(size) * factor


def average_maps(maps: Sequence[NDArray], affines: Sequence[Affine]) -> NDArray[np.float32]:
    """The mean of the maps (C, h, w) of one image at several scales, on the cells of the first.

    affines  of each scale, from the image to what the network was shown

    A cell of the first lies at (i + 0.5)·f/f' - 0.5 in one that shows the image f'/f times as large; there
    the four cells around are weighted by nearness, those of the border standing for what lies beyond.
    """
    if len(maps) == 1:
        return maps[0]
    total = maps[0].astype(np.float32)
    height, width = total.shape[1:]
    for values, affine in zip(maps[1:], affines[1:], strict=True):
        factor = affine.scale / affines[0].scale
        rows = _sampling(height, values.shape[1], factor)
        columns = _sampling(width, values.shape[2], factor)
        total = total + rows @ values @ columns.T  # (h, h') (C, h', w') (w', w)
    return (total / len(maps)).astype(np.float32)


def _sampling(count: int, cells: int, factor: float) -> NDArray[np.float32]:
    """(count, cells): row i weighs the two cells around (i + 0.5)·factor - 0.5."""
    places = np.clip(image_to_field(np.arange(count), 1 / factor), 0, cells - 1)
    low = np.minimum(places.astype(int), max(cells - 2, 0))
    weights = np.zeros((count, cells), np.float32)
    weights[np.arange(count), low] = 1 - (places - low)
    weights[np.arange(count), np.minimum(low + 1, cells - 1)] += places - low
    return weights
