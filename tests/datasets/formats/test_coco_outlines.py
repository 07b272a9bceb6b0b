"""COCO's segmentations: polygons, run lengths as lists and strings, and what is kept of them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.coco import read_coco
from cairn.datasets.formats.coco.outlines import counts_of, read_outline
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.structures.geometry import Affine
from cairn.structures.outline import Polygons, RunLengths, covered

TRIANGLE = [10, 10, 40, 10, 10, 40]


def text_of(counts: list[int]) -> str:
    """COCO's own algorithm, number by number: five bits at a time, lowest first, with differences from the fourth."""
    text = ""
    for i, count in enumerate(counts):
        x = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = x & 31
            x >>= 5
            more = x != -1 if bits & 16 else x != 0
            text += chr(48 + (bits | 32 if more else bits))
    return text


def whole(outline, size):
    return covered(outline, Affine.identity(), size)


@settings(max_examples=80, deadline=None)
@given(counts=st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
def test_strings_are_the_numbers_that_they_encode(counts):
    assert counts_of(text_of(counts)).tolist() == counts


@pytest.mark.parametrize("share", [0.0, 0.03, 0.5, 1.0])
def test_lists_strings_and_masks_agree(share):
    rng = np.random.default_rng(7)
    mask = rng.random((37, 51)) < share
    flat = mask.T.ravel().astype(int)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    counts = np.diff(np.concatenate([[0], changes])).tolist()
    of_list = read_outline({"counts": counts, "size": [37, 51]})
    of_text = read_outline({"counts": text_of(counts), "size": [37, 51]})
    assert np.array_equal(whole(of_list, (37, 51)), mask)
    assert np.array_equal(whole(of_text, (37, 51)), mask)


def test_masks_and_polygons_are_those_of_the_coco_api():
    api = pytest.importorskip("faster_coco_eval.core.mask")
    rng = np.random.default_rng(8)
    for _ in range(10):
        height, width = rng.integers(40, 90, 2).tolist()
        mask = np.asfortranarray((rng.random((height, width)) < rng.random()).astype(np.uint8))
        encoded = api.encode(mask)
        outline = read_outline({"counts": encoded["counts"].decode(), "size": list(encoded["size"])})
        assert np.array_equal(whole(outline, (height, width)), mask)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        points = 0.5 + rng.uniform(0.3, 0.6, (12, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ring = (points * (width, height)).round(2).ravel().tolist()
        theirs = api.decode(api.merge(api.frPyObjects([ring], height, width))).astype(bool)
        ours = whole(read_outline([ring]), (height, width))
        # They trace a polygon on a five times finer grid, which moves its border by a fraction of a pixel.
        border = np.zeros_like(ours)
        for dy, dx in np.ndindex(3, 3):
            border |= np.roll(ours, (dy - 1, dx - 1), (0, 1)) != ours
        assert not ((ours != theirs) & ~border).any()
        assert (ours != theirs).mean() < 0.06


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2, 3, 4]], "three corners"),
        ([[1, 2, 3, 4, 5, 6, 7]], "three corners"),
        ([[1, 2, 3, 4, 5, float("nan")]], "three corners"),
        ([["a", 2, 3, 4, 5, 6]], "three corners"),
        ([[1e39, 2, 3, 4, 5, 6]], "three corners"),
        ([[10**400, 2, 3, 4, 5, 6]], "three corners"),
        ([[float("inf"), 2, float("-inf"), 4, 5, 6]], "three corners"),
        ([{"x": 1}], "three corners"),
        ([TRIANGLE, None], "three corners"),
        ([10, 10, 40, 10, 10, 40], "three corners"),
        ("polygon", "expected polygons or run lengths"),
        ({"counts": [5, 5]}, "size"),
        ({"counts": [5, 5], "size": [2, -5]}, "size"),
        ({"counts": [5, 4], "size": [2, 5]}, "add up"),
        ({"counts": [12, -2], "size": [2, 5]}, "add up"),
        ({"counts": [2**70, 1], "size": [2, 5]}, "list or a string"),
        ({"counts": [5.0, 5.0], "size": [2, 5]}, "list or a string"),
        ({"counts": None, "size": [2, 5]}, "list or a string"),
        ({"counts": "", "size": [2, 5]}, "characters"),
        ({"counts": "5~", "size": [2, 5]}, "characters"),
        ({"counts": "5 5", "size": [2, 5]}, "characters"),
        ({"counts": "5\u00e9", "size": [2, 5]}, "characters"),
        ({"counts": "5P", "size": [2, 5]}, "characters"),  # ends inside a number
        ({"counts": "P" * 40 + "0", "size": [2, 5]}, "more than 12"),
    ],
)
def test_what_is_no_outline_is_told(value, message):
    with pytest.raises(ValueError, match=message):
        read_outline(value)


