import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.iss import Iss
from cairn.pointclouds.lengths import Length
from cairn.structures.cloud import Cloud
from support.clouds import bumpy_sphere, random_motion

POINTS = bumpy_sphere(1500)


def brute_force(points, radius, nms, gammas=(0.975, 0.975), min_neighbors=5, weighted=False):
    """The definition, point by point."""
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    near = apart <= radius
    saliency = np.zeros(len(points))
    for i in range(len(points)):
        rows = np.flatnonzero(near[i])
        if len(rows) < min_neighbors:
            continue
        if weighted:
            offsets = points[rows] - points[i]
            weights = 1 / near[rows].sum(axis=1)
            covariance = (offsets * weights[:, None]).T @ offsets / weights.sum()
        else:
            covariance = np.cov(points[rows].T, bias=True)
        low, middle, high = np.linalg.eigvalsh(covariance)
        if middle < gammas[0] * high and low < gammas[1] * middle and low > 1e-12 * high:
            saliency[i] = low
    found = [
        i
        for i in range(len(points))
        if saliency[i] > 0
        and (apart[i] <= nms).sum() >= min_neighbors
        and saliency[i] >= saliency[apart[i] <= nms].max() * (1 - 1e-9)
    ]
    return np.array(found), saliency


def resolution(points):
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(len(points), np.inf))
    return apart.min(axis=1).mean()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gammas", [(0.975, 0.975), (0.8, 0.6)])
def test_keypoints_are_those_of_the_definition(weighted, gammas):
    spacing = resolution(POINTS)
    expected, saliency = brute_force(POINTS, 6 * spacing, 4 * spacing, gammas, weighted=weighted)
    found = Iss(gamma_21=gammas[0], gamma_32=gammas[1], weighted=weighted, threads=1)(Cloud(POINTS))
    assert len(expected) > 10
    assert sorted(found.indices) == sorted(expected)
    np.testing.assert_allclose(found.scores, saliency[found.indices], rtol=1e-8)
    np.testing.assert_array_equal(found.points, POINTS[found.indices])
    assert (np.diff(found.scores) <= 0).all()


def test_absolute_radii_and_few_neighbors():
    expected, _ = brute_force(POINTS, 0.2, 0.15, min_neighbors=12)
    found = Iss(Length(0.2, "units"), Length(0.15, "units"), min_neighbors=12)(Cloud(POINTS))
    assert sorted(found.indices) == sorted(expected)


def test_coordinates_far_from_the_origin_have_the_same_keypoints():
    far = POINTS + np.array([500_000, 4_000_000, 100])  # as of a national grid, in meters
    near = Iss()(Cloud(far - far[0]))
    assert set(Iss()(Cloud(far)).indices) == set(near.indices)


@pytest.mark.parametrize("seed", range(3))
def test_rotation_translation_and_scale_change_nothing(seed):
    expected = set(Iss()(Cloud(POINTS)).indices)
    moved = Cloud(POINTS).moved(random_motion(seed)).points
    assert set(Iss()(Cloud(moved)).indices) == expected
    for scale in (1e-3, 1000.0):
        assert set(Iss()(Cloud(scale * POINTS)).indices) == expected


def test_the_order_of_points_changes_nothing():
    order = np.random.default_rng(3).permutation(len(POINTS))
    found = Iss()(Cloud(POINTS[order]))
    assert set(order[found.indices]) == set(Iss()(Cloud(POINTS)).indices)


def test_points_with_the_same_neighbors_are_all_keypoints_in_every_order():
    """Of a tetrahedron with its corners within the radius of each other, all have the same covariance."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0.2, 1.5, 0], [0.4, 0.3, 2.2], [0.9, 0.8, 0.7]])
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5)
        cloud = Cloud(corners[order]).moved(random_motion(seed))
        assert len(Iss(Length(9, "units"), Length(9, "units"))(cloud)) == 5


def test_flat_clouds_have_no_keypoints():
    plane = np.column_stack([np.random.default_rng(0).uniform(size=(500, 2)), np.zeros(500)])
    for seed in range(3):
        assert len(Iss()(Cloud(plane).moved(random_motion(seed)))) == 0


def test_indices_count_the_points_of_the_file():
    rows = np.arange(len(POINTS)) * 2 + 1
    found = Iss()(Cloud(POINTS, rows=rows))
    assert (found.cloud.file_rows(found.indices) == 2 * found.indices + 1).all()


@pytest.mark.parametrize("points", [np.zeros((1, 3)), np.ones((50, 3))])
def test_clouds_without_an_extent_are_one_line(points):
    with pytest.raises(CloudError, match=r"expected several points|at the same place"):
        Iss()(Cloud(points))


def test_radii_that_cover_far_too_many_points_are_an_error(monkeypatch):
    monkeypatch.setattr("cairn.pointclouds.neighbors.MAX_MEAN_NEIGHBORS", 100)
    with pytest.raises(CloudError, match="expected a smaller radius"):
        Iss(Length(1, "units"))(Cloud(POINTS))


@pytest.mark.parametrize("values", [{"gamma_21": 0}, {"gamma_32": 1.5}, {"min_neighbors": 0}])
def test_impossible_values(values):
    with pytest.raises(CloudError, match="must be"):
        Iss(**values)


def test_blocks_do_not_change_the_result(monkeypatch):
    expected = Iss()(Cloud(POINTS))
    monkeypatch.setattr("cairn.pointclouds.neighbors.MAX_BLOCK", 37)
    found = Iss()(Cloud(POINTS))
    assert set(found.indices) == set(expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-9)
