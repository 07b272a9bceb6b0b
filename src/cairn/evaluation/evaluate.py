"""A model over labeled images: the one path to figures, for whoever evaluates and for validation in training."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.mpii import JointPrecision, joint_precision
from cairn.evaluation.metrics.oks import check_parallel, library, match, oks_metrics
from cairn.evaluation.metrics.pck import (
    Mean,
    area_under_curve,
    average,
    count,
    mean_error,
    normalized_errors,
    not_found,
    pck,
)
from cairn.evaluation.protocols import Protocol, usual_protocol
from cairn.inference.model_spec import Task
from cairn.inference.predictor import large_enough
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

Progress = Callable[[int], None]
"""Called with the number of images done."""

Finder = Callable[..., Poses]
"""image -> Poses; or, for one object in each crop, (image, boxes=(P, 4)) -> Poses with a row for each box."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labeled objects beside what was found of them.

    truth     N labeled objects of all images, image by image
    found     (N, K, 2) float32; NaN where a keypoint, or the whole object, was not found
    images  (N,) index of each object's image
    """

    truth: Annotation
    predicted: NDArray[np.float32]
    images: NDArray[np.int64]
    skeleton: Skeleton

    @property
    def met(self) -> NDArray[np.bool_]:
        """(N,): objects of which anything was found."""
        return np.any(np.isfinite(self.predicted), axis=(1, 2))

    def __getitem__(self, rows: NDArray) -> Pairs:
        return Pairs(self.truth[rows], self.predicted[rows], self.images[rows], self.skeleton)


@dataclass(frozen=True, eq=False)
class Pck:
    """PCK of pairs under a protocol, with all that its figures depend on.

    errors     (N, K) normalized errors, as `pck.normalized_errors` gives them
    per_joint  (K,) percent
    counts     (K,) keypoints that it stands on
    counted    (K,) those of them that go into the mean: none of a joint that the protocol leaves out
    value      percent, the mean over joints that the protocol does not leave out
    area       percent, `pck.area_under_curve` up to `threshold`, averaged as `value` is
    unmeasured how many labeled objects have no length, and therefore do not count
    """

    protocol: Protocol
    threshold: float
    mean: Mean
    errors: NDArray[np.float64]
    per_joint: NDArray[np.float64]
    counts: NDArray[np.int64]
    counted: NDArray[np.int64]
    value: float
    area: float
    unmeasured: int


@dataclass(frozen=True, eq=False)
class MeanError:
    """Distances in percent of the protocol's length, over the keypoints that were found.

    value       NME: the mean over all of them
    missing     percentage of labeled keypoints that were not found, and so are in no mean
    unmeasured  how many labeled objects have no length, and therefore do not count
    """

    protocol: Protocol
    per_joint: NDArray[np.float64]
    value: float
    missing: float
    unmeasured: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is known of a model after it has seen the labels.

    task      what the model is shown, and so how its answers pair with the labels (`pair_objects`)
    oks      COCO's figures; None for a model that does not look for several objects
    ap       MPII's precision of joints, under its protocol; None under another, or where oks is None
    pck      over all labeled objects: one that was missed counts as far off
    pck_met  over those that were found; None likewise, and where there are none
    error    of what was found
    seconds  for one image, with reading it; NaN where predictions came from elsewhere
    """

    labels: Labels
    predictions: tuple[Poses, ...]
    task: Task
    pairs: Pairs
    pck: Pck
    error: MeanError
    oks: dict[str, float] | None
    ap: JointPrecision | None
    pck_met: Pck | None
    seconds: float


def predict(finder: Finder, labels: Labels, progress: Progress | None = None) -> Iterator[Poses]:
    """What is found in each labeled image by a model that looks at the whole image."""
    for i, image in enumerate(labels, start=1):
        yield replace(finder(image.path), image=None)
        if progress:
            progress(i)


def predict_objects(finder: Finder, labels: Labels, progress: Progress | None = None) -> Iterator[Poses]:
    """What is found of each labeled object by a model that is shown one object at a time."""
    for i, image in enumerate(labels, start=1):
        yield replace(find_labeled(finder, image, labels.skeleton), image=None)
        if progress:
            progress(i)


