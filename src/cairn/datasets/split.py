"""Splits labels into training and validation sets without data leakage.

The two sets share no video, subject or near-duplicate: a model that is trained on a frame of a video predicts its
neighbor too well. Where all images are of one video, such a split does not exist; then the frames at one end of the
video are the validation set, and the two sets are neighbors at one place only. Classes are divided evenly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.labels import Labels
from cairn.datasets.similarity import NEAR_DUPLICATE, Signatures, group_similar, read_signatures
from cairn.datasets.stratified import instances_by_class, stratified
from cairn.errors import LabelError
from cairn.files import atomic_write

NUMBER = re.compile(r"(\d+)\D*$")  # the last number of a name
MIN_SEQUENCE = 4  # images with numbered names that can be a video
MAX_OVERSIZE = 3.0  # times the requested share, up to which a group is validated whole instead of being cut


@dataclass(frozen=True)
class Split:
    """The images of the validation set; the others are the training set.

    Attributes:
        val: Ids of the images in the labels.
        files: Their file names in the same order, by which a split of other labels is detected.
        cut: Number of images of the group that had to be cut; 0 where none was.
    """

    val: tuple[int, ...]
    files: tuple[str, ...]
    cut: int = 0

    def apply(self, labels: Labels) -> tuple[Labels, Labels]:
        """Returns the training set and the validation set.

        Raises:
            LabelError: It is a split of other labels.
        """
        names = {image.id: image.path.name for image in labels}
        for number, name in zip(self.val, self.files, strict=True):
            if number not in names or names[number] != name:
                here = names.get(number, "missing")
                raise LabelError(f"the split is of other labels: its image {number} is {name}, here it is {here}")
        val = set(self.val)
        training = tuple(image for image in labels if image.id not in val)
        validation = tuple(image for image in labels if image.id in val)
        return replace(labels, images=training), replace(labels, images=validation)


def split(
    labels: Labels,
    share: float,
    seed: int,
    signatures: Signatures | None = None,
    progress: Callable[[int], None] | None = None,
) -> Split:
    """Returns a split with about `share` of the images in the validation set, by whole groups with labeled instances.

    Of labels with several classes, each class has about `share` of its instances there (`stratified`).

    Args:
        labels: The labels.
        share: Fraction of the images for validation.
        seed: Random seed.
        signatures: Signatures of the images, if they are read already.
        progress: Called with the number of images read.

    Raises:
        LabelError: There are too few images for two sets.
    """
    count = max(1, round(share * len(labels)))
    if count >= len(labels):
        raise LabelError(f"{len(labels)} labeled images cannot be split into training and validation sets: give --val")
    group = image_groups(labels, signatures or read_signatures([image.path for image in labels], progress))
    labeled = np.array([bool(image.annotation.labeled.any()) for image in labels])
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    shuffled = [members[i] for i in np.random.default_rng(seed).permutation(len(members)).tolist()]
    candidates = [rows for rows in shuffled if labeled[rows].any()]
    val: list[int] = []
    if labels.classes:
        selected = stratified(candidates, instances_by_class(labels), share, count)
        val += [row for rows in selected for row in rows.tolist()]
    else:
        for rows in candidates:
            if len(val) + len(rows) <= count:
                val += rows.tolist()
    cut = 0
    if len(val) < (count + 1) // 2:
        taken = set(val)
        rest = [rows for rows in candidates if int(rows[0]) not in taken]
        smallest = min(rest, key=len, default=np.zeros(0, np.int64))
        if rest and len(val) + len(smallest) <= min(MAX_OVERSIZE * count, len(labels) / 2):
            val += smallest.tolist()
        else:
            largest = max(rest, key=len) if rest else np.arange(len(labels))
            cut = len(largest)
            val += _end_of(labels, largest, labeled, count - len(val), seed)
    images = [labels.images[i] for i in sorted(val)]
    return Split(tuple(image.id for image in images), tuple(image.path.name for image in images), cut)


def image_groups(labels: Labels, signatures: Signatures) -> NDArray[np.int64]:
    """Returns (N,) the group of each image: of one video or subject, near-duplicates, or a numbered sequence."""
    declared, numbered = declared_groups(labels), numbered_sequences(labels, signatures)
    return group_similar(signatures, [*declared.values(), *numbered.values()])


def declared_groups(labels: Labels) -> dict[str, list[int]]:
    """Returns the indices of the images of each video, subject and other group that the labels state."""
    groups: dict[str, list[int]] = {}
    for i, image in enumerate(labels):
        for name in image.groups:
            groups.setdefault(name, []).append(i)
    return groups


def numbered_sequences(labels: Labels, signatures: Signatures) -> dict[str, list[int]]:
    """Returns the indices of images with numbered names most of which are near-duplicates of the next: a video."""
    by_stem: dict[str, list[tuple[int, int]]] = {}
    for i, image in enumerate(labels):
        if number := NUMBER.search(image.path.stem):
            stem = str(image.path.parent / image.path.stem[: number.start()])
            by_stem.setdefault(stem, []).append((int(number[1]), i))
    result = {}
    for stem, numbered in by_stem.items():
        rows = [i for _, i in sorted(numbered)]
        # One by one: a data set may have a single sequence, of which a copy would take much memory.
        neighbors = pairwise(rows)
        similar = [float(signatures.thumbnails[a] @ signatures.thumbnails[b]) >= NEAR_DUPLICATE for a, b in neighbors]
        if len(rows) >= MIN_SEQUENCE and 2 * sum(similar) > len(similar):
            result[f"{stem}*"] = rows
    return result


def write_split(split: Split, path: Path) -> None:
    """Writes JSON that `read_split` reads.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as partial:
        content = {"val": split.val, "files": split.files, "cut": split.cut}
        partial.write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_split(path: Path, labels: Labels) -> Split:
    """Reads a split.

    Args:
        path: The file.
        labels: The labels that it splits; they complete the file names in files of earlier versions, which have ids
            only.

    Raises:
        LabelError: The file cannot be read, or is not a split.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        val = tuple(int(number) for number in content["val"])
        names = {image.id: image.path.name for image in labels}
        files = content.get("files") or [names.get(number, "") for number in val]
        if len(files) != len(val):
            raise ValueError
        return Split(val, tuple(map(str, files)), int(content.get("cut", 0)))
    except OSError as error:
        raise LabelError(f"cannot read split {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise LabelError(f"{path} is damaged: expected the images of the validation set") from None


def _end_of(labels: Labels, group: NDArray[np.int64], labeled: NDArray[np.bool_], count: int, seed: int) -> list[int]:
    """Indices of `count` neighboring images at one end of a group, by frame or name, at least one of them labeled."""

    def position(i: int) -> tuple[tuple[str, ...], int, str]:
        image = labels.images[i]
        number = NUMBER.search(image.path.stem)
        frame = image.frame if image.frame is not None else int(number[1]) if number else 0
        return image.groups, frame, str(image.path)

    ordered = sorted(group.tolist(), key=position)
    if seed % 2:
        ordered.reverse()
    selected, rest = ordered[-count:], ordered[:-count]
    while rest and not labeled[selected].any():
        selected.insert(0, rest.pop())
    return selected
