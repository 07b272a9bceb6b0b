"""Visibility from planted maps to poses: bottom-up, in crops, mirrored and refined."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.refine import RefinedPredictor
from cairn.inference.visibility import with_visibility
from cairn.inference.whole_body import WholeBodyPredictor
from cairn.methods.hourglass import predictor as crop_predictor
from cairn.methods.openpose import predictor
from cairn.ops.heatmaps import render_gaussians, values_at
from cairn.ops.pafs import render_pafs
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_network import SPEC, TOTEM, FakeNetwork, FixedPredictor
from support.fake_poses import random_poses

SEEING = SPEC.model_copy(update={"outputs": ("heatmaps", "pafs", "visibility")})
SIDED = Skeleton("sided", ("left_eye", "right_eye", "chin"), ((0, 2), (1, 2)), flip_pairs=((0, 1),))
IMAGE = np.zeros((320, 320, 3), np.uint8)


def planted(points: np.ndarray, visibility: np.ndarray) -> dict[str, np.ndarray]:
    size = (40, 40)
    return {
        "heatmaps": render_gaussians(points, size, 1.0)[None],
        "pafs": render_pafs(points, TOTEM.limbs, size, 1.0)[None],
        "visibility": visibility[None].astype(np.float32),
    }


def test_a_keypoint_has_the_value_of_its_own_map_there():
    points = np.array([[[x, y], [x, y + 6], [x, y + 12]] for x, y in ((5, 4), (15.5, 8.25), (25, 20))], float)
    rows, columns = np.indices((40, 40))
    maps = planted(points, np.stack([columns / 40, rows / 40, (rows + columns) / 80]))
    network = FakeNetwork(SEEING, maps)
    poses = predictor(network)(IMAGE)
    assert len(poses) == 3
    cells = (poses.keypoints + 0.5) / 8 - 0.5
    for k in range(3):
        expected = values_at(maps["visibility"][0], cells[:, k])[:, k]
        assert np.allclose(poses.visibility[:, k], expected, atol=1e-4)
    plain = predictor(FakeNetwork(SPEC, {name: maps[name] for name in SPEC.outputs}))(IMAGE)
    assert plain.visibility is None
    assert np.array_equal(plain.keypoints, poses.keypoints)


def test_undetected_keypoints_have_none_and_no_instances_are_no_error():
    poses = random_poses(0, 4)
    seen = with_visibility(poses, {"visibility": np.full((3, 100, 100), 0.7, np.float32)})
    assert np.allclose(seen.visibility[poses.detected], 0.7)
    assert np.isnan(seen.visibility[~poses.detected]).all()
    assert with_visibility(poses[[]], {"visibility": np.zeros((3, 4, 4), np.float32)}).visibility.shape == (0, 3)
    assert with_visibility(poses, {}) is poses


def test_maps_that_do_not_fit_the_skeleton_are_an_error():
    with pytest.raises(ModelError, match=r"visibility must be \(3, h, w\) for skeleton totem, got \(2, 4, 4\)"):
        with_visibility(random_poses(0, 1), {"visibility": np.zeros((2, 4, 4), np.float32)})


class Brightness:
    """A network of crops: the visibility of a joint is the brightness of its half of the crop."""

    spec = ModelSpec(
        name="dots",
        method="hourglass",
        task="crop",
        skeleton=SIDED,
        input=InputSpec(resize="square", size=64, multiple=16),
        stride=4,
        outputs=("heatmaps", "visibility"),
    )
    device, threads = "cpu", 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        heatmaps = render_gaussians(np.array([[[4, 4], [11, 4], [7.5, 12]]], float), (16, 16), 1.0)
        halves = [images[..., :32].mean(axis=(1, 2, 3)), images[..., 32:].mean(axis=(1, 2, 3))]
        values = np.stack([*halves, 0 * halves[0]], axis=1) / 255
        shape = (len(images), 3, 16, 16)
        maps = np.broadcast_to(values[..., None, None], shape)
        return {"heatmaps": np.broadcast_to(heatmaps, shape).copy(), "visibility": maps.astype(np.float32)}


def test_crops_have_visibility_and_the_flip_test_exchanges_sides():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32], image[:, 32:] = 51, 204
    plain, flipped = crop_predictor(Brightness())(image), crop_predictor(Brightness(), flip=True)(image)
    assert plain.visibility[0] == pytest.approx([0.2, 0.8, 0], abs=1e-3)
    assert flipped.visibility[0] == pytest.approx([0.2, 0.8, 0], abs=1e-3)  # without the exchange 0.5
    some = crop_predictor(Brightness())(image, [[4, 4, 50, 50], [10, 10, 40, 40]])
    assert some.visibility.shape == (2, 3)
    whole = FixedPredictor(replace(random_poses(2, 2), keypoints=np.full((2, 3, 2), 30, np.float32) + np.eye(3, 2) * 9))
    refined = RefinedPredictor(whole, crop_predictor(Brightness()))(image)
    assert np.isfinite(refined.visibility).all()


def test_whole_bodies_have_that_of_the_parts_that_predict_it():
    body = random_poses(0, 2, load_skeleton("coco17"))
    confidence = body.confidence.copy()
    confidence[:, [body.skeleton.index(f"{side}_elbow") for side in ("left", "right")]] = 0  # no crops of hands
    body = replace(body, confidence=confidence)
    hand = ModelSpec.model_validate(Brightness.spec.model_dump() | {"skeleton": load_skeleton("hand21")})
    hands = FixedPredictor(random_poses(1, 0, load_skeleton("hand21")), hand)
    assert WholeBodyPredictor(FixedPredictor(body), hand=hands)(IMAGE).visibility is None
    seen = replace(body, visibility=np.where(body.detected, 0.3, np.nan).astype(np.float32))
    poses = WholeBodyPredictor(FixedPredictor(seen), hand=hands)(IMAGE)
    assert np.array_equal(poses.visibility[:, :17], seen.visibility, equal_nan=True)
    assert np.isnan(poses.visibility[:, 17:]).all()
