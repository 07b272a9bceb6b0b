"""Cleans crowd-sourced labels of one person per image with the predictions of `person-refine`.

    python benchmarks/accuracy/clean_labels.py LABELS OUT [--processes 2]

The labels are written to OUT in COCO's 17 keypoints, for recipes/person-refine-more.toml: with left and right exchanged
where that fits the predictions much better, without joints that are far from a confident prediction, and with confident
predictions of the joints that are not labeled. Predictions are those of the crop turned by 0, 90, 180 or 270 degrees,
whichever has the highest mean confidence, of crops of three sizes and their mirror images.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import cairn
from cairn.datasets.formats.category import category_from_skeleton
from cairn.datasets.reading import read_labels
from cairn.inference.top_down import SIZES, TopDownPredictor
from cairn.media.images import read_image
from cairn.structures.skeleton import load_skeleton

COCO = load_skeleton("coco17")
MIRRORED = {joint: COCO.joints[i] for joint, i in zip(COCO.joints, COCO.flip_order, strict=True)}
UPRIGHT = 0.03
"""A turned crop needs this much more mean confidence."""

NEAR = 0.2
"""Distance of a label that is out of place, over the longer side of the bounding box: about half a torso."""

FITS = 0.6 * NEAR
EXCHANGED = {"all": 0.4, "arms": 0.6, "legs": 0.6}
"""Sides are exchanged where this much more of a group's labels then fit its predictions."""

CONFIDENT, ADDED, LABELED = 0.45, 0.4, 4
"""Minimum confidence against a label, and of an added joint; minimum number of labels of a group."""

ARMS, LEGS = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
Joints = dict[str, NDArray[Any]]
"""Name -> (x, y) of a label."""


def predicted(models: Sequence[TopDownPredictor], pixels: NDArray[np.uint8], box: NDArray[Any]) -> NDArray[np.float32]:
    """The keypoints (17, 3) x, y, confidence of the best of four turns."""
    found = [model(pixels, boxes=[box]) for model in models]
    means = [poses.confidence.mean() + (UPRIGHT if turn == 0 else 0) for turn, poses in enumerate(found)]
    best = found[int(np.argmax(means))]
    return np.column_stack([best.keypoints[0], best.confidence[0]])


def fitting(labels: Joints, place: Joints, near: float, exchanged: bool) -> float:
    """The share of labels within a distance of their prediction, or of the other side's; 0 of few labels."""
    within = [
        np.linalg.norm(place[MIRRORED[joint] if exchanged else joint] - point) < near for joint, point in labels.items()
    ]
    return float(np.mean(within)) if len(within) >= LABELED else 0.0


def cleaned(labels: Joints, prediction: NDArray[np.float32], side: float, done: Counter[str]) -> NDArray[np.float32]:
    """Keypoints (17, 3) x, y, visibility of a person whose box has this longer side; counts what is changed."""
    place = dict(zip(COCO.joints, prediction[:, :2], strict=True))
    for group, least in EXCHANGED.items():
        parts = {"all": ARMS + LEGS, "arms": ARMS, "legs": LEGS}[group]
        own = {joint: point for joint, point in labels.items() if joint.endswith(parts)}
        if fitting(own, place, FITS * side, True) - fitting(own, place, FITS * side, False) > least:
            done[group] += 1
            labels = {MIRRORED[joint] if joint in own else joint: point for joint, point in labels.items()}
    result = np.zeros((len(COCO), 3), np.float32)
    for row, joint, (x, y, confidence) in zip(result, COCO.joints, prediction, strict=True):
        if joint not in labels:
            row[:] = (x, y, 2) if confidence > ADDED else 0
            done["added"] += int(confidence > ADDED)
        elif confidence > CONFIDENT and np.linalg.norm(labels[joint] - (x, y)) > NEAR * side:
            done["dropped"] += 1
        else:
            row[:] = (*labels[joint], 2)
    return result


def clean(task: tuple[Path, int, int]) -> tuple[dict[str, list[float]], Counter[str]]:
    """The keypoints of every k-th image from the i-th on, by its name, and the numbers of changes."""
    path, start, step = task
    labels, done = read_labels(path), Counter[str]()
    model = cairn.load("person-refine", threads=1)
    assert isinstance(model, TopDownPredictor)
    models = [model.with_views(True, [(turn, side) for _, side in SIZES]) for turn in range(4)]
    found = {}
    for image in labels.images[start::step]:
        annotation = image.annotation
        points, known = annotation.keypoints[0], annotation.visibility[0] > 0
        own = {joint: points[k] for k, joint in enumerate(labels.skeleton.joints) if known[k] and joint in COCO.joints}
        box = np.asarray(annotation.boxes[0], np.float64)
        prediction = predicted(models, read_image(image.path), box)
        found[image.path.name] = cleaned(own, prediction, box[2:].max(), done).round(1).ravel().tolist()
    return found, done


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    tasks = [(args.labels, i, args.processes) for i in range(args.processes)]
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        parts = pool.map(clean, tasks, chunksize=1)
    found = {name: keypoints for part, _ in parts for name, keypoints in part.items()}
    content = json.loads(args.labels.read_text())
    names = {image["id"]: Path(image["file_name"]).name for image in content["images"]}
    for each in content["annotations"]:
        each["keypoints"] = found[names[each["image_id"]]]
        each["num_keypoints"] = sum(value > 0 for value in each["keypoints"][2::3])
    content["categories"] = [category_from_skeleton(COCO)]
    args.out.write_text(json.dumps(content))
    changes = sum((done for _, done in parts), Counter[str]())
    print(f"{args.labels}: {dict(changes)} -> {args.out}")


if __name__ == "__main__":
    sys.exit(main())
