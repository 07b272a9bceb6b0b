"""Tracking metrics: HOTA, MOTA, MOTP, IDF1 and their counts, by OKS or any other similarity.

CLEAR MOT: Bernardin and Stiefelhagen, EURASIP 2008. ID measures: Ristani et al., ECCV Workshops 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.hota import Frame, Hota, hota
from cairn.evaluation.metrics.oks import check_parallel, similarity
from cairn.ops.assignment import assign
from cairn.ops.boxes import covered_share
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses

MIN_OKS = 0.5
"""Minimum OKS of a match; PoseTrack and COCO's AP50."""

MIN_COVERED = 0.5
"""Share of a prediction in a region to ignore from which on it does not count where it matches nothing."""


@dataclass(frozen=True)
class TrackMetrics:
    """Tracking metrics of a video; shares are percentages, NaN where there is nothing to measure.

    Attributes:
        instances: Annotated instances with a track ID, over all frames.
        predictions: Predictions with a track ID, over all frames.
        misses: Instances without a match.
        false_positives: Predictions without a match.
        switches: ID switches: matches whose prediction has another ID than the track's last match.
        fragmentations: Number of times that a track was lost and matched again.
        mota: 100·(1 - (misses + false_positives + switches) / instances).
        motp: Mean similarity of matches, in percent.
        idf1: F1 of predictions with the ID of their track, for the best one-to-one assignment of IDs to tracks over the
            whole video.
        idp: Precision of the same.
        idr: Recall of the same.
        hota: HOTA and its parts; the mean over minimum similarities from 0.05 to 0.95.
    """

    instances: int
    predictions: int
    misses: int
    false_positives: int
    switches: int
    fragmentations: int
    mota: float
    motp: float
    idf1: float
    idp: float
    idr: float
    hota: Hota


def measure_tracks(labels: Labels, predictions: Sequence[Poses], min_oks: float = MIN_OKS) -> TrackMetrics:
    """Compares track IDs with annotated tracks, frame by frame in the order of the labels.

    Predictions with the ID -1 are ignored, and so are crowds and instances without a labeled keypoint or a track: a
    prediction there that matches no other instance does not count. Matches of the previous
    frame are kept while their OKS suffices. The other matches of a frame are as many as possible and, among these, have
    the greatest sum of OKS.

    Args:
        labels: The annotated frames of a video.
        predictions: One `Poses` with IDs per frame, in the order of the labels.
        min_oks: Minimum OKS of a match.

    Raises:
        LabelError: The labels have no tracks, the predictions have no IDs, or a frame has an ID twice.
    """
    check_parallel(labels, predictions)
    frames = [
        _compare(image.path.name, image.annotation, poses) for image, poses in zip(labels, predictions, strict=True)
    ]
    if not any(len(frame[0]) for frame in frames):
        raise LabelError("the labels have no instance with a track: expected track or track_id beside the keypoints")
    return measure_frames(frames, min_oks)


def measure_frames(frames: Sequence[Frame], min_similarity: float = MIN_OKS) -> TrackMetrics:
    """Returns the metrics of the frames of a video, or of several whose tracks all have different IDs.

    Args:
        frames: Frames in order, with at least one annotated instance.
        min_similarity: Minimum similarity of a match.
    """
    instances, predicted = (sum(len(frame[side]) for frame in frames) for side in (0, 1))
    near = [(tracks, ids, np.where(each >= min_similarity, each, 0)) for tracks, ids, each in frames]
    matched, switches, fragmentations, total = _clear_mot(near)
    identified = _identified(near)
    return TrackMetrics(
        instances=instances,
        predictions=predicted,
        misses=instances - matched,
        false_positives=predicted - matched,
        switches=switches,
        fragmentations=fragmentations,
        mota=100 * (1 - (instances - matched + predicted - matched + switches) / instances),
        motp=100 * total / matched if matched else float("nan"),
        idf1=100 * 2 * identified / (instances + predicted),
        idp=100 * identified / predicted if predicted else float("nan"),
        idr=100 * identified / instances,
        hota=hota(frames),
    )


