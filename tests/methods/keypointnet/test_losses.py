import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from cairn.methods.keypointnet import losses
from cairn.methods.keypointnet.network import grid_of, spatial_softmax
from cairn.ops.procrustes import procrustes

B, K, SIDE = 3, 5, 8


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def rotations(seed=0, count=B):
    return torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())


def points(seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(B, K, 3)))


def intrinsics():
    return torch.tensor([[3.3, 3.1, 0.01, -0.02]] * B, dtype=torch.float64)


def maps():
    return spatial_softmax(2 * torch.randn(B, K, SIDE, SIDE, dtype=torch.float64))


def test_projection_inverts_unprojection():
    inside = points() + torch.tensor([0, 0, 5.0])
    uv = losses.project(inside, intrinsics())
    torch.testing.assert_close(losses.unproject(uv, inside[..., 2], intrinsics()), inside)
    assert uv[0, 0, 0] == pytest.approx(float(3.3 * inside[0, 0, 0] / inside[0, 0, 2] + 0.01))


def test_exact_keypoints_cost_no_consistency_and_no_pose():
    world = points()
    views = [(rotations(seed), torch.tensor([[0, 0, 6.0]] * B, dtype=torch.float64)) for seed in (1, 2)]
    inside = [losses.moved(world, *view) for view in views]
    uv = [losses.project(each, intrinsics()) for each in inside]
    relative = views[1][0] @ views[0][0].transpose(1, 2)
    shift = views[1][1] - (relative @ views[0][1][..., None])[..., 0]
    lifted = losses.unproject(uv[0], inside[0][..., 2], intrinsics())
    projected = losses.project(losses.moved(lifted, relative, shift), intrinsics())
    assert losses.consistency(projected, uv[1]) == pytest.approx(0, abs=1e-20)
    assert losses.relative_pose(inside[0], inside[1], relative) == pytest.approx(0, abs=1e-5)


def test_consistency_by_brute_force():
    a, b = points(1)[..., :2], points(2)[..., :2]
    total = sum(float((a[i, k] - b[i, k]).pow(2).sum()) for i in range(B) for k in range(K))
    assert losses.consistency(a, b) == pytest.approx(total / (B * K))


def test_the_rotation_of_keypoints_is_that_of_procrustes():
    first, second = points(1), points(2)
    expected = procrustes(first.numpy(), second.numpy(), scaled=False).rotation
    torch.testing.assert_close(losses.relative_rotation(first, second), torch.from_numpy(expected))


def test_the_rotation_is_that_of_scipy():
    first, second = (each - each.mean(dim=1, keepdim=True) for each in (points(3), points(4)))
    found = losses.relative_rotation(first, second)
    for i in range(B):
        expected = Rotation.align_vectors(second[i].numpy(), first[i].numpy())[0].as_matrix()
        np.testing.assert_allclose(found[i].numpy(), expected, atol=1e-9)


def test_orientation_by_brute_force():
    a, b = points(1)[:, :2, :2], points(2)[:, :2, :2]
    total = sum(float(a[i, j, k] - b[i, j, k]) ** 2 for i in range(B) for j in range(2) for k in range(2))
    assert losses.orientation(a, b) == pytest.approx(total / (4 * B))


def test_angles_are_those_of_the_axis():
    turns = torch.linspace(0, 3.1, 7, dtype=torch.float64)
    turned = torch.from_numpy(Rotation.from_rotvec(turns[:, None].numpy() * [0, 0.6, 0.8]).as_matrix())
    torch.testing.assert_close(losses.angle(turned @ rotations(3, 7), rotations(3, 7)), turns, atol=2e-3, rtol=0)


def test_separation_by_brute_force():
    near = 0.2 * points()
    total = 0.0
    for i in range(B):
        for a in range(K):
            for b in range(K):
                total += max(0.0, 0.05 - float((near[i, a] - near[i, b]).pow(2).sum()))
    assert losses.separation(near, 0.05) == pytest.approx(total / (B * K))
    apart = torch.arange(K, dtype=torch.float64)[None, :, None].expand(B, K, 3)
    assert losses.separation(apart, 0.05) == pytest.approx(0.05)  # of each keypoint with itself, as released


def test_silhouette_and_variance_by_brute_force():
    probabilities, mask = maps(), (torch.rand(B, SIDE, SIDE) > 0.4).double()
    uv = points()[..., :2]
    inside = outside = 0.0
    for i in range(B):
        for k in range(K):
            within = sum(
                float(probabilities[i, k, y, x]) for y in range(SIDE) for x in range(SIDE) if mask[i, y, x] > 0
            )
            inside -= math.log(within)
            for y in range(SIDE):
                for x in range(SIDE):
                    at = torch.tensor([(2 * x + 1) / SIDE - 1, (2 * y + 1) / SIDE - 1])
                    outside += float(probabilities[i, k, y, x] * (at - uv[i, k]).pow(2).sum())
    assert losses.silhouette(probabilities, mask) == pytest.approx(inside / (B * K))
    assert losses.variance(probabilities, uv, grid_of(probabilities)) == pytest.approx(outside / (B * K))
    assert losses.silhouette(probabilities, torch.ones(B, SIDE, SIDE)) == pytest.approx(0, abs=1e-9)


def test_gradients_are_right():
    world = points().requires_grad_()
    turn = rotations(4)
    assert torch.autograd.gradcheck(lambda p: losses.relative_pose(p, points(5), turn), (world,))
    assert torch.autograd.gradcheck(lambda p: losses.separation(0.1 * p, 0.05), (world,))
    inside = (points() + torch.tensor([0, 0, 5.0])).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: losses.project(p, intrinsics()), (inside,))
    scores = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[[1, 0, 1], [0, 1, 1], [0, 0, 1.0]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: losses.silhouette(spatial_softmax(s), mask), (scores,))
    uv = torch.rand(1, 2, 2, dtype=torch.float64, requires_grad=True)
    grid = grid_of(scores)
    assert torch.autograd.gradcheck(lambda s, p: losses.variance(spatial_softmax(s), p, grid), (scores, uv))
    other = torch.rand(1, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda p: losses.consistency(p, other), (uv,))
    assert torch.autograd.gradcheck(lambda p: losses.orientation(p, other), (uv,))


def test_pose_has_finite_gradients_where_keypoints_coincide():
    same = torch.zeros(B, K, 3, dtype=torch.float64).requires_grad_()
    noisy = same + 0.1 * torch.randn(B, K, 3, dtype=torch.float64)
    losses.relative_pose(noisy, noisy, torch.eye(3, dtype=torch.float64).expand(B, 3, 3)).backward()
    assert same.grad.isfinite().all()