def in_joints(finder: Finder, skeleton: Skeleton, labels: Labels) -> Finder:
    """A finder of a skeleton's joints as one of the labels' joints (`Poses.mapped`).

    Raises LabelError where labels have a joint that it cannot give: it would be missed in every image.
    """
    wanted = labels.skeleton
    given = [bool(parts) for parts in wanted.parts_in(skeleton)]
    missing = [joint for joint, have, known in zip(wanted.joints, given, labels.known, strict=True) if known > have]
    if missing:
        raise LabelError(f"labels have {', '.join(missing)} of {wanted.name}, which a model of {skeleton.name} has not")
    return lambda *image, **boxes: finder(*image, **boxes).mapped(wanted)


def find_labeled(finder: Finder, image: LabeledImage, skeleton: Skeleton) -> Poses:
    """A row for each labeled object of an image; `skeleton` is what no row at all has."""
    rows = labeled_rows(image)
    try:
        return finder(image.path, boxes=large_enough(rows.boxes)) if len(rows) else Poses.empty(skeleton)
    except LabelError as error:
        raise LabelError(f"{image.path}: {error}") from None


def labeled_rows(image: LabeledImage) -> Annotation:
    """The objects that are evaluated: no crowds, and at least one joint labeled."""
    return image.annotation[np.flatnonzero(image.annotation.labeled)]


def pair_objects(labels: Labels, predictions: Sequence[Poses], task: Task = "multi_instance") -> Pairs:
    """Each labeled object beside its prediction; an object that is left over has found nothing.

    task  letterbox: the most similar pairs of each image belong together. crop: predictions have a row for each
         labeled object (`predict_objects`). whole: predictions are one object, that of the labeled object nearest
    """
    check_parallel(labels, predictions)
    found, images = [], []
    for i, (image, poses) in enumerate(zip(labels, predictions, strict=True)):
        rows = labeled_rows(image)
        if task == "crop" and len(poses) != len(rows):
            raise LabelError(f"{image.path} has {len(rows)} labeled objects, got {len(poses)} predictions")
        if task == "single_instance" and len(poses) > 1:
            raise LabelError(f"{image.path}: expected one object in the whole image, got {len(poses)}")
        partner = PAIRING[task](rows, poses)
        points = np.full((len(rows), len(labels.skeleton), 2), np.nan, np.float32)
        there = partner >= 0
        chosen = poses[partner[there]]
        points[there] = np.where(chosen.detected[..., None], chosen.keypoints, np.nan)
        found.append(points)
        images.append(np.full(len(rows), i))
    truth = Annotation.concatenate([labeled_rows(image) for image in labels])
    return Pairs(truth, np.concatenate(found), np.concatenate(images), labels.skeleton)


def measure_pck(pairs: Pairs, protocol: Protocol, threshold: float | None = None, mean: Mean = "joints") -> Pck:
    """PCK below `threshold` (None: the protocol's own). Raises LabelError where no object has the protocol's length."""
    limit = protocol.threshold if threshold is None else threshold
    lengths = protocol.lengths(pairs.truth, pairs.skeleton)
    errors = normalized_errors(pairs.predicted, pairs.truth.keypoints, lengths)
    per_joint, counts = pck(errors, limit), count(errors)
    counted = np.where(np.isin(pairs.skeleton.joints, protocol.left_out), 0, counts)
    return Pck(
        protocol=protocol,
        threshold=limit,
        mean=mean,
        errors=errors,
        per_joint=per_joint,
        counts=counts,
        counted=counted,
        value=average(per_joint, counted, mean),
        area=average(area_under_curve(errors, limit), counted, mean),
        unmeasured=int((~(lengths > 0)).sum()),
    )


