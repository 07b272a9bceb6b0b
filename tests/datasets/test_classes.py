from dataclasses import replace

import numpy as np
import pytest

from cairn.datasets.classes import UNKNOWN, class_counts, class_names, in_classes
from cairn.datasets.labels import Labels
from cairn.datasets.similarity import read_signatures
from cairn.datasets.split import split
from cairn.datasets.stratified import instances_by_class, stratified
from cairn.errors import LabelError
from support.made_labels import make_labels


def classed(labels: Labels, names: tuple[str, ...], classes: list[list[int]]) -> Labels:
    images = tuple(
        replace(image, annotation=replace(image.annotation, classes=np.array(own, np.int64)))
        for image, own in zip(labels, classes, strict=True)
    )
    return replace(labels, images=images, classes=names)


def all_classes(labels: Labels) -> list[list[str]]:
    names = (*labels.classes, "unknown")
    return [[names[index] for index in image.annotation.classes.tolist()] for image in labels]


def test_classes_are_matched_by_name(tmp_path):
    labels = classed(make_labels(tmp_path), ("cat", "dog"), [[0, 1], [1, 1], []])
    other = in_classes(labels, ("hen", "dog", "cat"))
    assert all_classes(other) == all_classes(labels) == [["cat", "dog"], ["dog", "dog"], []]
    assert class_counts(other).tolist() == [0, 3, 1]
    assert in_classes(other, other.classes) is other
    assert class_names([other, labels]) == ("hen", "dog", "cat")
    with pytest.raises(LabelError, match="class cat of the labels is none of dog"):
        in_classes(labels, ("dog",))


def test_labels_without_classes_have_unknown_ones_among_others(tmp_path):
    labels = make_labels(tmp_path)
    assert in_classes(labels, ()) is labels
    named = in_classes(labels, ("cat", "dog"))
    assert all((image.annotation.classes == UNKNOWN).all() for image in named)
    assert class_counts(named).tolist() == [0, 0]
    plain = in_classes(named, ())
    assert plain.classes == ()
    assert all(image.annotation.classes is None for image in plain)


def made(tmp_path, classes: list[list[int]], names: tuple[str, ...]) -> Labels:
    """Labels of N images in which nothing but the class differs; noise, so that no two are near-duplicates."""
    import cv2

    labels = make_labels(tmp_path, ("a.png", "b.png"))
    first, rng, images = labels.images[0], np.random.default_rng(0), []
    for i, own in enumerate(classes):
        path = tmp_path / f"image {chr(97 + i % 26)}{chr(97 + i // 26)}.png"
        cv2.imwrite(str(path), rng.integers(0, 255, (40, 60, 3), np.uint8))
        rows = first.annotation[np.zeros(len(own), int)]
        rows = replace(rows, classes=np.array(own, np.int64), tracks=None)
        images.append(replace(first, id=i + 1, path=path, annotation=rows, groups=(), frame=None))
    return replace(labels, images=tuple(images), classes=names)


@pytest.mark.parametrize("seed", range(5))
def test_a_split_has_the_share_of_every_class(tmp_path, seed):
    classes = [[0]] * 60 + [[1]] * 30 + [[2]] * 10
    labels = made(tmp_path, classes, ("often", "less", "rare"))
    signatures = read_signatures([image.path for image in labels])
    train, val = split(labels, 0.2, seed, signatures).apply(labels)
    assert class_counts(val).tolist() == [12, 6, 2]
    assert class_counts(train).tolist() == [48, 24, 8]


def test_a_rare_class_is_in_both_sets_where_it_has_two_groups(tmp_path):
    classes = [[0]] * 38 + [[0, 1]] * 2
    labels = made(tmp_path, classes, ("often", "rare"))
    signatures = read_signatures([image.path for image in labels])
    for seed in range(8):
        train, val = split(labels, 0.1, seed, signatures).apply(labels)
        assert class_counts(val)[1] == class_counts(train)[1] == 1
        assert len(val) == 4


def test_the_only_group_of_a_class_stays_in_the_training_set():
    groups = [np.array([i]) for i in range(10)]
    instances = np.array([[1, 0]] * 9 + [[0, 3]])
    taken = stratified(groups, instances, 0.3, 3)
    assert len(taken) == 3
    assert not any(9 in rows for rows in taken)


def test_groups_are_taken_whole_and_within_the_limit():
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.integers(1, 6, 20)
        groups = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1])
        instances = rng.integers(0, 3, (sizes.sum(), 4))
        taken = stratified(groups, instances, 0.25, int(sizes.sum()) // 4)
        rows = np.concatenate(taken)
        assert len(set(rows.tolist())) == len(rows) <= sizes.sum() // 4
        assert all(any(np.array_equal(own, group) for group in groups) for own in taken)
        left = np.delete(instances, rows, axis=0).sum(axis=0)
        assert ((left > 0) | (instances.sum(axis=0) == 0)).all()


def test_instances_are_counted_by_image_and_class(tmp_path):
    labels = classed(make_labels(tmp_path), ("cat", "dog"), [[0, 1], [1, 1], []])
    assert instances_by_class(labels).tolist() == [[1, 1], [0, 2], [0, 0]]
