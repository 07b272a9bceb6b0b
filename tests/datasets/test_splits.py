"""Which images of labels with splits are used."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.splits import (
    first_split,
    split_counts,
    split_of,
    training_splits,
    validation_split,
    without_test,
)
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton

DOT = Skeleton("dot", ("dot",))


def labels_in(*splits: str | None, labeled: bool = True) -> Labels:
    """One image in each of the splits; some splits may occur several times."""
    rows = Annotation(
        np.full((1, 1, 2), 5.0 if labeled else np.nan, np.float32),
        np.full((1, 1), 2 if labeled else 0, np.uint8),
        np.array([[1, 1, 9, 9]], np.float32),
        np.array([40], np.float32),
        np.zeros(1, bool),
    )
    images = (LabeledImage(i, Path(f"{i}.png"), (20, 20), rows, split=name) for i, name in enumerate(splits))
    return Labels(DOT, tuple(images), np.ones(1, bool))


def ids(labels: Labels | None) -> list[int] | None:
    return None if labels is None else [image.id for image in labels]


@pytest.mark.parametrize(
    ("splits", "chosen", "train", "val"),
    [
        (("val", "train", "test", "train"), None, [1, 3], [0]),
        (("train", "test"), None, [0], None),
        (("train", None), None, [0], None),
        ((None, None), None, [0, 1], None),
        (("train", "val", "test"), "train", [0], [1]),
        (("train", "val", "test"), "val", [1], None),
        (("train", "val", "test"), "test", [2], [1]),
    ],
)
def test_training_is_on_train_and_validation_on_val(splits, chosen, train, val):
    one, other = training_splits(labels_in(*splits), "a.yaml", chosen)
    assert (ids(one), ids(other)) == (train, val)


@pytest.mark.parametrize(
    ("splits", "chosen", "message"),
    [
        (("val", "test"), None, r"a.yaml has no split train, only val \(1 image\) and test \(1\): .* --split"),
        (("test",), None, "no split train"),
        (("train", "val"), "test", r"a.yaml has train \(1 image\) and val \(1\), got split test"),
        ((None,), "train", "a.yaml has no splits, got split train"),
    ],
)
def test_a_split_that_is_missing_is_an_error_that_lists_the_others(splits, chosen, message):
    with pytest.raises(LabelError, match=message):
        training_splits(labels_in(*splits), "a.yaml", chosen)


def test_a_split_without_instances_is_an_error():
    with pytest.raises(LabelError, match="none of the 1 images of split val has an annotated instance"):
        split_of(labels_in("val", labeled=False), "val", "a.yaml")


def test_counts_name_all_splits_and_the_images_without_one():
    assert split_counts(labels_in("test", "train", "train", None, "val")) == (
        "train (2 images), val (1), test (1) and no split (1)"
    )
    assert split_counts(labels_in("val")) == "val (1 image)"
    assert split_counts(labels_in(None)) == "no splits"


def test_the_first_split_that_exists_is_selected_and_otherwise_all():
    assert first_split(labels_in("train", "val", "test"), ("val", "test"), "a")[1] == "val"
    assert first_split(labels_in("train", "test"), ("val", "test"), "a")[1] == "test"
    selected, name = first_split(labels_in("train", "train"), ("val", "test"), "a")
    assert (ids(selected), name) == ([0, 1], None)


def test_labels_to_validate_on_never_give_test_unless_it_is_all_they_have():
    assert validation_split(labels_in("train", "val", "test"), "a")[1] == "val"
    assert validation_split(labels_in("test"), "a")[1] == "test"
    assert validation_split(labels_in("train"), "a")[1] == "train"
    assert validation_split(labels_in(None), "a")[1] is None
    with pytest.raises(LabelError, match="no split val to validate on"):
        validation_split(labels_in("train", "test"), "a")


def test_without_test_keeps_the_others_and_never_returns_nothing():
    assert ids(without_test(labels_in("train", "test", None, "val"), "a")) == [0, 2, 3]
    assert ids(without_test(labels_in(None), "a")) == [0]
    with pytest.raises(LabelError, match="only images of the split test"):
        without_test(labels_in("test"), "a")