def check_unique(numbers: NDArray[np.int64], what: str, name: str) -> None:
    """Raises LabelError where a frame has a track ID twice.

    Args:
        numbers: (N,) track IDs of the frame.
        what: What has the IDs: "label" or "prediction".
        name: Name of the frame.
    """
    values, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        raise LabelError(
            f"{what}s of {name} have track ID {values[counts.argmax()]} twice: expected one {what} per track ID"
        )


def _compare(name: str, annotation: Annotation, poses: Poses) -> Frame:
    ids = poses.ids
    if ids is None:
        raise LabelError(f"the predictions for {name} have no track IDs: expected poses from a tracker")
    tracks = np.full(len(annotation), -1) if annotation.tracks is None else annotation.tracks
    counted = annotation.labeled & (tracks >= 0)
    rows, predicted = np.flatnonzero(counted), np.flatnonzero(ids >= 0)
    ignored = annotation.boxes[~counted]
    annotation, tracks, poses, ids = annotation[rows], tracks[rows], poses[predicted], ids[predicted]
    check_unique(tracks, "label", name)
    check_unique(ids, "prediction", name)
    points = np.where(poses.detected[..., None], poses.keypoints, np.nan)
    near = similarity(annotation, points, poses.skeleton.sigmas).T
    if len(ignored):
        covered = covered_share(poses.boxes, ignored[np.isfinite(ignored).all(axis=1)]).max(axis=1, initial=0)
        kept = (near >= MIN_OKS).any(axis=0) | ~(covered >= MIN_COVERED)
        ids, near = ids[kept], near[:, kept]
    return tracks, ids, near


def _clear_mot(frames: Sequence[Frame]) -> tuple[int, int, int, float]:
    """Matches, ID switches, fragmentations, and the sum of the matches' similarity."""
    now: dict[int, int] = {}  # matches of the previous frame: track -> ID
    last: dict[int, int] = {}  # ID of the last match of each track
    lost: set[int] = set()  # tracks that were matched before and are not now
    matched = switches = fragmentations = 0
    total = 0.0
    for tracks, ids, oks in frames:
        partner = _matches(tracks, ids, oks, now)
        now = {}
        for i, track in enumerate(tracks.tolist()):
            if partner[i] < 0:
                if track in last:
                    lost.add(track)
                continue
            number = int(ids[partner[i]])
            switches += last.get(track, number) != number
            fragmentations += track in lost
            lost.discard(track)
            now[track] = last[track] = number
            total += float(oks[i, partner[i]])
        matched += len(now)
    return matched, switches, fragmentations, total


def _matches(tracks: NDArray[Any], ids: NDArray[Any], oks: NDArray[Any], before: dict[int, int]) -> NDArray[np.intp]:
    """(G,) the column of `oks` that each instance is matched with; -1 for none."""
    partner = np.full(len(tracks), -1)
    column = {number: j for j, number in enumerate(ids.tolist())}
    for i, track in enumerate(tracks.tolist()):
        j = column.get(before.get(track, -1), -1)
        if j >= 0 and oks[i, j] > 0:
            partner[i] = j
    rows, columns = np.flatnonzero(partner < 0), np.setdiff1d(np.arange(len(ids)), partner)
    unmatched = oks[np.ix_(rows, columns)]
    # One more match outweighs any sum of OKS.
    assigned = assign(np.where(unmatched > 0, unmatched + min(oks.shape), 0))
    for row, j in zip(rows, assigned, strict=True):
        if j >= 0 and oks[row, columns[j]] > 0:
            partner[row] = columns[j]
    return partner


def _identified(frames: Sequence[Frame]) -> int:
    """True positive IDs (IDTP): the maximum over all one-to-one assignments of IDs to tracks."""
    tracks, ids = (np.unique(np.concatenate([frame[side] for frame in frames])) for side in (0, 1))
    together = np.zeros((len(tracks), len(ids)))
    for annotated, predicted, oks in frames:
        together[np.ix_(np.searchsorted(tracks, annotated), np.searchsorted(ids, predicted))] += oks > 0
    assigned = assign(together)
    rows = np.flatnonzero(assigned >= 0)
    return int(together[rows, assigned[rows]].sum())
