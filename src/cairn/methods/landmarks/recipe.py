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


ROOM, MIN_PATCH = 2, 2
"""Patches per landmark, and cells along a side of a patch, at which `loss.patch` = 0 stops to enlarge patches."""


class Input(Section):
    """Size of the network's input: the middle of an image, in which the landmarks are.

    With `middle` = 1, warps bring the image's edge into view, and landmarks tend to follow the edge.

    Attributes:
        size: Side of the square input in pixels.
        middle: Side of the input over the side of the whole image. The rest of the image comes into view by warps.
        context: Whether the network's input also includes the rest of the image, on all sides of the middle. Without
            it the network infers positions from the padding at the edge of the middle, and landmarks settle there.
    """

    size: Count = 96
    middle: Annotated[float, Field(gt=0.3, le=1)] = 0.75
    context: bool = False

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
        apart: Maximum of a further shift in half image sides, which moves the two views in opposite directions. A point
            that never moves has an error of twice this shift, and a network with stride shifts for free.
        growth: Factor on rotation and scale between the views from the sixth epoch on. Otherwise landmarks become a
            rigid group that follows only the shift of the object.
    """

    rotation: Annotated[float, Field(ge=0)] = 5.0
    scale: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
    shift: Annotated[float, Field(ge=0)] = 0.1
    bend: Annotated[float, Field(ge=0)] = 0.001
    first: Annotated[float, Field(ge=0)] = 0.005
    second: Annotated[float, Field(ge=0)] = 0.01
    apart: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    growth: Annotated[float, Field(ge=1, le=4)] = 1.0

    def spread(self, half: float) -> Spread:
        """Returns the distribution of a warp whose random half of the weights deviates by `half`."""
        return Spread(self.rotation, self.scale, self.shift, self.bend, half)


class Loss(Section):
    """The sum of alignment, or its logarithm, and weight · diversity; coordinates are from -1 to 1 across the input.

    Attributes:
        alignment: "probabilities" (equation 6) or "points" (equation 3).
        diversity: "patches" (equation 8, in linear time) or "pairs" (equation 7).
        log: Whether the logarithm of the alignment is minimized. Then diversity counts less as the alignment improves,
            and the weight holds for every size of the warps (0.3 in `recipes/landmarks-long.toml`). False is the
            paper's sum.
        each: Whether, with `log`, each landmark has a logarithm of its own from the sixth epoch on, so that landmarks
            that nothing in the image holds do not outweigh the others.
        in_view: Whether alignment ignores landmarks that only one of both views contains. False is the paper's loss.
        weight: Weight of diversity, the paper's γ in this unit. A larger weight keeps landmarks on a grid, a smaller
            one lets them gather.
        final: Share of `weight` at the end of the run. The weight is constant at first, which separates the landmarks,
            and then falls, which lets them stay on the points that are easiest to follow. 1 is the paper's constant.
        patch: Cells along a side of the patches over which probabilities are summed first. 0 selects the largest that
            leave two patches for each landmark, because few landmarks in small patches gather in one place.
    """

    alignment: Literal["probabilities", "points"] = "probabilities"
    diversity: Literal["patches", "pairs"] = "patches"
    log: bool = False
    each: bool = False
    in_view: bool = False
    weight: Annotated[float, Field(ge=0)] = 0.03
    final: Annotated[float, Field(ge=0, le=1)] = 1.0
    patch: Annotated[int, Field(ge=0)] = 3


class LandmarkOptimizer(Optimizer):
    """The shared optimizer with the defaults of a discovery."""

    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.995


class ShortRun(Run):
    """The shared run settings with the defaults of a discovery.

    Longer runs need `recipes/landmarks-long.toml`: with the paper's loss they end on a grid (docs/guides/landmarks.md).

    Attributes:
        max_rise: Rise of the metric `still` over its lowest value, in percentage points, that ends the run after two
            validations in a row; 100 never ends it.
    """

    epochs: Count = 5
    validate_every: Count = 1
    max_rise: Annotated[float, Field(ge=0, le=100)] = 10.0


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
        room = self._patches(self.patch)
        if landmarks > room:
            raise ValueError(
                f"{landmarks} landmarks do not fit into maps of {self.cells} x {self.cells} cells, patches of "
                f"{self.patch}: the maximum is {room}; request fewer, or increase input.size"
            )
        return self

    @property
    def context(self) -> int:
        """Pixels on each side of the middle that the network's input includes: as many as its stride allows."""
        edge = (self.input.frame - self.input.size) // 2 if self.input.context else 0
        stride, multiple = self.network.stride, self.network.multiple
        fitting = (each for each in range(edge, 0, -1) if not (each % stride or (2 * each) % multiple))
        return next(fitting, 0)

    @property
    def patch(self) -> int:
        """Cells along a side of a patch."""
        if self.loss.patch:
            return self.loss.patch
        wanted = ROOM * self.network.landmarks
        roomy = next((side for side in range(self.cells, MIN_PATCH, -1) if self._patches(side) >= wanted), MIN_PATCH)
        return -(-self.cells // -(-self.cells // roomy))  # as many patches, of more even sizes

    def _patches(self, side: int) -> int:
        """Number of patches with `side` cells along a side."""
        return (-(-self.cells // side)) ** 2

    @property
    def cells(self) -> int:
        """Cells along a side of the score maps."""
        return self.input.size // self.network.stride
