"""Labels in two parts that have no image, video or subject in common: to learn from, and to validate on.

A frame of a video is known to who has seen its neighbor. Where all images are of one video, no such split exists;
then a run of neighboring frames at one end of it is set aside, and the two parts touch in one place alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.datasets.similarity import ALIKE, Look, families, look_at
from cairn.errors import LabelError
from cairn.files import atomic_write

NUMBER = re.compile(r"(\d+)\D*$")  # the last number of a name
FEWEST = 4  # images from which on numbered names may be a video
MOST = 3.0  # times the share wanted, up to which a family goes to validation whole rather than being cut


@dataclass(frozen=True)
class Parts:
    """Which images of some labels validate; the others are to learn from.

    val    ids in the labels
    files  their names, in the same order: by these it is told whether a split belongs to some labels
    cut    images of the family that had to be cut, 0 where none was
    """

    val: tuple[int, ...]
    files: tuple[str, ...]
    cut: int = 0

    def of(self, labels: Labels) -> tuple[Labels, Labels]:
        """(to learn from, to validate on). Raises LabelError where it is a split of other labels."""
        names = {image.id: image.path.name for image in labels}
        for number, name in zip(self.val, self.files, strict=True):
            if number not in names or names[number] != name:
                found = names.get(number, "not there")
                raise LabelError(f"the split is of other labels: its image {number} is {name}, here it is {found}")
        val = set(self.val)
        learn = tuple(image for image in labels if image.id not in val)
        return replace(labels, images=learn), replace(
            labels, images=tuple(image for image in labels if image.id in val)
        )


def split(
    labels: Labels, share: float, seed: int, look: Look | None = None, progress: Callable[[int], None] | None = None
) -> Parts:
    """About `share` of the images set aside by seed, whole families at a time, of which some object is labeled.

    look  of the labels' images, where somebody has looked already
    Raises LabelError where there are too few images for two parts.
    """
    count = max(1, round(share * len(labels)))
    if count >= len(labels):
        raise LabelError(f"{len(labels)} labeled images cannot be split into training and validation: give --val")
    family = family_of(labels, look or look_at([image.path for image in labels], progress))
    labeled = np.array([bool(image.annotation.labeled.any()) for image in labels])
    members = [np.flatnonzero(family == number) for number in range(family.max() + 1)]
    order = [members[i] for i in np.random.default_rng(seed).permutation(len(members)).tolist()]
    order = [family for family in order if labeled[family].any()]
    held: list[int] = []
    for family in order:
        if len(held) + len(family) <= count:
            held += family.tolist()
    cut = 0
    if len(held) < (count + 1) // 2:
        rest = [family for family in order if family[0] not in held]
        whole = min(rest, key=len, default=np.zeros(0, np.int64))
        if rest and len(held) + len(whole) <= min(MOST * count, len(labels) / 2):
            held += whole.tolist()
        else:
            largest = max(rest, key=len) if rest else np.arange(len(labels))
            cut = len(largest)
            held += _end_of(labels, largest, labeled, count - len(held), seed)
    images = [labels.images[i] for i in sorted(held)]
    return Parts(tuple(p.id for p in images), tuple(p.path.name for p in images), cut)


def family_of(labels: Labels, look: Look) -> NDArray[np.int64]:
    """(N,) which images belong together: of one video or subject, alike, or of a numbered series that is a video."""
    return families(look, [*kin_of(labels).values(), *series_of(labels, look).values()])


def kin_of(labels: Labels) -> dict[str, list[int]]:
    """Indices of the images that share a video, a subject, ... by the labels' own word."""
    shared: dict[str, list[int]] = {}
    for i, image in enumerate(labels):
        for name in image.kin:
            shared.setdefault(name, []).append(i)
    return shared


def series_of(labels: Labels, look: Look) -> dict[str, list[int]]:
    """Indices by name of the images that their names number, most of which are like the next: frames of a video."""
    named: dict[str, list[tuple[int, int]]] = {}
    for i, image in enumerate(labels):
        if found := NUMBER.search(image.path.stem):
            stem = str(image.path.parent / image.path.stem[: found.start()])
            named.setdefault(stem, []).append((int(found[1]), i))
    result = {}
    for stem, numbered in named.items():
        rows = [i for _, i in sorted(numbered)]
        neighbors = np.sum(look.thumbnails[rows[:-1]] * look.thumbnails[rows[1:]], axis=1)
        if len(rows) >= FEWEST and (neighbors >= ALIKE).mean() > 0.5:
            result[f"{stem}*"] = rows
    return result


def write_parts(parts: Parts, path: Path) -> None:
    """As JSON that `read_parts` reads. Raises OutputError where it cannot be written."""
    with atomic_write(path) as beside:
        content = {"val": parts.val, "files": parts.files, "cut": parts.cut}
        beside.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_parts(path: Path, labels: Labels) -> Parts:
    """Raises LabelError where the file is no split."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        val = tuple(int(number) for number in content["val"])
        names = {image.id: image.path.name for image in labels}
        files = content.get("files") or [names.get(number, "") for number in val]  # runs before had ids alone
        if len(files) != len(val):
            raise ValueError
        return Parts(val, tuple(map(str, files)), int(content.get("cut", 0)))
    except OSError as error:
        raise LabelError(f"cannot read split {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LabelError(f"{path} is damaged: expected the images that were set aside") from None


def _end_of(labels: Labels, family: NDArray[np.int64], labeled: NDArray[np.bool_], count: int, seed: int) -> list[int]:
    """Indices of `count` neighboring images at one end of a family, by frame, else by name; some are labeled."""

    def place(i: int) -> tuple[tuple[str, ...], int, str]:
        image = labels.images[i]
        number = NUMBER.search(image.path.stem)
        frame = image.frame if image.frame is not None else int(number[1]) if number else 0
        return image.kin, frame, str(image.path)

    ordered = sorted(family.tolist(), key=place)
    if seed % 2:
        ordered.reverse()
    chosen, rest = ordered[-count:], ordered[:-count]
    while rest and not labeled[chosen].any():
        chosen.insert(0, rest.pop())
    return chosen
