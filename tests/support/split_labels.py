"""Labels whose images belong to splits by the start of their names, whatever the file format holds."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cairn.datasets.reading as reading
import cairn.training.data.sources as sources
from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import SPLITS, LabeledImage, Labels
from support.made_data import made_labels

read_labels = reading.read_labels


def tagged(labels: Labels) -> Labels:
    """The labels with the split of each image by the start of its name; None for other names."""

    def split_of(image: LabeledImage) -> str | None:
        return next((name for name in SPLITS if image.path.name.startswith(name)), None)

    return replace(labels, images=tuple(replace(image, split=split_of(image)) for image in labels))


def read_tagged(path: str | Path, options: ReadOptions | None = None, *_: Any) -> Labels:
    """Reads labels as a format with splits does."""
    options = options or ReadOptions()
    labels = tagged(read_labels(path, replace(options, split=None)))
    return labels.of_split(options.split) if options.split else labels


def made_splits(folder: Path, counts: Mapping[str, int], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes labels with a number of images in each split, and lets all readers tag them."""
    labels = made_labels(folder, sum(counts.values()))
    names = [f"{name}{i}.png" for name, count in counts.items() for i in range(count)]
    text = (folder / "labels.json").read_text()
    for image, name in zip(labels, names, strict=True):
        image.path.rename(image.path.with_name(name))
        text = text.replace(f'"{image.path.name}"', f'"{name}"')
    (folder / "labels.json").write_text(text)
    for module in (reading, sources):
        monkeypatch.setattr(module, "read_labels", read_tagged)
    return folder / "labels.json"
