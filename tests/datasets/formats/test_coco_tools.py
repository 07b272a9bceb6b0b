"""COCO files as tools write them: what is optional never refuses a file, and what is ignored is noted."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.formats.category import skeleton_from_category
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.formats.skeleton_file import skeleton_beside, write_skeleton
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import LabelError
from cairn.structures.annotation import AREA_PER_BOX
from cairn.structures.skeleton import Skeleton
from support.made_labels import SIZE, assert_same, draw_images

NAMES = ["nose", "left_ear", "right_ear"]
POINTS = [10.0, 12.0, 2, 20, 22, 1, 30, 32, 2]
OWN = Skeleton("own", tuple(NAMES), ((0, 1),))


def content(**row: Any) -> dict[str, Any]:
    """Two images with a mouse each; the values of the first annotation may differ."""
    height, width = SIZE
    mouse = {"keypoints": POINTS, "bbox": [8, 10, 30, 30], "area": 500, "iscrowd": 0}
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": width, "height": height, "license": 3} for i in (1, 2)],
        "annotations": [{"id": i, "image_id": i, "category_id": 1, **mouse, **(row if i == 1 else {})} for i in (1, 2)],
        "categories": [{"id": 1, "name": "mouse", "keypoints": NAMES}],
    }


def put(folder: Path, values: Any) -> Path:
    draw_images(folder, ("1.png", "2.png"))
    (folder / "labels.json").write_text(json.dumps(values))
    return folder / "labels.json"


def without(values: dict[str, Any], kind: str, *keys: str) -> dict[str, Any]:
    for record in values[kind]:
        for key in keys:
            record.pop(key)
    return values


@pytest.mark.parametrize(
    ("pairs", "limbs", "note"),
    [
        ([[1, 2], [1, 3]], ((0, 1), (0, 2)), None),
        ([[0, 1], [0, 2]], ((0, 1), (0, 2)), "counted from 0"),
        ([[1, 2], [2, 0]], ((1, 2), (2, 0)), "counted from 0"),
        ([[1.0, 2.0], [1, 3.0]], ((0, 1), (0, 2)), None),
        ([["nose", "left_ear"], ["nose", "right_ear"]], ((0, 1), (0, 2)), None),
        ([["1", "2"]], ((0, 1),), None),
        ([[1, 2], [1, 4]], ((0, 1),), r"limbs that do not name two of the joints are ignored: \[1, 4\]"),
        ([[1, 2], [1.5, 2], [1, 2, 3], 7, None, [True, 2]], ((0, 1),), "are ignored"),
        ([["tail", "nose"]], (), "are ignored"),
        ([[-1, 2], [math.nan, 1], [10**30, 1]], (), "are ignored"),
        (5, (), "are ignored"),
        ({"a": 1}, (), "are ignored"),
        ("nose", (), "are ignored"),
        (None, (), None),
    ],
)
def test_limbs_that_can_be_used_are(pairs: Any, limbs: tuple[Any, ...], note: str | None) -> None:
    problems = Problems()
    skeleton = skeleton_from_category({"name": "mouse", "keypoints": NAMES, "skeleton": pairs}, problems)
    assert skeleton.limbs == limbs
    if note is None:
        assert not problems.notes
    else:
        with pytest.raises(AssertionError, match=note):
            raise AssertionError("; ".join(problems.notes))


@pytest.mark.parametrize(
    ("fields", "flips"),
    [
        ({"flip_pairs": [[2, 3]]}, ((1, 2),)),
        ({"flip_pairs": [[2, 3], [3, 2], [1, 1]]}, ((1, 2),)),
        ({"flip_pairs": []}, ()),  # states that there are none
        ({"flip_pairs": [[0, 1]]}, ((0, 1),)),
        ({"flip_pairs": [[1, 2]], "skeleton": [[0, 1]]}, ((1, 2),)),  # one convention for both
        ({"flip_pairs": [[1, 2], [1, 3]]}, ((1, 2),)),  # cannot be used: by name
        ({"flip_pairs": [[1, 9]]}, ((1, 2),)),
        ({"flip_pairs": None}, ((1, 2),)),
        ({"flip_pairs": "x"}, ((1, 2),)),
    ],
)
def test_flip_pairs_that_cannot_be_used_follow_from_the_names(fields: Any, flips: tuple[Any, ...]) -> None:
    assert skeleton_from_category({"keypoints": NAMES, **fields}).flip_pairs == flips


@pytest.mark.parametrize("sigmas", ["x", [0.1], [0.1, 0.1, 0], [0.1, 0.1, math.nan], [0.1, 0.1, "a"], {}, 3])
@pytest.mark.parametrize("colors", ["x", ["#ffffff"], [1, 2, 3]])
def test_sigmas_and_colors_that_cannot_be_used_are_ignored(sigmas: Any, colors: Any) -> None:
    category = {"keypoints": NAMES, "sigmas": sigmas, "keypoint_colors": colors}
    skeleton = skeleton_from_category(category)
    assert skeleton == skeleton_from_category({"keypoints": NAMES})
    assert skeleton.colors == ()


def test_the_users_skeleton_wins_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = content()
    values["categories"][0]["skeleton"] = [[1, 9], "x"]
    labels = read_labels(put(tmp_path, values), ReadOptions(skeleton=OWN))
    assert labels.skeleton == OWN
    assert not caplog.records
    assert read_labels(tmp_path / "labels.json").skeleton.limbs == ()
    assert "2, the first is" in caplog.text or "limbs that do not name" in caplog.text


@pytest.mark.parametrize(
    ("ids", "references", "numbers"),
    [
        (("a", "b"), ("a", "b"), [1, 2]),
        ((1.0, 2.0), (1.0, 2.0), [1, 2]),
        ((1, 2), ("1", "2"), [1, 2]),
        (("1", "2"), (1, 2), [1, 2]),
        (("7", 7), ("7", 7), [8, 7]),
        (("a", 9), ("a", 9), [10, 9]),
        ((-3, "b"), (-3, "b"), [-3, 1]),
        (("007", 1), (7, 1), [7, 1]),
        ((None, None), ("1.png", "2"), [1, 2]),
        ((5, 6), ("1.png", "2.png"), [5, 6]),
        ((2.5, "é"), (2.5, "é"), [1, 2]),
        ((10**30, 1), (10**30, 1), [10**30, 1]),
    ],
)
def test_ids_of_images_are_keys(tmp_path: Path, ids: Any, references: Any, numbers: list[int]) -> None:
    values = content()
    for i in (0, 1):
        values["images"][i]["id"] = ids[i]
        values["annotations"][i]["image_id"] = references[i]
        values["annotations"][i]["keypoints"] = [i + 1.0, 5, 2, *POINTS[3:]]
    labels = read_labels(put(tmp_path, values))
    assert [image.id for image in labels] == numbers
    assert [image.annotation.keypoints[0, 0, 0] for image in labels] == [1, 2]


@pytest.mark.parametrize("value", [[], {}, True, math.nan, math.inf])
def test_what_is_no_id_is_an_error(tmp_path: Path, value: Any) -> None:
    values = content()
    values["images"][0]["id"] = value
    with pytest.raises(LabelError, match=r"images\[0\] needs an id, got"):
        read_labels(put(tmp_path, values))
    with pytest.raises(LabelError, match="annotation 1 has image_id"):
        read_labels(put(tmp_path, content(image_id=value)))


@pytest.mark.parametrize("key", [None, "x", 1.0, 2, [], "2"])
def test_ids_of_annotations_refuse_nothing(tmp_path: Path, key: Any) -> None:
    labels = read_labels(put(tmp_path, content(id=key)))
    assert [len(image.annotation) for image in labels] == [1, 1]


def test_annotations_and_categories_without_ids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = without(content(), "annotations", "id", "category_id")
    del values["categories"][0]["id"]
    labels = read_labels(put(tmp_path, values))
    assert [len(image.annotation) for image in labels] == [1, 1]
    assert "annotations without an id are counted: 2, the first is annotations[0]" in caplog.text
    values["annotations"][1]["keypoints"] = [1]
    with pytest.raises(LabelError, match=r"annotations\[1\]: keypoints must be"):
        read_labels(put(tmp_path, values))


@pytest.mark.parametrize(
    "size", [(60.0, 40.0), ("60", "40"), (None, None), (0, 40), (-60, 40), ("wide", 40), (60.5, 40)]
)
def test_sizes_are_read_or_measured(tmp_path: Path, size: Any) -> None:
    values = content()
    values["images"][0] |= {"width": size[0], "height": size[1]}
    assert [image.size for image in read_labels(put(tmp_path, values))] == [SIZE, SIZE]
    (tmp_path / "1.png").write_bytes(b"no image")
    if size not in ((60.0, 40.0), ("60", "40")):
        with pytest.raises(
            LabelError, match=r"labels\.json: image 1 needs a width and a height in pixels.* and .*1\.png"
        ):
            read_labels(tmp_path / "labels.json")
        kept = read_labels(tmp_path / "labels.json", ReadOptions(problems=Problems(skip=True)))
        assert [image.id for image in kept] == [2]


BARE: list[dict[str, Any]] = [{"keypoints": None}, {"keypoints": []}, {"keypoints": [0] * 9}]


@pytest.mark.parametrize("row", BARE)
def test_a_box_without_keypoints_is_a_region_to_ignore(tmp_path: Path, row: dict[str, Any]) -> None:
    first, second = read_labels(put(tmp_path, content(**row, area=None)))
    assert first.annotation.labeled.tolist() == [False]
    assert first.annotation.crowd.tolist() == [False]
    assert np.isnan(first.annotation.keypoints).all()
    np.testing.assert_array_equal(first.annotation.boxes, [[8, 10, 30, 30]])
    np.testing.assert_allclose(first.annotation.areas, AREA_PER_BOX * 900)
    assert second.annotation.labeled.tolist() == [True]


@pytest.mark.parametrize("row", BARE)
def test_an_outline_without_a_box_has_one(tmp_path: Path, row: dict[str, Any]) -> None:
    outline = [[5, 6, 25, 6, 25, 16.5], [4, 8, 5, 8, 5, 9]]
    first, _ = read_labels(put(tmp_path, content(**row, bbox=None, segmentation=outline)))
    np.testing.assert_array_equal(first.annotation.boxes, [[4, 6, 21, 10.5]])
    for nothing in ([], None, {"counts": "x", "size": [1, 2]}, [[]], "x", [[1, "a"]], [[1, 2, 3]]):
        with pytest.raises(LabelError, match="annotation 1 has neither a bbox nor a labeled joint"):
            read_labels(put(tmp_path, content(**row, bbox=None, segmentation=nothing)))


@pytest.mark.parametrize("bbox", [[math.nan] * 4, [None] * 4, [0, 0, math.inf, 5], [], None])
def test_a_box_without_numbers_is_computed(tmp_path: Path, bbox: Any) -> None:
    first, _ = read_labels(put(tmp_path, content(bbox=bbox, area=math.nan)))
    np.testing.assert_array_equal(first.annotation.boxes, [[10, 12, 20, 20]])
    np.testing.assert_allclose(first.annotation.areas, AREA_PER_BOX * 400)


def test_unused_categories_are_no_problem(tmp_path: Path) -> None:
    values = content()
    values["categories"] = [
        {"id": 5, "name": "hand", "keypoints": ["thumb"], "skeleton": [[7, 8]]},
        *values["categories"],
        {"id": "cage", "name": "cage"},
    ]
    values["annotations"].append({"id": 9, "image_id": 1, "category_id": "cage", "bbox": [0, 0, 5, 5]})
    values["annotations"].append(
        {"id": 10, "image_id": 1, "category_id": 5, "bbox": [0, 0, 5, 5], "keypoints": [0] * 3}
    )
    labels = read_labels(put(tmp_path, values))
    assert labels.skeleton.joints == tuple(NAMES)
    assert labels.classes == ()
    assert [len(image.annotation) for image in labels] == [1, 1]


def test_one_of_several_categories_is_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = content()
    values["categories"].append({"id": 2, "name": "hand", "keypoints": ["thumb", "palm"]})
    values["annotations"].append({"id": 9, "image_id": 2, "category_id": 2, "keypoints": [1, 2, 2, 3, 4, 2]})
    path = put(tmp_path, values)
    message = "mouse with 3 keypoints in 2 annotations, hand with 2 keypoints in 1 annotations.*--category NAME"
    with pytest.raises(LabelError, match=message):
        read_labels(path)
    mice, hands = (read_labels(path, ReadOptions(category=name)) for name in ("mouse", "hand"))
    assert [len(image.annotation) for image in mice] == [1, 1]
    assert [len(image.annotation) for image in hands] == [0, 1]
    assert hands.skeleton.joints == ("thumb", "palm")
    assert "annotations of other categories are skipped: 2, the first is annotation 1" in caplog.text
    with pytest.raises(LabelError, match="no category 'rat' has keypoints: expected one of mouse, hand"):
        read_labels(path, ReadOptions(category="rat"))


def classes(folder: Path) -> Path:
    values = content()
    values["categories"].append({"id": 7, "name": "rat", "keypoints": NAMES, "skeleton": [[1, 2]]})
    values["annotations"].append({"id": 9, "image_id": 2, "category_id": 7, "keypoints": POINTS})
    return put(folder, values)


def test_categories_with_the_same_keypoints_are_classes(tmp_path: Path) -> None:
    labels = read_labels(classes(tmp_path))
    assert labels.classes == ("mouse", "rat")
    assert labels.skeleton.limbs == ((0, 1),)
    assert [image.annotation.classes.tolist() for image in labels if image.annotation.classes is not None] == [
        [0],
        [0, 1],
    ]
    only = read_labels(tmp_path / "labels.json", ReadOptions(category="rat"))
    assert only.classes == ()
    assert only.images[1].annotation.classes is None


@pytest.mark.parametrize("name", ["again.json", "again.csv"])
def test_classes_survive_writing(tmp_path: Path, name: str) -> None:
    labels = read_labels(classes(tmp_path))
    write_labels(labels, tmp_path / name)
    write_skeleton(labels.skeleton, skeleton_beside(tmp_path / name))  # as convert does
    again = read_labels(tmp_path / name)
    assert again.classes == labels.classes
    assert_same(labels, again)
    if name.endswith("json"):
        assert again.skeleton == labels.skeleton
        written = json.loads((tmp_path / name).read_text())
        assert [(row["id"], row["name"]) for row in written["categories"]] == [(1, "mouse"), (2, "rat")]
        assert [row["category_id"] for row in written["annotations"]] == [1, 1, 2]


def test_one_category_is_written_as_ever(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, content()))
    write_coco(labels, tmp_path / "again.json")
    (category,) = json.loads((tmp_path / "again.json").read_text())["categories"]
    assert list(category) == ["id", "name", "keypoints", "skeleton", "flip_pairs", "sigmas"]


def visible(path: Path, **options: Any) -> list[list[int]]:
    return [image.annotation.visibility[0].tolist() for image in read_labels(path, ReadOptions(**options))]


def with_v(*v: Any) -> list[Any]:
    return [value for i, one in enumerate(v) for value in (POINTS[3 * i], POINTS[3 * i + 1], one)]


def test_a_confidence_anywhere_makes_all_of_the_file_confidences(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(tmp_path, content(keypoints=with_v(0.87, 0.3, 1)))
    assert visible(path) == [[2, 0, 2], [2, 2, 2]]  # the second annotation has 2, 1, 2
    assert "v is a confidence: 5 keypoints of at least 0.5 are labeled, 1 are not" in caplog.text
    assert visible(path, confidence=0.2) == [[2, 2, 2], [2, 2, 2]]
    assert visible(path, confidence=0.9) == [[0, 0, 2], [2, 2, 2]]
    assert visible(put(tmp_path, content(keypoints=with_v(0.5, 1.04, 0)))) == [[2, 2, 0], [2, 2, 2]]


def test_whole_numbers_are_cocos_visibility(tmp_path: Path) -> None:
    assert visible(put(tmp_path, content(keypoints=with_v(1.0, 2.0, 0.0), score=0.3))) == [[1, 2, 0], [2, 1, 2]]


@pytest.mark.parametrize("v", [1.5, 3, -0.5, math.inf, -2])
def test_other_values_of_v_are_errors(tmp_path: Path, v: float) -> None:
    with pytest.raises(LabelError, match=r"labels\.json: annotation 1: v must be 0 .* or a confidence.*got"):
        visible(put(tmp_path, content(keypoints=with_v(2, v, 2))))


@pytest.mark.parametrize("place", [math.nan, None, math.inf, 5.0])
@pytest.mark.parametrize("v", [0, math.nan, None, -1])
def test_keypoints_that_are_not_labeled_may_be_anywhere(tmp_path: Path, place: Any, v: Any) -> None:
    keypoints = [place, place, v, *POINTS[3:]]
    (first, _) = read_labels(put(tmp_path, content(keypoints=keypoints)))
    assert first.annotation.visibility.tolist() == [[0, 1, 2]]
    assert np.isnan(first.annotation.keypoints[0, 0]).all()
    np.testing.assert_array_equal(first.annotation.keypoints[0, 1], [20, 22])


@pytest.mark.parametrize("place", [math.nan, None, math.inf])
@pytest.mark.parametrize("v", [1, 2, 0.7])
def test_a_labeled_keypoint_needs_a_place(tmp_path: Path, place: Any, v: Any) -> None:
    path = put(tmp_path, content(keypoints=[*POINTS[:3], place, 4, v, *POINTS[6:]]))
    with pytest.raises(LabelError, match="annotation 1: left_ear has v > 0 and must be at finite numbers"):
        read_labels(path)
    problems = Problems(skip=True)
    assert [len(image.annotation) for image in read_labels(path, ReadOptions(problems=problems))] == [0, 1]
    assert len(problems.skipped) == 1


def test_notes_are_one_line_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = without(content(keypoints=with_v(-1, 2, 2)), "images", "width")
    values["categories"][0]["skeleton"] = [[0, 1]]
    with caplog.at_level(logging.WARNING):
        read_labels(put(tmp_path, values))
    assert len(caplog.messages) == 3
    assert all("labels.json: " in line and "\n" not in line for line in caplog.messages)
