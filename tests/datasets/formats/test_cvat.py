"""CVAT's XML for images and for video."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.datasets.writing import write_labels
from cairn.errors import LabelError
from cairn.media.images import read_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from support.made_labels import MOTH, SIZE, assert_same, draw_images, make_labels

SVG = (
    '&lt;line x1="1" y1="2" data-type="edge" data-node-from="2" data-node-to="1"&gt;&lt;/line&gt;'
    '&lt;circle r="0.75" data-type="element node" data-element-id="1" data-node-id="1" '
    'data-label-name="tail &amp;amp; tip"&gt;&lt;/circle&gt;'
    '&lt;circle r="0.75" data-type="element node" data-element-id="2" data-node-id="2" '
    'data-label-name="nose"&gt;&lt;/circle&gt;'
)
META = f"""<meta><task><id>4</id><name>bugs</name><labels>
  <label><name>bug</name><color>#ff0000</color><type>skeleton</type><attributes></attributes><svg>{SVG}</svg></label>
  <label><name>nose</name><type>points</type><attributes></attributes><parent>bug</parent></label>
  <label><name>tail &amp; tip</name><type>points</type><attributes></attributes><parent>bug</parent></label>
  <label><name>cage</name><type>rectangle</type><attributes></attributes></label>
</labels></task></meta>"""


def points(label: str, places: str, outside: int = 0, occluded: int = 0, more: str = "") -> str:
    flags = f'outside="{outside}" occluded="{occluded}"'
    return f'<points label="{label}" source="manual" {flags} points="{places}" {more}></points>'


def skeleton(*children: str, label: str = "bug", more: str = "") -> str:
    return f'<skeleton label="{label}" source="manual" z_order="0" {more}>{"".join(children)}</skeleton>'


def box(label: str, more: str = "") -> str:
    return f'<box label="{label}" occluded="0" xtl="1" ytl="2" xbr="31" ybr="22" {more}></box>'


def image(*shapes: str, name: str = "a.png", number: int = 0, more: str = "") -> str:
    return f'<image id="{number}" name="{name}" width="60" height="40" {more}>{"".join(shapes)}</image>'


def file(path: Path, *content: str, meta: str = META) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    body = f"<annotations><version>1.1</version>{meta}{''.join(content)}</annotations>"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{body}', encoding="utf-8")
    return path


BUG = (points("tail &amp; tip", "10.50,20.25", occluded=1), points("nose", "30.00,4.00"))


def test_skeletons_have_the_joints_and_limbs_of_the_schema(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("a.png", "b ü.png"))
    outside = points("nose", "30.00,4.00", outside=1)
    path = file(
        tmp_path / "annotations.xml",
        image(skeleton(*BUG, more='group_id="3"'), skeleton(BUG[0], outside), box("cage", 'group_id="3"'), box("cage")),
        image(name="b ü.png", number=1),
    )
    problems = Problems(log_notes=False)
    for source in (path, tmp_path):
        labels = read_labels(source, ReadOptions(problems=problems))
        assert (labels.skeleton.name, labels.skeleton.joints) == ("bug", ("nose", "tail & tip"))
        assert labels.skeleton.limbs == ((0, 1),)
        rows = labels.images[0].annotation
        np.testing.assert_array_equal(rows.keypoints, [[[30, 4], [10.5, 20.25]], [[np.nan, np.nan], [10.5, 20.25]]])
        np.testing.assert_array_equal(rows.visibility, [[2, 1], [0, 1]])
        np.testing.assert_array_equal(rows.boxes[0], [1, 2, 30, 20])
        assert len(labels.images[1].annotation) == 0
    assert "shapes that belong to no skeleton are ignored" in problems.notes[0]


def test_a_file_without_a_schema_has_the_joints_of_its_shapes(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    bare = skeleton(points("b", "1,2", outside=1), points("a", "3,4"))
    assert read_labels(file(tmp_path / "a.xml", image(bare), meta="")).skeleton.joints == ("b", "a")


def test_space_around_labels_does_not_matter(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    spaced = skeleton(points(" b", "1,2"), points("a ", "3,4")).replace('<skeleton label="', '<skeleton label=" ')
    assert read_labels(file(tmp_path / "a.xml", image(spaced), meta="")).skeleton.joints == ("b", "a")


def test_subsets_are_splits(tmp_path: Path) -> None:
    draw_images(tmp_path, ("images/Train/a.png", "images/Validation/a.png", "images/mine/c.png"))
    path = file(
        tmp_path / "annotations.xml",
        image(skeleton(*BUG), more='subset="Train" task_id="1"'),
        image(skeleton(*BUG), number=1, more='subset="Validation" task_id="2"'),
        image(skeleton(*BUG), name="c.png", number=2, more='subset="mine" task_id="3"'),
    )
    labels = read_labels(path)
    assert [entry.split for entry in labels] == ["train", "val", None]
    assert len({entry.path for entry in labels}) == 3
    (only,) = read_labels(path, ReadOptions(split="val"))
    assert only.path.parent.name == "Validation"
    with pytest.raises(LabelError, match="states no subsets"):
        read_labels(file(tmp_path / "b.xml", image(skeleton(*BUG), name="mine/c.png")), ReadOptions(split="val"))


def test_labels_with_the_same_joints_are_classes(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    shapes = skeleton(*BUG), skeleton(*reversed(BUG), label="ant"), skeleton(points("wheel", "1,2"), label="car")
    labels = read_labels(file(tmp_path / "a.xml", image(*shapes[:2])))
    assert labels.classes == ("ant", "bug")
    rows = labels.images[0].annotation
    assert rows.classes is not None
    assert rows.classes.tolist() == [1, 0]
    np.testing.assert_array_equal(rows.keypoints[0], rows.keypoints[1])
    path = file(tmp_path / "a.xml", image(*shapes))
    with pytest.raises(LabelError, match=r"different keypoints \(bug 2, car 1\): choose one with --category"):
        read_labels(path)
    assert read_labels(path, ReadOptions(category="car")).skeleton.joints == ("wheel",)
    with pytest.raises(LabelError, match=r"a\.xml"):
        read_labels(path, ReadOptions(category="cow"))


def test_points_alone_are_joints_or_rows_of_joints(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    alone = [
        f'<points label="{joint}" occluded="0" points="{place}"/>'
        for joint, place in (("nose", "1,2"), ("tail", "3,4"))
    ]
    grouped = [text.replace("/>", ' group_id="7"/>').replace(",", ".5,") for text in alone]
    labels = read_labels(file(tmp_path / "a.xml", image(*alone, *grouped, box("bug", 'group_id="7"')), meta=""))
    assert (labels.skeleton.name, labels.skeleton.joints) == ("bug", ("nose", "tail"))
    np.testing.assert_array_equal(labels.images[0].annotation.keypoints[:, :, 0], [[1.5, 3.5], [1, 3]])
    row = '<points label="bug" occluded="1" points="1,2;3,4;5,6" group_id="1"/>'
    other = '<points label="ant" occluded="0" points="1,2;3,4"/>'
    labels = read_labels(file(tmp_path / "a.xml", image(row, box("any", 'group_id="1"')), meta=""))
    assert labels.skeleton.joints == ("point_0", "point_1", "point_2")
    assert labels.images[0].annotation.visibility.tolist() == [[1, 1, 1]]
    np.testing.assert_array_equal(labels.images[0].annotation.boxes, [[1, 2, 30, 20]])
    named = Skeleton("bug", ("a", "b", "c"))
    assert read_labels(tmp_path / "a.xml", ReadOptions(skeleton=named)).skeleton == named
    path = file(tmp_path / "a.xml", image(row, other), meta="")
    with pytest.raises(LabelError, match=r"different numbers of points \(bug 3, ant 2\): choose one with --category"):
        read_labels(path)
    assert len(read_labels(path, ReadOptions(category="ant")).skeleton) == 2
    path = file(tmp_path / "a.xml", image(row, row.replace(";5,6", "")), meta="")
    with pytest.raises(LabelError, match="points bug has 2 points, others have 3"):
        read_labels(path)
    centers = ['<points label="cell" points="1,2"/>', '<points label="cell" points="3,4"/>']
    assert len(read_labels(file(tmp_path / "a.xml", image(*centers), meta="")).images[0].annotation) == 2


def track(number: int, *shapes: str, label: str = "bug", more: str = "") -> str:
    return f'<track id="{number}" label="{label}" source="manual" {more}>{"".join(shapes)}</track>'


def in_frame(frame: int, *children: str, keyframe: int = 1) -> str:
    return f'<skeleton frame="{frame}" keyframe="{keyframe}" z_order="0">{"".join(children)}</skeleton>'


VIDEO = META.replace(
    "<name>bugs</name>",
    "<name>bugs</name><original_size><width>60</width><height>40</height></original_size><source>clip one.avi</source>",
)


def tracks() -> tuple[str, ...]:
    gone = points("nose", "1,2", outside=1), points("tail &amp; tip", "1,2", outside=1)
    return (
        track(0, in_frame(2, *BUG), in_frame(3, *BUG, keyframe=0), in_frame(4, *gone), more='group_id="5"'),
        track(7, in_frame(3, *BUG)),
        track(8, *(f'<box frame="{n}" outside="{int(n == 3)}" xtl="1" ytl="2" xbr="31" ybr="22"/>' for n in (2, 3)),
              label="cage", more='group_id="5"'),
    )  # fmt: skip


def test_tracks_are_instances_of_frames(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", tuple(f"frame_{n:06d}.PNG" for n in range(6)))
    path = file(tmp_path / "annotations.xml", *tracks(), meta=VIDEO)
    labels = read_labels(path)
    assert [(entry.frame, entry.size, entry.groups) for entry in labels] == [
        (n, SIZE, ("video clip one.avi",)) for n in (2, 3, 4)
    ]
    assert [entry.annotation.tracks.tolist() for entry in labels if entry.annotation.tracks is not None] == [
        [0], [0, 7], [],
    ]  # fmt: skip
    np.testing.assert_array_equal(labels.images[0].annotation.boxes, [[1, 2, 30, 20]])
    assert [entry.path.name for entry in labels] == [f"frame_{n:06d}.PNG" for n in (2, 3, 4)]


def test_frames_of_the_video_are_written(tmp_path: Path) -> None:
    import cv2

    path = file(tmp_path / "annotations.xml", *tracks(), meta=VIDEO)
    with pytest.raises(LabelError, match=r"no image frame_000002.*frames of clip one\.avi: give the folder"):
        read_labels(path)
    video = cv2.VideoWriter(str(tmp_path / "clip one.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (60, 40))
    for value in range(0, 250, 40):
        video.write(np.full((40, 60, 3), value, np.uint8))
    video.release()
    with pytest.raises(LabelError, match=r"its images are in clip one\.avi: cairn convert"):
        read_labels(path)
    labels = read_labels(path, ReadOptions(frames=tmp_path / "frames"))
    for entry, value in zip(labels, (80, 120, 160), strict=True):
        assert abs(float(read_image(entry.path).mean()) - value) < 4
    late = file(tmp_path / "late.xml", track(0, in_frame(99, *BUG)), meta=VIDEO)
    with pytest.raises(LabelError, match=r"clip one\.avi has no frame 99"):
        read_labels(late, ReadOptions(frames=tmp_path / "frames"))


def test_images_without_a_suffix_are_frames_of_a_video(tmp_path: Path) -> None:
    draw_images(tmp_path / "images", ("frame_000012.png",))
    path = file(tmp_path / "annotations.xml", image(skeleton(*BUG), name="frame_000012", number=12), meta=VIDEO)
    (entry,) = read_labels(path)
    assert (entry.frame, entry.groups, entry.path.name) == (12, ("video clip one.avi",), "frame_000012.png")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (skeleton(points("nose", "a,4")), "skeleton bug: 'nose': a coordinate must be a number, got 'a'"),
        (skeleton(points("nose", "nan,4")), "must be a finite number, got 'nan'"),
        (skeleton(points("nose", "1e999,4")), "must be a finite number, got '1e999'"),
        (skeleton(points("nose", "1,2;3,4")), "has 2 places: expected one"),
        (skeleton(points("nose", "")), 'needs points="x,y;...", got \'\''),
        (skeleton(points("", "1,2")), "needs a label"),
        ("</image><image>", "image 1 needs a name"),
        (skeleton(points("nose", "1,2"), points("nose", "3,4")), "has the point 'nose' twice"),
        (skeleton(points("nose", "1,2", outside=1)), "no instance has a labeled joint"),
        (box("cage"), "no instance has a labeled joint"),
        (skeleton(*BUG) + "<skeleton>", "is not valid XML: mismatched tag"),
        ("<a>" * 60, "nested too deeply"),
    ],
)  # fmt: skip
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, shape: str, message: str) -> None:
    draw_images(tmp_path, ("a.png",))
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(file(tmp_path / "a.xml", image(shape)))
    assert "a.xml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_entities_are_refused(tmp_path: Path) -> None:
    bomb = '<!ENTITY a "' + "x" * 99 + '">' + "".join(f'<!ENTITY {b} "{f"&{a};" * 99}">' for a, b in ("ab", "bc", "cd"))
    for declarations in (bomb, '<!ENTITY d SYSTEM "file:///etc/passwd">'):
        text = f'<?xml version="1.0"?><!DOCTYPE annotations [{declarations}]><annotations>&d;</annotations>'
        (tmp_path / "a.xml").write_text(text)
        with pytest.raises(LabelError, match=r"a\.xml has a document type .*remove it"):
            read_labels(tmp_path / "a.xml")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    lost = write_labels(labels, tmp_path / "out.xml")
    assert [line.split(" ", 1)[1].split(":")[0] for line in lost] == [
        "track IDs are skipped",
        "images lose their video, subject and frame number",
        "areas are skipped",
        "bounding boxes are skipped",
    ]
    again = read_labels(tmp_path / "out.xml")
    assert again.skeleton.limbs == MOTH.limbs
    again = read_labels(tmp_path / "out.xml", ReadOptions(skeleton=labels.skeleton))
    assert_same(labels, again, but=("areas", "tracks", "boxes"))


def test_classes_and_splits_are_written(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    annotation = Annotation(
        np.array([[[1, 2]], [[3, 4]]], np.float32),
        np.array([[2], [1]], np.uint8),
        np.array([[1, 2, 0, 0], [3, 4, 0, 0]], np.float32),
        np.zeros(2, np.float32),
        np.zeros(2, bool),
        classes=np.array([1, 0]),
    )
    dot = Skeleton("object", ("center <1>",))
    labels = Labels(
        dot, (LabeledImage(1, tmp_path / "a.png", SIZE, annotation, split="val"),), np.ones(1, bool), ("cat", "dog")
    )
    assert write_labels(labels, tmp_path / "out.xml", split="test") == ()
    again = read_labels(tmp_path / "out.xml")
    assert again.images[0].split == "val"
    assert again.classes == ("cat", "dog")
    assert_same(labels, again)


def test_all_splits_are_in_one_file(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    splits = ("train", "test", "val")
    images = tuple(replace(image, split=split) for image, split in zip(labels, splits, strict=True))
    write_labels(replace(labels, images=images), tmp_path / "out.xml")
    assert tuple(image.split for image in read_labels(tmp_path / "out.xml")) == splits


def test_images_without_a_split_have_the_given_subset(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    for split, expected in ((None, None), ("val", "val")):
        write_labels(labels, tmp_path / "out.xml", split=split)
        assert {image.split for image in read_labels(tmp_path / "out.xml")} == {expected}


def test_the_written_file_is_what_cvat_imports(tmp_path: Path) -> None:
    """Its importer reads these attributes of each element, and needs a place of those that are outside."""
    write_labels(make_labels(tmp_path), tmp_path / "out.xml")
    root = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert [(entry.get("id"), entry.get("name")) for entry in root.iter("image")] == [
        ("0", "a.png"), ("1", "b ü.png"), ("2", "sub/a.png"),
    ]  # fmt: skip
    labels = [
        (label.findtext("name"), label.findtext("type"), label.findtext("parent")) for label in root.iter("label")
    ]
    assert labels == [("moth", "skeleton", None), *((joint, "points", "moth") for joint in MOTH.joints)]
    for element in root.iterfind("image/skeleton"):
        assert [child.get("label") for child in element] == list(MOTH.joints)
        for child in element:
            assert child.get("outside") in ("0", "1")
            assert child.get("occluded") in ("0", "1")
            assert np.isfinite([float(v) for v in (child.get("points") or "").split(",")]).all()
