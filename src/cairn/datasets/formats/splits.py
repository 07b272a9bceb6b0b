"""The splits of a data set: each image belongs to one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from cairn.datasets.formats.instances import Instance, ListedImage, is_annotated
from cairn.datasets.labels import SPLITS
from cairn.datasets.problems import Problems
from cairn.errors import LabelError

ORDER = ("val", "test", "train")
"""Which split keeps an image that is in several: validation and test images are not trained on."""


def by_split(
    entries: Iterable[tuple[str | None, Instance]], split: str | None, problems: Problems
) -> tuple[list[Instance], list[ListedImage]]:
    """Returns the instances of a split, and their images with the split of each.

    An image with instances of several splits is in the first of val, test and train.

    Args:
        entries: (split or None where none is stated, instance).
        split: The split; None returns all.
        problems: Collects notes.
    """
    kept = [(own, instance) for own, instance in entries if is_annotated(instance)]
    splits: dict[str, str | None] = {}
    for own, instance in kept:
        other = splits.setdefault(instance.image, own)
        if other != own:
            problems.note(
                "images with instances of several splits are in the first of val, test, train", instance.image
            )
            splits[instance.image] = min((own, other), key=lambda name: ORDER.index(name) if name else len(ORDER))
    listed = [ListedImage(name, split=own) for name, own in splits.items() if split is None or own == split]
    names = {entry.name for entry in listed}
    return [instance for _, instance in kept if instance.image in names], listed


def images_apart(
    found: Mapping[str, Sequence[Path]], source: Path, split: str | None, problems: Problems
) -> dict[str, list[Path]]:
    """Removes from test the images that are in val, and from train those that are in val or test.

    Args:
        found: The images of each split.
        source: The label file.
        split: The split that is read; None reads all.
        problems: Collects notes.

    Returns:
        The images of the splits that are read and have any.

    Raises:
        LabelError: No image is left for training, or in the split that is read.
    """
    identity, owners = _identities(), dict[str, str]()
    apart: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for name in ORDER:
        for image in found.get(name, ()):
            owner = owners.setdefault(identity(image), name)
            if owner == name:
                apart[name].append(image)
            else:
                problems.note(f"images of {name} that are also in {owner} are read as {owner} alone", str(image))
    for name in SPLITS:
        if found.get(name) and not apart[name] and split in ((None, name) if name == "train" else (name,)):
            other = owners[identity(found[name][0])]
            raise LabelError(
                f"{source}: all images of {name} are also in {other}, such as {found[name][0]}: give {other} other "
                f"images, or read it alone with --split {other}"
            )
    return {name: images for name, images in apart.items() if images and split in (None, name)}


def _identities() -> Callable[[Path], str]:
    """A function that returns the path of an image without links."""
    folders: dict[Path, str] = {}

    def identity(image: Path) -> str:
        if image.is_symlink():
            return os.path.realpath(image)
        folder = folders.get(image.parent) or folders.setdefault(image.parent, os.path.realpath(image.parent))
        return f"{folder}/{image.name}"

    return identity
