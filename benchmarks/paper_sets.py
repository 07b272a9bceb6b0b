"""Directories as the data sets of the papers ship, with made annotations and images, at any size.

    python benchmarks/paper_sets.py FOLDER NAME [--count 1000]

NAME is one of mpii, flic, coco, celeba, aflw, cats. All images are links to one made image, so that the directories of
25,000 images are written in seconds. `tests/docs/test_papers.py` runs the documented commands on small ones.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.media.images import write_image
from cairn.structures.skeleton import load_skeleton

SIDE = 160  # of a made image

LSP_POSE = np.array(
    [[.38, .95], [.4, .72], [.42, .52], [.58, .52], [.6, .72], [.62, .95], [.3, .5], [.32, .38], [.38, .25], [.62, .25],
     [.68, .38], [.7, .5], [.5, .2], [.5, .05]]
)  # fmt: skip
"""A standing person: ankle, knee, hip of the right and the left, wrist, elbow, shoulder likewise, neck, head."""

FACE = np.array([[69, 109], [106, 113], [77, 142], [73, 152], [108, 154]])
"""Eyes, nose and mouth of an aligned image of CelebA, the left side of the image first."""

CELEBA_POINTS = " ".join(f"{place}_{axis}" for place in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
                         for axis in "xy")  # fmt: skip

CAT = np.array([[60, 70], [100, 70], [80, 95], [45, 50], [40, 15], [65, 40], [95, 40], [120, 15], [115, 50]])
"""Eyes, mouth, and three points of each ear of a cat in the Cat Dataset."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("--count", type=int, default=1000, help="images of the training set")
    given = parser.parse_args()
    print(SETS[given.name](given.folder, given.count))


