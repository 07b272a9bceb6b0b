"""Completes COCO labels with MoveNet's predictions: people that are not labeled, and joints that a skeleton lacks.

    python benchmarks/accuracy/pseudo_labels.py MOVENET LABELS OUT [--joints] [--processes 2]

MOVENET is the folder with the models of the npm package. The labels with more annotations are written to OUT, in COCO's
17 keypoints, beside LABELS. Without `--joints`, people are added: with their keypoints of high confidence where there
are enough, else as a region without keypoints, which training ignores. With `--joints`, the labeled instances get the
keypoints that they lack (of Leeds Sports Pose: nose, eyes and ears) where their confidence is high.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.reading import read_labels
from cairn.evaluation.metrics.oks import similarity
from cairn.media.images import read_image
from cairn.structures.annotation import Annotation
from peers.movenet import COCO, MULTIPOSE, THUNDER, MoveNet, MultiPose, People, Thunder, boxes_of

SIZES = 320, 512
"""Longest sides of an image at which people are detected."""

PERSON, REGION = 0.25, 0.1
"""Minimum score of a person whose keypoints are added, and of one whose region is."""

JOINT, JOINTS = 0.45, 6
"""Minimum confidence of a keypoint that is added, and minimum number of them."""

SAME_OKS, SAME_BOX, IN_CROWD = 0.3, 0.5, 0.5
"""A detection is a labeled person from this OKS or overlap of boxes on; this share of its box may lie in a crowd."""

Record = dict[str, Any]


def is_annotated(annotation: Annotation, points: NDArray[np.float32], box: NDArray[np.float32]) -> bool:
    """Whether a detection is one of the annotated people, labeled or not, or lies in a crowd."""
    own = annotation.boxes
    low, high = np.maximum(own[:, :2], box[:2]), np.minimum(own[:, :2] + own[:, 2:], box[:2] + box[2:])
    shared = np.maximum(high - low, 0).prod(1)
    area = float(box[2:].prod())
    overlap = shared / np.maximum(own[:, 2:].prod(1) + area - shared, 1)
    return bool(
        (overlap > SAME_BOX).any()
        or (annotation.crowd & (shared > IN_CROWD * area)).any()
        or (similarity(annotation, points[None], COCO.sigmas) > SAME_OKS).any()
    )


def record(box: NDArray[np.float32], area: float, points: NDArray[np.float32], known: NDArray[np.bool_]) -> Record:
    triplets = np.where(known[:, None], np.column_stack([points.round(1), np.full(17, 2)]), 0)
    return {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": box.round(1).tolist(),
        "area": round(area, 1),
        "num_keypoints": int(known.sum()),
        "keypoints": triplets.ravel().tolist(),
    }


def people_of(image: LabeledImage, multipose: MultiPose, thunder: Thunder) -> list[Record]:
    """The people of an image that are not annotated."""
    pixels = read_image(image.path)
    size = np.array(pixels.shape[1::-1], np.float32)
    people: People = multipose(pixels)
    people = people[np.flatnonzero(people.scores > REGION)]
    refined = thunder(pixels, boxes_of(people))
    found: list[Record] = []
    annotation = image.annotation
    for row, score in enumerate(people.scores):
        points = refined.keypoints[row]
        inside = ((points >= 0) & (points < size)).all(1)
        known = inside & (refined.confidence[row] > JOINT)
        enough = known.sum() >= JOINTS
        one = replace(refined if enough else people)[np.array([row])]
        box = boxes_of(one)[0]
        low, high = np.clip(box[:2], 0, size), np.clip(box[:2] + box[2:], 0, size)
        box = np.concatenate([low, high - low])
        if box[2:].min() < 4 or is_annotated(annotation, points, box):
            continue
        known &= bool(enough and score > PERSON)
        found.append(record(box, 0.51 * float(box[2:].prod()), points, known))
    return found


def joints_of(image: LabeledImage, thunder: Thunder) -> list[Record]:
    """The labeled instances with the keypoints that they lack."""
    annotation = image.annotation
    rows = np.flatnonzero(annotation.labeled)
    refined = thunder(read_image(image.path), annotation.boxes[rows])
    found = []
    for row, points, confidence in zip(rows, refined.keypoints, refined.confidence, strict=True):
        known = annotation.visibility[row] > 0
        joined = np.where(known[:, None], annotation.keypoints[row], points)
        box, area = annotation.boxes[row], float(annotation.areas[row])
        found.append(record(box, area, joined, known | (confidence > JOINT)))
    return found


def complete(task: tuple[Path, Labels, bool]) -> list[list[Record]]:
    """The new records of each image."""
    folder, labels, joints = task
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    multipose = MultiPose(MoveNet(folder / MULTIPOSE).to(device), SIZES)
    thunder = Thunder(MoveNet(folder / THUNDER).to(device))
    begin, result = time.time(), []
    for index, image in enumerate(labels):
        result.append(joints_of(image, thunder) if joints else people_of(image, multipose, thunder))
        if index % 100 == 99:
            print(f"{index + 1} of {len(labels)} images, {time.time() - begin:.0f} s", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("movenet", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--joints", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    content = json.loads(args.labels.read_text())
    labels = read_labels(args.labels, ReadOptions(skeleton=COCO))
    parts = [replace(labels, images=labels.images[i :: args.processes]) for i in range(args.processes)]
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        completed = pool.map(complete, [(args.movenet, part, args.joints) for part in parts], chunksize=1)
    ids = {Path(entry["file_name"]).name: entry["id"] for entry in content["images"]}
    annotations = [] if args.joints else content["annotations"]
    number = max(entry["id"] for entry in content["annotations"]) + 1
    new = [
        {"id": number, "image_id": ids[image.path.name], **each}
        for part, records in zip(parts, completed, strict=True)
        for image, own in zip(part, records, strict=True)
        for each in own
    ]
    for index, each in enumerate(new):
        each["id"] = number + index
    limbs = [[a + 1, b + 1] for a, b in COCO.limbs]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.joints), "skeleton": limbs}
    args.out.write_text(json.dumps({**content, "annotations": [*annotations, *new], "categories": [category]}))
    people = sum(each["num_keypoints"] > 0 for each in new)
    print(f"{args.labels}: {people} with keypoints and {len(new) - people} regions -> {args.out}")


if __name__ == "__main__":
    main()