def measure_error(pairs: Pairs, protocol: Protocol) -> MeanError:
    """Mean distances in percent of a protocol's length."""
    lengths = protocol.length(pairs.truth, pairs.skeleton)
    errors = 100 * normalized_errors(pairs.predicted, pairs.truth.keypoints, lengths)
    per_joint, found = mean_error(errors), np.isfinite(errors).sum(axis=0)
    return MeanError(
        protocol=protocol,
        per_joint=per_joint,
        value=average(per_joint, found, "pooled"),
        missing=average(not_found(errors), count(errors), "pooled"),
        unmeasured=int((~(lengths > 0)).sum()),
    )


def evaluate(
    finder: Finder,
    labels: Labels,
    task: Task = "multi_instance",
    protocol: Protocol | None = None,
    threshold: float | None = None,
    mean: Mean = "joints",
    progress: Progress | None = None,
) -> Evaluation:
    """Runs a model over labels and measures it.

    task       what the model is shown, as its specification says. letterbox: it looks for objects, and OKS AP is its
              figure, with PCK beside it. crop: it is told where the objects are, called with `boxes`, and PCK is its
              figure. whole: the image alone, no box tells where the object is, and PCK is its figure too
    protocol  None takes the usual one of such labels
    Raises ImageError where an image cannot be read, LabelError where labels do not suit model or protocol, and
    MissingExtra where OKS is its figure and faster-coco-eval is not installed.
    """
    truth = Annotation.concatenate([labeled_rows(image) for image in labels])
    protocol = protocol or usual_protocol(truth, labels.skeleton)
    protocol.lengths(truth, labels.skeleton)  # what cannot be measured is said now, not after the last image
    if task == "multi_instance":
        library()  # the same of what is not installed
    begun = time.perf_counter()  # decoding an image is part of what a user waits for
    predictions = tuple((predict_objects if task == "crop" else predict)(finder, labels, progress))
    seconds = (time.perf_counter() - begun) / len(labels)
    return measure(labels, predictions, task, protocol, threshold, mean, seconds)


def measure(
    labels: Labels,
    predictions: tuple[Poses, ...],
    task: Task = "multi_instance",
    protocol: Protocol | None = None,
    threshold: float | None = None,
    mean: Mean = "joints",
    seconds: float = float("nan"),
) -> Evaluation:
    """`evaluate` of predictions that are there already."""
    pairs = pair_objects(labels, predictions, task)
    chosen = protocol or usual_protocol(pairs.truth, labels.skeleton)
    met = pairs[np.flatnonzero(pairs.met)]
    multiple = task == "multi_instance"
    measurable = multiple and bool((chosen.length(met.truth, labels.skeleton) > 0).any())
    return Evaluation(
        labels=labels,
        predictions=predictions,
        task=task,
        pairs=pairs,
        pck=measure_pck(pairs, chosen, threshold, mean),
        error=measure_error(pairs, chosen.for_nme or chosen),
        oks=oks_metrics(labels, predictions) if multiple else None,
        ap=joint_precision(labels, predictions, chosen, threshold) if multiple and chosen.name == "mpii" else None,
        pck_met=measure_pck(met, chosen, threshold, mean) if measurable else None,
        seconds=seconds,
    )


def _in_order(rows: Annotation, poses: Poses) -> NDArray[np.int64]:
    return np.arange(len(rows))


def _nearest(rows: Annotation, poses: Poses) -> NDArray[np.int64]:
    """(G,) 0 for the labeled object from which the one that was found is least far, -1 for the others.

    However far it is: an object that was placed wrongly is an error to measure, not one that was missed.
    """
    partner = np.full(len(rows), -1)
    if len(rows) and len(poses):
        distances = np.linalg.norm(poses.keypoints - rows.keypoints, axis=-1)
        both = np.isfinite(distances)
        means = np.where(both, distances, 0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
        partner[np.where(both.any(axis=1), means, np.inf).argmin()] = 0
    return partner


Pairing = Callable[[Annotation, Poses], NDArray[np.int64]]
"""(G,) the found object that belongs to each labeled object of an image; -1 for none."""

PAIRING: Mapping[Task, Pairing] = {"multi_instance": match, "crop": _in_order, "single_instance": _nearest}
