import numpy as np

from cairn.ops.heatmaps import values_at


def test_values_are_interpolated_bilinearly():
    rng = np.random.default_rng(0)
    maps = rng.random((3, 5, 7)).astype(np.float32)
    points = rng.uniform(-1, 8, (4, 6, 2))
    points[0, 0] = np.nan
    got = values_at(maps, points)
    assert got.shape == (4, 6, 3)
    for index in np.ndindex(4, 6):
        if np.isnan(points[index]).any():
            assert (got[index] == 0).all()
            continue
        x, y = np.clip(points[index], 0, (6, 4))
        weights = np.maximum(0, 1 - abs(np.arange(5)[:, None] - y)) * np.maximum(0, 1 - abs(np.arange(7) - x))
        assert np.allclose(got[index], (maps * weights).sum(axis=(1, 2)), atol=1e-6)


def test_values_of_single_cells_and_of_no_points():
    maps = np.array([[[3.0]], [[4.0]]])
    assert values_at(maps, np.array([[0.3, -2]])).tolist() == [[3, 4]]
    assert values_at(maps, np.zeros((0, 2))).shape == (0, 2)
