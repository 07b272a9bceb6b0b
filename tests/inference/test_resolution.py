"""Resolution of the network input, and the average of maps over test-time scales."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.errors import ImageError, ModelError
from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor, TopDownPredictor
from cairn.inference.resolution import SIDES, Resolution, average_maps
from cairn.methods.openpose import predictor as openpose
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork
from support.fake_poses import random_poses


class NoiseNetwork:
    """Random maps that depend on the input size alone."""

    spec = SPEC
    device = "cpu"
    threads = 0

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.made: list[Maps] = []

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        height, width = images.shape[2:]
        rng = np.random.default_rng(height * 10_000 + width)
        self.sizes.append((height, width))
        cells = height // self.spec.stride, width // self.spec.stride
        self.made.append(
            {
                "heatmaps": rng.random((1, 3, *cells), dtype=np.float32),
                "pafs": rng.random((1, 4, *cells), dtype=np.float32),
            }
        )
        return self.made[-1]


def sampled(field: NDArray, x: float, y: float) -> float:
    """Bilinear, one place at a time; beyond the border the border's cells."""
    height, width = field.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = math.floor(x), math.floor(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    across, down = x - left, y - top
    upper = (1 - across) * field[top, left] + across * field[top, right]
    lower = (1 - across) * field[bottom, left] + across * field[bottom, right]
    return (1 - down) * upper + down * lower


@pytest.mark.parametrize("size", [(150, 200), (333, 97)])
def test_several_scales_are_the_mean_of_resized_maps(size: tuple[int, int]) -> None:
    network = NoiseNetwork()
    resolution = Resolution(longest=192, scales=3, scale_gap=0.3)
    seen: list[Maps] = []

    def decode(maps: Maps) -> Poses:
        seen.append(maps)
        return Poses.empty(TOTEM)

    BottomUpPredictor(network, decode, resolution)(np.zeros((*size, 3), np.uint8))
    assert len(network.sizes) == 3
    for name in ("heatmaps", "pafs"):
        first = network.made[0][name][0]
        expected = first.astype(np.float64)
        for made, scale in zip(network.made[1:], (0.7, 0.4), strict=True):
            for channel, i, j in np.ndindex(*first.shape):
                x, y = (j + 0.5) * scale - 0.5, (i + 0.5) * scale - 0.5
                expected[channel, i, j] += sampled(made[name][0, channel], x, y)
        np.testing.assert_allclose(seen[0][name], expected / 3, atol=1e-6)


def test_average_over_scales_does_not_shift_maps() -> None:
    """A ramp over the image stays the same ramp at every scale."""

    class RampNetwork:
        spec = SPEC
        device = "cpu"
        threads = 0

        def __call__(self, images: NDArray[np.float32]) -> Maps:
            height, width = images.shape[2:]
            cells = images[:, :1].reshape(1, 1, height // 8, 8, width // 8, 8).mean(axis=(3, 5))
            return {"heatmaps": cells}

    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8)[None, :, None], (128, 256, 3))
    one, to_image = BottomUpPredictor(RampNetwork(), lambda maps: Poses.empty(TOTEM), Resolution(longest=256)).maps(
        ramp
    )
    several = Resolution(longest=256, scales=3, scale_gap=0.25)
    mean, same = BottomUpPredictor(RampNetwork(), lambda maps: Poses.empty(TOTEM), several).maps(ramp)
    np.testing.assert_array_equal(to_image.matrix, same.matrix)
    inside = mean["heatmaps"][0, 1:-1, 2:-3]
    np.testing.assert_allclose(inside, one["heatmaps"][0, 1:-1, 2:-3], atol=1)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 4), st.sampled_from([16, 32]))
def test_scales_shrink_and_stay_anchored(height: int, width: int, scales: int, multiple: int) -> None:
    given = Resolution(longest=512, scales=scales).of_model(320, multiple)
    fits = given.fit((height, width), multiple)
    for i, (affine, size) in enumerate(fits):
        assert affine.scale == pytest.approx(512 / max(height, width) * (1 - i * 0.25))
        np.testing.assert_allclose(affine.apply(np.array([-0.5, -0.5])), [-0.5, -0.5])
        assert all(side % multiple == 0 for side in size)


@given(st.integers(20, 4000), st.integers(20, 4000))
def test_other_side_follows_the_aspect_ratio(height: int, width: int) -> None:
    height = max(height, width // 20)  # else it is too long
    ((affine, size),) = Resolution.parse("-1x368").fit((height, width), 16)
    assert affine.scale == pytest.approx(368 / height)
    assert size[0] == 368
    assert -0.5 <= size[1] - 368 * width / height <= 16.5


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_image_fits_into_both_sides(height: int, width: int) -> None:
    ((affine, size),) = Resolution.parse("656x368").fit((height, width), 16)
    assert size == (368, 656)
    corner = affine.apply(np.array([width - 0.5, height - 0.5]))
    assert (corner <= np.array([655.5, 367.5]) + 1e-6).all()
    assert np.isclose(corner, [655.5, 367.5]).any()


def test_network_input_has_the_given_resolution() -> None:
    network = NoiseNetwork()
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), Resolution.parse("-1x192"))(
        np.zeros((100, 150, 3), np.uint8)
    )
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), Resolution(scales=2))(np.zeros((100, 200, 3), np.uint8))
    assert network.sizes == [(192, 288), (160, 320), (128, 256)]


