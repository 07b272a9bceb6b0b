"""Aligning a specimen to a reference, whatever its position, rotation, scale and mirroring."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from cairn.pointclouds.shapes.matching import Matcher
from cairn.pointclouds.shapes.shape import Shape
from cairn.pointclouds.shapes.similarity import Points, Similarity, fit_similarity

NORMAL_WEIGHT = 0.15
"""Weight of normals, in radii."""

NUM_POINTS = 1500
"""Number of points that stand for each surface."""

NUM_FEW = 250
"""Number of points of a stage with few points."""


@dataclass(frozen=True)
class Stage:
    """One stage of ICP: its numbers of hypotheses, the best ones so far, and of iterations, and its points."""

    hypotheses: int
    iterations: int
    all_points: bool


STAGES = (Stage(24, 4, False), Stage(8, 6, False), Stage(3, 8, True), Stage(1, 30, True))

KEPT = 0.85
"""Share of the nearest pairs that ICP fits; the rest may have no counterpart."""

CONVERGED = 1e-4
"""Change of the transform, in radii, at which ICP ends."""

AMBIGUOUS = (1.15, 30.0)
"""Another rotation fits as well if its residual is at most this multiple, and its angle at least so many degrees."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a specimen fits a reference.

    Attributes:
        transform: From the specimen into the frame of the reference.
        residual: Distance between both surfaces: root mean square over the nearest pairs of a point and the tangent
            plane of the other surface, in radii of the reference.
        ambiguous: Whether a clearly different transform fits about as well.
    """

    transform: Similarity
    residual: float
    ambiguous: bool


def align(specimen: Shape, reference: Shape, reflection: bool = False) -> Alignment:
    """Returns the rotation, or the reflection, that brings a specimen to a reference.

    Hypotheses are all rotations (or reflections) that bring the principal axes of one to those of the other. Each is
    refined by ICP with a scale (Besl & McKay 1992), the best ones with more points; the closest surfaces win.
    """
    to_unit, from_unit = _to_unit(specimen), _to_unit(reference)
    icp = _Icp.of(specimen.moved(to_unit), reference.moved(from_unit))
    found = [(np.inf, start) for start in _starts(icp.specimen.points, icp.reference.points, reflection)]
    ranked = found
    for stage in STAGES:
        found = sorted((icp(start, stage) for _, start in found[: stage.hypotheses]), key=lambda each: each[0])
        ranked = found if len(found) > 1 else ranked
    (best, chosen), *others = ranked
    limit, degrees = AMBIGUOUS
    ambiguous = any(residual < limit * best and _angle(transform, chosen) > degrees for residual, transform in others)
    _, transform = found[0]
    return Alignment(from_unit.inverse().after(transform).after(to_unit), icp.distance(transform), ambiguous)


@dataclass(frozen=True, eq=False)
class _Icp:
    """ICP between two shapes of unit radius, with pairs in both directions."""

    specimen: Shape
    reference: Shape
    to_specimen: Matcher
    to_reference: Matcher
    few: tuple[Shape, Shape]

    @classmethod
    def of(cls, specimen: Shape, reference: Shape) -> _Icp:
        oriented = specimen.oriented and reference.oriented
        specimen, reference = (shape.thinned(NUM_POINTS).without_triangles() for shape in (specimen, reference))
        own, other = (Matcher.of(shape, NORMAL_WEIGHT, oriented) for shape in (specimen, reference))
        return cls(specimen, reference, own, other, (specimen.thinned(NUM_FEW), reference.thinned(NUM_FEW)))

    def __call__(self, transform: Similarity, stage: Stage) -> tuple[float, Similarity]:
        """Returns the residual and the refined transform from the specimen to the reference."""
        own, other = (self.specimen, self.reference) if stage.all_points else self.few
        residual = np.inf
        for _ in range(stage.iterations):
            moved = own.moved(transform)
            distances, rows = self.to_reference(moved.points, moved.normals)
            back = other.moved(transform.inverse())
            back_distances, back_rows = self.to_specimen(back.points, back.normals)
            near, back_near = _nearest(distances), _nearest(back_distances)
            source = np.concatenate([own.points[near], self.specimen.points[back_rows[back_near]]])
            target = np.concatenate([self.reference.points[rows[near]], other.points[back_near]])
            refined = fit_similarity(source, target, transform.is_reflection)
            squares = np.concatenate([distances[near], back_distances[back_near]]) ** 2
            residual = float(np.sqrt(squares.mean()))
            change = float(np.abs(refined(source) - transform(source)).max())
            transform = refined
            if change < CONVERGED:
                break
        return residual, transform

    def distance(self, transform: Similarity) -> float:
        """Returns the distance between both surfaces: to tangent planes, so that it does not depend on the sampling."""
        own = self.specimen.moved(transform)
        _, rows = self.to_reference(own.points, own.normals)
        back = self.reference.moved(transform.inverse())
        _, back_rows = self.to_specimen(back.points, back.normals)
        there = ((self.reference.points[rows] - own.points) * self.reference.normals[rows]).sum(axis=1)
        here = ((self.specimen.points[back_rows] - back.points) * self.specimen.normals[back_rows]).sum(axis=1)
        kept = [np.sort(np.abs(each))[: int(np.ceil(KEPT * len(each)))] for each in (there, here * transform.scale)]
        return float(np.sqrt((np.concatenate(kept) ** 2).mean()))


def _nearest(distances: Points) -> Points:
    """Returns the rows of the nearest pairs."""
    return np.asarray(np.argsort(distances, kind="stable")[: int(np.ceil(KEPT * len(distances)))])


def _to_unit(shape: Shape) -> Similarity:
    """Returns the transform to the origin and to a radius of 1."""
    scale = 1 / shape.radius
    return Similarity(scale, np.eye(3), -scale * shape.points.mean(axis=0))


def _starts(specimen: Points, reference: Points, reflection: bool) -> list[Similarity]:
    """Returns the 24 rotations or reflections between the principal axes of centered points."""
    own, other = (np.linalg.svd(points.T @ points)[0] for points in (specimen, reference))
    starts = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        rotation = other @ (np.eye(3)[list(order)] * signs) @ own.T
        if (np.linalg.det(rotation) < 0) == reflection:
            starts.append(Similarity(1.0, rotation, np.zeros(3)))
    return starts


def _angle(one: Similarity, other: Similarity) -> float:
    """Returns the angle between two transforms in degrees."""
    cosine = (np.trace(one.rotation @ other.rotation.T) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
