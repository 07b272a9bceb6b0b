"""Evaluation of files of tracks: frames are paired by number, instances by OKS or, without keypoints, by IoU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.track_files.track_file import FrameKey, TrackedFrame, TrackFile
from cairn.errors import LabelError
from cairn.evaluation.metrics.hota import Frame
from cairn.evaluation.metrics.oks import similarity
from cairn.evaluation.metrics.tracking import MIN_COVERED, MIN_OKS, TrackMetrics, measure_frames
from cairn.ops.assignment import assign
from cairn.ops.boxes import box_iou, covered_share
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.skeleton import DEFAULT_SIGMA, load_skeleton


@dataclass(frozen=True)
class TrackingResult:
    """Metrics of tracks against ground truth.

    Attributes:
        metrics: The metrics.
        measure: What similarity is: "OKS" or "IoU".
        frames: Number of frames of the ground truth.
        tracks: Number of tracks of the ground truth.
        predicted_tracks: Number of predicted tracks in these frames.
        ignored: Number of predictions that do not count, in regions to ignore or on distractors.
        warnings: What is doubtful, a line each.
    """

    metrics: TrackMetrics
    measure: str
    frames: int
    tracks: int
    predicted_tracks: int
    ignored: int = 0
    warnings: tuple[str, ...] = ()


def evaluate_track_files(predicted: TrackFile, truth: TrackFile) -> TrackingResult:
    """Measures the tracks of a file against those of another.

    Frames that the ground truth does not list are not measured, so that labels of some frames of a video suffice.

    Raises:
        LabelError: They have no frame or no joint in common.
    """
    frames, warnings = _aligned(predicted, truth)
    joints = _common_joints(predicted, truth)
    sigmas = _sigmas(joints)
    numbers: dict[tuple[str, str, int], int] = {}

    def numbered(side: str, key: FrameKey, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """IDs that no other video has."""
        return np.array([numbers.setdefault((side, key[0], i), len(numbers)) for i in ids.tolist()], np.int64)

    compared: list[Frame] = []
    ignored, nothing = 0, _nothing(predicted)
    for key, real in truth.frames.items():
        guess = frames.get(key, nothing)
        guess_ids, real_ids = numbered("predicted", key, guess.ids), numbered("true", key, real.ids)
        near = _oks(guess, real, joints, sigmas) if joints else box_iou(real.boxes, guess.boxes)
        kept = _counted(guess, real, near)
        ignored += int((~kept).sum())
        compared.append((real_ids, guess_ids[kept], near[:, kept]))
    if not any(len(frame[0]) for frame in compared):
        raise LabelError(f"{truth.path} has no instance with a track ID")
    counts = [len({number for frame in compared for number in frame[side].tolist()}) for side in (0, 1)]
    metrics = measure_frames(compared)
    measure = "OKS" if joints else "IoU"
    return TrackingResult(metrics, measure, len(compared), counts[0], counts[1], ignored, tuple(warnings))


def _aligned(predicted: TrackFile, truth: TrackFile) -> tuple[Mapping[FrameKey, TrackedFrame], list[str]]:
    """Returns the predicted frames by the keys of the ground truth, and what is doubtful about it."""
    frames, warnings = dict(predicted.frames), []
    if len({video for video, _ in truth.frames}) <= 1 or len({video for video, _ in frames}) <= 1:
        videos = {video for video, _ in truth.frames}
        if videos == {""} or {video for video, _ in frames} == {""}:
            name = next(iter(videos)) if len(videos) == 1 else ""
            frames = {(name, number): frame for (_, number), frame in frames.items()}
    first = {0: min(number for _, number in frames), 1: min(number for _, number in truth.frames)}
    shift = first[1] - first[0]
    if abs(shift) == 1 and None in (predicted.base, truth.base) and {*first.values()} == {0, 1}:
        frames = {(video, number + shift): frame for (video, number), frame in frames.items()}
        counts = (predicted.path, truth.path) if shift == 1 else (truth.path, predicted.path)
        warnings.append(
            f"{counts[0].name} counts frames from 0 and {counts[1].name} from 1: compared from the first on"
        )
    if not frames.keys() & truth.frames.keys():
        raise LabelError(
            f"{predicted.path} and {truth.path} have no frame in common: the predictions have frames "
            f"{first[0]} to {max(number for _, number in frames)}, the ground truth {first[1]} to "
            f"{max(number for _, number in truth.frames)}"
        )
    missing = len(truth.frames.keys() - frames.keys())
    if missing and predicted.base is None:
        warnings.append(f"{predicted.path.name} lacks {missing} of {len(truth.frames)} frames of the ground truth")
    return frames, warnings


def _common_joints(predicted: TrackFile, truth: TrackFile) -> list[tuple[int, int, str]]:
    """Index in either file, and name, of the joints that both have; none where one of them is of boxes alone."""
    if predicted.joints == () or truth.joints == ():
        return []
    counts = [next(iter(each.frames.values())).keypoints.shape[1] for each in (predicted, truth)]
    names = predicted.joints or truth.joints
    others = truth.joints or predicted.joints
    if names is None or others is None or len(names) != counts[0] or len(others) != counts[1]:
        if counts[0] != counts[1]:
            raise LabelError(
                f"{predicted.path} has {counts[0]} keypoints and {truth.path} {counts[1]}, without names: "
                "expected the same keypoints, or categories with their names"
            )
        coco = load_skeleton("coco17").joints
        names = others = coco if counts[0] == len(coco) else tuple(map(str, range(counts[0])))
    common = [(names.index(name), others.index(name), name) for name in others if name in names]
    if not common:
        raise LabelError(
            f"{predicted.path} ({', '.join(names[:3])}, ...) and {truth.path} ({', '.join(others[:3])}, ...) have no "
            "keypoint of the same name"
        )
    return common


def _sigmas(joints: list[tuple[int, int, str]]) -> list[float]:
    """COCO's sigmas by the names of the joints."""
    people = load_skeleton("coco18")
    known = dict(zip(people.joints, people.sigmas, strict=True))
    return [known.get(name, DEFAULT_SIGMA) for _, _, name in joints]


