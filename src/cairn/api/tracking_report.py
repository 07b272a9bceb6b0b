"""The report of `cairn.evaluate` on track IDs."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.errors import LabelError
from cairn.files import atomic_write, ensure_unused_names

if TYPE_CHECKING:
    from cairn.datasets.labels import LabeledImage, Labels
    from cairn.evaluation.tracking import TrackingResult
    from cairn.structures.poses import Poses

METRICS_FILE = "metrics.json"

SHARES = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR")
"""Metrics in percent; the others are counts."""


@dataclass(frozen=True, eq=False, repr=False)
class TrackingReport:
    """Metrics of track IDs.

    Attributes:
        name: Name of the model or of the file of tracks.
        labels: The ground truth, as given.
        result: The metrics.
        folder: Folder that it was saved to; None where it was not.
    """

    name: str
    labels: str
    result: TrackingResult
    folder: Path | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Name -> value; shares in percent."""
        own = self.result.metrics
        return {
            "HOTA": own.hota.hota,
            "DetA": own.hota.deta,
            "AssA": own.hota.assa,
            "LocA": own.hota.loca,
            "MOTA": own.mota,
            "MOTP": own.motp,
            "IDF1": own.idf1,
            "IDP": own.idp,
            "IDR": own.idr,
            "ID switches": own.switches,
            "fragmentations": own.fragmentations,
            "misses": own.misses,
            "false positives": own.false_positives,
        }

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the report."""
        return () if self.folder is None else (self.folder / METRICS_FILE,)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {self.metrics[name]:.1f}" for name in ("HOTA", "MOTA", "IDF1"))
        return f"TrackingReport({self.name}: {shown}, {self.result.metrics.switches} ID switches)"

    def save(self, folder: str | Path) -> TrackingReport:
        """Writes metrics.json into a folder, and returns the report with it.

        Raises:
            OutputError: The folder has a report, or cannot be written to.
        """
        folder = ensure_unused_names(folder, [METRICS_FILE])
        result = asdict(self.result)
        counts = {name: result[name] for name in ("measure", "frames", "tracks", "predicted_tracks", "ignored")}
        instances = {name: result["metrics"][name] for name in ("instances", "predictions")}
        metrics = {name: None if value != value else value for name, value in self.metrics.items()}
        content = {"name": self.name, "labels": self.labels, "metrics": metrics, **counts, **instances}
        with atomic_write(folder / METRICS_FILE) as partial:
            partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return replace(self, folder=folder)


def evaluate_track_file(tracks: str | Path, labels: str | Path, out: str | Path | None) -> TrackingReport:
    """Measures a file of tracks.

    Args:
        tracks: Cairn's .jsonl, COCO or PoseTrack .json, MOT .txt.
        labels: Ground truth in any of these formats.
        out: Folder to write the report into; None writes none.

    Raises:
        LabelError: A file cannot be read, or they do not fit.
    """
    from cairn.datasets.track_files import read_track_file
    from cairn.evaluation.tracking import evaluate_track_files

    result = evaluate_track_files(read_track_file(Path(tracks)), read_track_file(Path(labels)))
    for line in result.warnings:
        logging.getLogger("cairn.api.evaluate").warning("%s", line)
    report = TrackingReport(Path(tracks).stem, str(labels), result)
    return report if out is None else report.save(out)


def evaluate_tracker(
    model: Any, ground_truth: Labels, labels: str, out: str | Path | None, count: Callable[[int], object] | None
) -> TrackingReport:
    """Detects and tracks the instances of labeled frames, video by video, and measures the IDs.

    Args:
        model: The predictor.
        ground_truth: Frames of videos with track IDs.
        labels: The ground truth, as given.
        out: Folder to write the report into; None writes none.
        count: Called with the number of frames done.

    Raises:
        LabelError: The labels have no track IDs, or keypoints that the model does not have.
    """
    from cairn.evaluation.metrics.tracking import measure_tracks
    from cairn.evaluation.prediction import predict_annotated_boxes, predict_in_skeleton
    from cairn.evaluation.track_prediction import predict_tracks
    from cairn.evaluation.tracking import TrackingResult

    predict = predict_in_skeleton(model.plain, model.spec.skeleton, ground_truth)

    def detect(image: LabeledImage) -> Poses:
        if model.spec.task == "crop":
            return predict_annotated_boxes(predict, image, ground_truth.skeleton)
        return predict(image.path)

    if out is not None:
        ensure_unused_names(out, [METRICS_FILE])  # an error now, not after the last frame
    try:
        ordered, found = predict_tracks(detect, ground_truth, count)
    except LabelError as error:
        raise LabelError(f"{labels}: {error}") from None
    tracks = [image.annotation.tracks for image in ordered if image.annotation.tracks is not None]
    result = TrackingResult(
        measure_tracks(ordered, found),
        "OKS",
        len(ordered),
        _distinct(tracks),
        _distinct([poses.ids for poses in found if poses.ids is not None]),
    )
    report = TrackingReport(model.spec.name, labels, result)
    return report if out is None else report.save(out)


def _distinct(ids: Sequence[Any]) -> int:
    return len({number for each in ids for number in each.tolist() if number >= 0})
