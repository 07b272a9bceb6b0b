"""Pairs of views: their geometry, what a scan sees, and how batches are turned."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cairn.methods.usip.grouping import Grouping
from cairn.methods.usip.recipe import Views
from cairn.methods.usip.views import View, arrays, batch, pair
from cairn.structures.cloud import Cloud

GROUPING = Grouping(points=12, neighbors=8, with_normals=True)


def ball(count: int = 6000, seed: int = 0) -> Cloud:
    """Points on a sphere with a dent, with normals of the sphere."""
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return Cloud(directions * (1 - 0.3 * np.exp(-8 * (1 - directions[:, 2:]))), directions)


def drawn(settings: Views, seed: int = 0, cloud: Cloud | None = None) -> tuple[View, View]:
    return pair(cloud or ball(), settings, GROUPING, 64, np.random.default_rng(seed))


def radius(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(points, axis=-1))


@pytest.mark.parametrize("scans", [0.0, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_views_undo_their_rotation(scans: float, seed: int) -> None:
    for view in drawn(Views(scans=scans, jitter=0), seed):
        np.testing.assert_allclose(view.rotation @ view.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(view.rotation) > 0
        nodes = view.groups.nodes @ view.rotation
        distances = np.linalg.norm(nodes[:, None] - view.points[None], axis=2).min(axis=1)
        assert distances.max() < view.spacing


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_scan_is_of_one_side(seed: int) -> None:
    cloud = ball()
    first, second = drawn(Views(scans=1, angle=0), seed, cloud)
    for view in (first, second):
        side = view.points.mean(axis=0)
        assert (view.points @ (side / np.linalg.norm(side))).min() > -0.2
    plain = Grouping(points=12, neighbors=8)
    rng = np.random.default_rng(seed)
    for view in pair(Cloud(cloud.points), Views(scans=1, angle=0), plain, 64, rng):  # by depth alone
        assert radius(view.points.mean(axis=0)) > 0.2


@pytest.mark.parametrize("scans", [0.0, 1.0])
def test_the_spacing_follows_the_resolution_of_the_view(scans: float) -> None:
    for view in drawn(Views(scans=scans, spacing=5.0)):
        distances = np.linalg.norm(view.points[:, None] - view.points[None], axis=2) + 9 * np.eye(len(view.points))
        assert view.spacing == pytest.approx(5 * distances.min(axis=1).mean(), rel=0.25)


def test_jitter_moves_points() -> None:
    def depth(view: View) -> float:
        places = view.groups.points[..., :3] * view.spacing + view.groups.nodes[:, None]
        return float(np.abs(radius(places @ view.rotation) - 1).mean())

    smooth = Cloud(ball().points / radius(ball().points)[:, None])
    still, moved = (
        np.mean([depth(view) for seed in range(3) for view in drawn_of(smooth, jitter, seed)]) for jitter in (0.0, 0.8)
    )
    assert moved > 1.5 * still


def drawn_of(cloud: Cloud, jitter: float, seed: int) -> tuple[View, View]:
    plain = Grouping(points=12, neighbors=8)
    return pair(cloud, Views(scans=0, jitter=jitter), plain, 64, np.random.default_rng(seed))


def test_arrays_share_a_frame() -> None:
    both = drawn(Views())
    made = arrays(both, 64)
    unit = (both[0].spacing + both[1].spacing) / 2
    origin = both[0].groups.nodes.mean(axis=0) @ both[0].rotation
    for side, view in enumerate(both):
        np.testing.assert_allclose(made["scale"][side], view.spacing / unit, rtol=1e-6)
        nodes = made["centers"][side] * unit + origin
        np.testing.assert_allclose(nodes[: len(view.groups)], view.groups.nodes @ view.rotation, atol=1e-6)
        other = both[1 - side].points
        distances = np.linalg.norm(nodes[:, None] - other[None], axis=2).min(axis=1)
        np.testing.assert_array_equal(made["shared"][side] > 0, distances <= 0.5 * unit + 1e-7)


def test_views_with_few_nodes_repeat_them() -> None:
    both = drawn(Views())
    count = len(both[0].groups)
    made = arrays(both, 200)
    assert count < 100
    np.testing.assert_array_equal(made["points"][0, count : 2 * count], made["points"][0, :count])
    assert made["neighbors"][0].max() < count


def test_a_batch_turns_points_and_rotation_together() -> None:
    made = [arrays(drawn(Views(jitter=0), seed), 64) for seed in (0, 1)]
    turned = batch(made, np.random.default_rng(5))
    assert turned["points"].shape == (4, 64, 12, 6)
    for item, (each, side) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        before, rotation = made[each], turned["rotation"][item]
        assert np.abs(rotation - before["rotation"][side]).max() > 0.1
        for name, parts in (("points", (slice(0, 3), slice(3, 6))), ("relative", (slice(0, 3),))):
            for part in parts:
                np.testing.assert_allclose(
                    turned[name][item, ..., part] @ rotation,
                    before[name][side, ..., part] @ before["rotation"][side],
                    atol=1e-4,
                )
        np.testing.assert_array_equal(turned["centers"][item], before["centers"][side])


def test_frames_of_nodes_take_points_back_to_the_cloud() -> None:
    grouping = Grouping(points=12, neighbors=8, frames="node")
    both = pair(ball(), Views(jitter=0), grouping, 64, np.random.default_rng(0))
    made = batch([arrays(both, 64)], None)
    origin = both[0].groups.nodes.mean(axis=0) @ both[0].rotation
    unit = (both[0].spacing + both[1].spacing) / 2
    for side in (0, 1):
        offsets = made["points"][side] @ made["rotation"][side] * made["scale"][side]
        places = (made["centers"][side][:, None] + offsets) * unit + origin
        distances = np.linalg.norm(places.reshape(-1, 1, 3) - ball().points[None], axis=2).min(axis=1)
        assert distances.max() < 0.3 * unit
        near = made["centers"][side][made["neighbors"][side]] - made["centers"][side][:, None]
        relative = made["relative"][side][..., :3] @ made["rotation"][side] * made["scale"][side]
        np.testing.assert_allclose(relative, near, atol=1e-4)
