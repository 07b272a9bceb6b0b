"""MPII's annotations with test images, as the benchmark has them, in a few images."""

from pathlib import Path
from typing import Any

import numpy as np

from support.matlab_files import images, save, struct_array


def person(x: float, y: float, scale: float = 0.5, points: Any = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"scale": scale, "objpos": {"x": x, "y": y}}
    if points is not None:
        entry |= {"x1": 1, "y1": 1, "x2": 4, "y2": 5, "annopoints": {"point": struct_array(points)}}
    return entry


def cell(values: list[Any]) -> np.ndarray:
    """(N, 1) cell."""
    result = np.empty((len(values), 1), object)
    for i, value in enumerate(values):
        result[i, 0] = value
    return result


def column(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint8).reshape(-1, 1)


def make_release(folder: Path, groups: bool = True) -> Path:
    """Two training images and four test images.

    one.jpg has a single person as its second; two.jpg has no person; three.jpg has a pair and a single person;
    four.jpg has two pairs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    annolist = [
        {
            "image": {"name": "train1.jpg"},
            "annorect": struct_array([person(50, 50, points=[{"id": 9, "x": 5, "y": 6}])]),
        },
        {"image": {"name": "one.jpg"}, "annorect": struct_array([{"scale": []}, person(60, 40)])},
        {"image": {"name": "two.jpg"}},
        {"image": {"name": "train2.jpg"}},
        {"image": {"name": "three.jpg"}, "annorect": struct_array([person(30, 40), person(50, 40), person(250, 40)])},
        {
            "image": {"name": "four.jpg"},
            "annorect": struct_array([person(30, 40), person(60, 40), person(230, 40), person(260, 60)]),
        },
    ]
    single = cell([column(1), column(2), np.zeros((0, 0)), np.zeros((0, 0)), column(3), np.zeros((0, 0))])
    release = {
        "annolist": struct_array(annolist),
        "img_train": np.array([[1, 0, 0, 1, 0, 0]]),
        "single_person": single,
    }
    path = save(folder / "mpii.mat", RELEASE=release)
    (folder / "images").mkdir(exist_ok=True)
    images(folder / "images", ("train1.jpg", "one.jpg", "three.jpg", "four.jpg"), (100, 300))
    if groups:
        cells = [cell([column(1)]), cell([column(2)]), np.empty((0, 0), object), np.empty((0, 0), object)]
        cells += [cell([column(1, 2), column(3)]), cell([column(1, 2), column(3, 4)])]
        save(folder / "groups_v12.mat", groups=cell(cells))
    return path
