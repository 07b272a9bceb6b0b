"""Ten pictures of standing people, chosen blind: by a rule over the labels of coco-people val and a seed.

    python benchmarks/accuracy/standing.py [DATA] [FOLDER] [SEED] [SIZE]

Standing: the largest person of the picture has at least 13 labelled joints, face above shoulders above hips above
knees above ankles, and a box of more than half of the picture's height. Detected as `cairn detect` does, drawn into
FOLDER to be looked at. Right: of that person's labelled joints at least four fifths are found as one person's, each
within a tenth of the box's diagonal, which is half a head or so.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

import cairn
from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import LabelledPicture
from cairn.media.images import read_image, write_image

JOINTS = 13
NEAR = 0.1
"""Of the box's diagonal: half a head of somebody who stands."""

SHARE = 0.8
PICTURES = 10


def largest(picture: LabelledPicture) -> int:
    return int(np.argmax(picture.annotation.areas * picture.annotation.labelled))


def stands(picture: LabelledPicture) -> bool:
    row = largest(picture)
    points, seen = picture.annotation.keypoints[row], picture.annotation.visibility[row] > 0
    if seen.sum() < JOINTS or picture.annotation.boxes[row, 3] < picture.size[0] / 2:
        return False
    levels = [points[part, 1][seen[part]] for part in (slice(0, 5), [5, 6], [11, 12], [13, 14], [15, 16])]
    if any(len(level) == 0 for level in levels):
        return False
    heights = [float(level.mean()) for level in levels]
    return all(a < b for a, b in pairwise(heights))


def main(data: Path, folder: Path, seed: int, size: int | None) -> None:
    model = cairn.load("person", threads=1, size=size)
    standing = [picture for picture in read_coco(data / "coco-people" / "val.json") if stands(picture)]
    order = np.random.default_rng(seed).permutation(len(standing))[:PICTURES]
    folder.mkdir(parents=True, exist_ok=True)
    right = 0
    print(f"{len(standing)} pictures of standing people; seed {seed}")
    for index in order:
        picture = standing[index]
        row = largest(picture)
        truth, seen = picture.annotation.keypoints[row], picture.annotation.visibility[row] > 0
        poses = model(picture.path)
        off = np.linalg.norm(poses.keypoints - truth, axis=-1) / np.hypot(*picture.annotation.boxes[row, 2:])
        near = (np.nan_to_num(off, nan=np.inf) < NEAR)[:, seen].sum(axis=1)  # (P,)
        most = int(near.max()) if len(near) else 0
        good = most >= SHARE * seen.sum()
        right += good
        print(f"  {picture.path.name}  {most:2} of {seen.sum():2} joints{'' if good else '   wrong'}")
        image = read_image(picture.path)
        write_image(folder / f"{picture.path.stem}.png", cairn.draw(image, poses, model.spec.draw_threshold))
    print(f"right in {right} of {len(order)}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0] if arguments else ".data"), Path(arguments[1] if len(arguments) > 1 else "runs/standing"),
         int(arguments[2]) if len(arguments) > 2 else 0, int(arguments[3]) if len(arguments) > 3 else None)  # fmt: skip
