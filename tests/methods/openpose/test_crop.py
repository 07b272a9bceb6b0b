"""One instance per crop: hand and face, decoded from heatmaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.predictor import TopDownPredictor
from cairn.methods.openpose import decode_crop, predictor
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.geometry import image_to_field
from cairn.structures.skeleton import load_skeleton
from support.fake_network import FakeNetwork

HAND = load_skeleton("hand21")
SPEC = ModelSpec(
    name="hand",
    method="openpose",
    skeleton=HAND,
    task="crop",
    input=InputSpec(resize="square", size=368, multiple=16, margin=1.0),
    stride=8,
    outputs=("heatmaps",),
)


def maps_of(points: np.ndarray) -> np.ndarray:
    """Points (21, 2) in cells -> (22, 46, 46), the background last and above all."""
    maps = render_gaussians(points[None], (46, 46), sigma=1.0)
    return np.concatenate([maps, np.ones((1, 46, 46))]).astype(np.float32)


@given(st.integers(0, 2**32 - 1))
def test_decoding_a_rendered_hand_returns_it(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(2, 43, (21, 2))
    poses = decode_crop(maps_of(points), HAND)
    np.testing.assert_allclose(poses.keypoints, points[None], atol=0.05)
    assert (poses.confidence > 0.7).all()
    assert poses.scores == pytest.approx(poses.confidence.mean())
    without = decode_crop(maps_of(points)[:21], HAND)
    np.testing.assert_array_equal(without.keypoints, poses.keypoints)


def test_a_joint_whose_heatmap_is_nowhere_above_zero_is_not_detected() -> None:
    maps = maps_of(np.full((21, 2), 20.0))
    maps[4] = -0.1
    poses = decode_crop(maps, HAND)
    assert np.isnan(poses.keypoints[0, 4]).all()
    assert poses.confidence[0, 4] == 0
    assert np.isfinite(np.delete(poses.keypoints[0], 4, axis=0)).all()


def test_a_crop_model_detects_one_hand_per_bounding_box() -> None:
    rng = np.random.default_rng(3)
    points = rng.uniform(20, 340, (21, 2))  # pixels of the crop
    network = FakeNetwork(SPEC, {"heatmaps": maps_of(image_to_field(points, 8))[None].repeat(2, axis=0)})
    model = predictor(network)
    assert isinstance(model, TopDownPredictor)
    image = rng.integers(0, 256, (400, 500, 3), np.uint8)
    poses = model(image, boxes=[[100, 50, 92, 80], [300, 200, 184, 184]])
    # The bounding box is the crop: the first is 92 pixels wide around (146, 90), and resized by 4.
    for detected, center, side in ((poses.keypoints[0], (146, 90), 92), (poses.keypoints[1], (392, 292), 184)):
        expected = (points - 183.5) * side / 368 + np.array(center)
        np.testing.assert_allclose(detected, expected, atol=0.05 * 8 * side / 368)


def test_settings_of_multi_instance_models_raise_model_error_for_crops() -> None:
    network = FakeNetwork(SPEC, {})
    with pytest.raises(ModelError, match=r"decode\(\) of openpose has no peak_threshold; it has refinement"):
        predictor(network, peak_threshold=0.1)
    with pytest.raises(ModelError, match="refinement must be log-parabola, quarter or none, got 'best'"):
        decode_crop(maps_of(np.full((21, 2), 20.0)), HAND, refinement="best")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"heatmaps must be \(21 or 22, h, w\) for .* got \(20, 4, 4\)"):
        decode_crop(np.zeros((20, 4, 4)), HAND)


def test_outputs_that_do_not_match_the_task_raise_model_error() -> None:
    letterboxed = SPEC.model_copy(
        update={"task": "multi_instance", "input": InputSpec(resize="letterbox", size=368, multiple=16)}
    )
    with pytest.raises(ModelError, match="or heatmaps for task crop; model hand has heatmaps for task multi_instance"):
        predictor(FakeNetwork(letterboxed, {}))
