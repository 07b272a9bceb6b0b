"""Named keypoints from landmarks and a few labels (section 4): error against the number of labels, and the model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cairn.datasets.crops import crops_of
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.evaluation.keypoint_metrics import measure_error
from cairn.evaluation.pairing import Pairs
from cairn.evaluation.prediction import annotated_instances
from cairn.evaluation.protocols import Protocol, default_protocol
from cairn.inference.model_spec import ModelSpec
from cairn.inference.predictor import TopDownPredictor
from cairn.methods.landmarks import predictor
from cairn.methods.landmarks.images import boxes_of, landmark_skeleton, view_of, without_labels
from cairn.methods.landmarks.model import LandmarkDetector, MirroredDetector, Taught
from cairn.methods.landmarks.recipe import Crop, Recipe
from cairn.methods.landmarks.regression import Kind, Regressor, solve
from cairn.methods.landmarks.training import LandmarksModule
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from cairn.training.engine.results import load_weights, with_provenance
from cairn.training.exporting.onnx_file import export
from cairn.training.exporting.torch_network import TorchNetwork

COUNTS = (1, 5, 10, 20, 50, 100)
"""Numbers of labeled images in the table, as in later papers."""

DRAWS = 10
"""Random subsets of labeled images per row of the table."""

FOLDS = 5
"""Folds of the cross-validation over all labeled images."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """Error at one number of labeled images.

    Attributes:
        count: Number of labeled images.
        mean: Mean NME in percent over the draws.
        deviation: Standard deviation over the draws.
        draws: Number of draws.
    """

    count: int
    mean: float
    deviation: float
    draws: int


@dataclass(frozen=True, eq=False)
class Examples:
    """M images with one annotated instance each.

    Attributes:
        landmarks: (M, 2K), from -1 to 1 across the square around the image.
        points: (M, 2N), likewise; NaN where not labeled.
        ground_truth: The annotated instances, in pixels.
        centers: (M, 2) center of that square in pixels.
        half: (M,) half its side in pixels.
        skeleton: Names of the N points.
    """

    landmarks: NDArray[np.float64]
    points: NDArray[np.float64]
    ground_truth: Annotation
    centers: NDArray[np.float64]
    half: NDArray[np.float64]
    skeleton: Skeleton

    def __len__(self) -> int:
        return len(self.landmarks)

    def __getitem__(self, rows: NDArray[Any]) -> Examples:
        return Examples(
            self.landmarks[rows],
            self.points[rows],
            self.ground_truth[rows],
            self.centers[rows],
            self.half[rows],
            self.skeleton,
        )


def examples_of(predict: TopDownPredictor, labels: Labels, crop: Crop | None = None) -> Examples:
    """Runs a landmark model on labeled images.

    Images without exactly one annotated instance are skipped and counted in a log line; with crops, each annotated
    instance is an example.

    Args:
        predict: The landmark model.
        labels: The labels.
        crop: The views of the model; None for whole images.

    Raises:
        LabelError: No image remains.
    """
    chosen = _cropped(labels, crop) if crop is not None and crop.by != "none" else _whole(labels)
    landmarks, points, annotations, centers, halves = [], [], [], [], []
    for image, ground_truth in chosen:
        (x, y), side = view_of(image, 1.0 if crop is None else crop.margin)
        center, half = np.array([x, y]), side / 2
        boxes = {} if (box := boxes_of(image)) is None else {"boxes": box}
        landmarks.append((predict(image.path, **boxes).keypoints[0].astype(np.float64) - center) / half)
        points.append((ground_truth.keypoints[0].astype(np.float64) - center) / half)
        annotations.append(ground_truth)
        centers.append(center)
        halves.append(half)
    return Examples(
        np.stack(landmarks).reshape(len(chosen), -1),
        np.stack(points).reshape(len(chosen), -1),
        Annotation.concatenate(annotations),
        np.stack(centers),
        np.array(halves),
        labels.skeleton,
    )


def _whole(labels: Labels) -> list[tuple[LabeledImage, Annotation]]:
    """The images with one annotated instance, without boxes; and that instance."""
    chosen = [image for image in labels if len(annotated_instances(image)) == 1]
    if len(chosen) < len(labels):
        log.info("%d images without exactly one annotated instance are skipped", len(labels) - len(chosen))
    if not chosen:
        raise LabelError("no image has exactly one annotated instance; landmark models detect one instance per image")
    return [(replace(image, annotation=image.annotation[:0]), annotated_instances(image)) for image in chosen]


def _cropped(labels: Labels, crop: Crop) -> list[tuple[LabeledImage, Annotation]]:
    """An image with the box of one annotated instance, and that instance, for each of all instances."""
    assert crop.by != "none"
    problems = Problems()
    chosen = []
    for each in crops_of(labels, crop.by, crop.margin, problems):
        instance = each.image.annotation[each.row : each.row + 1]
        if instance.labeled.any():
            box = replace(instance, boxes=each.box[None].astype(np.float32))
            chosen.append((replace(each.image, annotation=box), instance))
    for note in problems.notes:
        log.warning("%s", note)
    if not chosen:
        raise LabelError("no instance that can be cropped has a labeled keypoint")
    return chosen


def fit(examples: Examples, kind: Kind) -> Regressor:
    """Fits a regressor; each point on the images in which it is labeled.

    Args:
        examples: Landmarks and labels.
        kind: As `regression.solve` takes it.

    Raises:
        LabelError: A point is labeled in no image.
    """
    labeled = np.isfinite(examples.points)
    for joint, there in zip(examples.skeleton.joints, np.moveaxis(labeled[:, ::2], 0, 1), strict=True):
        if not there.any():
            raise LabelError(f"{joint} is labeled in no image")
    matrix = np.zeros((examples.landmarks.shape[1], examples.points.shape[1]))
    offset = np.zeros(examples.points.shape[1])
    patterns, which = np.unique(labeled, axis=1, return_inverse=True)
    for i in range(patterns.shape[1]):  # points that are labeled in the same images are fitted together
        columns, rows = np.flatnonzero(which == i), np.flatnonzero(patterns[:, i])
        solved = solve(examples.landmarks[rows], examples.points[np.ix_(rows, columns)], kind)
        matrix[:, columns], offset[columns] = solved.matrix, solved.offset
    return Regressor(matrix, offset)


def error(regressor: Regressor, examples: Examples, protocol: Protocol) -> float:
    """Returns the NME of a regressor, in percent of the protocol's length."""
    points = regressor(examples.landmarks).reshape(len(examples), -1, 2)
    pixels = points * examples.half[:, None, None] + examples.centers[:, None]
    pairs = Pairs(examples.ground_truth, pixels.astype(np.float32), np.arange(len(examples)), examples.skeleton)
    return measure_error(pairs, protocol).value


