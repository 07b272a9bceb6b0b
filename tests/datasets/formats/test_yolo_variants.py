"""What real data.yaml files and label files differ in: optional information never refuses a data set."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton
from support.yolo_sets import LINE, POSE, yolo_set

pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")

WINGS = "kpt_shape: [3, 3]\nnames: [fly]\nkpt_names: {0: [head, wingL, wingR]}\n"


def read(root: Path, **options: object) -> tuple[Labels, tuple[str, ...]]:
    """The labels, and what was noted."""
    problems = Problems()
    return read_labels(root, ReadOptions(problems=problems, **options)), problems.notes  # type: ignore[arg-type]


@pytest.mark.parametrize("flips", ["[]", "", "[0, 1, 2]", "[0, 2, 1]"])
def test_flip_pairs_follow_from_names_where_flip_idx_has_none(tmp_path: Path, flips: str) -> None:
    labels, notes = read(yolo_set(tmp_path, f"{WINGS}flip_idx: {flips}\n"))
    assert labels.skeleton.flip_pairs == ((1, 2),)
    assert notes == ()


@pytest.mark.parametrize(
    "flips", ["[1, 2, 0]", "[0, 2, 3]", "[0, 2, 2]", "[0, 2]", "[0, -1, 1]", "[a, b, c]", "5", "{}"]
)
def test_an_invalid_flip_idx_is_noted(tmp_path: Path, flips: str) -> None:
    labels, (note,) = read(yolo_set(tmp_path, f"{WINGS}flip_idx: {flips}\n"))
    assert labels.skeleton.flip_pairs == ((1, 2),)
    assert "flip_idx" in note


@pytest.mark.parametrize(
    ("limbs", "expected", "noted"),
    [
        ("[[0, 1], [1, 2]]", ((0, 1), (1, 2)), 0),
        ("[[0.0, 1.0], ['1', 2]]", ((0, 1),), 1),  # '1' is no name of a joint
        ("[[head, wingL], [head, 2]]", ((0, 1), (0, 2)), 0),
        ("[[1, 2], [1, 3]]", ((0, 1), (0, 2)), 1),  # counted from 1, as in COCO
        ("[[0, 1], [1, 7], [0], 3, [0, 1, 2], [0, 1.5]]", ((0, 1),), 1),
        ("nothing", (), 1),
        ("[]", (), 0),
    ],
)
def test_limbs_that_can_be_used_are_kept(
    tmp_path: Path, limbs: str, expected: tuple[tuple[int, int], ...], noted: int
) -> None:
    labels, notes = read(yolo_set(tmp_path, f"{WINGS}skeleton: {limbs}\n"))
    assert labels.skeleton.limbs == expected
    assert len(notes) == noted


@pytest.mark.parametrize("sigmas", ["[0.1, 0.1]", "[0.1, 0.1, -1]", "[.nan, 0.1, 0.1]", "wide", "[a, b, c]"])
def test_invalid_sigmas_are_noted(tmp_path: Path, sigmas: str) -> None:
    labels, (note,) = read(yolo_set(tmp_path, f"{WINGS}sigmas: {sigmas}\n"))
    assert labels.skeleton.sigmas == (0.05,) * 3
    assert "sigmas" in note


@pytest.mark.parametrize("names", ["[head, w1]", "[a, a, b]", "head", "{0: [a, b]}", "{5: [a, b, c]}", "[['', b, c]]"])
def test_joint_names_that_do_not_fit_are_noted(tmp_path: Path, names: str) -> None:
    root = yolo_set(tmp_path, f"kpt_shape: [3, 3]\nnames: [fly]\nkpt_names: {names}\n")
    labels, (note,) = read(root)
    assert labels.skeleton.joints == ("point_0", "point_1", "point_2")
    assert "kpt_names" in note
    given = Skeleton("bug", ("x", "y", "z"))
    assert read(root, skeleton=given)[0].skeleton == given


@pytest.mark.parametrize("names", ["[head, w1, w2]", "[[head, w1, w2]]", "{0: [head, w1, w2]}", "{'0': [head, w1, w2]}",
                                   "{fly: [head, w1, w2]}"])  # fmt: skip
def test_spellings_of_joint_names(tmp_path: Path, names: str) -> None:
    labels, notes = read(yolo_set(tmp_path, f"kpt_shape: [3.0, '3']\nnames: [fly]\nkpt_names: {names}\n"))
    assert labels.skeleton.joints == ("head", "w1", "w2")
    assert notes == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: [fly]", "fly"),
        ("names: {0: fly}", "fly"),
        ("names: {'0': fly}", "fly"),
        ("names: fly", "fly"),
        ("names: [7]", "7"),
        ("nc: 1", "object"),
        ("nc: 1\nnames:", "object"),
        ("", "object"),
        ("nc: many\nnames: [fly]", "fly"),
    ],
)
def test_spellings_of_the_name_of_one_class(tmp_path: Path, names: str, expected: str) -> None:
    labels, notes = read(yolo_set(tmp_path, f"kpt_shape: [3, 3]\n{names}\n"))
    assert labels.skeleton.name == expected
    assert labels.classes == ()
    assert notes == ()


FLIES = "kpt_shape: [3, 3]\nnames: {0: fly, 1: bee, 2: moth}\n"
BEE = "1" + LINE[1:]


def test_classes_stay_apart(tmp_path: Path) -> None:
    labels, (note,) = read(
        yolo_set(tmp_path, FLIES, {"a": f"{BEE}\n{LINE}\n{BEE} \n".replace("0.25 1", "0.3 1", 1), "b": ""})
    )
    assert labels.classes == ("fly", "bee")
    classes = [image.annotation.classes for image in labels]
    assert [None if own is None else own.tolist() for own in classes] == [[1, 0, 1], [], [0]]
    assert note == "classes without labels are ignored: moth"


def test_one_class_is_chosen_by_category(tmp_path: Path) -> None:
    root = yolo_set(tmp_path, FLIES, {"a": f"{BEE}\n{LINE}\n{BEE}\n".replace("0.25 1", "0.3 1", 1)})
    labels, notes = read(root, category="bee")
    assert labels.skeleton.name == "bee"
    assert labels.classes == ()
    assert [len(image.annotation) for image in labels] == [2, 0, 0]
    assert notes == ()
    with pytest.raises(LabelError, match="no category wasp: expected one of fly, bee, moth"):
        read(root, category="wasp")
    with pytest.raises(LabelError, match="no instance has a labeled joint"):
        read(root, category="moth")


def test_classes_with_different_joints_need_a_choice(tmp_path: Path) -> None:
    data = FLIES + "kpt_names: {0: [head, w1, w2], 1: [head, w1, tail], 2: [x, y, z]}\n"
    root = yolo_set(tmp_path, data, {"a": BEE})
    with pytest.raises(
        LabelError, match=r"classes fly \(head, w1, w2\) and bee \(.*tail\) have different .*--category"
    ):
        read(root)
    assert read(root, category="bee")[0].skeleton.joints == ("head", "w1", "tail")
    assert read(root, category="fly")[0].skeleton.joints == ("head", "w1", "w2")
    alone = yolo_set(tmp_path / "alone", data)  # only flies are labeled
    assert read(alone)[0].skeleton.joints == ("head", "w1", "w2")


def test_a_class_without_a_name_is_noted(tmp_path: Path) -> None:
    labels, notes = read(yolo_set(tmp_path, POSE, {"a": "4" + LINE[1:]}))
    assert labels.classes == ("fly", "class_4")
    assert "class 4 of" in notes[0]
    assert "a.png" in notes[0]


def test_classes_of_the_same_name_are_one(tmp_path: Path) -> None:
    labels, _ = read(yolo_set(tmp_path, "kpt_shape: [3, 3]\nnames: [fly, fly]\nnc: 3\n", {"a": f"{LINE}\n{BEE}\n"}))
    assert labels.classes == ()
    assert len(labels.images[0].annotation) == 2


def test_a_box_alone_is_a_region_to_ignore(tmp_path: Path) -> None:
    labels, (note,) = read(yolo_set(tmp_path, POSE, {"a": f"0 0.25 0.5 0.5 1\n{LINE}\n"}))
    annotation = labels.images[0].annotation
    assert annotation.labeled.tolist() == [False, True]
    np.testing.assert_allclose(annotation.boxes[0], [0, 0, 30, 40])
    assert "regions to ignore" in note


def test_identical_lines_are_kept_and_noted(tmp_path: Path) -> None:
    text = f"{LINE}\n{LINE.replace(' ', '  ')} \n0 0.5 0.5 0.5 0.5 0.25 0.5 2 0.5 0.25 2 0 0 0\n{LINE}\n"
    labels, (note,) = read(yolo_set(tmp_path, POSE, {"a": text, "b": LINE}))
    assert [len(image.annotation) for image in labels] == [4, 1, 1]
    assert note.startswith("identical lines of a label file are kept: 2, the first is ")
    assert note.endswith("a.txt line 2")


@pytest.mark.parametrize("text", ["", "\n \n", f"{LINE} \t\r\n\r\n", f"  {LINE}", LINE.replace("0 0.5", "0.0 .5", 1)])
def test_blank_lines_and_spaces_do_not_matter(tmp_path: Path, text: str) -> None:
    labels, notes = read(yolo_set(tmp_path, POSE, {"a": text}))
    assert len(labels.images[0].annotation) == bool(text.strip())
    assert notes == ()


@pytest.mark.parametrize(
    "joint", ["nan nan 0", "0.5 0.5 -1", "NaN nan nan", "None None None", "null null 0", "-1 -1 0"]
)
def test_a_joint_that_is_not_labeled_has_many_spellings(tmp_path: Path, joint: str) -> None:
    labels, notes = read(yolo_set(tmp_path, POSE, {"a": LINE.replace("0.25 0.5 2", joint)}))
    assert labels.images[0].annotation.visibility.tolist() == [[0, 1, 0]]
    assert notes == ()


INVALID = [
    (LINE.replace(".", ","), "expected numbers with a decimal point, separated by spaces, got '0 0,5"),
    (LINE.replace(" ", ", "), "expected numbers with a decimal point, separated by spaces"),
    ("0 0.1 0.1 0.9 0.1 0.9 0.9 0.5 0.7", "by kpt_shape, got 9: a polygon of YOLO-seg"),
    ("0 0.5 0.5 0.5 0.5 0.25 0.5 0.5 0.25 0 0", r"expected 14 numbers by kpt_shape, got 11: kpt_shape \[3, 2\]"),
    ("0 30 20 30 20 15 20 2 30 10 1 0 0 0", "coordinates must be fractions of the image size, got 30"),
    (LINE.replace("0.25 0.5 2", "250 180 2"), "coordinates must be fractions of the image size, got 250"),
    ("-1" + LINE[1:], "the class must be a number from 0 on, got -1"),
    ("0.5" + LINE[1:], "the class must be a number from 0 on, got 0.5"),
    ("1e300" + LINE[1:], "the class must be a number from 0 on"),
    (LINE.replace("0.25 0.5 2", "nan 0.5 2"), "expected finite numbers, got nan"),
    (LINE.replace("0.25 0.5 2", "0.25 0.5 3"), "v must be 0 .* got 3"),
    (LINE.replace("0 0 0", "inf 0 0"), "expected finite numbers, got inf"),
    (LINE.replace(" ", "\0 "), "expected numbers"),
]


@pytest.mark.parametrize(("line", "message"), INVALID)
def test_an_invalid_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    root = yolo_set(tmp_path, POSE, {"a": f"{LINE}\n\n{line}\n"})
    with pytest.raises(LabelError, match=rf"a\.txt line 3: .*{message}") as caught:
        read_labels(root)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)
