"""Labeled points from landmarks, linearly (section 4): how few labels it takes, and the model that results."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.evaluation.keypoint_metrics import measure_error
from cairn.evaluation.pairing import Pairs
from cairn.evaluation.prediction import annotated_instances
from cairn.evaluation.protocols import Protocol, default_protocol
from cairn.inference.model_spec import ModelSpec
from cairn.inference.predictor import TopDownPredictor
from cairn.methods.landmarks import predictor
from cairn.methods.landmarks.images import landmark_skeleton, without_labels
from cairn.methods.landmarks.model import Detector, Mirrored, Taught
from cairn.methods.landmarks.training import LandmarksModule, Recipe
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from cairn.training.engine.results import load_weights, with_provenance
from cairn.training.exporting.onnx_file import export
from cairn.training.exporting.torch_network import TorchNetwork

COUNTS = (1, 5, 10, 20, 50, 100)
"""Numbers of labeled images in the table, as later papers have them."""

DRAWS = 10

RIDGES = tuple(10.0**power for power in np.arange(-6, 1.01, 0.5))
"""Penalties to choose from, over the number of images."""

NEAR = 0.2
"""Half sides of the image within which a landmark is near a point; the faces of `faces` chose it, broadly."""

ACROSS = 10.0
"""How much dearer than x from x it is to tell a point's x from landmarks' y, or y from x."""

FOLDS = 5

Kind = Literal["paper", "ridge"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Regressor:
    """points = landmarks @ matrix + offset: (2K, 2N) and (2N,); both kinds of coordinates from -1 to 1."""

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def __call__(self, landmarks: NDArray) -> NDArray[np.float64]:
        """(M, 2K) -> (M, 2N)."""
        return landmarks @ self.matrix + self.offset


@dataclass(frozen=True)
class Row:
    """NME in percent with so many labeled images: mean and standard deviation over draws."""

    count: int
    mean: float
    deviation: float
    draws: int


@dataclass(frozen=True, eq=False)
class Examples:
    """M images that have one labeled object each.

    landmarks  (M, 2K), points (M, 2N): from -1 to 1 across the square that holds the image; NaN where not labeled
    truth      the labeled objects, in pixels
    centers    (M, 2) and half (M,): middle of that square and half its side, in pixels
    """

    landmarks: NDArray[np.float64]
    points: NDArray[np.float64]
    truth: Annotation
    centers: NDArray[np.float64]
    half: NDArray[np.float64]
    skeleton: Skeleton

    def __len__(self) -> int:
        return len(self.landmarks)

    def __getitem__(self, rows: NDArray) -> Examples:
        return Examples(
            self.landmarks[rows],
            self.points[rows],
            self.truth[rows],
            self.centers[rows],
            self.half[rows],
            self.skeleton,
        )


def examples_of(find: TopDownPredictor, labels: Labels) -> Examples:
    """Landmarks beside labels. Images without labels, or with several objects, are left out and counted.

    Raises LabelError where none is left.
    """
    chosen = [image for image in labels if len(annotated_instances(image)) == 1]
    if len(chosen) < len(labels):
        log.info("%d images without exactly one labeled object are left out", len(labels) - len(chosen))
    if not chosen:
        raise LabelError("no image has exactly one labeled object: landmarks are of one object an image")
    landmarks, points, truths, centers, halves = [], [], [], [], []
    for image in chosen:
        height, width = image.size
        center, half = np.array([(width - 1) / 2, (height - 1) / 2]), max(height, width) / 2
        truth = annotated_instances(image)
        landmarks.append((find(image.path).keypoints[0].astype(np.float64) - center) / half)
        points.append((truth.keypoints[0].astype(np.float64) - center) / half)
        truths.append(truth)
        centers.append(center)
        halves.append(half)
    return Examples(
        np.stack(landmarks).reshape(len(chosen), -1),
        np.stack(points).reshape(len(chosen), -1),
        Annotation.concatenate(truths),
        np.stack(centers),
        np.array(halves),
        labels.skeleton,
    )


def fit(examples: Examples, kind: Kind) -> Regressor:
    """`paper`: least squares without a bias, the middle of the image being 0. `ridge`: a point moves as the landmarks
    near it do, unless the labels tell more; how much they must tell, leave-one-out chooses.

    A point is fitted on the images in which it is labeled. Raises LabelError where that is in none.
    """
    labeled = np.isfinite(examples.points)
    for joint, there in zip(examples.skeleton.joints, np.moveaxis(labeled[:, ::2], 0, 1), strict=True):
        if not there.any():
            raise LabelError(f"{joint} is labeled in no image")
    matrix = np.zeros((examples.landmarks.shape[1], examples.points.shape[1]))
    offset = np.zeros(examples.points.shape[1])
    patterns, which = np.unique(labeled, axis=1, return_inverse=True)
    for i in range(patterns.shape[1]):  # points that are labeled in the same images, together
        columns, rows = np.flatnonzero(which == i), np.flatnonzero(patterns[:, i])
        solved = _solve(examples.landmarks[rows], examples.points[np.ix_(rows, columns)], kind)
        matrix[:, columns], offset[columns] = solved.matrix, solved.offset
    return Regressor(matrix, offset)


def error(regressor: Regressor, examples: Examples, protocol: Protocol) -> float:
    """NME in percent of the protocol's length."""
    points = regressor(examples.landmarks).reshape(len(examples), -1, 2)
    pixels = points * examples.half[:, None, None] + examples.centers[:, None]
    pairs = Pairs(examples.truth, pixels.astype(np.float32), np.arange(len(examples)), examples.skeleton)
    return measure_error(pairs, protocol).value


