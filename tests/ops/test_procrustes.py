import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from cairn.ops.procrustes import procrustes


def sets(count=6, points=9, seed=0):
    return np.random.default_rng(seed).normal(size=(count, points, 3))


def test_a_similarity_is_found_exactly():
    points = sets()
    rotations = Rotation.random(len(points), random_state=1).as_matrix()
    moved = 2.5 * points @ np.swapaxes(rotations, 1, 2) + sets(points=1, seed=2)
    found = procrustes(points, moved)
    np.testing.assert_allclose(found.rotation, rotations, atol=1e-10)
    np.testing.assert_allclose(found.scale, 2.5)
    np.testing.assert_allclose(found.apply(points), moved, atol=1e-10)


def test_the_rotation_is_that_of_scipy():
    source, target = sets(seed=3), sets(seed=4)
    found = procrustes(source, target, scaled=False, mirrored=True)
    for a, b, rotation in zip(source, target, found.rotation, strict=True):
        expected, _ = orthogonal_procrustes(a - a.mean(axis=0), b - b.mean(axis=0))
        np.testing.assert_allclose(rotation, expected.T, atol=1e-10)


def test_the_error_is_a_minimum():
    source, target = sets(seed=5), sets(seed=6)
    found = procrustes(source, target)
    least = ((found.apply(source) - target) ** 2).sum()
    for seed in range(5):
        turn = Rotation.from_rotvec(0.05 * np.random.default_rng(seed).normal(size=3)).as_matrix()
        assert ((found._replace(rotation=turn @ found.rotation).apply(source) - target) ** 2).sum() > least
    assert ((found._replace(scale=1.01 * found.scale).apply(source) - target) ** 2).sum() > least


def test_a_mirror_image_is_not_a_rotation_unless_asked_for():
    points = sets()
    mirrored = points * [1, 1, -1]
    proper, reflected = procrustes(points, mirrored), procrustes(points, mirrored, mirrored=True)
    assert (np.linalg.det(proper.rotation) > 0).all()
    assert (np.linalg.det(reflected.rotation) < 0).all()
    np.testing.assert_allclose(reflected.apply(points), mirrored, atol=1e-10)


def test_unknown_points_do_not_count():
    points, known = sets(), np.ones((6, 9), bool)
    known[:, 4:] = False
    known[5] = False
    moved = np.where(known[..., None], 3 * points + 1, np.nan)
    found = procrustes(points, moved, known)
    np.testing.assert_allclose(found.apply(points)[:5], 3 * points[:5] + 1, atol=1e-10)
    assert np.isfinite(found.apply(points)).all()


@pytest.mark.parametrize("points", [np.zeros((1, 5, 3)), np.ones((1, 1, 3))])
def test_points_at_one_place_give_finite_maps(points):
    assert np.isfinite(procrustes(points, sets(1, points.shape[1])).apply(points)).all()
