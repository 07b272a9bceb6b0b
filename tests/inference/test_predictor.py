"""What the network saw is where the image shows it, whatever the image's size."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.api.load import load
from cairn.errors import ImageError, ModelError
from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import write_image
from cairn.structures.geometry import image_to_field, letterbox
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork, totems


def at_cell(x: float, y: float) -> Poses:
    return Poses(np.full((1, 3, 2), (x, y), np.float32), np.ones((1, 3), np.float32), np.ones(1, np.float32), TOTEM)


@given(st.integers(1, 700), st.integers(1, 700), st.floats(0, 1), st.floats(0, 1))
def test_cells_go_back_to_the_image_s_pixels(height: int, width: int, across: float, down: float) -> None:
    x, y = across * (width - 1), down * (height - 1)
    affine, size = letterbox((height, width), SPEC.input.size, SPEC.input.multiple)
    cell = image_to_field(affine.apply(np.array([x, y])), SPEC.stride)
    network = FakeNetwork(SPEC, {"heatmaps": np.zeros((1, 3, 4, 4), np.float32)})
    poses = BottomUpPredictor(network, lambda maps: at_cell(*cell))(np.zeros((height, width, 3), np.uint8))
    np.testing.assert_allclose(poses.keypoints[0, 0], [x, y], atol=1e-3 * max(height, width))
    assert network.shown[0].shape == (1, 3, *size)


def test_the_network_sees_rgb_from_0_to_255_and_the_decoder_one_image() -> None:
    seen: list[Maps] = []

    def decode(maps: Maps) -> Poses:
        seen.append(maps)
        return Poses.empty(TOTEM)

    network = FakeNetwork(SPEC, {"heatmaps": np.ones((1, 3, 4, 5), np.float32)})
    image = np.zeros((320, 320, 3), np.uint8)
    image[..., 0] = 255
    BottomUpPredictor(network, decode)(image)
    assert network.shown[0].dtype == np.float32
    np.testing.assert_array_equal(network.shown[0][0, :, 160, 160], [255, 0, 0])
    assert seen[0]["heatmaps"].shape == (3, 4, 5)


def test_a_given_size_is_shown() -> None:
    network = FakeNetwork(SPEC, {})
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), size=96)(np.zeros((100, 200, 3), np.uint8))
    assert network.shown[0].shape == (1, 3, 64, 96)


@pytest.mark.parametrize("size", [0, -64, 31, 8193, 10**9])
def test_a_size_that_no_network_can_be_shown_is_refused(size: int) -> None:
    with pytest.raises(ModelError, match=f"size must be from 32 to 8192 pixels, got {size}"):
        BottomUpPredictor(FakeNetwork(SPEC, {}), lambda maps: Poses.empty(TOTEM), size)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peak": 0.1}, "has no peak; it has .*peak_threshold"),
        ({"peak_threshold": "high"}, "takes peak_threshold such as 0.05, got 'high'"),
        ({"peak_threshold": [0.1]}, r"takes peak_threshold such as 0.05, got \[0.1\]"),
        ({"peak_threshold": True}, "takes peak_threshold such as 0.05, got True"),
        ({"min_parts": 2.5}, "takes min_parts such as 3, got 2.5"),
        ({"second_try": "no"}, "takes second_try such as True, got 'no'"),
        ({"matching": 1}, "takes matching such as 'greedy', got 1"),
    ],
)
def test_settings_of_another_kind_are_refused(totem_model: Path, settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=r"decode\(\) of openpose " + message):
        load(totem_model, threads=1, **settings)
    load(totem_model, threads=1, peak_threshold=1, min_parts=2, second_try=False, matching="hungarian")


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_totems_are_found_where_they_stand(totem_model: Path, factor: int) -> None:
    middles = [(60, 80), (160, 120), (260, 90)]
    image = totems((240, 320), middles).repeat(factor, axis=0).repeat(factor, axis=1)
    poses = load(totem_model, threads=1)(image)
    assert len(poses) == 3
    expected = np.array([[(x, y + step * 40) for step in (-1, 0, 1)] for x, y in middles])
    found = poses.keypoints[np.argsort(poses.keypoints[:, 1, 0])]
    # a pixel's center p becomes the middle of the pixels that it is repeated to
    assert np.abs(found - (factor * expected + (factor - 1) / 2)).max() < 3 * factor


def test_a_path_and_its_image_give_the_same(totem_model: Path, tmp_path: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    write_image(tmp_path / "totem.png", image)
    model = load(totem_model, threads=1)
    one, other = model(image), model(tmp_path / "totem.png")
    assert len(one) == 1
    np.testing.assert_array_equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8), None]
)
def test_what_is_no_image_is_refused(image: object) -> None:
    with pytest.raises(ImageError, match=r"a path or an \(H, W, 3\) uint8 RGB array, got"):
        BottomUpPredictor(FakeNetwork(SPEC, {}), lambda maps: Poses.empty(TOTEM))(image)  # type: ignore[arg-type]
