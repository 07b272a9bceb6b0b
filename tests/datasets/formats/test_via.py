"""VGG Image Annotator: projects and exports of versions 1, 2 and 3."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from support.made_labels import draw_images


def region(attributes: dict[str, Any], name: str = "point", **shape: Any) -> dict[str, Any]:
    return {"shape_attributes": {"name": name, **shape}, "region_attributes": attributes}


def dot(x: float, y: float, **attributes: Any) -> dict[str, Any]:
    return region(attributes, cx=x, cy=y)


def rect(**attributes: Any) -> dict[str, Any]:
    return region(attributes, "rect", x=1, y=2, width=30, height=20)


def export(path: Path, regions: Any, name: str = "a.png", wrapped: Any = None) -> Path:
    table = {
        f"{name}123": {"filename": name, "size": 123, "regions": regions, "file_attributes": {}},
        "empty.png9": {"filename": "empty.png", "size": 9, "regions": [], "file_attributes": {}},
    }
    path.write_text(json.dumps(table if wrapped is None else {**wrapped, "_via_img_metadata": table}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw_images(tmp_path, ("a.png", "empty.png"))
    return tmp_path


REGIONS = [
    dot(10, 20.5, joint="nose", instance="1"),
    dot(12, 22, joint="tail", instance="1", occluded="yes"),
    rect(instance="1"),
    region({"joint": "tail", "instance": "2"}, "circle", cx=40, cy=8, r=3),
]


def check(path: Path) -> None:
    labels = read_labels(path)
    assert [image.path.name for image in labels] == ["a.png", "empty.png"]
    assert labels.skeleton.joints == ("nose", "tail")
    rows = labels.images[0].annotation
    np.testing.assert_array_equal(rows.keypoints, [[[10, 20.5], [12, 22]], [[np.nan, np.nan], [40, 8]]])
    np.testing.assert_array_equal(rows.visibility, [[2, 1], [0, 2]])
    np.testing.assert_array_equal(rows.boxes[0], [1, 2, 30, 20])
    assert len(labels.images[1].annotation) == 0


def test_an_export_and_a_project_and_version_1(folder: Path) -> None:
    check(export(folder / "via.json", REGIONS))
    check(export(folder / "project.json", REGIONS, wrapped={"_via_settings": {}, "_via_attributes": {"region": {}}}))
    check(export(folder / "one.json", {str(i): row for i, row in enumerate(REGIONS)}))


@pytest.mark.parametrize("first", ["filename", "#filename"])
def test_csv(folder: Path, first: str) -> None:
    with (folder / "via.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        columns = ["file_size", "file_attributes", "region_count", "region_id"]
        writer.writerow([first, *columns, "region_shape_attributes", "region_attributes"])
        for i, row in enumerate(REGIONS):
            values = [json.dumps(row[key]) for key in ("shape_attributes", "region_attributes")]
            writer.writerow(["a.png", 123, "{}", len(REGIONS), i, *values])
        writer.writerow(["empty.png", 9, "{}", 0, 0, "{}", "{}"])
    check(folder / "via.csv")
    (folder / "via.csv").write_text((folder / "via.csv").read_text().replace('""nose""', "undefined"))
    with pytest.raises(LabelError, match=r"via\.csv: row 2: the region's attributes must be JSON"):
        read_labels(folder / "via.csv")


def test_version_3(folder: Path) -> None:
    spatial = [
        ([1, 10, 20.5], "0", "1"),
        ([1, 12, 22], "1", "1"),
        ([2, 1, 2, 30, 20], "", "1"),
        ([3, 40, 8, 3], "1", "2"),
    ]
    content = {
        "project": {"pid": "x", "data_format_version": "3.1.1"},
        "config": {},
        "attribute": {
            "1": {"aname": "joint", "type": 3, "options": {"0": "nose", "1": "tail"}},
            "2": {"aname": "instance", "type": 1, "options": {}},
            "3": {"aname": "visibility", "type": 3, "options": {}},
        },
        "file": {
            "1": {"fid": 1, "fname": "a.png", "src": "x/a.png"},
            "2": {"fid": 2, "src": "https://e.org/empty.png"},
        },
        "view": {"1": {"fid_list": [1]}, "2": {"fid_list": [2]}},
        "metadata": {
            f"m{i}": {"vid": "1", "flg": 0, "z": [], "xy": shape, "av": {"1": joint, "2": number, "3": ""}}
            for i, (shape, joint, number) in enumerate(spatial)
        },
    }
    content["metadata"]["m1"]["av"]["3"] = "occluded"
    content["metadata"]["whole"] = {"vid": "1", "z": [], "xy": [], "av": {}}
    (folder / "via.json").write_text(json.dumps(content))
    check(folder / "via.json")
    content["metadata"]["m0"]["z"] = [1.5]
    (folder / "via.json").write_text(json.dumps(content))
    with pytest.raises(LabelError, match="is of a video"):
        read_labels(folder / "via.json")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"name": "nose", "nr": "1"}, {"name": "tail", "nr": "2"}),  # numbers name the instance, words the joint
        ({"Key Point": "nose", "who": "Ann"}, {"Key Point": "tail", "who": "Bob"}),
        ({"a": "nose", "Track ID": "4"}, {"a": "tail", "Track ID": "5"}),
        ({"class": "nose", "id": "1"}, {"class": "tail", "id": "2"}),
        ({"joint": {"nose": True, "tail": False}, "id": 1}, {"joint": {"nose": False, "tail": True}, "id": 2}),
    ],
)
def test_the_roles_of_attributes_follow_from_names_and_values(
    folder: Path, one: dict[str, Any], two: dict[str, Any]
) -> None:
    if "who" in one:
        with pytest.raises(LabelError, match="ambiguous which region attribute names the joint: Key Point, who"):
            read_labels(export(folder / "via.json", [dot(1, 2, **one), dot(3, 4, **two)]))
        return
    rows = read_labels(export(folder / "via.json", [dot(1, 2, **one), dot(3, 4, **two)])).images[0].annotation
    np.testing.assert_array_equal(rows.visibility, [[2, 0], [0, 2]])
    if "Track ID" in one:
        assert rows.tracks is not None
        assert rows.tracks.tolist() == [4, 5]


def test_a_single_attribute_names_joints_and_categories(folder: Path) -> None:
    regions = [dot(5, 6, label="nose"), dot(7, 8, label="tail"), rect(label="mouse")]
    labels = read_labels(export(folder / "via.json", regions))
    assert (labels.skeleton.name, labels.skeleton.joints) == ("mouse", ("nose", "tail"))
    np.testing.assert_array_equal(labels.images[0].annotation.boxes, [[1, 2, 30, 20]])


def test_a_category_of_each_point(folder: Path) -> None:
    regions = [dot(5, 6, joint="nose", id="1", species="cat"), dot(7, 8, joint="nose", id="2", species="dog")]
    labels = read_labels(export(folder / "via.json", regions))
    assert labels.classes == ("cat", "dog")
    assert labels.images[0].annotation.classes is not None
    assert labels.images[0].annotation.classes.tolist() == [0, 1]
    assert len(read_labels(export(folder / "via.json", regions), ReadOptions(category="dog")).images[0].annotation) == 1


def test_numbers_of_options_are_replaced_by_their_texts_in_order(folder: Path) -> None:
    options = {"joint": {"type": "dropdown", "options": {"1": "tail", "2": "nose", "3": "ear"}}}
    wrapped = {"_via_settings": {}, "_via_attributes": {"region": options, "file": {}}}
    labels = read_labels(export(folder / "via.json", [dot(5, 6, joint="2"), dot(7, 8, joint="1")], wrapped=wrapped))
    assert labels.skeleton.joints == ("tail", "nose", "ear")
    np.testing.assert_array_equal(labels.images[0].annotation.visibility, [[2, 2, 0]])


def test_outlines_of_other_shapes(folder: Path) -> None:
    polygon = region({"id": "1"}, "polygon", all_points_x=[2, 30, 9], all_points_y=[4, 5, 20])
    ellipse = region({"id": "2"}, "ellipse", cx=20, cy=10, rx=8, ry=2, theta=np.pi / 2)
    line = region({"id": "3"}, "polyline", all_points_x=[1], all_points_y=[2])
    points = [dot(5, 6, joint="nose", id=number) for number in ("1", "2")]
    problems = Problems(log_notes=False)
    path = export(folder / "via.json", [*points, polygon, ellipse, line])
    boxes = read_labels(path, ReadOptions(problems=problems)).images[0].annotation.boxes
    np.testing.assert_allclose(boxes, [[2, 4, 28, 16], [18, 2, 4, 16]], atol=1e-5)
    assert "is a polyline" in problems.notes[0]


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([dot(1, 2)], "no point has a region attribute"),
        ([rect(joint="x")], "no points or circles"),
        ([dot(1, 2, joint="nose"), dot(3, 4, joint="nose")], "'nose' occurs twice without the attribute instance"),
        ([region({"joint": "nose"}, cx=1)], "region 0: cy must be a number, got None"),
        ([dot(10**400, 2, joint="nose")], "must be a finite number"),
        ([dot(1, 2, joint="a"), region({}, "polygon", all_points_x=[1])], "as many all_points_x as all_points_y"),
        (["x"], "regions must be a list of regions"),
        ([dot(1, 2, joint="a"), {"shape_attributes": 3}], "region 1 needs shape_attributes"),
    ],
)
def test_an_invalid_file_is_a_one_line_error(folder: Path, regions: list[Any], message: str) -> None:
    with pytest.raises(LabelError, match=rf"via\.json.*{message}") as caught:
        read_labels(export(folder / "via.json", regions))
    assert "\n" not in str(caught.value)


def test_addresses_and_paths_of_another_machine(folder: Path) -> None:
    for name in ("https://e.org/x/a.png", "C:\\data\\a.png", "/home/me/a.png"):
        check(export(folder / "via.json", REGIONS, name))
