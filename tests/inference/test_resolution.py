"""What the network is shown of an image, and how maps of several scales become one."""

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
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork
from support.fake_poses import random_poses


class NoiseNetwork:
    """Other maps for every size of input, and the same each time."""

    spec = SPEC

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []
        self.made: list[Maps] = []

    def __call__(self, images: NDArray[np.float32]) -> Maps:
        height, width = images.shape[2:]
        rng = np.random.default_rng(height * 10_000 + width)
        self.shown.append((height, width))
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
def test_several_scales_are_the_plain_mean_of_resized_maps(size: tuple[int, int]) -> None:
    network = NoiseNetwork()
    resolution = Resolution(longest=192, scales=3, scale_gap=0.3)
    seen: list[Maps] = []

    def decode(maps: Maps) -> Poses:
        seen.append(maps)
        return Poses.empty(TOTEM)

    BottomUpPredictor(network, decode, resolution)(np.zeros((*size, 3), np.uint8))
    assert len(network.shown) == 3
    for name in ("heatmaps", "pafs"):
        first = network.made[0][name][0]
        expected = first.astype(np.float64)
        for made, scale in zip(network.made[1:], (0.7, 0.4), strict=True):
            for channel, i, j in np.ndindex(*first.shape):
                x, y = (j + 0.5) * scale - 0.5, (i + 0.5) * scale - 0.5
                expected[channel, i, j] += sampled(made[name][0, channel], x, y)
        np.testing.assert_allclose(seen[0][name], expected / 3, atol=1e-6)


def test_the_mean_of_scales_is_where_the_image_shows_it() -> None:
    """A ramp over the image stays that ramp, whatever the scale: nothing is moved."""

    class RampNetwork:
        spec = SPEC

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
def test_one_side_given_the_other_follows(height: int, width: int) -> None:
    height = max(height, width // 20)  # else it is too long
    ((affine, size),) = Resolution.parse("-1x368").fit((height, width), 16)
    assert affine.scale == pytest.approx(368 / height)
    assert size[0] == 368
    assert -0.5 <= size[1] - 368 * width / height <= 16.5


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_both_sides_given_are_shown_and_hold_the_image(height: int, width: int) -> None:
    ((affine, size),) = Resolution.parse("656x368").fit((height, width), 16)
    assert size == (368, 656)
    corner = affine.apply(np.array([width - 0.5, height - 0.5]))
    assert (corner <= np.array([655.5, 367.5]) + 1e-6).all()
    assert np.isclose(corner, [655.5, 367.5]).any()


def test_the_network_is_shown_what_was_asked_for() -> None:
    network = NoiseNetwork()
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), Resolution.parse("-1x192"))(
        np.zeros((100, 150, 3), np.uint8)
    )
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), Resolution(scales=2))(np.zeros((100, 200, 3), np.uint8))
    assert network.shown == [(192, 288), (160, 320), (128, 256)]


def test_poses_of_both_sides_given_lie_in_the_image_s_pixels() -> None:
    cell = random_poses(0, 2)
    network = FakeNetwork(SPEC, {"heatmaps": np.zeros((1, 3, 8, 8), np.float32)})
    poses = BottomUpPredictor(network, lambda maps: cell, Resolution(width=320, height=320))(
        np.zeros((100, 200, 3), np.uint8)
    )
    np.testing.assert_allclose(poses.keypoints, (cell.keypoints + 0.5) * 8 / 1.6 - 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"longest": 320, "width": 320}, "the longest side, or width and height, not both"),
        ({"longest": 8}, f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got 8"),
        ({"height": 9000}, f"size must be from {SIDES[0]} to {SIDES[1]} pixels, got 9000"),
        ({"scales": 0}, "scales must be 1 at least, got 0"),
        ({"scales": 2, "scale_gap": 0.0}, "gap between scales must be between 0 and 1, got 0"),
        ({"scale_gap": float("nan")}, "gap between scales must be between 0 and 1, got nan"),
        ({"scales": 5, "scale_gap": 0.25}, "5 scales with a gap of 0.25 end at 0 times"),
        ({"scales": 11, "scale_gap": 0.1}, "11 scales with a gap of 0.1 end at"),
    ],
)
def test_contradictions_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Resolution(**settings)


@pytest.mark.parametrize("text", ["", "368", "x368", "axb", "656x368x3", "656*368", "1e3x368"])
def test_what_is_no_net_resolution_is_said(text: str) -> None:
    with pytest.raises(ModelError, match="WxH, such as 656x368 or -1x368, got"):
        Resolution.parse(text)


def test_what_a_model_cannot_be_shown_is_said() -> None:
    with pytest.raises(ModelError, match="only one side"):
        Resolution.parse("-1x-1")
    with pytest.raises(ModelError, match="height must be a multiple of 32 for this model, got 368: take 352 or 384"):
        Resolution.parse("-1x368").of_model(320, 32)
    with pytest.raises(ModelError, match=r"last of 4 scales with a gap of 0\.32 would be 13 pixels; the least is 32"):
        Resolution(scales=4, scale_gap=0.32).of_model(320, 32)
    with pytest.raises(ImageError, match="4000 x 10 pixels, and would be shown 147200 pixels long; the most is 8192"):
        Resolution.parse("-1x368").fit((10, 4000), 16)


def test_a_model_of_single_objects_takes_no_resolution() -> None:
    spec = SPEC.model_copy(update={"task": "crop"})
    with pytest.raises(ModelError, match="shown one object at a time"):
        TopDownPredictor(FakeNetwork(spec, {}), lambda maps: Poses.empty(TOTEM), Resolution(scales=2))


def test_a_method_takes_a_resolution_for_its_size() -> None:
    network = NoiseNetwork()
    openpose(network, Resolution(scales=2), second_try=False)(np.zeros((64, 64, 3), np.uint8))
    assert network.shown == [(320, 320), (256, 256)]


def test_one_scale_is_left_as_it_is() -> None:
    maps = np.random.default_rng(0).random((2, 3, 4), dtype=np.float32)
    affine = Resolution(longest=64).fit((10, 10), 32)[0][0]
    np.testing.assert_array_equal(average_maps([maps], [affine]), maps)


def of_two_scales(longest: int | None = None, scales: int | None = None) -> list[tuple[int, int]]:
    """What a model is shown of an image of 100 × 200 whose own are 320 pixels and scales of 1 and 1/2."""
    own = SPEC.input.model_copy(update={"scales": 2, "scale_gap": 0.5})
    network = NoiseNetwork()
    network.spec = SPEC.model_copy(update={"input": own})
    shown = Resolution(longest=longest, scales=scales)
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), shown)(np.zeros((100, 200, 3), np.uint8))
    return network.shown


def test_a_model_s_own_scales_are_taken_where_none_are_asked_for() -> None:
    assert of_two_scales() == [(160, 320), (96, 160)]
    assert of_two_scales(scales=1) == [(160, 320)]
    assert of_two_scales(longest=64) == [(32, 64), (32, 32)]
    assert of_two_scales(longest=63) == [(32, 64)]  # half of it would be below the least side
    with pytest.raises(ModelError, match="a gap is between scales"):
        Resolution(scale_gap=0.5)