def test_poses_are_in_image_pixels_for_two_given_sides() -> None:
    cell = random_poses(0, 2)
    network = FakeNetwork(SPEC, {"heatmaps": np.zeros((1, 3, 8, 8), np.float32)})
    poses = BottomUpPredictor(network, lambda maps: cell, Resolution(width=320, height=320))(
        np.zeros((100, 200, 3), np.uint8)
    )
    np.testing.assert_allclose(poses.keypoints, (cell.keypoints + 0.5) * 8 / 1.6 - 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"height": "a"}, "height must be a whole number, got 'a'"),
        ({"scales": 1.5}, "scales must be a whole number, got 1.5"),
        ({"scale_gap": "x"}, "scale_gap must be a number, got 'x'"),
        ({"longest": 320, "width": 320}, "the longest side, or width and height, not both"),
        ({"longest": 8}, f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got 8"),
        ({"height": 9000}, f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got 9000"),
        ({"scales": 0}, "scales must be at least 1, got 0"),
        ({"scales": 2, "scale_gap": 0.0}, "gap between scales must be between 0 and 1, got 0"),
        ({"scale_gap": float("nan")}, "gap between scales must be between 0 and 1, got nan"),
        ({"scales": 5, "scale_gap": 0.25}, "5 scales with a gap of 0.25 end at 0 times"),
        ({"scales": 11, "scale_gap": 0.1}, "11 scales with a gap of 0.1 end at"),
    ],
)
def test_contradictory_options_raise(settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Resolution(**settings)


@pytest.mark.parametrize("text", ["", "368", "x368", "axb", "656x368x3", "656*368", "1e3x368"])
def test_invalid_net_resolution_raises(text: str) -> None:
    with pytest.raises(ModelError, match="WxH, such as 656x368 or -1x368, got"):
        Resolution.parse(text)


def test_impossible_resolutions_raise() -> None:
    with pytest.raises(ModelError, match="only one side"):
        Resolution.parse("-1x-1")
    with pytest.raises(ModelError, match=r"last of 4 scales with a gap of 0\.32 would be 13 pixels; the minimum is 32"):
        Resolution(scales=4, scale_gap=0.32).of_model(320, 32)
    with pytest.raises(
        ImageError, match="4000 x 10 pixels, and its network input would be 147200 pixels long; the maximum is 8192"
    ):
        Resolution.parse("-1x368").fit((10, 4000), 16)


def test_model_of_one_instance_takes_no_net_resolution() -> None:
    spec = SPEC.model_copy(update={"task": "crop"})
    with pytest.raises(ModelError, match="predicts one instance per crop"):
        TopDownPredictor(FakeNetwork(spec, {}), lambda maps: Poses.empty(TOTEM), Resolution(scales=2))


def test_method_takes_a_resolution_as_size() -> None:
    network = NoiseNetwork()
    openpose(network, Resolution(scales=2), second_try=False)(np.zeros((64, 64, 3), np.uint8))
    assert network.sizes == [(320, 320), (256, 256)]


def test_average_of_one_scale_is_identity() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    affine = Resolution(longest=64).fit((10, 10), 32)[0][0]
    np.testing.assert_array_equal(average_maps([maps], [affine]), maps)


@given(st.integers(0, 99), st.floats(0.3, 1.6), st.tuples(*[st.integers(1, 40)] * 4))
def test_maps_of_another_scale_are_sampled_between_their_cells(
    seed: int, step: float, sides: tuple[int, int, int, int]
) -> None:
    rng = np.random.default_rng(seed)
    height, width, *own = sides
    first, second = rng.random((2, height, width), dtype=np.float32), rng.random((2, *own), dtype=np.float32)
    x, y = ((np.arange(side) + 0.5) * step - 0.5 for side in (width, height))
    rows = [[np.interp(x, np.arange(own[1]), row) for row in one] for one in second]
    wanted = np.array([[np.interp(y, np.arange(own[0]), column) for column in np.transpose(one)] for one in rows])
    affines = [Affine.scaling(scale) for scale in (2.0, 2.0 * step)]
    np.testing.assert_allclose(
        average_maps([first, second], affines), (first + wanted.transpose(0, 2, 1)) / 2, atol=1e-5
    )


def of_two_scales(longest: int | None = None, scales: int | None = None) -> list[tuple[int, int]]:
    """Sizes of the network inputs for an image of 100 × 200, of a model of 320 pixels and scales 1 and 1/2."""
    own = SPEC.input.model_copy(update={"scales": 2, "scale_gap": 0.5})
    network = NoiseNetwork()
    network.spec = SPEC.model_copy(update={"input": own})
    shown = Resolution(longest=longest, scales=scales)
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), shown)(np.zeros((100, 200, 3), np.uint8))
    return network.sizes


def test_scales_of_the_model_are_the_default() -> None:
    assert of_two_scales() == [(160, 320), (96, 160)]
    assert of_two_scales(scales=1) == [(160, 320)]
    assert of_two_scales(longest=64) == [(32, 64), (32, 32)]
    assert of_two_scales(longest=63) == [(32, 64)]  # half of it would be below the minimum side
    with pytest.raises(ModelError, match="scale_gap needs scales"):
        Resolution(scale_gap=0.5)


@pytest.mark.parametrize(
    ("text", "expected"), [("-1x368", (None, 384)), ("656x-1", (672, None)), ("10x40", None), ("640x480", (640, 480))]
)
def test_sides_are_rounded_to_the_nearest_multiple_with_a_warning(
    text: str, expected: tuple | None, caplog: pytest.LogCaptureFixture
) -> None:
    if expected is None:
        with pytest.raises(ModelError, match="size must be from 32 to 8192 pixels, got 10"):
            Resolution.parse(text)
        return
    rounded = Resolution.parse(text).of_model(320, 32)
    assert (rounded.width, rounded.height) == expected
    lines = [] if text == "640x480" else [f"net resolution: rounded {LINES[text]}, a multiple of 32"]
    assert caplog.messages == lines


LINES = {"-1x368": "height 368 to 384", "656x-1": "width 656 to 672"}
