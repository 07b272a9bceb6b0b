"""Random solid shapes as point clouds with normals, to train `usip-objects` on: no scan, no license.

A shape is the union of superquadrics (ellipsoids, boxes, cylinders and what is between) and tori, from some of which
others are cut away. It is bent, and covered with bumps of several sizes, by smooth displacements of space.

    python benchmarks/accuracy/solids.py .data/solids --count 200
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Solid:
    """A superquadric, or a torus, somewhere: sizes (3,), exponents (2,), rotation (3, 3), place (3,)."""

    sizes: Array
    exponents: Array
    rotation: Array
    place: Array
    ring: float = 0.0  # tube radius of a torus of unit radius; 0 for a superquadric

    def level(self, points: Array) -> Array:
        """Below 1 inside, above 1 outside."""
        p = np.abs((points - self.place) @ self.rotation / self.sizes)
        if self.ring:
            around = np.hypot(p[:, 0], p[:, 1]) - 1
            return np.hypot(around, p[:, 2]) / self.ring
        e1, e2 = self.exponents
        flat = (p[:, 0] ** (2 / e2) + p[:, 1] ** (2 / e2)) ** (e2 / e1)
        return (flat + p[:, 2] ** (2 / e1)) ** (e1 / 2)

    def surface(self, count: int, rng: np.random.Generator) -> tuple[Array, Array, float]:
        """Points evenly on the surface, their normals, and the area."""
        drawn = 4 * count
        if self.ring:
            u, v = rng.uniform(0, 2 * np.pi, (2, drawn))
            out = np.stack([np.cos(u) * np.cos(v), np.sin(u) * np.cos(v), np.sin(v)], axis=1)
            points = self.ring * out + np.stack([np.cos(u), np.sin(u), 0 * u], axis=1)
            normals, areas = out, self.ring * (1 + self.ring * np.cos(v)) * 4 * np.pi**2
        else:
            directions = rng.normal(size=(drawn, 3))
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            unit = Solid(np.ones(3), self.exponents, np.eye(3), np.zeros(3))
            points = directions / unit.level(directions)[:, None]
            step = 1e-4 * np.eye(3)
            normals = np.stack([unit.level(points + h) - unit.level(points - h) for h in step], axis=1)
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
            cosines = np.abs((normals * directions).sum(axis=1))
            areas = 4 * np.pi * (points**2).sum(axis=1) / np.maximum(cosines, 0.05)
        # Stretching by `sizes` changes areas by the volume times the length of the stretched normal.
        stretched = normals / self.sizes
        lengths = np.linalg.norm(stretched, axis=1, keepdims=True)
        areas = areas * np.prod(self.sizes) * lengths[:, 0]
        chosen = rng.choice(drawn, count, p=areas / areas.sum())
        points = (points[chosen] * self.sizes) @ self.rotation.T + self.place
        return points, (stretched / lengths)[chosen] @ self.rotation.T, float(areas.mean())


def shape(points: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Returns points on a random shape, and their normals."""
    solids = [_solid(rng, 1.0)]
    cuts: list[bool] = [False]
    for _ in range(rng.integers(2, 8)):
        at, _, _ = solids[rng.integers(len(solids))].surface(4, rng)
        solids.append(_solid(rng, rng.uniform(0.15, 0.7), at[0]))
        cuts.append(bool(rng.random() < 0.25))
    each = [solid.surface(points, rng) for solid in solids]
    density = 2 * points / sum(area for *_, area in each)
    kept_points, kept_normals = [], []
    for i, (at, normals, area) in enumerate(each):
        count = min(points, int(area * density))
        at, normals = at[:count], normals[:count]
        inside = [other.level(at) < 1 for other in solids]
        material = np.zeros(count, bool)  # what the solids before this one leave
        for within, cut in zip(inside[:i], cuts[:i], strict=True):
            material = material & ~within if cut else material | within
        kept = (material if cuts[i] else ~material) & ~np.any([*inside[i + 1 :], np.zeros(count, bool)], axis=0)
        kept_points.append(at[kept])
        kept_normals.append(-normals[kept] if cuts[i] else normals[kept])
    at, normals = np.concatenate(kept_points), np.concatenate(kept_normals)
    at, normals = _bent(at, normals, rng)
    chosen = rng.permutation(len(at))[:points]
    return at[chosen], normals[chosen]


def _solid(rng: np.random.Generator, size: float, place: Array | None = None) -> Solid:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    sizes = size * np.exp(rng.uniform(-0.6, 0.3, 3))
    exponents = rng.choice([0.15, 0.3, 1.0, 1.0], 2)
    ring = float(rng.uniform(0.15, 0.5)) if rng.random() < 0.15 else 0.0
    return Solid(sizes, exponents, rotation, np.zeros(3) if place is None else place, ring)


def _bent(points: Array, normals: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Displaces points by waves of several lengths; normals follow."""
    for length, share in ((3.0, 0.06), (0.8, 0.025), (0.3, 0.015)):
        for _ in range(3):
            wave = 2 * np.pi / (length * np.exp(rng.uniform(-0.3, 0.3))) * _unit(rng)
            shift = rng.uniform(0, share) * length * _unit(rng)
            phase = points @ wave + rng.uniform(0, 2 * np.pi)
            jacobians = np.eye(3) + np.cos(phase)[:, None, None] * np.outer(shift, wave)
            points = points + np.sin(phase)[:, None] * shift
            normals = np.linalg.solve(np.swapaxes(jacobians, 1, 2), normals[..., None])[..., 0]
            normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return points, normals


def _unit(rng: np.random.Generator) -> Array:
    drawn = rng.normal(size=3)
    return drawn / np.linalg.norm(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--points", type=int, default=30000)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for number in range(args.count):
        points, normals = shape(args.points, np.random.default_rng(number))
        values = {"points": points.astype(np.float32), "normals": normals.astype(np.float32)}
        np.savez(args.folder / f"solid{number:04d}.npz", **values)


if __name__ == "__main__":
    main()
