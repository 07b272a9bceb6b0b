"""Nodes and their points: sampling by brute force, and invariances."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.methods.usip.grouping import Frames, Grouping, group, nearest_nodes, node_frames, spaced_points, thin

Array = NDArray[np.float64]


def surface(count: int, seed: int = 0) -> Array:
    """Points on a bumpy sheet."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, count))
    return np.stack([x, y, 0.2 * np.sin(4 * x) * np.cos(3 * y)], axis=1)


def farthest_by_brute_force(points: Array, count: int) -> list[int]:
    rows = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmax())]
    while len(rows) < count:
        rows.append(int(np.linalg.norm(points[:, None] - points[rows][None], axis=2).min(axis=1).argmax()))
    return rows


@pytest.mark.parametrize("count", [300, 6000])  # beyond 5000 points distances are updated near new nodes only
def test_each_point_is_the_farthest_from_those_before_it(count: int) -> None:
    points = surface(count)
    rows, _ = spaced_points(points, 0.0, 60)
    assert rows.tolist() == farthest_by_brute_force(points, 60)


@pytest.mark.parametrize("count", [300, 6000])
def test_nodes_cover_the_cloud_and_keep_their_distance(count: int) -> None:
    points = surface(count)
    rows, reached = spaced_points(points, 0.1)
    distances = np.linalg.norm(points[:, None] - points[rows][None], axis=2)
    assert distances.min(axis=1).max() == pytest.approx(reached)
    assert reached <= 0.1
    between = np.linalg.norm(points[rows][:, None] - points[rows][None], axis=2) + 9 * np.eye(len(rows))
    assert between.min() > 0.1 - 1e-9


def test_points_that_occur_several_times_are_sampled_once() -> None:
    rows, reached = spaced_points(np.repeat(surface(20), 3, axis=0), 0.0)
    assert len(rows) == 20
    assert reached < 1e-6


def test_thinning_takes_means_of_cells() -> None:
    points, normals = surface(400), surface(400, 1)
    means, directions = thin(points, normals, 0.3)
    cells = np.floor((points - points.min(axis=0)) / 0.3).astype(int)
    expected = {tuple(cell): (cells == cell).all(axis=1) for cell in cells}
    assert len(means) == len(expected)
    for mask in expected.values():
        row = np.linalg.norm(means - points[mask].mean(axis=0), axis=1).argmin()
        np.testing.assert_allclose(means[row], points[mask].mean(axis=0), atol=1e-12)
        whole = normals[mask].sum(axis=0)
        assert directions is not None
        np.testing.assert_allclose(directions[row], whole / np.linalg.norm(whole), atol=1e-9)


