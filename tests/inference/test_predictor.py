"""Predictions are in image pixels for every image size; inputs, batches and copies of predictors."""

import copy
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cairn.api.load import load
from cairn.errors import ImageError, ModelError
from cairn.inference import zoo
from cairn.inference.base import BATCH
from cairn.inference.network import Maps
from cairn.inference.predictor import BottomUpPredictor
from cairn.media.images import write_image
from cairn.structures.geometry import image_to_field, letterbox
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork, totems


def at_cell(x: float, y: float) -> Poses:
    return Poses(np.full((1, 3, 2), (x, y), np.float32), np.ones((1, 3), np.float32), np.ones(1, np.float32), TOTEM)


@given(st.integers(1, 700), st.integers(1, 700), st.floats(0, 1), st.floats(0, 1))
def test_cells_map_back_to_image_pixels(height: int, width: int, across: float, down: float) -> None:
    x, y = across * (width - 1), down * (height - 1)
    affine, size = letterbox((height, width), SPEC.input.size, SPEC.input.multiple)
    cell = image_to_field(affine.apply(np.array([x, y])), SPEC.stride)
    network = FakeNetwork(SPEC, {"heatmaps": np.zeros((1, 3, 4, 4), np.float32)})
    poses = BottomUpPredictor(network, lambda maps: at_cell(*cell))(np.zeros((height, width, 3), np.uint8))
    np.testing.assert_allclose(poses.keypoints[0, 0], [x, y], atol=1e-3 * max(height, width))
    assert network.inputs[0].shape == (1, 3, *size)


def test_network_input_is_rgb_from_0_to_255() -> None:
    decoded: list[Maps] = []

    def decode(maps: Maps) -> Poses:
        decoded.append(maps)
        return Poses.empty(TOTEM)

    network = FakeNetwork(SPEC, {"heatmaps": np.ones((1, 3, 4, 5), np.float32)})
    image = np.zeros((320, 320, 3), np.uint8)
    image[..., 0] = 255
    BottomUpPredictor(network, decode)(image)
    assert network.inputs[0].dtype == np.float32
    np.testing.assert_array_equal(network.inputs[0][0, :, 160, 160], [255, 0, 0])
    assert decoded[0]["heatmaps"].shape == (3, 4, 5)


def test_network_input_has_the_given_size() -> None:
    network = FakeNetwork(SPEC, {})
    BottomUpPredictor(network, lambda maps: Poses.empty(TOTEM), size=96)(np.zeros((100, 200, 3), np.uint8))
    assert network.inputs[0].shape == (1, 3, 64, 96)


@pytest.mark.parametrize("size", [0, -64, 31, 8193, 10**9])
def test_size_out_of_range_raises(size: int) -> None:
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
        ({"matching": 1}, "takes matching such as 'exchange', got 1"),
    ],
)
def test_settings_of_another_type_raise(totem_model: Path, settings: dict, message: str) -> None:
    with pytest.raises(ModelError, match=r"decode\(\) of openpose " + message):
        load(totem_model, threads=1, **settings)
    load(totem_model, threads=1, peak_threshold=1, min_parts=2, second_try=False, matching="hungarian")


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_totems_are_detected_at_their_positions(totem_model: Path, factor: int) -> None:
    middles = [(60, 80), (160, 120), (260, 90)]
    image = totems((240, 320), middles).repeat(factor, axis=0).repeat(factor, axis=1)
    poses = load(totem_model, threads=1)(image)
    assert len(poses) == 3
    expected = np.array([[(x, y + step * 40) for step in (-1, 0, 1)] for x, y in middles])
    found = poses.keypoints[np.argsort(poses.keypoints[:, 1, 0])]
    # a pixel's center p becomes the middle of the pixels that it is repeated to
    assert np.abs(found - (factor * expected + (factor - 1) / 2)).max() < 3 * factor