def table(train: Examples, val: Examples | None, kind: Kind, protocol: Protocol, seed: int) -> list[Row]:
    """Error against the number of labeled images.

    val  to measure on; None: the images that were not drawn, and for all of them `FOLDS` folds
    """
    rng = np.random.default_rng(seed)
    rows = []
    for count in [count for count in COUNTS if count < len(train)]:
        draws = [rng.permutation(len(train)) for _ in range(DRAWS)]
        errors = [_held_out(train, val, order[:count], order[count:], kind, protocol) for order in draws]
        errors = [value for value in errors if np.isfinite(value)]
        if errors:
            rows.append(Row(count, float(np.mean(errors)), float(np.std(errors)), len(errors)))
    if val is not None:
        rows.append(Row(len(train), error(fit(train, kind), val, protocol), 0.0, 1))
    elif len(train) >= FOLDS:
        folds = np.array_split(rng.permutation(len(train)), FOLDS)
        others = [np.setdiff1d(np.arange(len(train)), fold) for fold in folds]
        errors = [_held_out(train, None, some, rest, kind, protocol) for some, rest in zip(others, folds, strict=True)]
        rows.append(Row(len(train), float(np.nanmean(errors)), float(np.nanstd(errors)), FOLDS))
    return rows


def usual_length(examples: Examples) -> Protocol:
    """What errors of such labels are usually divided by."""
    protocol = default_protocol(examples.truth, examples.skeleton)
    return protocol.nme_protocol or protocol


def learned(run: Path, recipe: Recipe, name: str) -> tuple[LandmarksModule, ModelSpec]:
    """The module of a run with its best weights, and its specification, which says where they come from.

    Raises ModelError where the run has no such weights.
    """
    landmarks = landmark_skeleton(recipe.network.landmarks)
    module = LandmarksModule(recipe, landmarks, without_labels((), landmarks))
    epoch = load_weights(module, run / "checkpoints" / "best.ckpt")
    return module.eval(), with_provenance(module.spec(), recipe, epoch, run).model_copy(update={"name": name})


