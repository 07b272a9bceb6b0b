"""Identities: Cairn's tracker beside ByteTrack, BoT-SORT and OC-SORT, on the same detections.

    python benchmarks/identities.py [--people .data/coco-people] [--flies .data/flies]
        [--street street.avi street.cairn.jsonl] [--split val] [--seeds 2]

The peers are those of the package `trackers` (pip install trackers), with their defaults; without it Cairn is measured
alone. Their thresholds are made for detectors whose scores are high: scores are scaled to a median of 0.8 for them, and
the box of a pose is that around its keypoints. Sets: videos of real people before static, panned, and shaken and zoomed
cameras (`moving`); flies with noise and missed detections; the people of a street video, whose detections `cairn
detect` has written, and whose labels are `street.json`. "bound" is the IDF1 of a tracker that makes no error on these
detections. Times are processor times per frame.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.reading import read_labels
from cairn.datasets.track_files import read_track_file
from cairn.datasets.track_files.track_file import Rows, TrackFile
from cairn.evaluation.metrics.tracking import TrackMetrics, measure_tracks
from cairn.evaluation.tracking import evaluate_track_files
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from cairn.tracking.tracker import Tracker
from crossings import detected
from moving import KINDS, RATE, cutouts, video

Image = NDArray[np.uint8] | None
Frames = Sequence[tuple[float | None, Poses, Image]]
Track = Callable[[float | None, Poses, Image], Poses]
STREET_RATE = 50.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--people", type=Path, default=Path(".data/coco-people"))
    options.add_argument("--flies", type=Path, default=Path(".data/flies"))
    options.add_argument("--street", type=Path, nargs=2, metavar=("VIDEO", "JSONL"))
    options.add_argument("--split", default="val", help="split of the people")
    options.add_argument("--seeds", type=int, default=2)
    given = options.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    print("set | tracker | HOTA | MOTA | IDF1 | bound | ID switches | ms per frame")
    if given.people.is_dir():
        people, photos, skeleton = cutouts(given.people, given.split)
        for kind in KINDS:
            videos = []
            for seed in range(given.seeds):
                frames = list(video(people, photos, skeleton, kind, 100 + seed))
                videos.append((labels_of([f.truth for f in frames], skeleton), frames_of(frames)))
            report(f"people, {kind}", videos, RATE)
    if given.flies.is_dir():
        labels = read_labels(given.flies / "val.json")
        videos = []
        for seed in range(5):
            rng = np.random.default_rng(seed)
            noisy = [detected(rng, each.annotation, labels.skeleton, 0.02, 0.1, 0.1, 0.3) for each in labels]
            images = [np.ascontiguousarray(cv2.imread(str(each.path))[..., ::-1]) for each in labels]
            videos.append((labels, [(None, poses, image) for poses, image in zip(noisy, images, strict=True)]))
        report("flies, val", videos, 25.0)
    if given.street:
        frames = list(street(*given.street))
        report("street", [(None, frames)], STREET_RATE)


def frames_of(frames: Sequence[Any]) -> Frames:
    return [(frame.time, frame.poses, frame.image) for frame in frames]


def labels_of(truth: Sequence[Any], skeleton: Any) -> Labels:
    images = (LabeledImage(i, Path(f"{i:06}.jpg"), (1, 1), one) for i, one in enumerate(truth))
    return Labels(skeleton, tuple(images), np.ones(len(skeleton), bool))


def street(path: Path, detections: Path) -> Iterator[tuple[float | None, Poses, Image]]:
    """Yields the frames of a video with the poses that `cairn detect` wrote."""
    skeleton, clip = load_skeleton("coco17"), cv2.VideoCapture(str(path))
    for line in detections.read_text().splitlines():
        content = json.loads(line)
        people = content.get("people", content.get("poses"))
        points = np.zeros((len(people), len(skeleton), 3), np.float32)
        for i, one in enumerate(people):
            for name, values in one["keypoints"].items():
                points[i, skeleton.index(name)] = (np.nan, np.nan, 0) if values is None else values
        scores = np.array([one["score"] for one in people], np.float32)
        image = np.ascontiguousarray(clip.read()[1][..., ::-1])
        yield content["frame"] / STREET_RATE, Poses(points[..., :2], points[..., 2], scores, skeleton), image


def report(title: str, videos: Sequence[tuple[Labels | None, Frames]], rate: float) -> None:
    """Prints a row for each tracker."""
    for name, make in trackers(rate).items():
        measured, bounds, spent, count = [], [], 0.0, 0
        for labels, frames in videos:
            found, seconds = run(make(frames), frames)
            spent, count = spent + seconds, count + len(frames)
            measured.append(measure_street(found) if labels is None else measure_tracks(labels, found))
            bounds.append(np.nan if labels is None else bound(labels, [frame[1] for frame in frames]))
        hota, mota, idf1 = (
            np.mean([value(each) for each in measured])
            for value in (lambda m: m.hota.hota, lambda m: m.mota, lambda m: m.idf1)
        )
        switches = sum(each.switches for each in measured)
        print(
            f"{title} | {name} | {hota:.1f} | {mota:.1f} | {idf1:.1f} | {np.mean(bounds):.1f} | {switches} | "
            f"{1000 * spent / count:.2f}",
            flush=True,
        )


def bound(labels: Labels, poses: Sequence[Poses]) -> float:
    """IDF1 where each detection that matches an instance has its ID, and no other one has any."""
    numbered = [replace(each, ids=np.arange(1, len(each) + 1)) for each in poses]
    metrics = measure_tracks(labels, numbered)
    matched = metrics.instances - metrics.misses
    return 100 * 2 * matched / (metrics.instances + matched)


def run(track: Track, frames: Frames) -> tuple[list[Poses], float]:
    started, found = time.process_time(), []
    for moment, poses, image in frames:
        found.append(track(moment, poses, image))
    return found, time.process_time() - started


def measure_street(found: Sequence[Poses]) -> TrackMetrics:
    truth = read_track_file(Path(__file__).with_name("street.json"))
    frames = {}
    for i, poses in enumerate(found):
        rows = Rows()
        for number, box in zip(poses.ids.tolist(), poses.boxes.tolist(), strict=True):
            if number >= 0:
                rows.add(number, box, None, None, f"frame {i}")
        frames["", i] = rows.frame(0, f"frame {i}")
    return evaluate_track_files(TrackFile(Path("tracks"), frames, base=0), truth).metrics


def trackers(rate: float) -> dict[str, Callable[[Frames], Track]]:
    """Returns what makes each tracker: a function of the frames of a video."""
    mine: dict[str, Callable[[Frames], Track]] = {"Cairn": lambda _: cairns(True)}
    mine["Cairn without images"] = lambda _: cairns(False)
    if importlib.util.find_spec("trackers") is None:
        return mine
    from trackers import BoTSORTTracker, ByteTrackTracker, OCSORTTracker

    for name, kind in (("ByteTrack", ByteTrackTracker), ("BoT-SORT", BoTSORTTracker), ("OC-SORT", OCSORTTracker)):
        mine[name] = lambda frames, kind=kind: peer(kind(frame_rate=rate), frames)
    return mine


def cairns(with_images: bool) -> Track:
    tracker = Tracker()
    return lambda moment, poses, image: tracker(poses, moment, image if with_images else None)


def peer(tracker: Any, frames: Frames) -> Track:
    import supervision as sv

    median = np.median(np.concatenate([poses.scores for _, poses, _ in frames]))

    def track(moment: float | None, poses: Poses, image: Image) -> Poses:
        boxes = poses.boxes.astype(np.float64)
        detections = sv.Detections(
            xyxy=np.concatenate([boxes[:, :2], boxes[:, :2] + np.maximum(boxes[:, 2:], 1)], axis=1).reshape(-1, 4),
            confidence=np.clip(0.8 * poses.scores / median, 0, 1),
            class_id=np.zeros(len(poses), int),
            data={"row": np.arange(len(poses))},
        )
        if type(tracker).__name__ == "BoTSORTTracker" and image is not None:
            tracked = tracker.update(detections, frame=image[..., ::-1])
        else:
            tracked = tracker.update(detections)
        ids = np.full(len(poses), -1)
        if len(tracked):
            ids[tracked.data["row"]] = tracked.tracker_id
        return replace(poses, ids=ids, image=None)

    return track


if __name__ == "__main__":
    main()
