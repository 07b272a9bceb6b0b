"""Pairs of views of a cloud: scans from two sides, or all of it, each turned, subsampled and with noise."""

from __future__ import annotations

from dataclasses import dataclass

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
        other = _near(toward, settings.angle, rng)
        rows = [_seen(cloud, direction, settings, rng) for direction in (toward, other)]
        densities = np.exp(rng.uniform(-settings.density, settings.density, 2))
        fine = float(np.exp(rng.uniform(0, np.log(settings.scale))))
        samples = [
            _sampled(*each, direction, fine * density, rng)
            for each, direction, density in zip(rows, (toward, other), densities, strict=True)
        ]
        center = samples[0][0][rng.integers(len(samples[0][0]))]
        views = _around(center, samples, settings, grouping, nodes, rng)
        if best is None or min(map(len, (v.groups for v in views))) > min(map(len, (v.groups for v in best))):
            best = views
        if min(len(view.groups) for view in best) >= MIN_NODES:
            break
    assert best is not None
    return best


def batch(pairs: list[tuple[View, View]], nodes: int) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
    """Returns the arrays of pairs of views: first all first views, then all second ones, 2 B in all.

    Views with fewer than M nodes repeat them. `centers` (2 B, M, 3) are the nodes in the frame of the cloud, in
    multiples of the mean spacing of the pair; `rotation` (2 B, 3, 3) and `scale` (2 B,) take offsets there. `shared`
    (2 B, M) is whether the other view has points near the node.
    """
    names = ("points", "relative", "neighbors", "centers", "rotation", "scale", "shared")
    rows = [arrays for side in (0, 1) for each in pairs for arrays in [_arrays(each, side, nodes)]]
    return {name: np.stack([row[i] for row in rows]) for i, name in enumerate(names)}


def _arrays(both: tuple[View, View], side: int, nodes: int) -> tuple[NDArray[np.float32] | NDArray[np.int64], ...]:
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
        view.rotation.astype(np.float32),
        np.float32(view.spacing / unit),
        (distances <= 0.5 * unit)[rows].astype(np.float32),
    )


def _seen(
    cloud: Cloud, toward: Array, settings: Views, rng: np.random.Generator
) -> tuple[Array, Array | None, bool]:
    """Returns the points that face a direction, their normals, and whether the view is a scan."""
    if rng.random() >= settings.scans:
        return cloud.points, cloud.normals, False
    if cloud.normals is None:
        return cloud.points, None, True
    kept = cloud.normals @ toward > -BACK
    return cloud.points[kept], cloud.normals[kept], True


def _sampled(
    points: Array, normals: Array | None, scan: bool, toward: Array, fine: float, rng: np.random.Generator
) -> tuple[Array, Array | None]:
    """Returns the points of a scan, one for each pixel of a range image, or as many points in random places."""
    frame = _frame(toward, rng)
    seen = points @ frame.T
    area = float(np.prod(np.ptp(seen[:, :2], axis=0)))
    pixel = fine * (4 * area / len(points)) ** 0.5
    if not scan:
        cell = thin(points, normals, pixel) if rng.random() < 0.5 else None
        if cell is not None:
            return cell
        chosen = rng.permutation(len(points))[: max(64, int(len(points) / (4 * fine**2)))]
        return points[chosen], None if normals is None else normals[chosen]
    keys = np.floor((seen[:, :2] - seen[:, :2].min(axis=0)) / pixel).astype(np.int64)
    flat = keys[:, 0] * (keys[:, 1].max() + 1) + keys[:, 1]
    _, owners = np.unique(flat, return_inverse=True)
    nearest = np.full(owners.max() + 1, -np.inf)
    np.maximum.at(nearest, owners, seen[:, 2])
    front = seen[:, 2] >= nearest[owners] - pixel
    owners = owners[front]
    counts = np.maximum(np.bincount(owners, minlength=len(nearest)), 1)[:, None]
    mean = np.stack([np.bincount(owners, points[front, i], len(nearest)) for i in range(3)], axis=1) / counts
    if normals is None:
        return mean, None
    total = np.stack([np.bincount(owners, normals[front, i], len(nearest)) for i in range(3)], axis=1)
    return mean, total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def _around(
    center: Array,
    samples: list[tuple[Array, Array | None]],
    settings: Views,
    grouping: Grouping,
    nodes: int,
    rng: np.random.Generator,
) -> tuple[View, View]:
    """Returns the views of two samples within a distance of a center that leaves about the number of nodes."""
    spacings = [settings.spacing * _resolution(points) for points, _ in samples]
    radius = 0.0
    for (points, _), spacing in zip(samples, spacings, strict=True):
        cells, _ = thin(points, None, spacing)
        distances = np.sort(np.linalg.norm(cells - center, axis=1))
        limit = round(0.9 * nodes)
        radius = max(radius, float(distances[min(limit, len(distances)) - 1]) + spacing)
    views = []
    for (points, normals), spacing in zip(samples, spacings, strict=True):
        kept = np.linalg.norm(points - center, axis=1) <= radius
        kept |= np.arange(len(points)) == np.linalg.norm(points - center, axis=1).argmin()
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
