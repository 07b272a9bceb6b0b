"""Pairs of views of a cloud: scans from two sides, or all of it, each turned, subsampled and with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.methods.usip.grouping import Array, Grouping, Groups, group, thin
from cairn.methods.usip.recipe import Views
from cairn.structures.cloud import Cloud

MIN_NODES = 24
"""Minimum number of nodes of a view; with fewer it is drawn again."""

TRIES = 8
"""Times that a view is drawn again."""

BACK = 0.1
"""Cosine between normal and view direction from which a point faces away."""


Arrays = dict[str, NDArray[Any]]

Sample = tuple[Array, Array | None]
"""Points (N, 3), and their normals (N, 3) or None."""


@dataclass(frozen=True)
class View:
    """A cloud as the network takes it.

    Attributes:
        groups: Nodes and their points, in the frame of the view.
        rotation: (3, 3), from the frame of the cloud to that of the view.
        spacing: Distance between nodes, in the unit of the cloud.
        points: (N, 3) points of the view, in the frame of the cloud.
    """

    groups: Groups
    rotation: Array
    spacing: float
    points: Array


def pair(cloud: Cloud, settings: Views, grouping: Grouping, nodes: int, rng: np.random.Generator) -> tuple[View, View]:
    """Returns two views of a cloud around the same place.

    Args:
        cloud: The cloud.
        settings: How views are drawn.
        grouping: How they are divided among nodes.
        nodes: Maximum number of nodes.
        rng: Random numbers.
    """
    best: tuple[View, View] | None = None
    for _ in range(TRIES):
        toward = _direction(rng)
        sides = (toward, _near(toward, settings.angle, rng))
        finer = float(np.exp(rng.uniform(0, np.log(settings.scale))))
        steps = finer * np.exp(rng.uniform(-settings.density, settings.density, 2))
        if rng.random() < settings.scans:
            samples = [_scanned(cloud, side, step, rng) for side, step in zip(sides, steps, strict=True)]
        else:
            sample = _thinned if rng.random() < 0.5 else _drawn
            samples = [sample(cloud, step, rng) for step in steps]
        views = _around(samples, settings, grouping, nodes, rng)
        if best is None or min(map(len, (v.groups for v in views))) > min(map(len, (v.groups for v in best))):
            best = views
        if min(len(view.groups) for view in best) >= MIN_NODES:
            break
    assert best is not None
    return best


def batch(pairs: list[Arrays], rng: np.random.Generator | None) -> Arrays:
    """Returns the arrays of pairs of views: first all first views, then all second ones, 2 B in all.

    Args:
        pairs: B times the arrays of `arrays`, (2, ...).
        rng: Random numbers by which each view is turned again; None where nodes have frames of their own, which turn
            with the view.
    """
    both = {name: np.concatenate([np.stack([each[name][i] for each in pairs]) for i in (0, 1)]) for name in pairs[0]}
    if rng is None:
        return both
    turns = np.stack([_frame(_direction(rng), rng) for _ in both["rotation"]]).astype(np.float32)
    points = both["points"].reshape(*both["points"].shape[:3], -1, 3)  # positions, and normals
    both["points"] = np.einsum("bmpcj,bij->bmpci", points, turns, optimize=True).reshape(both["points"].shape)
    both["relative"] = np.einsum("bmkj,bij->bmki", both["relative"], turns, optimize=True)
    both["rotation"] = turns[:, None] @ both["rotation"]
    return both


def arrays(both: tuple[View, View], nodes: int) -> Arrays:
    """Returns a pair of views as arrays (2, ...) of M nodes; views with fewer nodes repeat them.

    Beside the input of the network, `centers` (2, M, 3) are the nodes in the frame of the cloud, in multiples of the
    mean spacing of the pair; `rotation` (2, M, 3, 3) and `scale` (2,) take offsets there. `shared` (2, M) is 1 where
    the other view has points near the node, else 0.
    """
    names = ("points", "relative", "neighbors", "centers", "rotation", "scale", "shared")
    rows = [_arrays(both, side, nodes) for side in (0, 1)]
    return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(names)}


def _arrays(both: tuple[View, View], side: int, nodes: int) -> tuple[Any, ...]:
    from scipy.spatial import cKDTree

    view, other = both[side], both[1 - side]
    unit = (view.spacing + other.spacing) / 2
    groups, rows = view.groups, np.arange(nodes) % len(view.groups)
    centers = groups.nodes @ view.rotation
    distances, _ = cKDTree(other.points).query(centers)
    origin = both[0].groups.nodes.mean(axis=0) @ both[0].rotation
    return (
        groups.points[rows],
        groups.relative[rows],
        groups.neighbors[rows],
        ((centers - origin) / unit)[rows].astype(np.float32),
        (groups.frames @ view.rotation)[rows].astype(np.float32),
        np.float32(view.spacing / unit),
        (distances <= 0.5 * unit)[rows].astype(np.float32),
    )


def _scanned(cloud: Cloud, toward: Array, step: float, rng: np.random.Generator) -> Sample:
    """Returns a scan from one side: the mean of the visible points in each pixel of a range image.

    Args:
        cloud: The cloud.
        toward: (3,) direction toward the scanner.
        step: Width of a pixel, in multiples of one with four points.
        rng: Random numbers.
    """
    points, normals = cloud.points, cloud.normals
    if normals is not None:
        facing = normals @ toward > -BACK
        points, normals = points[facing], normals[facing]
    seen = points @ _frame(toward, rng).T
    pixel = step * 2 * (float(np.prod(np.ptp(seen[:, :2], axis=0))) / len(points)) ** 0.5
    keys = np.floor((seen[:, :2] - seen[:, :2].min(axis=0)) / pixel).astype(np.int64)
    _, owners = np.unique(keys[:, 0] * (keys[:, 1].max() + 1) + keys[:, 1], return_inverse=True)
    nearest = np.full(owners.max() + 1, -np.inf)
    np.maximum.at(nearest, owners, seen[:, 2])
    front = seen[:, 2] >= nearest[owners] - pixel
    owners = owners[front]
    sums = [
        np.stack([np.bincount(owners, values[front, i]) for i in range(3)], axis=1)
        for values in ((points,) if normals is None else (points, normals))
    ]
    means = sums[0] / np.bincount(owners)[:, None]
    return means, None if normals is None else sums[1] / np.maximum(np.linalg.norm(sums[1], axis=1), 1e-9)[:, None]


def _thinned(cloud: Cloud, step: float, rng: np.random.Generator) -> Sample:
    """Returns one point for each cell of a grid, in a random frame."""
    turned = _frame(_direction(rng), rng)
    cell = step * 1.5 * (_area(cloud.points) / len(cloud)) ** 0.5
    points, normals = thin(cloud.points @ turned.T, None if cloud.normals is None else cloud.normals @ turned.T, cell)
    return points @ turned, None if normals is None else normals @ turned


def _drawn(cloud: Cloud, step: float, rng: np.random.Generator) -> Sample:
    """Returns points in random places."""
    count = max(MIN_NODES, int(0.8 * len(cloud) / step**2))
    chosen = rng.permutation(len(cloud))[:count]
    return cloud.points[chosen], None if cloud.normals is None else cloud.normals[chosen]


def _area(points: Array) -> float:
    """About the area of a surface: half that of its bounding box."""
    x, y, z = np.ptp(points, axis=0)
    return float(x * y + y * z + z * x)


def _around(
    samples: list[Sample],
    settings: Views,
    grouping: Grouping,
    nodes: int,
    rng: np.random.Generator,
) -> tuple[View, View]:
    """Returns the views of two samples, each within a distance of a center that leaves about the number of nodes.

    The centers are near each other, but not the same: the rims of the views are no features of both.
    """
    spacings = [settings.spacing * _resolution(points) for points, _ in samples]
    center = samples[0][0][rng.integers(len(samples[0][0]))]
    views = []
    for (points, normals), spacing in zip(samples, spacings, strict=True):
        cells, _ = thin(points, None, spacing)
        reach = np.sort(np.linalg.norm(cells - center, axis=1))[min(round(1.5 * nodes), len(cells)) - 1]
        distances = np.linalg.norm(points - center, axis=1)
        near = np.flatnonzero(distances <= max(0.4 * reach, distances.min()))
        distances = np.linalg.norm(points - points[rng.choice(near)], axis=1)
        kept = distances <= reach
        rotation = _frame(_direction(rng), rng)
        near = points[kept]
        noise = rng.uniform(0, 2 * settings.jitter) * spacing / settings.spacing
        moved = (near + noise * rng.normal(size=near.shape)) @ rotation.T
        turned = None if normals is None or not grouping.with_normals else normals[kept] @ rotation.T
        views.append(View(group(moved, turned, spacing, grouping, nodes), rotation, spacing, near))
    return views[0], views[1]


def _resolution(points: Array) -> float:
    """The mean distance of points to their nearest neighbor, of at most 2000 points."""
    from scipy.spatial import cKDTree

    sample = points[:: max(1, len(points) // 2000)]
    distances, _ = cKDTree(points).query(sample, k=2)
    return float(distances[:, 1].mean())


def _direction(rng: np.random.Generator) -> Array:
    """A random direction."""
    drawn = rng.normal(size=3)
    direction: Array = drawn / np.linalg.norm(drawn)
    return direction


def _near(direction: Array, angle: float, rng: np.random.Generator) -> Array:
    """A random direction within an angle in degrees of another one."""
    turned = np.radians(rng.uniform(0, angle))
    aside = np.cross(direction, _direction(rng))
    near: Array = np.cos(turned) * direction + np.sin(turned) * aside / np.linalg.norm(aside)
    return near


def _frame(z: Array, rng: np.random.Generator) -> Array:
    """A random rotation (3, 3) that turns a direction to the z axis: its rows are the axes."""
    x = np.cross(z, _direction(rng))
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])
