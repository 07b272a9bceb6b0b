import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.neighbors import Index, resolution
from cairn.pointclouds.sampling import farthest_points, random_points, voxel_points
from cairn.structures.cloud import Cloud

POINTS = np.random.default_rng(0).normal(size=(300, 3))
APART = np.linalg.norm(POINTS[:, None] - POINTS[None], axis=2)


def test_blocks_hold_every_neighbor_once(monkeypatch):
    monkeypatch.setattr("cairn.pointclouds.neighbors.MAX_BLOCK", 23)
    index = Index.of(POINTS)
    pairs = {
        (int(index.order[block.rows.start + i]), int(index.order[j]))
        for block in index.blocks(0.5)
        for i, j in zip(block.first, block.second, strict=True)
    }
    assert pairs == {(int(i), int(j)) for i, j in np.argwhere(APART <= 0.5)}


def test_sums_over_neighbors():
    index = Index.of(POINTS)
    values = index.points[:, :2]
    for block in index.blocks(0.7):
        near = np.linalg.norm(index.points[block.rows][:, None] - index.points[None], axis=2) <= 0.7
        np.testing.assert_allclose(block.sums(values), near @ values, atol=1e-12)


def test_resolution_is_the_mean_distance_to_the_nearest_neighbor():
    expected = (APART + np.diag(np.full(300, np.inf))).min(axis=1).mean()
    assert resolution(Cloud(POINTS)) == pytest.approx(expected)
    assert resolution(Cloud(np.repeat(POINTS, 3, axis=0))) == pytest.approx(expected)  # every point three times


@pytest.mark.parametrize("points", [[[1, 2, 3]], np.ones((7, 3))])
def test_no_resolution(points):
    with pytest.raises(CloudError, match=r"expected several points, got one|all 7 points are at the same place"):
        resolution(Cloud(points))


def test_farthest_points_are_the_farthest_from_those_before():
    chosen = farthest_points(POINTS, 20)
    for i in range(1, 20):
        distances = APART[:, chosen[:i]].min(axis=1)
        assert distances[chosen[i]] == distances.max()
    assert len(set(farthest_points(POINTS, 1000).tolist())) == 300
    assert len(farthest_points(POINTS, 0)) == 0


def test_random_points_are_different_and_reproducible():
    assert len(set(random_points(POINTS, 50, seed=1).tolist())) == 50
    np.testing.assert_array_equal(random_points(POINTS, 50, 1), random_points(POINTS, 50, 1))


def test_voxels_have_one_point_each():
    chosen = voxel_points(POINTS, 0.8)
    cells = np.floor((POINTS - POINTS.min(axis=0)) / 0.8).astype(int)
    assert len({tuple(cell) for cell in cells[chosen].tolist()}) == len(chosen)
    assert len(chosen) == len({tuple(cell) for cell in cells.tolist()})
    assert (np.diff(chosen) > 0).all()
