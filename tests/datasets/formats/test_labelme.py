"""LabelMe's JSON, as LabelMe 3 to 5, AnyLabeling and X-AnyLabeling write it."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import LabelError
from cairn.media.images import read_image
from cairn.structures.skeleton import load_skeleton
from support.made_labels import SIZE, assert_same, draw_images, make_labels


def point(label: str, x: float, y: float, group: Any = None, **more: Any) -> dict[str, Any]:
    return {"label": label, "points": [[x, y]], "group_id": group, "shape_type": "point", "flags": {}, **more}


def box(label: str, group: Any, corners: Any = ((1, 2), (31, 32)), kind: str = "rectangle") -> dict[str, Any]:
    return {"label": label, "points": [list(c) for c in corners], "group_id": group, "shape_type": kind, "flags": {}}


def file(path: Path, *shapes: Any, **more: Any) -> Path:
    """A label file of the image beside it."""
    content = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": f"{path.stem}.png"}
    content |= {"imageData": None, "imageHeight": SIZE[0], "imageWidth": SIZE[1], **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def one(labels: Labels) -> Any:
    (image,) = labels
    return image.annotation


def test_groups_are_instances_with_the_box_of_their_rectangle(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    path = file(
        tmp_path / "a.json",
        point("nose", 10.5, 20.25, 1),
        point("tail", 30, 31, 1, flags={"occluded": True}),
        box("mouse", 1),
        point("tail", 50, 5, 2),
        box("mouse", 2, [(40, 1), (40, 9), (59, 9)], "polygon"),
    )
    labels = read_labels(path)
    assert (labels.skeleton.name, labels.skeleton.joints, labels.classes) == ("mouse", ("nose", "tail"), ())
    rows = one(labels)
    np.testing.assert_array_equal(rows.keypoints, [[[10.5, 20.25], [30, 31]], [[np.nan, np.nan], [50, 5]]])
    np.testing.assert_array_equal(rows.visibility, [[2, 1], [0, 2]])
    np.testing.assert_array_equal(rows.boxes, [[1, 2, 30, 30], [40, 1, 19, 8]])


def test_points_without_a_group_are_one_instance(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    file(tmp_path / "a.json", point("nose", 1, 2), point("tail", 3, 4))
    file(tmp_path / "b.json", box("mouse", None), point("nose", 5, 6))
    labels = read_labels(tmp_path)
    assert [len(image.annotation) for image in labels] == [1, 1]
    np.testing.assert_array_equal(labels.images[1].annotation.boxes, [[1, 2, 30, 30]])


def test_points_without_a_group_belong_to_the_only_box_around_them(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    boxes = box("mouse", None, [(0, 0), (20, 20)]), box("mouse", None, [(15, 0), (50, 20)])
    path = file(tmp_path / "a.json", *boxes, point("nose", 5, 5), point("nose", 40, 5))
    np.testing.assert_array_equal(one(read_labels(path)).keypoints[:, 0], [[5, 5], [40, 5]])
    path = file(tmp_path / "a.json", *boxes, point("nose", 17, 5))
    with pytest.raises(LabelError, match=r"a\.json: the point 'nose' is inside 2 boxes: tie it to one with group_id"):
        read_labels(path)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([point("nose", 1, 2), point("nose", 3, 4), point("tail", 3, 4)], "'nose' occurs twice without group_id"),
        ([point("nose", 1, 2, 1), point("nose", 3, 4, 1)], "group_id 1 has the point 'nose' twice"),
        ([point("nose", 1, 2, 1), box("a", 1), box("a", 1)], "group_id 1 has several boxes"),
        ([point("nose", float("nan"), 2)], "must be a finite number"),
        ([point("nose", 1e300, 2)], "must be a finite number"),
        ([point("nose", "x", 2)], "must be a number, got 'x'"),
        ([{"label": "nose", "points": []}], r"shapes\[0\] needs points"),
        ([{"points": [[1, 2]]}], r"shapes\[0\] needs a label"),
        ([point(" ", 1, 2)], r"a point at \[1\.0, 2\.0\] has no label"),
        (["nose"], r"shapes\[0\] needs a label"),
        ([point("nose", 1, 2, {})], "group_id must be a number or a text"),
        ([], "no instance has a labeled joint"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, shapes: list[Any], message: str) -> None:
    draw_images(tmp_path, ("a.png",))
    with pytest.raises(LabelError, match=rf"a\.json.*{message}") as caught:
        read_labels(file(tmp_path / "a.json", *shapes))
    assert "\n" not in str(caught.value)


def test_invalid_shapes_and_files_are_skipped_and_counted(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    file(tmp_path / "a.json", point("nose", 1, 2), point("tail", float("inf"), 2))
    file(tmp_path / "b.json", point("nose", 1, 2), imagePath=None)
    problems = Problems(skip=True)
    assert len(read_labels(tmp_path, ReadOptions(problems=problems))) == 1
    assert len(problems.skipped) == 2


def test_categories_with_the_same_keypoints_stay_apart(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    shapes = [point("nose", 1, 2, 1), box("cat", 1), point("nose", 3, 4, 2), point("ear", 9, 9, 2), box("dog", 2)]
    path = file(tmp_path / "a.json", *shapes, box("dog", None), box("cage", None))
    problems = Problems(log_notes=False)
    labels = read_labels(path, ReadOptions(problems=problems))
    assert labels.classes == ("cat", "dog")
    assert one(labels).classes.tolist() == [0, 1, 1]  # the box without points is of a dog
    assert any("boxes whose label has no keypoints are ignored" in note for note in problems.notes)
    assert len(one(read_labels(path, ReadOptions(category="cat")))) == 1
    with pytest.raises(LabelError, match="no category 'cow': it has cat, dog"):
        read_labels(path, ReadOptions(category="cow"))


def test_categories_with_different_keypoints_need_a_choice(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    path = file(tmp_path / "a.json", point("nose", 1, 2, 1), box("cat", 1), point("wheel", 3, 4, 2), box("car", 2))
    with pytest.raises(LabelError, match=r"different keypoints \(car has wheel, cat has nose\): .*--category"):
        read_labels(path)
    labels = read_labels(path, ReadOptions(category="car"))
    assert (labels.skeleton.joints, len(one(labels))) == (("wheel",), 1)


def test_version_3_has_neither_shape_types_nor_groups(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    shapes = [
        {"label": "nose", "line_color": None, "fill_color": None, "points": [[7, 8]]},
        {"label": "mouse", "line_color": None, "fill_color": None, "points": [[1, 2], [30, 2], [30, 20]]},
    ]
    content = {"shapes": shapes, "lineColor": [0, 255, 0, 128], "imagePath": "a.png", "imageData": None}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (image,) = read_labels(tmp_path / "a.json")
    assert image.size == SIZE
    np.testing.assert_array_equal(image.annotation.boxes, [[1, 2, 29, 18]])


def test_x_anylabeling(tmp_path: Path) -> None:
    """Rectangles of 4 corners, text ids, occluded points as difficult, more fields; other shapes are ignored."""
    draw_images(tmp_path, ("a.png",))
    corners = box("mouse", "7a", [(1, 2), (9, 2), (9, 8), (1, 8)]) | {"score": 0.9, "attributes": {}}
    path = file(
        tmp_path / "a.json",
        corners,
        point("nose", 3, 4, "7a", difficult=False, attributes={}, kie_linking=[], score=None, description=None),
        point("tail", 5, 6, "7a", difficult=True),
        point("ear", 5, 6, "7a", flags={"visible": False}),
        point("paw", 5, 6, "7a", attributes={"visibility": "0"}),
        {"label": "rope", "points": [[1, 1], [2, 2]], "shape_type": "line"},
        checked=True,
    )
    rows = one(read_labels(path))
    np.testing.assert_array_equal(rows.boxes, [[1, 2, 8, 6]])
    np.testing.assert_array_equal(rows.visibility, [[2, 1, 1]])


@pytest.mark.parametrize("name", ["..\\images\\a b ü.png", "../images/a b ü.png", "C:\\data\\a b ü.png", "a b ü.png"])
def test_images_in_a_folder_beside_the_labels_are_found(tmp_path: Path, name: str) -> None:
    draw_images(tmp_path / "set/images", ("a b ü.png",))
    path = file(tmp_path / "set/labels/a b ü.json", point("nose", 1, 2), imagePath=name)
    for source in (path, path.parent, path.parent.parent):
        (image,) = read_labels(source)
        assert image.path == tmp_path / "set/images/a b ü.png"


def test_of_several_images_with_a_name_that_with_the_stated_folder_is_read(tmp_path: Path) -> None:
    draw_images(tmp_path, ("images/a.png", "images/sub/a.png"))
    file(tmp_path / "labels/sub/a.json", point("nose", 1, 2), imagePath="../../images/sub/a.png")
    (image,) = read_labels(tmp_path / "labels")
    assert image.path == tmp_path / "images/sub/a.png"


def test_a_missing_image_is_taken_from_the_file(tmp_path: Path) -> None:
    draw_images(tmp_path / "elsewhere", ("x.png",))
    data = (tmp_path / "elsewhere/x.png").read_bytes()
    path = file(tmp_path / "set/a.json", point("nose", 1, 2), imageData=base64.b64encode(data).decode())
    with pytest.raises(LabelError, match="its image is in the file itself: cairn convert"):
        read_labels(path)
    (image,) = read_labels(path, ReadOptions(frames=tmp_path / "frames"))
    assert image.path.is_relative_to(tmp_path / "frames")
    np.testing.assert_array_equal(read_image(image.path), read_image(tmp_path / "elsewhere/x.png"))
    path = file(path, point("nose", 1, 2), imageData="AAAA")
    with pytest.raises(LabelError, match="its imageData"):
        read_labels(path, ReadOptions(frames=tmp_path / "frames"))


def test_joints_of_a_known_skeleton_have_its_order(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    joints = load_skeleton("coco17").joints
    path = file(tmp_path / "a.json", *(point(joint, i, i + 1) for i, joint in reversed(list(enumerate(joints)))))
    assert read_labels(path).skeleton is load_skeleton("coco17")
    path = file(tmp_path / "a.json", *(point(f"kp{i}", i, 1) for i in (10, 2, 1)))
    assert read_labels(path).skeleton.joints == ("kp1", "kp2", "kp10")


def test_an_embedded_image_does_not_hide_the_format(tmp_path: Path) -> None:
    """Keys may be sorted, so that a long text precedes all others."""
    (tmp_path / "a.json").write_text('{"imageData": "' + "A" * 200_000 + '", "shapes": []}')
    assert detect_format(tmp_path / "a.json").name == "labelme"
    (tmp_path / "b.json").write_text('{"shapes": 1, "images": [], "annotations": []}')
    assert detect_format(tmp_path / "b.json").name == "coco"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = make_labels(tmp_path / "set")
    lost = write_labels(labels, tmp_path / "set/out.labelme")
    assert {line.split(" ", 1)[1].split(":")[0] for line in lost} == {
        "track IDs are skipped",
        "images lose their video, subject and frame number",
        "areas are skipped",
    }
    again = read_labels(tmp_path / "set/out.labelme", ReadOptions(skeleton=labels.skeleton))
    assert_same(labels, again, 1e-5, but=("areas", "tracks"))
    assert [image.path for image in again] == [image.path for image in labels]
    content = json.loads((tmp_path / "set/out.labelme/sub/a.json").read_text())
    assert (content["imagePath"], content["shapes"]) == ("../../sub/a.png", [])


def test_images_that_differ_in_suffix_have_separate_files(tmp_path: Path) -> None:
    labels = make_labels(tmp_path, ("a.png", "a.jpg", "a_2.png"))
    write_labels(labels, tmp_path / "out.labelme")
    assert len(list((tmp_path / "out.labelme").iterdir())) == 3
