"""CelebA's and MAFL's lists."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.media.images import write_image
from cairn.structures.skeleton import load_skeleton
from support.face_sets import make_celeba, names

ALIGNED = "Anno/list_landmarks_align_celeba.txt"
WILD = "Anno/list_landmarks_celeba.txt"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_aligned_images_have_their_points_and_splits(tmp_path: Path, end: str) -> None:
    root = make_celeba(tmp_path, end=end)
    labels = read_labels(root / ALIGNED)
    assert labels.skeleton == load_skeleton("face5")
    assert [image.path.name for image in labels] == names(10)
    assert [image.split for image in labels] == ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    assert {image.size for image in labels} == {(218, 178)}
    annotation = labels.images[0].annotation
    numbers = (root / ALIGNED).read_text().splitlines()[2].split()[1:]
    stated = np.array(numbers, float).reshape(5, 2)
    left = labels.skeleton.index("left_eye")
    np.testing.assert_array_equal(annotation.keypoints[0, left], stated[1])  # the left eye of the person
    assert annotation.keypoints[0, left, 0] > annotation.keypoints[0, labels.skeleton.index("right_eye"), 0]
    np.testing.assert_array_equal(annotation.keypoints[0, labels.skeleton.index("mouth_right")], stated[3])
    np.testing.assert_array_equal(annotation.boxes[0, :2], stated.min(axis=0))


def test_images_as_they_are_have_boxes_and_own_sizes(tmp_path: Path) -> None:
    labels = read_labels(make_celeba(tmp_path) / WILD)
    assert [image.size for image in labels][:3] == [(300, 400), (301, 400), (302, 400)]
    np.testing.assert_array_equal(labels.images[3].annotation.boxes, [[100, 150, 160, 193]])
    assert labels.images[0].path.parent.name == "img_celeba"


def test_an_empty_box_is_that_of_the_points_with_a_note(tmp_path: Path) -> None:
    root = make_celeba(tmp_path)
    file = root / "Anno/list_bbox_celeba.txt"
    file.write_text(file.read_text().replace(" 100  150  160  192 ", "   0    0    0    0 "))
    problems = Problems()
    labels = read_labels(root / WILD, ReadOptions(problems=problems))
    points = labels.images[2].annotation.keypoints[0]
    np.testing.assert_array_equal(labels.images[2].annotation.boxes[0, :2], points.min(axis=0))
    assert ["get that of their points: 000003.jpg" in note for note in problems.notes] == [True]


def test_the_folder_and_mafl_take_the_aligned_images(tmp_path: Path) -> None:
    root = make_celeba(tmp_path)
    assert detect_format(root).name == "celeba"
    assert {image.path.parent.name for image in read_labels(root)} == {"img_align_celeba"}
    training, testing = (read_labels(root / f"MAFL/{name}.txt") for name in ("training", "testing"))
    assert [image.path.name for image in training] == names(10)[:4]
    assert [image.path.name for image in testing] == names(10)[-3:]
    assert (training.splits, testing.splits) == (("train",), ("test",))
    everything = read_labels(root)
    np.testing.assert_array_equal(testing.images[0].annotation.keypoints, everything.images[7].annotation.keypoints)


def test_all_lists_may_be_in_one_folder_beside_the_images(tmp_path: Path) -> None:
    root = make_celeba(tmp_path / "a", wild=False)
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in (*root.glob("Anno/*"), *root.glob("Eval/*")):
        file.rename(flat / file.name)
    nested = flat / "img_align_celeba/img_align_celeba"  # as archives are extracted
    nested.parent.mkdir()
    (root / "Img/img_align_celeba").rename(nested)
    labels = read_labels(flat / "list_landmarks_align_celeba.txt")
    assert labels.splits == ("train", "val", "test")
    assert {image.path.parent for image in labels} == {nested}


def test_csv_files_and_png_images_are_read(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    expected = read_labels(root / ALIGNED)
    for file in (root / ALIGNED, root / "Eval/list_eval_partition.txt"):
        lines = [",".join(line.split()) for line in file.read_text().splitlines()]
        lines = [f"image_id,{lines[1]}", *lines[2:]] if "Anno" in file.parts else ["image_id,partition", *lines]
        file.with_suffix(".csv").write_text("\n".join(lines) + "\n")
        file.unlink()
    for image in (root / "Img/img_align_celeba").iterdir():
        write_image(image.with_suffix(".png"), np.zeros((218, 178, 3), np.uint8))
        image.unlink()
    labels = read_labels((root / ALIGNED).with_suffix(".csv"))
    assert [image.split for image in labels] == [image.split for image in expected]
    assert {image.path.suffix for image in labels} == {".png"}
    np.testing.assert_array_equal(
        [image.annotation.keypoints for image in labels], [image.annotation.keypoints for image in expected]
    )


def test_aligned_images_of_another_size_are_measured(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    for name in names(10):
        write_image(root / "Img/img_align_celeba" / name, np.zeros((256, 256, 3), np.uint8))
    assert {image.size for image in read_labels(root / ALIGNED)} == {(256, 256)}


@pytest.mark.parametrize("header", ["", "10\n", "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y a b c d\n"])
def test_the_count_and_the_header_may_be_missing(tmp_path: Path, header: str) -> None:
    root = make_celeba(tmp_path, wild=False)
    expected = read_labels(root / ALIGNED)
    rows = (root / ALIGNED).read_text().splitlines()[2:]
    (root / ALIGNED).write_text(header + "\n".join(rows))
    labels = read_labels(root / ALIGNED)
    assert len(labels) == 10
    np.testing.assert_array_equal(labels.images[9].annotation.keypoints, expected.images[9].annotation.keypoints)


def test_another_count_than_stated_is_noted(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    (root / ALIGNED).write_text("202599" + (root / ALIGNED).read_text()[2:])
    problems = Problems()
    assert len(read_labels(root / ALIGNED, ReadOptions(problems=problems))) == 10
    assert [note for note in problems.notes if "10, stated 202599" in note]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("000003.jpg", "000002.jpg", r"line 5 is 000002\.jpg, as line 4 is"),
        ("000003.jpg  ", "000003.jpg nan ", "line 5 must be an image name and 10 finite numbers"),
        ("000003.jpg  ", "000003.jpg 1e99 ", "line 5 must be an image name and 10 finite numbers"),
        ("000003.jpg  ", "000003.jpg 7 7 ", "line 5 must be an image name and 10 finite numbers"),
        ("000003.jpg ", " ", "line 5 must be an image name and 10 finite numbers"),
        ("000003.jpg", "000003.jpg\n000003x.jpg", "line 5 must be an image name and 10 finite numbers"),
    ],
)
def test_an_invalid_line_is_a_one_line_error(tmp_path: Path, old: str, new: str, message: str) -> None:
    root = make_celeba(tmp_path, wild=False)
    (root / ALIGNED).write_text((root / ALIGNED).read_text().replace(old, new, 1))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(root / ALIGNED)
    assert "\n" not in str(caught.value)


def test_invalid_lines_and_missing_images_are_skipped_on_request(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    (root / ALIGNED).write_text((root / ALIGNED).read_text().replace("000003.jpg  ", "000003.jpg x ", 1))
    (root / "Img/img_align_celeba/000005.jpg").unlink()
    problems = Problems(skip=True)
    labels = read_labels(root / ALIGNED, ReadOptions(problems=problems))
    assert [image.path.name for image in labels] == [name for name in names(10) if name[5] not in "35"]
    assert len(problems.skipped) == 2


def test_missing_images_are_a_one_line_error_with_their_number(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    for name in names(10)[2:5]:
        (root / "Img/img_align_celeba" / name).unlink()
    with pytest.raises(LabelError, match=r"3 of 10 images are missing, the first is .*000003\.jpg.*--images"):
        read_labels(root / ALIGNED)
    assert len(read_labels(root / ALIGNED, ReadOptions(missing_ok=True))) == 10


def test_a_split_is_read_alone(tmp_path: Path) -> None:
    root = make_celeba(tmp_path, wild=False)
    assert [image.path.name for image in read_labels(root, ReadOptions(split="val"))] == names(10)[6:8]
    (root / "Eval/list_eval_partition.txt").unlink()
    with pytest.raises(LabelError, match=r"no images of split val: list_eval_partition\.txt"):
        read_labels(root, ReadOptions(split="val"))


def test_the_images_decide_between_both_lists(tmp_path: Path) -> None:
    root = make_celeba(tmp_path)
    wild = read_labels(root / "MAFL/testing.txt", ReadOptions(images=root / "Img/img_celeba"))
    assert {image.size[1] for image in wild} == {400}
    aligned = read_labels(root / "MAFL/testing.txt", ReadOptions(images=root / "Img/img_align_celeba"))
    assert {image.size for image in aligned} == {(218, 178)}


def test_lists_without_points_say_what_belongs_to_them(tmp_path: Path) -> None:
    root = make_celeba(tmp_path / "celeba")
    with pytest.raises(LabelError, match=r"has CelebA's boxes alone: give list_landmarks_celeba\.txt"):
        read_labels(root / "Anno/list_bbox_celeba.txt")
    with pytest.raises(LabelError, match="has CelebA's splits alone"):
        read_labels(root / "Eval/list_eval_partition.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/names.txt").write_text("000001.jpg\n000002.jpg\n")
    with pytest.raises(LabelError, match="is a list of image names"):
        read_labels(tmp_path / "other/names.txt")
    (root / "MAFL/testing.txt").write_text("000001.jpg\n777777.jpg\n")
    with pytest.raises(LabelError, match=r"777777\.jpg is not in .*list_landmarks_align_celeba"):
        read_labels(root / "MAFL/testing.txt")
    partition = root / "Eval/list_eval_partition.txt"
    partition.write_text(partition.read_text().replace("000002.jpg 0", "000002.jpg 3"))
    with pytest.raises(LabelError, match=r"000002\.jpg must be 0, 1 or 2"):
        read_labels(root / ALIGNED)
