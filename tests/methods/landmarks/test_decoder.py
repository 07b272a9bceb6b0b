import subprocess
import sys

import numpy as np
import pytest

from cairn.errors import ModelError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import Maps
from cairn.methods.landmarks import decode, predictor
from cairn.structures.skeleton import Skeleton

PAIR = Skeleton("pair", ("left_end", "right_end"))
SPEC = ModelSpec(
    name="ends",
    method="landmarks",
    skeleton=PAIR,
    task="single_instance",
    input=InputSpec(resize="square", size=64, multiple=1),
    stride=4,
    outputs=("keypoints", "confidence"),
)


class Ends:
    """Predicts one end at the center of the first cell, the other at the center of the last."""

    def __init__(self, spec: ModelSpec = SPEC) -> None:
        self.spec = spec

    def __call__(self, images: np.ndarray) -> Maps:
        assert images.shape == (1, 3, 64, 64)
        return {
            "keypoints": np.array([[[0, 0], [15, 15]]], np.float32),
            "confidence": np.array([[0.25, 0.75]], np.float32),
        }


def test_points_are_kept_and_the_score_is_the_mean() -> None:
    keypoints, confidence = np.array([[3.5, 4], [5, -6]]), np.array([0.25, 0.75])
    poses = decode(keypoints, confidence, PAIR)
    assert np.array_equal(poses.keypoints, keypoints[None])
    assert np.array_equal(poses.confidence, confidence[None])
    assert poses.scores == pytest.approx([0.5])
    assert poses.keypoints.dtype == poses.confidence.dtype == poses.scores.dtype == np.float32


def test_zero_confidence_means_not_detected() -> None:
    poses = decode(np.ones((2, 2)), np.array([0.0, 1.5]), PAIR)
    assert np.isnan(poses.keypoints[0, 0]).all()
    assert np.array_equal(poses.confidence[0], [0, 1])


@pytest.mark.parametrize(("keypoints", "confidence"), [((3, 2), 3), ((2, 3), 2), ((2, 2), 3)])
def test_outputs_of_the_wrong_shape_raise(keypoints: tuple[int, ...], confidence: int) -> None:
    with pytest.raises(ModelError, match=r"must be \(2, 2\) and confidence \(2,\) for pair, got"):
        decode(np.ones(keypoints), np.ones(confidence), PAIR)


@pytest.mark.parametrize("size", [(128, 128), (128, 64), (30, 60)])
def test_cells_span_the_square_around_the_image(size: tuple[int, int]) -> None:
    height, width = size
    poses = predictor(Ends())(np.zeros((height, width, 3), np.uint8))
    side = max(size)
    first, last = side / 32 - 0.5, side - side / 32 - 0.5  # half a cell of 16 from the square's edges
    shift = np.array([width - side, height - side]) / 2
    assert np.allclose(poses.keypoints[0], np.array([[first] * 2, [last] * 2]) + shift, atol=1e-4)


def test_a_network_of_another_method_raises() -> None:
    others = (
        ({"outputs": ("heatmaps",)}, {}, "outputs keypoints, confidence"),
        ({"task": "multi_instance"}, {}, "for task multi_instance"),
        ({}, {"size": 128}, "fixed input size of 64 pixels, got 128"),
        ({}, {"threshold": 0.5}, "has no threshold"),
        ({"decode": {"threshold": 0.5}}, {}, "has no threshold"),
    )
    for changed, settings, message in others:
        with pytest.raises(ModelError, match=message):
            predictor(Ends(SPEC.model_copy(update=changed)), **settings)
    assert predictor(Ends(), size=64).spec == SPEC


def test_inference_imports_no_torch(environment: dict[str, str]) -> None:
    code = "import cairn.methods.landmarks, sys; assert not {'torch', 'lightning', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