def _oks(
    guess: TrackedFrame,
    real: TrackedFrame,
    joints: list[tuple[int, int, str]],
    sigmas: list[float],
) -> NDArray[np.float64]:
    """(G, P) OKS, of instances without a labeled keypoint IoU."""
    own, target = [i for i, _, _ in joints], [j for _, j, _ in joints]
    points, labels = guess.keypoints[:, own], real.keypoints[:, target]
    areas = np.where(np.isnan(real.areas), AREA_PER_BOX * real.boxes[:, 2:].prod(axis=1), real.areas)
    annotation = Annotation(
        keypoints=np.where(labels[..., 2:] > 0, labels[..., :2], np.nan).astype(np.float32),
        visibility=np.where(labels[..., 2] > 0, 2, 0).astype(np.uint8),
        boxes=real.boxes.astype(np.float32),
        areas=np.maximum(areas, 1).astype(np.float32),
        crowd=np.zeros(len(labels), bool),
    )
    near = similarity(annotation, np.where(points[..., 2:] > 0, points[..., :2], np.nan), sigmas).T
    return np.where(annotation.labeled[:, None], near, box_iou(real.boxes, guess.boxes))


def _counted(guess: TrackedFrame, real: TrackedFrame, near: NDArray[Any]) -> NDArray[np.bool_]:
    """(P,) which predictions count: not those on a distractor, or unmatched in a region to ignore."""
    partner = np.full(len(guess.ids), -1)
    every = np.concatenate([near, box_iou(real.distractors, guess.boxes)])
    for row, column in enumerate(assign(np.where(every >= MIN_OKS, every, 0)).tolist()):
        if column >= 0 and every[row, column] >= MIN_OKS:
            partner[column] = row
    covered = covered_share(guess.boxes, real.regions).max(axis=1, initial=0)
    matched = (partner >= 0) & (partner < len(near))
    counted: NDArray[np.bool_] = matched | ((partner < 0) & (covered < MIN_COVERED))
    return counted


def _nothing(predicted: TrackFile) -> TrackedFrame:
    """No instance: of a frame that the predictions lack."""
    like = next(iter(predicted.frames.values()))
    return replace(like, ids=like.ids[:0], boxes=like.boxes[:0], keypoints=like.keypoints[:0], areas=like.areas[:0])
