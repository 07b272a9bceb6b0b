"""Annotations are a struct of arrays, like poses."""

from dataclasses import fields, replace

import numpy as np

from cairn.structures.annotation import Annotation

ANNOTATION = Annotation(
    keypoints=np.arange(12, dtype=np.float32).reshape(3, 2, 2),
    visibility=np.array([[0, 2], [0, 0], [1, 2]], np.uint8),
    boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
    areas=np.array([1, 2, 3], np.float32),
    crowd=np.array([False, False, True]),
    heads=np.array([5, np.nan, 7], np.float32),
    tracks=np.array([4, 5, -1]),
)


def same(one: Annotation, other: Annotation) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Annotation)]
    return all(a is b or np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def test_labeled_instances_have_a_labeled_keypoint_and_are_no_crowd() -> None:
    assert ANNOTATION.labeled.tolist() == [True, False, False]
    selected = ANNOTATION[ANNOTATION.labeled]
    assert len(selected) == 1
    assert selected.boxes.tolist() == [[0, 1, 2, 3]]
    assert selected.tracks.tolist() == [4]


def test_concatenating_slices_gives_the_whole() -> None:
    for whole in (ANNOTATION, replace(ANNOTATION, heads=None), replace(ANNOTATION, heads=None, tracks=None)):
        for cut in range(4):
            assert same(Annotation.concatenate([whole[:cut], whole[cut:]]), whole)


def test_splitting_gives_the_slices() -> None:
    whole = replace(ANNOTATION, heads=None)
    cuts = [0, 0, 2, 2, 3]
    parts = whole.split(cuts)
    assert len(parts) == 4
    assert all(same(part, whole[start:end]) for part, start, end in zip(parts, cuts[:-1], cuts[1:], strict=True))
    assert parts[1].heads is None
    assert whole.split([0]) == []


def test_concatenating_drops_a_column_that_one_item_lacks() -> None:
    both = Annotation.concatenate([ANNOTATION, replace(ANNOTATION, heads=None)])
    assert both.heads is None
    assert both.tracks.tolist() == [4, 5, -1, 4, 5, -1]
    assert len(both) == 6