def table(train: Examples, val: Examples | None, kind: Kind, protocol: Protocol, seed: int) -> list[Row]:
    """Measures the error against the number of labeled images.

    Args:
        train: Examples to fit on.
        val: Examples to measure on. None measures on the images that were not drawn, and on `FOLDS` folds where all
            images are used.
        kind: As `regression.solve` takes it.
        protocol: Length that errors are divided by.
        seed: Random seed of the draws.
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


def default_length(examples: Examples) -> Protocol:
    """Returns the protocol whose length is the default for such labels."""
    protocol = default_protocol(examples.ground_truth, examples.skeleton)
    return protocol.nme_protocol or protocol


def load_run(run: Path, recipe: Recipe, name: str) -> tuple[LandmarksModule, ModelSpec]:
    """Loads the best weights of a run.

    Args:
        run: Folder of the run.
        recipe: Recipe of the run.
        name: Name of the model in the specification.

    Returns:
        The module, and its specification with the provenance of the weights.

    Raises:
        ModelError: The run has no such weights.
    """
    landmarks = landmark_skeleton(recipe.network.landmarks)
    module = LandmarksModule(recipe, landmarks, without_labels((), landmarks))
    epoch = load_weights(module, run / "checkpoints" / "best.ckpt")
    return module.eval(), with_provenance(module.spec(), recipe, epoch, run).model_copy(update={"name": name})


def landmark_predictor(detector: LandmarkDetector, spec: ModelSpec) -> TopDownPredictor:
    """Returns a predictor for a torch detector, with the specification of its run."""
    count = len(spec.skeleton) * (2 if isinstance(detector, MirroredDetector) else 1)
    return predictor(TorchNetwork(detector, spec.model_copy(update={"skeleton": landmark_skeleton(count)})))


def export_taught(
    detector: LandmarkDetector,
    regressor: Regressor,
    spec: ModelSpec,
    stated: dict[str, str | int | float],
    target: Path,
) -> None:
    """Writes one .onnx file that predicts the labeled points.

    Args:
        detector: The landmark detector.
        regressor: Maps landmarks to points.
        spec: Specification of the model, with the skeleton of the points.
        stated: Entries to add to its provenance.
        target: File to write.
    """
    matrix, offset = (torch.from_numpy(values).float() for values in (regressor.matrix, regressor.offset))
    export(
        Taught(detector, matrix, offset),
        spec.model_copy(update={"provenance": spec.provenance | stated}),
        target,
    )


def _held_out(
    train: Examples, val: Examples | None, some: NDArray[Any], rest: NDArray[Any], kind: Kind, protocol: Protocol
) -> float:
    """Error of a fit to some examples; NaN where they do not label every point or the rest has no length."""
    if not np.isfinite(train[some].points).any(axis=0).all():
        return float("nan")
    return error(fit(train[some], kind), train[rest] if val is None else val, protocol)
