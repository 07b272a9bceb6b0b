"""The recipe of a discovery: values only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cairn.datasets.crops import MARGIN
from cairn.methods.landmarks.model import HourglassNetwork, PaperNetwork
from cairn.methods.landmarks.warp import Spread
from cairn.training.data.augmentation import Augmentation, Share
from cairn.training.recipe import Count, Optimizer, Run, Section
from cairn.training.recipe import Recipe as SharedRecipe

MIN_SIZE = 16
"""Minimum input side in pixels: dilated convolutions reach four cells beyond the edge of a map of 8."""


class Input(Section):
    """Size of the network's input.

    With `middle` = 1, warps bring the image's edge into view, and landmarks tend to follow the edge.

    Attributes:
        size: Side of the square input in pixels.
        middle: Side of the input over the side of the whole image. The rest of the image comes into view by warps.
    """

    size: Count = 96
    middle: Annotated[float, Field(gt=0.3, le=1)] = 0.75

    @property
    def frame(self) -> int:
        """Side of the whole square image, in input pixels."""
        return self.size + 2 * round((self.size / self.middle - self.size) / 2)


class Crop(Section):
    """The square of an image that is its view, before `input.middle`.

    Attributes:
        by: "none": the whole image. "boxes", "landmarks": one view of each labeled instance, around its bounding box or
            its labeled keypoints. "motion": around what moves in front of a static camera, without labels.
        margin: Side of the view over the longer side of that box.
    """

    by: Literal["none", "boxes", "landmarks", "motion"] = "none"
    margin: Annotated[float, Field(gt=0)] = MARGIN


class NetworkSettings(Section):
    """The network.

    Attributes:
        landmarks: Number of landmarks, K.
        kind: "hourglass" of `widths`; "paper" (5×5 convolutions everywhere) or its "dilated" variant.
        widths: Channels of the hourglass at each resolution, finest first.
    """

    landmarks: Annotated[int, Field(ge=2)] = 10
    kind: Literal["hourglass", "paper", "dilated"] = "hourglass"
    widths: Annotated[tuple[Count, ...], Field(min_length=2)] = (48, 64)

    @property
    def stride(self) -> int:
        """Input pixels per cell of the score maps."""
        return HourglassNetwork.stride if self.kind == "hourglass" else PaperNetwork.stride

    @property
    def multiple(self) -> int:
        """The input side must be a multiple of this number of pixels."""
        return self.stride * 2 ** (len(self.widths) - 1) if self.kind == "hourglass" else self.stride

    def build(self) -> HourglassNetwork | PaperNetwork:
        """Returns the network with random weights."""
        if self.kind == "hourglass":
            return HourglassNetwork(self.landmarks, self.widths)
        return PaperNetwork(self.landmarks, self.kind == "dilated")


class Warps(Section):
    """Standard deviations of both warps of a pair; see `warp.Spread`.

    Attributes:
        rotation: Rotation in degrees.
        scale: Factor on the size, around 1.
        shift: Shift in half image sides.
        bend: Weights of the spline in half image sides.
        first: Weights of a random half of the first warp's spline.
        second: Weights of a random half of the second warp's spline.
    """

    rotation: Annotated[float, Field(ge=0)] = 5.0
    scale: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    shift: Annotated[float, Field(ge=0)] = 0.1
    bend: Annotated[float, Field(ge=0)] = 0.001
    first: Annotated[float, Field(ge=0)] = 0.005
    second: Annotated[float, Field(ge=0)] = 0.01

    def spread(self, half: float) -> Spread:
        """Returns the distribution of a warp whose random half of the weights deviates by `half`."""
        return Spread(self.rotation, self.scale, self.shift, self.bend, half)


class Loss(Section):
    """Alignment + weight · diversity, with coordinates from -1 to 1 across the input.

    Attributes:
        alignment: "probabilities" (equation 6) or "points" (equation 3).
        diversity: "patches" (equation 8, in linear time) or "pairs" (equation 7).
        weight: Weight of diversity, the paper's γ in this unit. A larger weight keeps landmarks on a grid, a smaller
            one lets them gather.
        patch: Cells along a side of the patches over which probabilities are summed first.
    """

    alignment: Literal["probabilities", "points"] = "probabilities"
    diversity: Literal["patches", "pairs"] = "patches"
    weight: Annotated[float, Field(ge=0)] = 0.03
    patch: Count = 3


class LandmarkOptimizer(Optimizer):
    """The shared optimizer with the defaults of a discovery."""

    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995


class ShortRun(Run):
    """The shared run settings with the defaults of a discovery; long runs end on a grid (docs/guides/landmarks.md)."""

    epochs: Count = 5
    validate_every: Count = 1


class ColorAugmentation(Augmentation):
    """The shared augmentation with the defaults of a discovery: warps move the views, so only colors change."""

    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (1.0, 1.0)
    shift: Share = 0.0
    flip: Share = 0.0
    color: Share = 0.2


class Recipe(SharedRecipe):
    """A training run of landmarks.

    `augmentation` changes the image from which both views are taken; its color changes are drawn for each view.
    """

    method: Literal["landmarks"] = "landmarks"
    name: Annotated[str, Field(min_length=1)] = "landmarks"
    skeleton: None = None  # landmarks have no names yet
    input: Input = Input()
    crop: Crop = Crop()
    network: NetworkSettings = NetworkSettings()
    warps: Warps = Warps()
    loss: Loss = Loss()
    augmentation: ColorAugmentation = ColorAugmentation()
    optimizer: LandmarkOptimizer = LandmarkOptimizer()
    run: ShortRun = ShortRun()

    @model_validator(mode="after")
    def _check_room(self) -> Recipe:
        landmarks, multiple = self.network.landmarks, self.network.multiple
        minimum = max(MIN_SIZE, 2 * multiple)  # reflection padding needs more than one cell
        if self.input.size % multiple or self.input.size < minimum:
            raise ValueError(f"input.size must be a multiple of {multiple} for this network, and at least {minimum}")
        room = (-(-self.cells // self.loss.patch)) ** 2
        if landmarks > room:
            raise ValueError(
                f"{landmarks} landmarks do not fit into maps of {self.cells} x {self.cells} cells, patches of "
                f"{self.loss.patch}: the maximum is {room}; request fewer, or increase input.size"
            )
        return self

    @property
    def cells(self) -> int:
        """Cells along a side of the score maps."""
        return self.input.size // self.network.stride
