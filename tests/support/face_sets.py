"""Data sets of faces with the structure that CelebA and MAFL are published in."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cairn.media.images import write_image

POINTS = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
BOX = "image_id x_1 y_1 width height"
FACE = np.array([[69, 109], [106, 113], [77, 142], [73, 152], [108, 154]])
"""Eyes, nose and mouth of an aligned image, the left side of the image first."""


def listed(rows: Mapping[str, np.ndarray], header: str, end: str = "\n") -> str:
    """The text of one of CelebA's lists."""
    lines = [f"{name} {' '.join(f'{value:4d}' for value in np.ravel(values))} " for name, values in rows.items()]
    return end.join([str(len(rows)), header, *lines, ""])


def names(count: int) -> list[str]:
    return [f"{i:06d}.jpg" for i in range(1, count + 1)]


def make_celeba(root: Path, count: int = 10, end: str = "\n", wild: bool = True) -> Path:
    """CelebA as it is published: 6 of 10 images are of train, 2 of val, 2 of test; MAFL has the first and last ones."""
    rng = np.random.default_rng(2)
    for folder in ("Anno", "Eval", "MAFL", "Img/img_align_celeba"):
        (root / folder).mkdir(parents=True)
    own = names(count)
    faces = {name: FACE + rng.integers(-3, 4, (5, 2)) for name in own}
    (root / "Anno/list_landmarks_align_celeba.txt").write_text(listed(faces, POINTS, end), newline="")
    splits = [0] * (count * 6 // 10) + [1] * (count * 2 // 10)
    splits += [2] * (count - len(splits))
    partition = "".join(f"{name} {split}{end}" for name, split in zip(own, splits, strict=True))
    (root / "Eval/list_eval_partition.txt").write_text(partition, newline="")
    (root / "MAFL/training.txt").write_text("".join(name + end for name in own[:4]), newline="")
    (root / "MAFL/testing.txt").write_text("".join(name + end for name in own[-3:]), newline="")
    for name in own:
        write_image(root / "Img/img_align_celeba" / name, rng.integers(0, 255, (218, 178, 3), np.uint8))
    if wild:
        (root / "Img/img_celeba").mkdir()
        for i, name in enumerate(own):
            write_image(root / "Img/img_celeba" / name, rng.integers(0, 255, (300 + i, 400, 3), np.uint8))
        (root / "Anno/list_landmarks_celeba.txt").write_text(
            listed({name: 2 * face for name, face in faces.items()}, POINTS, end), newline=""
        )
        boxes = {name: np.array([100, 150, 160, 190 + i]) for i, name in enumerate(own)}
        (root / "Anno/list_bbox_celeba.txt").write_text(listed(boxes, BOX, end), newline="")
    return root
