import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.matching import mutual_matches, rigid_hypotheses
from cairn.pointclouds.registration import register
from cairn.pointclouds.rigid import fit_rigid, inverse, rotation_angle
from cairn.structures.cloud import Cloud, move
from support.clouds import bumpy_sphere, random_motion

POINTS = bumpy_sphere(6000)
RNG = np.random.default_rng(5)


def part(direction, share, seed):
    """A partial scan with points of its own."""
    points = bumpy_sphere(6000, seed)
    heights = points @ np.asarray(direction, float)
    return points[heights > np.quantile(heights, 1 - share)]


@pytest.mark.parametrize("count", [3, 40])
def test_fitted_motion_is_the_one_that_moved_the_points(count):
    points, motion = RNG.normal(size=(count, 3)), random_motion(1)
    np.testing.assert_allclose(fit_rigid(points, move(motion, points)), motion, atol=1e-9)
    np.testing.assert_allclose(inverse(motion) @ motion, np.eye(4), atol=1e-12)


def test_fitted_motion_is_no_mirror_and_heeds_weights():
    points = RNG.normal(size=(30, 3))
    assert np.linalg.det(fit_rigid(points, points * [1, 1, -1])[:3, :3]) == pytest.approx(1)
    target = move(random_motion(2), points)
    target[:10] = 99
    np.testing.assert_allclose(fit_rigid(points, target, np.arange(30) >= 10), random_motion(2), atol=1e-9)


def test_many_fits_at_once_are_each_fit():
    points, targets = RNG.normal(size=(2, 6, 9, 3))
    together = fit_rigid(points, targets)
    for row in range(6):
        np.testing.assert_allclose(together[row], fit_rigid(points[row], targets[row]), atol=1e-12)


@pytest.mark.parametrize("degrees", [0, 1e-5, 30, 179.99, 180])
def test_angle_of_a_rotation(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    assert rotation_angle(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])) == pytest.approx(degrees, abs=1e-6)


def test_mutual_matches_are_each_others_nearest():
    features, others = RNG.normal(size=(50, 8)), RNG.normal(size=(70, 8))
    apart = np.linalg.norm(features[:, None] - others[None], axis=2)
    rows, matched = mutual_matches(features, others)
    expected = {(i, int(apart[i].argmin())) for i in range(50) if apart[:, apart[i].argmin()].argmin() == i}
    assert set(zip(rows.tolist(), matched.tolist(), strict=True)) == expected


def test_few_right_matches_among_wrong_ones_are_found():
    motion = random_motion(3)
    source = RNG.uniform(-1, 1, (300, 3))
    target = RNG.uniform(-1, 1, (300, 3)) + motion[:3, 3]
    target[:30] = move(motion, source[:30]) + RNG.normal(0, 0.003, (30, 3))
    best = rigid_hypotheses(source, target, tolerance=0.02)[0]
    assert best.inliers >= 30
    assert rotation_angle(best.transform @ inverse(motion)) < 0.5
    assert rigid_hypotheses(source[:2], target[:2], 0.02) == []


@pytest.mark.parametrize("seed", range(2))
def test_overlapping_scans_are_registered(seed):
    motion = random_motion(seed, 10)
    source, target = part([1, 0, 0], 0.7, 11), part([0.5, 0.8, 0.1], 0.7, 12)
    found = register(Cloud(source, unit="m"), Cloud(move(motion, target), unit="m"))
    error = found.transform @ inverse(motion)
    assert rotation_angle(error) < 2
    assert np.linalg.norm(move(found.transform, source) - move(motion, source), axis=1).max() < 0.05
    assert found.weakness() is None
    assert 0.3 < found.overlap <= 1
    assert found.unit == "m"


def test_a_cloud_registers_to_itself_exactly():
    motion = random_motion(4)
    found = register(Cloud(POINTS), Cloud(POINTS).moved(motion))
    np.testing.assert_allclose(found.transform, motion, atol=1e-5)
    assert found.overlap > 0.999


def test_weak_results_say_why():
    plain = RNG.normal(size=(3000, 3))
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    assert "slide" in register(Cloud(plain), Cloud(plain).moved(random_motion(5))).weakness(0)
    other = Cloud(POINTS[POINTS[:, 2] > 0.9])
    assert "the overlap is" in register(Cloud(part([0, 0, -1], 0.4, 3)), other).weakness()
    with pytest.raises(CloudError, match="do they overlap"):
        register(Cloud(bumpy_sphere(1500)), Cloud(np.random.default_rng(0).uniform(-1, 1, (2000, 3))))


def test_different_units_are_an_error():
    with pytest.raises(CloudError, match=r"is in mm and .* in m"):
        register(Cloud(POINTS, unit="mm"), Cloud(POINTS, unit="m"))
    with pytest.raises(CloudError, match=r"diagonals, .* differ too much: check their units"):
        register(Cloud(POINTS), Cloud(1000 * POINTS[::2]))


@pytest.mark.parametrize("points", [[[0, 0, 0]], np.ones((9, 3))])
def test_clouds_without_an_extent(points):
    with pytest.raises(CloudError, match=r"expected several points|at the same place"):
        register(Cloud(POINTS), Cloud(points))


def test_a_handful_of_points_is_an_error():
    with pytest.raises(CloudError, match="expected at least 30 to register it"):
        register(Cloud(RNG.normal(size=(20, 3))), Cloud(POINTS))