def test_each_point_belongs_to_its_nearest_node_and_nodes_are_means() -> None:
    points = surface(3000)
    grouping = Grouping(cells=3, points=64, neighbors=8)
    groups = group(points, None, 0.25, grouping)
    thinned, _ = thin(points, None, 0.25 / 3)
    chosen = thinned[farthest_by_brute_force(thinned, len(groups))]
    owners = np.linalg.norm(thinned[:, None] - chosen[None], axis=2).argmin(axis=1)
    for node in range(len(groups)):
        own = thinned[owners == node]
        np.testing.assert_allclose(groups.nodes[node], own.mean(axis=0), atol=1e-9)
        places = np.unique(np.round(groups.points[node] * 0.25 + groups.nodes[node], 5), axis=0)
        np.testing.assert_allclose(places, np.unique(np.round(own, 5), axis=0), atol=2e-5)
    distances = np.linalg.norm(groups.nodes[:, None] - groups.nodes[None], axis=2)
    np.testing.assert_array_equal(groups.neighbors, np.argsort(distances, axis=1, kind="stable")[:, :8])
    offsets = groups.nodes[groups.neighbors] - groups.nodes[:, None]
    np.testing.assert_allclose(groups.relative, offsets / 0.25, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_input_of_the_network_knows_neither_scale_nor_place(scale: float) -> None:
    points = surface(2000)
    groups, moved = (
        group(cloud, None, spacing, Grouping())
        for cloud, spacing in ((points, 0.2), (scale * (points + np.array([3, -1, 2])), scale * 0.2))
    )
    for name in ("points", "relative", "neighbors"):
        np.testing.assert_allclose(getattr(groups, name), getattr(moved, name), atol=1e-4)


def test_a_limit_of_nodes_leaves_out_points_that_are_far_from_them() -> None:
    groups = group(surface(2000), None, 0.1, Grouping(), max_nodes=30)
    assert len(groups) == 30
    assert np.linalg.norm(groups.points, axis=2).max() <= 2 + 1e-6


def test_too_many_nodes_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.methods.usip.grouping.MAX_NODES", 50)
    with pytest.raises(CloudError, match="more than 50: expected a larger spacing"):
        group(surface(2000), None, 0.05, Grouping())


def test_normals_are_beside_the_points() -> None:
    points = surface(2000)
    normals = np.tile([0.6, 0.0, 0.8], (2000, 1))
    groups = group(points, normals, 0.2, Grouping(with_normals=True))
    np.testing.assert_allclose(groups.points[..., 3:], np.broadcast_to([0.6, 0, 0.8], groups.points[..., 3:].shape))
    with pytest.raises(CloudError, match="has none"):
        group(points, None, 0.2, Grouping(with_normals=True))


def test_few_nodes_repeat_their_neighbors() -> None:
    near = nearest_nodes(surface(3), 7)
    assert near.shape == (3, 7)
    np.testing.assert_array_equal(near[:, 3:6], near[:, :3])
    np.testing.assert_array_equal(near[:, 0], [0, 1, 2])


def turn(seed: int) -> Array:
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(rotation * np.sign(np.linalg.det(rotation)))


def test_frames_turn_with_the_points() -> None:
    around, rotation = np.random.default_rng(0).normal(size=(20, 60, 3)) * [0.9, 0.6, 0.2] + 0.1, turn(1)
    frames = node_frames(around)
    np.testing.assert_allclose(frames @ np.swapaxes(frames, 1, 2), np.broadcast_to(np.eye(3), (20, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(node_frames(around @ rotation.T), frames @ rotation.T, atol=1e-9)


def test_the_last_axis_of_a_frame_leaves_the_surface() -> None:
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 500))
    hill = np.stack([x, y, -0.3 * (x**2 + y**2)], axis=1)
    np.testing.assert_allclose(node_frames(hill[None])[0, 2], [0, 0, 1], atol=0.1)


def test_in_frames_of_nodes_the_input_of_the_network_knows_no_rotation() -> None:
    grouping = Grouping(cells=1000, points=500, neighbors=6, frames="node")  # no thinning: its grid does not turn
    rotation = turn(2)
    groups, turned = (group(points, None, 0.3, grouping) for points in (surface(500), surface(500) @ rotation.T))
    rows = np.linalg.norm(turned.nodes[None] - (groups.nodes @ rotation.T)[:, None], axis=2).argmin(axis=1)
    np.testing.assert_allclose(turned.nodes[rows], groups.nodes @ rotation.T, atol=1e-9)
    np.testing.assert_allclose(turned.frames[rows], groups.frames @ rotation.T, atol=0.05)
    np.testing.assert_allclose(np.sort(turned.relative[rows], axis=1), np.sort(groups.relative, axis=1), atol=0.1)


@pytest.mark.parametrize("frames", ["cloud", "node"])
def test_places_of_neighbors(frames: Frames) -> None:
    groups = group(surface(2000), None, 0.2, Grouping(neighbors=5, frames=frames))
    back = groups.relative[..., :3] @ groups.frames * 0.2 + groups.nodes[:, None]
    np.testing.assert_allclose(back, groups.nodes[groups.neighbors], atol=1e-6)
    if frames == "node":
        axes = groups.relative[..., 3:].reshape(len(groups), 5, 2, 3) @ groups.frames[:, None]
        np.testing.assert_allclose(axes, groups.frames[groups.neighbors][:, :, :2], atol=1e-5)
