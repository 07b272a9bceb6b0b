"""`cairn.evaluate`: metrics of models on labeled images."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.models import open_model
from cairn.api.progress import Progress, counter, output_folder
from cairn.api.reading import evaluation_labels, read_options
from cairn.api.repeatability import Repeatability, measure_repeatability
from cairn.api.report import Comparison, Report
from cairn.api.report3d import Report3D, evaluate_3d
from cairn.api.run import Run
from cairn.api.settings import Settings, optional_path
from cairn.api.shapes import LandmarkReport, evaluate_landmarks, landmark_pair
from cairn.api.tracking_report import TrackingReport, evaluate_track_file, evaluate_tracker
from cairn.arguments import checked
from cairn.errors import CairnError, LabelError, ModelError

if TYPE_CHECKING:
    from cairn.api.models import Model
    from cairn.datasets.formats import ReadOptions
    from cairn.datasets.labels import Labels
    from cairn.evaluation.metrics.pck import Mean
    from cairn.evaluation.protocols import Protocol
    from cairn.inference.predictor import Predictor

log = logging.getLogger(__name__)

SCALE_GAP = 0.25
"""Default difference between two test-time scales."""


@checked
def evaluate(
    model: Model | Sequence[Model] | None = None,
    labels: str | Path | None = None,
    *,
    repeatability: str | Path | None = None,
    num_keypoints: int | None = None,
    shapes: str | Path | None = None,
    tracking: bool = False,
    images: str | Path | None = None,
    metric: str | None = None,
    threshold: float | None = None,
    mean: str = "joints",
    skeleton: str | None = None,
    split: str | None = None,
    confidence: float | None = None,
    category: str | None = None,
    exclude: str | Path | None = None,
    gt: str | Path | None = None,
    limit: int | None = None,
    size: int | None = None,
    net_resolution: str | None = None,
    scales: int | None = None,
    scale_gap: float = SCALE_GAP,
    device: str = "auto",
    threads: int = 0,
    refine: bool | str | Path | None = None,
    settings: Settings = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Report | Comparison | Repeatability | Report3D | LandmarkReport | TrackingReport:
    """Measures a model on labeled images, or compares several; or keypoints of point clouds, or tracks in 2D or 3D.

    A model of landmarks on shapes (.cairn), or a folder of predicted landmarks, is measured on true landmarks.

    A model that detects all instances of an image is measured by COCO's OKS AP, with PCK beside it; a model of one
    instance by PCK. Tracks of `cairn.triangulate` (poses3d.json) are measured against ground truth of the same format
    by MPJPE, PA-MPJPE, N-MPJPE, PCK3D and PCP.

    Example:
        report = cairn.evaluate("person", "val.json")
        report.metrics["AP"]

    Args:
        model: Name of a bundled model, .onnx file, run, or predictor; or a list of these; or a file of tracks in 3D.
            With `repeatability`: a method of `cairn.keypoints`, a model of one, or a list of these. Default there:
            "iss".
        labels: Ground truth: a file or folder of labels; of tracks in 3D, a file like theirs.
        repeatability: Pairs of scans with their true motions, pairs.json or a Stanford .conf, instead of labels:
            measures how many keypoints of one scan are found again in the other.
        num_keypoints: With `repeatability`: maximum number of keypoints of a scan. Default: as many as the method
            that has fewest.
        shapes: With a model of landmarks on shapes, or predicted landmarks: folder of the meshes. Default: beside
            the true landmarks.
        tracking: Measure track IDs, by HOTA, MOTA, IDF1 and ID switches: of a file of tracks (Cairn's .jsonl, COCO or
            PoseTrack .json, MOT .txt) against another, or of a model on the labeled frames of a video.
        images: Folder of the images. Default: images/ beside the labels, or their own folder.
        metric: Length that errors are divided by: mpii (head), lsp and flic (torso), eyes, face (outer eye corners),
            box, diagonal, or two joints as FROM:TO. Default: the one that such labels are published with.
        threshold: Threshold of PCK, as a share of that length. Default: the published one.
        mean: Mean of PCK: "joints" (equal weights) or "pooled".
        skeleton: Joints to measure: name of a skeleton, or a .toml file. Default: the model's.
        split: Split of the labels: train, val or test. Default: val, otherwise test, otherwise all images.
        confidence: Minimum confidence at which a predicted keypoint counts as labeled, for labels that are
            predictions. Default: 0.5.
        category: Category to measure, where the labels have several. Default: all with the same keypoints.
        exclude: List of image names, or other labels, whose images are excluded.
        gt: Published ground truth of MPII's validation people (gt_valid.mat, mpii_gt_val.mat or
            detections_our_format.mat): joints and head sizes for PCKh. Default: the one beside the labels.
        limit: Maximum number of images.
        size: Input size: longest side in pixels. Default: the model's.
        net_resolution: Input width and height, "WxH"; -1 for a side that follows from the image.
        scales: Number of test-time scales to average. Default: the model's.
        scale_gap: Difference between two scales: 1, 1 - gap, ...
        device: Device to run on, as of `cairn.load`.
        threads: Number of threads; 0 for all cores.
        refine: Predict the keypoints of each detected instance again, in a crop, as `cairn.load` does.
        settings: Settings of the decoder by name, such as `{"flip": True}`.
        out: Folder to write the report into. Default: none is written; see `Report.save`.
        progress: Called with the name of the model, the number of images done, and their total.

    Returns:
        A `Report`; for a list of models a `Comparison`; for pairs of scans a `Repeatability`; for tracks in 3D a
        `Report3D`; for landmarks on shapes a `LandmarkReport`; with `tracking` a `TrackingReport`.

    Raises:
        CairnError: The arguments contradict one another.
        ModelError: A model cannot be used.
        LabelError: The labels do not fit the model, the metric or their images.
        ImageError: An image cannot be read.
        MissingExtra: OKS is measured and the extra `train` is not installed.
        OutputError: The folder cannot be written to, or holds a report.
    """
    from cairn.api.load import resolution
    from cairn.datasets.track_files import is_track_file
    from cairn.evaluation.protocols import protocol_of
    from cairn.multiview.results.json_file import is_tracks

    several = isinstance(model, list | tuple)
    models: list[Any] = list(model) if isinstance(model, list | tuple) else [] if model is None else [model]
    if repeatability is not None:
        if labels is not None:
            raise CairnError("give either labels or pairs of scans: repeatability needs no labels")
        return measure_repeatability(models, repeatability, num_keypoints, out, progress)
    if num_keypoints is not None:
        raise CairnError("num-keypoints is for repeatability: give pairs of scans too")
    if labels is None:
        raise CairnError("expected a model and the labels to measure it on, or pairs of scans for repeatability")
    of_tracks = tracking and isinstance(model, str | Path) and is_track_file(Path(model))
    if of_tracks or (isinstance(model, str | Path) and is_tracks(Path(model))):
        optional: dict[str, Any] = {
            "images": images,
            "metric": metric,
            "threshold": threshold,
            "skeleton": skeleton,
            "split": split,
        }
        optional |= {"confidence": confidence, "category": category, "exclude": exclude, "gt": gt, "limit": limit}
        optional |= {"size": size, "net_resolution": net_resolution, "scales": scales, "settings": settings}
        others = {"mean": mean != "joints", "refine": refine is not None, "device": device != "auto"}
        given = {name: value is not None for name, value in optional.items()} | others
        assert isinstance(model, str | Path)
        if refused := [name for name, is_given in given.items() if is_given]:
            kind = "is a file of tracks" if of_tracks else "has tracks in 3D"
            raise CairnError(f"{', '.join(refused)}: only for models; {model} {kind}")
        return evaluate_track_file(model, labels, out) if of_tracks else evaluate_3d(model, labels, out)
    if landmark_pair(models, labels):
        return evaluate_landmarks(models[0], labels, shapes, out, progress)
    if shapes is not None:
        raise CairnError(
            "shapes is for landmarks on shapes: give a model of cairn teach (.cairn) or predicted landmarks"
        )
    source = _Source(
        Path(labels),
        read_options(images, split, confidence, category, exclude=optional_path(exclude), gt=optional_path(gt)),
        limit,
    )
    measure = _Measure(protocol_of(metric) if metric else None, threshold, _mean(mean))
    if threshold is not None and not threshold > 0:
        raise CairnError(f"threshold must be positive, got {threshold:g}")
    options = {
        "size": resolution(size, net_resolution, scales, scale_gap),
        "device": device,
        "threads": threads,
        "refine": refine,
    }
    if not models:
        raise ModelError("no model to evaluate: give one, or a list of several")
    predictors = [open_model(each, options, settings) for each in models]
    names = _names([predictor.spec.name for predictor in predictors], models)
    ground_truth = _ground_truth(source, skeleton or predictors[0].spec.skeleton)
    if tracking:
        if several or metric or threshold is not None or mean != "joints":
            raise CairnError("tracking measures one model, by OKS: omit other models, metric, threshold and mean")
        counted = counter(progress, names[0], len(ground_truth))
        return evaluate_tracker(predictors[0], ground_truth, str(labels), out, counted)
    named = dict(zip(names, predictors, strict=True))

    def measured() -> Report | Comparison:
        comparison = _measured(named, ground_truth, measure, str(labels), progress)
        return comparison if several else comparison[names[0]]

    if out is None:
        return measured()
    from cairn.evaluation.reports.report import prepare_report_folder

    with output_folder(Path(out), prepare_report_folder):
        return measured().save(out)


@dataclass(frozen=True)
class _Source:
    """The ground truth: a file or folder, how it is read, and the maximum number of its images."""

    labels: Path
    options: ReadOptions
    limit: int | None


@dataclass(frozen=True)
class _Measure:
    """What PCK is measured by."""

    protocol: Protocol | None
    threshold: float | None
    mean: Mean


def _mean(mean: str) -> Mean:
    if mean not in ("joints", "pooled"):
        raise CairnError(f"mean must be joints or pooled, got {mean!r}")
    return "pooled" if mean == "pooled" else "joints"


def _names(own: Sequence[str], given: Sequence[Model]) -> list[str]:
    """Returns unique names: the models' own, or the paths where two models have the same."""
    paths = [str(model.folder if isinstance(model, Run) else model) for model in given]
    if len(set(paths)) < len(paths):
        raise CairnError("a model is given twice: give different models to compare")
    return [name if own.count(name) == 1 else path for name, path in zip(own, paths, strict=True)]