def finder(detector: Detector | Mirrored, spec: ModelSpec) -> TopDownPredictor:
    """Finds landmarks with the weights as they are. spec: of the run."""
    count = len(spec.skeleton) * (2 if isinstance(detector, Mirrored) else 1)
    return predictor(TorchNetwork(detector, spec.model_copy(update={"skeleton": landmark_skeleton(count)})))


def export_taught(
    detector: Detector | Mirrored,
    regressor: Regressor,
    spec: ModelSpec,
    stated: dict[str, str | int | float],
    target: Path,
) -> None:
    """One .onnx that finds the labeled points. spec: with their skeleton; stated: what to add to its provenance."""
    matrix, offset = (torch.from_numpy(values).float() for values in (regressor.matrix, regressor.offset))
    export(
        Taught(detector, matrix, offset),
        spec.model_copy(update={"provenance": spec.provenance | stated}),
        target,
    )


def _solve(landmarks: NDArray, points: NDArray, kind: Kind) -> Regressor:
    if kind == "paper":
        return Regressor(np.linalg.lstsq(landmarks, points, rcond=None)[0], np.zeros(points.shape[1]))
    mean, middle = landmarks.mean(axis=0), points.mean(axis=0)
    guess, dear = near(mean, middle)
    matrix = guess + _correction(landmarks - mean, points - middle - (landmarks - mean) @ guess, dear)
    return Regressor(matrix, middle - mean @ matrix)


def near(landmarks: NDArray, points: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is expected before any label speaks: a point moves as the landmarks near it do.

    landmarks (2K,), points (2N,): where each is on average
    Returns weights (2K, 2N), those of each point's landmarks adding up to 1, and how dear a change of each is.
    """
    away = np.square(landmarks.reshape(-1, 1, 2) - points.reshape(1, -1, 2)).sum(-1) / NEAR**2  # (K, N)
    share = np.exp((away.min(axis=0) - away) / 2)
    axes = np.eye(2)  # x from x, y from y
    guess = np.kron(share / share.sum(axis=0), axes)
    return guess, np.kron(1 + away, axes + ACROSS * (1 - axes))


def _correction(x: NDArray, y: NDArray, dear: NDArray) -> NDArray[np.float64]:
    """The matrix W (2K, 2N) of least |y - xW|² + λM Σ dear W², x (M, 2K) and y (M, 2N) of mean 0.

    λ is the one of RIDGES with which the fits to all other images err least in each, in closed form.
    """
    if len(x) == 1:  # what one image says is its mean, which is 0
        return np.zeros(dear.shape)
    penalties = np.array(RIDGES) * len(x)
    q, r = np.linalg.qr(x)
    errors = np.zeros(len(RIDGES))
    solved = []
    for target, unit in zip(y.T, 1 / np.sqrt(dear.T), strict=True):  # landmarks in units of their own for each point
        u, values, vt = np.linalg.svd(r * unit, full_matrices=False)
        u = q @ u
        inside = u.T @ target
        kept = values[:, None] ** 2 / (values[:, None] ** 2 + penalties)  # (rank, λ)
        residual = target[:, None] - u @ (kept * inside[:, None])
        leverage = u**2 @ kept + 1 / len(x)
        errors += np.square(residual / np.maximum(1 - leverage, 1e-6)).sum(axis=0)
        solved.append((unit[:, None] * vt.T, values, inside))
    penalty = penalties[errors.argmin()]
    columns = [back @ (values / (values**2 + penalty) * inside) for back, values, inside in solved]
    return np.stack(columns, axis=1)


def _held_out(
    train: Examples, val: Examples | None, some: NDArray, rest: NDArray, kind: Kind, protocol: Protocol
) -> float:
    """Error of the fit to some examples; NaN where they do not label every point, or the rest has no length."""
    if not np.isfinite(train[some].points).any(axis=0).all():
        return float("nan")
    return error(fit(train[some], kind), train[rest] if val is None else val, protocol)