def coco_file(folder, *records, size=(60, 80)):
    images = [{"id": 1, "file_name": "a.jpg", "width": size[1], "height": size[0]}]
    category = {"id": 1, "name": "thing", "keypoints": ["a", "b"], "skeleton": [[1, 2]]}
    rows = [{"id": i, "image_id": 1, "category_id": 1, **record} for i, record in enumerate(records, start=1)]
    path = folder / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": [category]}))
    (folder / "a.jpg").touch()
    return path


def person(**more):
    return {"keypoints": [20, 20, 2, 30, 30, 2], "num_keypoints": 2, "bbox": [10, 10, 30, 30], "iscrowd": 0, **more}


def region(**more):
    return {"keypoints": [0] * 6, "num_keypoints": 0, "bbox": [10, 10, 30, 30], "iscrowd": 0, **more}


def test_outlines_of_regions_alone_are_kept(tmp_path):
    counts = [5, 60 * 80 - 5]
    records = [
        person(segmentation=[TRIANGLE]),
        region(segmentation=[TRIANGLE]),
        region(segmentation={"counts": counts, "size": [60, 80]}, iscrowd=1),
        region(segmentation={"counts": text_of(counts), "size": [60, 80]}, iscrowd=1),
        region(segmentation=[]),
        region(),
    ]
    annotation = read_coco(coco_file(tmp_path, *records)).images[0].annotation
    kinds = [type(outline) for outline in annotation.outlines]
    assert kinds == [type(None), Polygons, RunLengths, RunLengths, type(None), type(None)]
    assert annotation[[2]].outlines[0] is annotation.outlines[2]


@pytest.mark.parametrize("missing", ["num_keypoints", "keypoints", "both", "num_keypoints of all"])
def test_regions_of_files_without_counts_have_outlines_too(tmp_path, missing):
    records = [person(segmentation=[TRIANGLE]), region(segmentation=[TRIANGLE])]
    for record in records if missing.endswith("all") else records[1:]:
        for key in ("num_keypoints", "keypoints") if missing == "both" else (missing.split()[0],):
            del record[key]
    outlines = read_coco(coco_file(tmp_path, *records)).images[0].annotation.outlines
    assert outlines[0] is None
    assert isinstance(outlines[1], Polygons)


def test_labels_without_regions_have_no_column(tmp_path):
    annotation = read_coco(coco_file(tmp_path, person(segmentation=[TRIANGLE]), region())).images[0].annotation
    assert annotation.outlines is None


@pytest.mark.parametrize(
    "segmentation",
    [[[1, 2]], "x", {"counts": [3], "size": [1, 1, 1]}, {"counts": [1, 2], "size": [60, 80]}, [[1, 2, 3, 4, 5, "6"]]],
)
def test_a_damaged_segmentation_is_noted_and_its_instance_kept(tmp_path, segmentation, caplog):
    path = coco_file(tmp_path, person(), region(segmentation=segmentation))
    labels = read_labels(path, ReadOptions(problems=Problems()))
    assert len(labels.images[0].annotation) == 2
    assert labels.images[0].annotation.outlines is None
    (line,) = [record.message for record in caplog.records]
    assert "segmentations cannot be read, and bounding boxes are used" in line
    assert "annotation 2" in line


def test_a_mask_of_another_size_than_its_image_is_noted(tmp_path, caplog):
    counts = {"counts": [5, 4795], "size": [80, 60]}
    path = coco_file(tmp_path, person(), region(segmentation=counts, iscrowd=1))
    labels = read_labels(path, ReadOptions(problems=Problems()))
    assert labels.images[0].annotation.outlines[1] is None
    assert "masks of another size than their image" in caplog.text
    assert "60 x 80 for an image of 80 x 60" in caplog.text