def mpii(root: Path, count: int) -> Path:
    """MPII with the annotations of pose-hg-train: annot/train.h5 and valid.h5, and the ground truth of its PCKh."""
    import h5py
    from scipy.io import savemat

    rng = np.random.default_rng(0)
    (root / "annot").mkdir(parents=True)
    for split, people in (("train", count), ("valid", max(2, count // 8))):
        names = [f"{'0' if split == 'train' else '1'}{i:08}.jpg" for i in range(people)]
        _put_images(root / "images", names)
        part, center, scale = _people(people, rng)
        head = np.linalg.norm(part[:, 9] - part[:, 8], axis=1)
        with h5py.File(root / f"annot/{split}.h5", "w") as file:
            file["imgname"] = _codes(names)
            file["part"], file["visible"] = part + 1, np.ones(part.shape[:2])
            file["center"], file["scale"], file["normalize"] = center + 1, scale, 0.6 * head
            file["torsoangle"], file["index"], file["person"] = np.zeros(people), np.arange(people), np.zeros(people)
        if split == "valid":
            boxes = np.stack([np.sort(part[:, 8:10, axis], axis=1) for axis in (0, 1)], axis=2)  # (N, 2, 2)
            savemat(root / "annot/mpii_gt_val.mat", {
                "headboxes_src": boxes.transpose(1, 2, 0) + 1,
                "pos_gt_src": part.transpose(1, 2, 0) + 1,
                "jnt_missing": np.zeros((16, people)),
                "dataset_joints": np.array([[joint] for joint in GT_JOINTS], object),
            })  # fmt: skip
    return root


GT_JOINTS = ("rank", "rkne", "rhip", "lhip", "lkne", "lank", "pelv", "thor", "neck", "head", "rwri", "relb", "rsho",
             "lsho", "lelb", "lwri")  # fmt: skip


def flic(root: Path, count: int) -> Path:
    """FLIC: examples.mat, of which a fifth is of test, and images/."""
    from scipy.io import savemat

    rng = np.random.default_rng(1)
    root.mkdir(parents=True)
    names = [f"film-{i:08}.jpg" for i in range(count)]
    _put_images(root / "images", names)
    part, center, _ = _people(count, rng)
    places = {0: 13, 1: 14, 2: 15, 3: 12, 4: 11, 5: 10, 6: 3, 9: 2, 12: 9, 13: 9, 16: 8}  # of 29 joints -> MPII's
    table = np.empty((1, count), [(name, object) for name in ("filepath", "coords", "torsobox", "istrain", "istest")])
    for i, name in enumerate(names):
        coords = np.full((2, 29), np.nan)
        for place, joint in places.items():
            coords[:, place] = part[i, joint] + 1
        test = i % 5 == 4
        box = np.array([[*(center[i] - 20), *(center[i] + 20)]])
        table[0, i] = name, coords, box, np.array([[int(not test)]]), np.array([[int(test)]])
    savemat(root / "examples.mat", {"examples": table})
    return root


def coco(root: Path, count: int) -> Path:
    """COCO 2017: annotations/, train2017/ and val2017/; the foot annotations have every fifth image."""
    rng = np.random.default_rng(2)
    (root / "annotations").mkdir(parents=True)
    joints = load_skeleton("coco17").joints
    feet = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("big_toe", "small_toe", "heel"))
    for split, images in (("train2017", count), ("val2017", max(2, count // 20))):
        names = [f"{i:012}.jpg" for i in range(images)]
        _put_images(root / split, names)
        part, _, _ = _people(images, rng)
        points = np.concatenate([_coco17(part), _feet(part)], axis=1).round(1)
        records = [{"id": i, "file_name": name, "width": SIDE, "height": SIDE} for i, name in enumerate(names)]
        for suffix, shown, every in (("", joints, 1), ("_foot_v1", (*joints, *feet), 5)):
            annotations = [
                {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 3000.0,
                 "bbox": [*points[i].min(0).tolist(), *np.ptp(points[i], axis=0).tolist()],
                 "keypoints": np.c_[points[i, : len(shown)], np.full(len(shown), 2)].ravel().tolist(),
                 "num_keypoints": len(shown), "segmentation": [_outline(points[i])]}
                for i in range(0, images, every)
            ]  # fmt: skip
            category = {"id": 1, "name": "person", "keypoints": list(shown), "skeleton": [[16, 14], [14, 12]]}
            content = {"images": records[::every], "annotations": annotations, "categories": [category]}
            (root / f"annotations/person_keypoints_{split}{suffix}.json").write_text(json.dumps(content))
    return root


def celeba(root: Path, count: int) -> Path:
    """CelebA's aligned images with their lists, and MAFL's lists in MAFL/."""
    rng = np.random.default_rng(3)
    for folder in ("Anno", "Eval", "MAFL"):
        (root / folder).mkdir(parents=True)
    names = [f"{i:06}.jpg" for i in range(1, count + 1)]
    _put_images(root / "Img/img_align_celeba", names, (218, 178))
    faces = FACE.ravel() + rng.integers(-6, 7, (count, 10))
    lines = [f"{name} {' '.join(map(str, face))}" for name, face in zip(names, faces.tolist(), strict=True)]
    (root / "Anno/list_landmarks_align_celeba.txt").write_text("\n".join([str(count), CELEBA_POINTS, *lines, ""]))
    splits = "".join(f"{name} {0 if i < 0.8 * count else 1 + (i >= 0.9 * count)}\n" for i, name in enumerate(names))
    (root / "Eval/list_eval_partition.txt").write_text(splits)
    share = max(2, count // 10)
    (root / "MAFL/training.txt").write_text("".join(f"{name}\n" for name in names[:share]))
    (root / "MAFL/testing.txt").write_text("".join(f"{name}\n" for name in names[-max(2, share // 10) :]))
    return root


def aflw(root: Path, count: int) -> Path:
    """AFLW with five points: aflw_train_images.txt and aflw_train_keypoints.mat, test likewise, and output/."""
    from scipy.io import savemat

    rng = np.random.default_rng(4)
    root.mkdir(parents=True)
    for split, images in (("train", count), ("test", max(2, count // 4))):
        names = [f"{split}-{i:05}.jpg" for i in range(images)]
        _put_images(root / "output", names, (150, 150))
        points = (FACE[None, :, :] - (10, 40)) + rng.integers(-6, 7, (images, 5, 2))
        (root / f"aflw_{split}_images.txt").write_text("".join(f"{name}\n" for name in names))
        savemat(root / f"aflw_{split}_keypoints.mat", {"gt": points[..., ::-1].astype(float) + 1})
    return root


def cats(root: Path, count: int) -> Path:
    """The Cat Dataset: CAT_00 and so on, each image with its .cat file."""
    rng = np.random.default_rng(5)
    for i in range(count):
        folder, name = root / f"CAT_{i // 1500:02}", f"{i:08}_000.jpg"
        if i % 1500 == 0:
            folder.mkdir(parents=True)
        _put_images(folder, [name])
        points = (CAT + rng.integers(-6, 7, (9, 2))).ravel().tolist()
        (folder / f"{name}.cat").write_text(f"9 {' '.join(map(str, points))} ")
    return root


SETS: dict[str, Callable[[Path, int], Path]] = {
    "mpii": mpii, "flic": flic, "coco": coco, "celeba": celeba, "aflw": aflw, "cats": cats,
}  # fmt: skip


def _people(count: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """(N, 16, 2) joints of MPII in pixels, (N, 2) centers and (N,) scales of standing people."""
    pose = LSP_POSE[None] + rng.normal(0, 0.02, (count, 14, 2))
    neck, hips = pose[:, 12], pose[:, [2, 3]].mean(1)
    joints = np.concatenate([
        pose[:, :6], hips[:, None], neck[:, None] + (0, 0.05), neck[:, None], pose[:, 13:14], pose[:, 6:12],
    ], axis=1)  # fmt: skip
    return joints * SIDE, np.full((count, 2), SIDE / 2), np.full(count, SIDE / 200)


def _coco17(part: NDArray[Any]) -> NDArray[Any]:
    """(N, 17, 2): COCO's joints from those of MPII."""
    head = part[:, 9:10] * 0.4 + part[:, 8:9] * 0.6
    face = head + np.array([[0, 0], [2, -3], [-2, -3], [5, -1], [-5, -1]])
    body = part[:, [13, 12, 14, 11, 15, 10, 3, 2, 4, 1, 5, 0]]
    return np.concatenate([face, body], axis=1)


def _feet(part: NDArray[Any]) -> NDArray[Any]:
    """(N, 6, 2): big toe, small toe and heel of the left and the right foot."""
    return np.concatenate([part[:, [ankle]] + np.array([[2, 4], [4, 4], [-2, 4]]) for ankle in (5, 0)], axis=1)


def _outline(points: NDArray[Any]) -> list[float]:
    """The corners of a polygon around points."""
    low, high = points.min(0) - 3, points.max(0) + 3
    return [low[0], low[1], high[0], low[1], high[0], high[1], low[0], high[1]]


def _codes(names: Sequence[str]) -> NDArray[np.float64]:
    """(N, 16) codes of the characters of names."""
    table = np.zeros((len(names), 16))
    for row, name in zip(table, names, strict=True):
        row[: len(name)] = [ord(letter) for letter in name]
    return table


def _put_images(folder: Path, names: Sequence[str], size: tuple[int, int] = (SIDE, SIDE)) -> None:
    """Links of one made image."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder.parent / f"made-{size[0]}x{size[1]}.jpg"
    if not source.exists():
        write_image(source, np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8))
    for name in names:
        if not (folder / name).exists():
            os.link(source, folder / name)


if __name__ == "__main__":
    main()
