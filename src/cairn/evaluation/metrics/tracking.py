"""Figures of identities over time: CLEAR MOT (Bernardin and Stiefelhagen, EURASIP 2008) and ID measures (Ristani et
al., ECCV Workshops 2016), with OKS for what matches what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.evaluation.metrics.oks import check_parallel, similarity
from cairn.ops.assignment import assign
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses

LEAST = 0.5  # OKS from which a find and an object may match; PoseTrack and COCO's AP50


@dataclass(frozen=True)
class TrackFigures:
    """How well objects were followed; shares are percentages, NaN where there is nothing to measure.

    objects          labeled objects with a track, over all images
    found            finds with an id, likewise
    misses           objects that no find matched
    false_positives  finds that matched no object
    switches         objects whose find has another id than the last one that they were matched with
    fragmentations   how often an object was lost and found again
    mota             100·(1 - (misses + false_positives + switches) / objects)
    motp             mean OKS of matches
    idf1, idp, idr   finds of an object's own id: their F1, precision, recall, where each id is one object's at
                     most, and as it is best over the whole video
    """

    objects: int
    found: int
    misses: int
    false_positives: int
    switches: int
    fragmentations: int
    mota: float
    motp: float
    idf1: float
    idp: float
    idr: float


def measure_tracks(labels: Labels, predictions: Sequence[Poses], least: float = LEAST) -> TrackFigures:
    """Compares the tracks of a video's labels with ids, image by image in the labels' order.

    least  OKS from which a find and an object may match
    Objects without a labeled joint or a track, and finds with the id -1, are left out of everything. Matches of the
    image before are kept while they may; the others of an image are those of the greatest number with, among
    these, the greatest sum of OKS.
    Raises LabelError where the labels know no tracks, predictions have no ids, or either has one twice in an image.
    """
    check_parallel(labels, predictions)
    pairs = [
        _compared(image.path.name, image.annotation, poses, least)
        for image, poses in zip(labels, predictions, strict=True)
    ]
    objects, found = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    if not objects:
        raise LabelError("the labels have no object with a track: expected track or track_id beside its keypoints")
    matched, switches, fragmentations, total = _clear(pairs)
    own = _owned(pairs)
    return TrackFigures(
        objects=objects,
        found=found,
        misses=objects - matched,
        false_positives=found - matched,
        switches=switches,
        fragmentations=fragmentations,
        mota=100 * (1 - (objects - matched + found - matched + switches) / objects),
        motp=100 * total / matched if matched else float("nan"),
        idf1=100 * 2 * own / (objects + found),
        idp=100 * own / found if found else float("nan"),
        idr=100 * own / objects,
    )


Compared = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Tracks (G,) and ids (P,) of an image, and the OKS (G, P) of those that may match, 0 for the others."""


def _compared(name: str, truth: Annotation, poses: Poses, least: float) -> Compared:
    ids = poses.ids
    if ids is None:
        raise LabelError(f"predictions for {name} have no ids: expected poses from a tracker")
    tracks = np.full(len(truth), -1) if truth.tracks is None else truth.tracks
    rows, finds = np.flatnonzero(truth.labeled & (tracks >= 0)), np.flatnonzero(ids >= 0)
    truth, tracks, poses, ids = truth[rows], tracks[rows], poses[finds], ids[finds]
    for numbers, what in ((tracks, "label"), (ids, "prediction")):
        values, counts = np.unique(numbers, return_counts=True)
        if (counts > 1).any():
            raise LabelError(
                f"{what}s of {name} have the number {values[counts.argmax()]} twice: expected one {what} of each"
            )
    points = np.where(poses.detected[..., None], poses.keypoints, np.nan)
    alike = similarity(truth, points, poses.skeleton.sigmas).T
    return tracks, ids, np.where(alike >= least, alike, 0)


def _clear(pairs: Sequence[Compared]) -> tuple[int, int, int, float]:
    """Matches, switches, fragmentations, and the sum of the matches' OKS."""
    now: dict[int, int] = {}  # matches of the image before: track -> id
    last: dict[int, int] = {}  # the last id that each track was matched with
    lost: set[int] = set()  # tracks that were matched and are not now
    matched = switches = fragmentations = 0
    total = 0.0
    for tracks, ids, alike in pairs:
        partner = _matches(tracks, ids, alike, now)
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
            total += float(alike[i, partner[i]])
        matched += len(now)
    return matched, switches, fragmentations, total


def _matches(tracks: NDArray, ids: NDArray, alike: NDArray, before: dict[int, int]) -> NDArray[np.intp]:
    """(G,) the column of `alike` that each object matches, -1 for none."""
    partner = np.full(len(tracks), -1)
    column = {number: j for j, number in enumerate(ids.tolist())}
    for i, track in enumerate(tracks.tolist()):
        j = column.get(before.get(track, -1), -1)
        if j >= 0 and alike[i, j] > 0:
            partner[i] = j
    rows, columns = np.flatnonzero(partner < 0), np.setdiff1d(np.arange(len(ids)), partner)
    open_pairs = alike[np.ix_(rows, columns)]
    # One more match outweighs any sum of OKS.
    chosen = assign(np.where(open_pairs > 0, open_pairs + min(alike.shape), 0))
    for row, j in zip(rows, chosen, strict=True):
        if j >= 0 and alike[row, columns[j]] > 0:
            partner[row] = columns[j]
    return partner


def _owned(pairs: Sequence[Compared]) -> int:
    """How many finds are those of their id's object: the most that one-to-one of tracks and ids can give (IDTP)."""
    tracks, ids = (np.unique(np.concatenate([pair[side] for pair in pairs])) for side in (0, 1))
    together = np.zeros((len(tracks), len(ids)))
    for mine, found, alike in pairs:
        together[np.ix_(np.searchsorted(tracks, mine), np.searchsorted(ids, found))] += alike > 0
    chosen = assign(together)
    rows = np.flatnonzero(chosen >= 0)
    return int(together[rows, chosen[rows]].sum())
