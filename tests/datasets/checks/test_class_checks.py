from dataclasses import replace

import numpy as np

from cairn.datasets.checks.check import check
from cairn.datasets.checks.class_checks import check_classes, class_rows
from cairn.datasets.checks.report import content
from support.made_classes import class_labels


def only(labels, kind: int):
    """The labels without the instances of the other class."""
    images = tuple(
        replace(image, annotation=image.annotation[np.flatnonzero(image.annotation.classes == kind)])
        for image in labels
    )
    return replace(labels, images=images)


def findings(sets):
    return {finding.kind: finding for finding in check_classes(sets)}


def test_a_class_in_one_set_alone_is_a_finding(tmp_path):
    labels = class_labels(tmp_path, 30)
    squares = only(class_labels(tmp_path, 6, seed=1), 0)
    found = findings({"train.json": labels, "val.json": squares})
    assert set(found) == {"class_in_one_split"}
    count = sum(int((image.annotation.classes == 1).sum()) for image in labels)
    assert found["class_in_one_split"].line == f"class disk: none in val.json, {count} instances in train.json"
    assert findings({"train.json": labels, "val.json": class_labels(tmp_path, 30, seed=1)}) == {}


def test_the_splits_of_one_file_are_compared(tmp_path):
    labels = only(class_labels(tmp_path, 60), 0)
    disks = only(class_labels(tmp_path, 60, seed=1), 1)
    images = [replace(image, split="train") for image in (*labels, *disks)]
    images += [replace(image, split="val") for image in labels]
    found = findings({"all": replace(labels, images=tuple(images))})
    assert found["class_in_one_split"].line.startswith("class disk: none in val of all, ")


def test_few_instances_and_sets_without_classes_are_findings(tmp_path):
    labels = class_labels(tmp_path, 3)
    plain = replace(labels, classes=())
    found = findings({"train.json": labels, "val.json": plain})
    assert found["few_instances"].line.startswith("train.json: fewer than 20 instances of class ")
    assert found["no_classes"].line == "val.json: no classes, while other sets have square, disk"
    assert findings({"train.json": plain}) == {}


def test_the_report_counts_the_instances_of_each_class(tmp_path):
    labels, other = class_labels(tmp_path, 5), class_labels(tmp_path, 4, seed=1)
    other = replace(other, classes=("disk", "square"))  # the names decide, not the order
    counts = [[sum(int((image.annotation.classes == kind).sum()) for image in each) for kind in (0, 1)]
              for each in (labels, other)]  # fmt: skip
    assert class_rows({"a": labels, "b": other}) == [
        ("square", str(counts[0][0]), str(counts[1][1])),
        ("disk", str(counts[0][1]), str(counts[1][0])),
    ]
    statistics = content(check({"a": labels}))["sets"]["a"]
    assert statistics["classes"] == {"square": counts[0][0], "disk": counts[0][1]}
    assert "classes" not in content(check({"a": replace(labels, classes=())}))["sets"]["a"]