def test_path_and_array_give_equal_poses(totem_model: Path, tmp_path: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    write_image(tmp_path / "totem.png", image)
    model = load(totem_model, threads=1)
    one, other = model(image), model(tmp_path / "totem.png")
    assert len(one) == 1
    np.testing.assert_array_equal(one.keypoints, other.keypoints)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), None, 7, "rtsp://a.b/c"])
def test_other_inputs_raise_image_error(image: Any) -> None:
    with pytest.raises(ImageError, match=r"expected an image|is a stream") as caught:
        BottomUpPredictor(FakeNetwork(SPEC, {}), lambda maps: Poses.empty(TOTEM))(image)
    assert "\n" not in str(caught.value)


def test_result_keeps_the_image(totem_model: Path) -> None:
    image = totems((240, 320), [(160, 120)])
    model = load(totem_model, threads=1)
    assert model(image).image is image
    assert all(poses.image is image for poses in model([image, image]))


def sizes_of_images() -> list[NDArray[np.uint8]]:
    """Images of two sizes of the network input, in mixed order, more than run at once."""
    return [totems((240, 320) if i % 3 else (320, 200), [(60 + 8 * i, 110), (150, 100)]) for i in range(2 * BATCH + 3)]


def assert_equal(some: Sequence[Poses], others: Sequence[Poses]) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        np.testing.assert_array_equal(one.confidence, other.confidence)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_batch_equals_single_calls(totem_model: Path) -> None:
    model, images = load(totem_model, threads=1), sizes_of_images()
    alone = [model(image) for image in images]
    assert max(len(poses) for poses in alone) == 2
    assert_equal(model.batch(images), alone)
    assert_equal(model(images), alone)
    assert_equal(model(tuple(images)), alone)
    assert_equal(model.batch(np.stack(images[1:3])), alone[1:3])
    assert model([]) == []


def test_batch_runs_images_of_one_size_together(totem_model: Path) -> None:
    model = load(totem_model, threads=1)
    assert isinstance(model, BottomUpPredictor)
    counts: list[int] = []
    network = model.network

    class Counting:
        spec = network.spec

        def __call__(self, images: NDArray[np.float32]) -> Maps:
            counts.append(len(images))
            return network(images)

    model.network = Counting()
    model.batch([np.zeros((64, 64, 3), np.uint8)] * (BATCH + 2))
    assert counts == [BATCH, 2]


def test_error_in_a_batch_states_the_position(totem_model: Path) -> None:
    with pytest.raises(ImageError, match=r"image 1 of the batch: expected an image of one pixel at least"):
        load(totem_model, threads=1)([np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)])


def test_boxes_for_a_model_of_all_instances_raise(totem_model: Path) -> None:
    model = load(totem_model, threads=1)
    for boxes in ([[0, 0, 9, 9]], np.zeros((0, 4))):
        with pytest.raises(ModelError, match=r"totems detects all instances of an image and takes no boxes: leave"):
            model(np.zeros((64, 64, 3), np.uint8), boxes=boxes)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_a_predictor_predict_the_same(totem_model: Path, copied: Callable[[Any], Any]) -> None:
    image = totems((240, 320), [(160, 120)])
    model = load(totem_model, threads=1)
    other = copied(model)
    assert_equal([model(image)], [other(image)])
    assert (other.name, other.device, other.threads) == (model.name, model.device, 1)


@pytest.mark.parametrize("name", [name for name in zoo.embedded() if name != "person-lift"])
def test_every_bundled_model_can_be_pickled(name: str) -> None:
    model = pickle.loads(pickle.dumps(load(name, threads=1)))
    assert model.spec.name == name


def test_predictor_has_name_skeleton_device_and_a_short_repr(totem_model: Path) -> None:
    model = load(totem_model, threads=1)
    assert (model.name, model.skeleton, model.device) == ("totems", TOTEM, "cpu")
    assert repr(model) == "BottomUpPredictor('totems', task='multi_instance', K=3, cpu)"