def _ground_truth(source: _Source, skeleton: Any) -> Labels:
    """Reads and checks the ground truth in the joints to measure."""
    from cairn.datasets.checks.sanity import check_before_use
    from cairn.datasets.reading import read_labels
    from cairn.structures.skeleton import load_skeleton

    joints = load_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
    ground_truth = read_labels(source.labels, replace(source.options, skeleton=joints))
    if source.options.split is None:
        ground_truth = evaluation_labels(ground_truth, source.labels)
    if limit := source.limit:
        ground_truth = replace(ground_truth, images=ground_truth.images[:limit])
        if not any(image.annotation.labeled.any() for image in ground_truth):
            raise LabelError(f"the first {limit} images of {source.labels} have no labeled instance: raise --limit")
    for line in check_before_use(source.labels.name, ground_truth):
        log.warning("%s", line)
    return ground_truth


def _measured(
    predictors: Mapping[str, Predictor], ground_truth: Labels, measure: _Measure, labels: str, progress: Progress | None
) -> Comparison:
    """Runs every model over the labels."""
    from cairn.evaluation.evaluate import evaluate as run
    from cairn.evaluation.prediction import predict_in_skeleton
    from cairn.evaluation.reports.diagnosis import diagnose

    try:
        mapped = {
            name: predict_in_skeleton(each, each.spec.skeleton, ground_truth) for name, each in predictors.items()
        }
    except LabelError as error:
        hint = f"{error}; --skeleton names joints that all models have" if len(predictors) > 1 else str(error)
        raise LabelError(hint) from None
    reports = {}
    for name, predict in mapped.items():
        task, report = predictors[name].spec.task, counter(progress, name, len(ground_truth))
        result = run(predict, ground_truth, task, measure.protocol, measure.threshold, measure.mean, report)
        reports[name] = Report(name, labels, result, diagnose(result))
    return Comparison(reports, labels)
