"""Ten images of standing people, sampled by a rule over the labels of coco-people val and a seed.

    python benchmarks/accuracy/standing.py [DATA] [FOLDER] [SEED] [SIZE]

Standing: the largest person of the image has at least 13 labeled joints, face above shoulders above hips above knees
above ankles, hips and ankles at least a third of the bounding box apart, which excludes people who sit or are seen
from above, and a bounding box of more than half of the image's height. Detects as `cairn detect` does and draws into
FOLDER. Correct: at least four fifths of that person's labeled joints are detected as those of one person, each within a
tenth of the diagonal of the box, which is about half a head.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

import cairn
from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import LabeledImage
from cairn.media.images import read_image, write_image

JOINTS = 13
LEGS = 1 / 3
"""Minimum distance of the ankles below the hips, over the height of the box."""

NEAR = 0.1
"""Share of the diagonal of the box: half a head of a standing person."""

SHARE = 0.8
IMAGES = 10


def largest(image: LabeledImage) -> int:
    return int(np.argmax(image.annotation.areas * image.annotation.labeled))


def stands(image: LabeledImage) -> bool:
    row = largest(image)
    points, seen = image.annotation.keypoints[row], image.annotation.visibility[row] > 0
    if seen.sum() < JOINTS or image.annotation.boxes[row, 3] < image.size[0] / 2:
        return False
    levels = [points[part, 1][seen[part]] for part in (slice(0, 5), [5, 6], [11, 12], [13, 14], [15, 16])]
    if any(len(level) == 0 for level in levels):
        return False
    heights = [float(level.mean()) for level in levels]
    upright = heights[4] - heights[2] >= LEGS * image.annotation.boxes[row, 3]
    return bool(upright) and all(a < b for a, b in pairwise(heights))


def main(data: Path, folder: Path, seed: int, size: int | None) -> None:
    model = cairn.load("person", threads=1, size=size)
    standing = [entry for entry in read_coco(data / "coco-people" / "val.json") if stands(entry)]
    order = np.random.default_rng(seed).permutation(len(standing))[:IMAGES]
    folder.mkdir(parents=True, exist_ok=True)
    right = 0
    print(f"{len(standing)} images of standing people; seed {seed}")
    for index in order:
        entry = standing[index]
        row = largest(entry)
        truth, seen = entry.annotation.keypoints[row], entry.annotation.visibility[row] > 0
        poses = model(entry.path)
        off = np.linalg.norm(poses.keypoints - truth, axis=-1) / np.hypot(*entry.annotation.boxes[row, 2:])
        near = (np.nan_to_num(off, nan=np.inf) < NEAR)[:, seen].sum(axis=1)  # (P,)
        most = int(near.max()) if len(near) else 0
        good = most >= SHARE * seen.sum()
        right += good
        print(f"  {entry.path.name}  {most:2} of {seen.sum():2} joints{'' if good else '   incorrect'}")
        image = read_image(entry.path)
        write_image(folder / f"{entry.path.stem}.png", cairn.draw(image, poses, model.spec.draw_threshold))
    print(f"correct in {right} of {len(order)}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0] if arguments else ".data"), Path(arguments[1] if len(arguments) > 1 else "runs/standing"),
         int(arguments[2]) if len(arguments) > 2 else 0, int(arguments[3]) if len(arguments) > 3 else None)  # fmt: skip
