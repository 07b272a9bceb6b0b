"""Named keypoints are weighted sums of those discovered; a few labels in 3D or 2D give the weights."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cairn.methods.keypointnet.teaching import Labeled, TaughtGraph, errors, fit, solve

K, N, M = 8, 3, 30
rng = np.random.default_rng(0)
SHAPE = rng.normal(size=(K, 3))
WEIGHTS = rng.normal(size=(N, K))
WEIGHTS += (1 - WEIGHTS.sum(axis=1, keepdims=True)) / K


def examples(flat: bool, noise=0.0) -> Labeled:
    turns = Rotation.random(M, random_state=1).as_matrix()
    shapes = SHAPE + 0.2 * np.random.default_rng(2).normal(size=(M, K, 3))
    points = shapes @ np.swapaxes(turns, 1, 2) + [0.2, -0.1, 7]
    targets = WEIGHTS @ points
    if flat:
        targets = targets[..., :2] / targets[..., 2:]
    return Labeled(points + noise * np.random.default_rng(3).normal(size=points.shape), targets, np.arange(M) // 3)


@pytest.mark.parametrize("flat", [False, True])
def test_the_weights_are_found(flat):
    found = fit(examples(flat))
    np.testing.assert_allclose(found.weights, WEIGHTS, atol=1e-3)
    np.testing.assert_allclose(found.errors, 0, atol=1e-3)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)


@pytest.mark.parametrize("flat", [False, True])
def test_labels_may_be_missing(flat):
    own = examples(flat)
    targets = own.targets.copy()
    targets[::2, 1] = np.nan
    found = fit(own._replace(targets=targets))
    np.testing.assert_allclose(found.weights, WEIGHTS, atol=1e-2)
    assert np.isfinite(found.errors).all()


def test_one_labeled_view_gives_a_model_without_an_error():
    found = fit(examples(False).rows(np.array([0])))
    assert np.isnan(found.errors).all()
    np.testing.assert_allclose(errors(examples(False).rows(np.array([0])), found.weights), 0, atol=0.05)


def test_named_keypoints_turn_and_move_with_the_object():
    own = examples(False, 0.05)
    weights = solve(own, 0.01)
    turn = Rotation.random(random_state=5).as_matrix()
    moved = own.points @ turn.T + [1, 2, 3]
    np.testing.assert_allclose(weights @ moved, (weights @ own.points) @ turn.T + [1, 2, 3], atol=1e-9)


def test_the_error_on_held_out_groups_is_larger_with_noise():
    assert fit(examples(False, 0.1)).errors.mean() > 0.03 > fit(examples(False)).errors.mean()


def test_the_graph_projects_named_keypoints():
    own = examples(False)

    class Both(torch.nn.Module):
        def forward(self, image, intrinsics):
            points = torch.from_numpy(own.points[:2]).float()
            return points, points[..., :2], torch.full((2, K), 0.7)

    points, uv, confidence = TaughtGraph(Both(), WEIGHTS)(torch.zeros(2), torch.tensor([[2.0, 3.0, 0.1, 0.2]] * 2))
    np.testing.assert_allclose(points, own.targets[:2], atol=1e-5)
    expected = [2, 3] * own.targets[:2, :, :2] / own.targets[:2, :, 2:] + [0.1, 0.2]
    np.testing.assert_allclose(uv, expected, atol=1e-5)
    np.testing.assert_allclose(confidence, 0.7, atol=1e-6)
