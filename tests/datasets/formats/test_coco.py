"""COCO format: labels round-trip, and each invalid record is one line with file and record."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.formats.category import skeleton_from_category
from cairn.datasets.formats.coco import read_coco, write_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError, OutputError
from cairn.structures.annotation import AREA_PER_BOX, Annotation
from cairn.structures.skeleton import DEFAULT_SIGMA, Skeleton, load_skeleton
from support import DATA


def mouse() -> dict[str, Any]:
    """A small file of two images, two mice, a crowd, and an instance of another category."""
    names = ["snout", "leftear", "rightear", "nose"]
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 40, "height": 30},
            {"id": 3, "file_name": "b.jpg", "width": 20, "height": 10},
        ],
        "categories": [
            {"id": 1, "name": "mouse", "keypoints": names, "skeleton": [[1, 2], [1, 3], [2, 3], [2, 1], [1, 4]]},
            {"id": 2, "name": "cage"},
        ],
        "annotations": [
            {"id": 11, "image_id": 3, "category_id": 1, "keypoints": [1, 2, 2, 3.5, 4, 1, 9, 9, 0, 0, 0, 0],
             "bbox": [0, 1, 10, 8], "area": 33, "iscrowd": 0},
            {"id": 12, "image_id": 7, "category_id": 1, "keypoints": [5, 6, 2, 9, 16, 2, 7, 7, 2, 0, 0, 0]},
            {"id": 13, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": 1},
            {"id": 14, "image_id": 7, "category_id": 2, "bbox": [0, 0, 4, 4]},
        ],
    }  # fmt: skip


def put(folder: Path, content: Any) -> Path:
    """Writes the file and its images beside it (empty, because reading COCO opens none)."""
    for name in ("a.jpg", "b.jpg"):
        (folder / name).touch()
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return path


def test_annotations_belong_to_their_images(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, mouse()))
    first, second = labels
    assert (first.id, second.id) == (7, 3)
    assert first.path == tmp_path / "a.jpg"
    assert first.size == (30, 40)
    np.testing.assert_array_equal(first.annotation.crowd, [False, True])
    np.testing.assert_array_equal(second.annotation.visibility, [[2, 1, 0, 0]])
    np.testing.assert_array_equal(second.annotation.keypoints[0], [[1, 2], [3.5, 4], [math.nan] * 2, [math.nan] * 2])
    assert second.annotation.areas[0] == 33
    np.testing.assert_array_equal(labels.labeled_joints, [True, True, True, False])


def test_missing_boxes_and_areas_are_computed_from_the_joints(tmp_path: Path) -> None:
    annotation = read_coco(put(tmp_path, mouse())).images[0].annotation
    np.testing.assert_array_equal(annotation.boxes[0], [5, 6, 4, 10])
    assert annotation.areas[0] == pytest.approx(AREA_PER_BOX * 40)


def other_spellings(row: dict[str, Any], way: str) -> dict[str, Any]:
    """The same record as other tools write it, which takes further checks to read."""
    if way == "attributes":
        return {**row, "attributes": {"truncated": False}}
    if way == "null":
        return {**row, "keypoints": [None if v == 0 else v for v in row["keypoints"]]}
    if way == "unused":
        return {**row, "score": 1, "iscrowd": bool(row["iscrowd"]), "caption": "segmentation"}
    return {**row, "area": float(row["area"]), "bbox": list(map(float, row["bbox"])), "head_size": -1, "track_id": "a"}


@pytest.mark.parametrize("way", ["attributes", "null", "unused", "numbers"])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_records_read_equal_however_they_are_spelled(tmp_path: Path, way: str, share: float) -> None:
    rng = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    for i in range(40):
        v = rng.integers(0, 3, 4) * (i % 4 > 0)
        points = np.column_stack([rng.integers(1, 90, (4, 2)) / 4, v]) * (v > 0)[:, None]
        ring = rng.integers(1, 20, 8).tolist()
        rows.append({
            "id": i, "image_id": 3 + 4 * (i % 2), "category_id": 1, "keypoints": points.ravel().tolist(),
            "num_keypoints": int((v > 0).sum()), "bbox": [1, 2, 3 + i, 4], "area": 5 + i, "iscrowd": int(i % 5 == 0),
            "segmentation": [ring],
        })  # fmt: skip
    plain = read_coco(put(tmp_path, mouse() | {"annotations": rows}))
    changed = [other_spellings(row, way) if rng.random() < share else row for row in rows]
    spelled = read_coco(put(tmp_path, mouse() | {"annotations": changed}))
    for one, other in zip(plain, spelled, strict=True):
        for name in ("keypoints", "visibility", "boxes", "areas", "crowd"):
            np.testing.assert_array_equal(getattr(one.annotation, name), getattr(other.annotation, name))
        assert one.annotation.outlines is not None
        assert other.annotation.outlines is not None
        rings = [[o and o.rings for o in side.annotation.outlines] for side in (one, other)]
        assert rings[0] == rings[1]
        assert other.annotation.tracks is None
        assert other.annotation.heads is None


def test_images_are_searched_beside_the_file_and_in_the_given_folder(tmp_path: Path) -> None:
    path = put(tmp_path, mouse())
    (tmp_path / "images").mkdir()
    with pytest.raises(LabelError, match=r"2 of 2 images are missing, the first is .*images/a\.jpg"):
        read_coco(path)
    assert read_coco(path, tmp_path).images[1].path == tmp_path / "b.jpg"


def test_the_skeleton_is_that_of_the_category(tmp_path: Path) -> None:
    own = read_coco(put(tmp_path, mouse())).skeleton
    assert own.joints == ("snout", "leftear", "rightear", "nose")
    assert own.limbs == ((0, 1), (0, 2), (1, 2), (0, 3))  # the duplicate limb is dropped
    assert own.redundant == (2,)
    assert own.flip_pairs == ((1, 2),)
    coco = load_skeleton("coco17")
    assert own.sigmas == (DEFAULT_SIGMA, DEFAULT_SIGMA, DEFAULT_SIGMA, coco.sigmas[coco.index("nose")])


@given(st.integers(2, 7).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.tuples(*[st.integers(1, k)] * 2)))))
def test_limbs_without_the_redundant_ones_connect_the_same_joints(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, pairs = case
    names = [f"p{i}" for i in range(count)]
    result = skeleton_from_category({"keypoints": names, "skeleton": [list(pair) for pair in pairs]})
    tree = [result.limbs[i] for i in result.tree]
    assert reachable(count, tree) == reachable(count, [(a - 1, b - 1) for a, b in pairs])


def reachable(count: int, pairs: list[tuple[int, int]]) -> list[list[bool]]:
    linked = np.eye(count, dtype=bool)
    for a, b in pairs:
        linked[a, b] = linked[b, a] = True
    return np.linalg.matrix_power(linked.astype(int), count).astype(bool).tolist()


def test_a_built_in_skeleton_is_recognized() -> None:
    names = list(load_skeleton("coco17").joints)
    assert skeleton_from_category({"keypoints": names}) is load_skeleton("coco17")
    assert skeleton_from_category({"keypoints": names[::-1]}) != load_skeleton("coco17")


def test_a_mean_joint_is_labeled_if_all_its_parts_are(tmp_path: Path) -> None:
    means = (("between", ("snout", "leftear")), ("never", ("snout", "nose")), ("nowhere", ("snout", "tail")))
    wanted = Skeleton("means", ("between", "never", "nowhere"), means=means)
    labels = read_coco(put(tmp_path, mouse()), skeleton=wanted)
    np.testing.assert_array_equal(labels.labeled_joints, [True, False, False])
    whole = read_coco(put(tmp_path, mouse()))
    for one, other in zip(whole, labels, strict=True):
        for row, visible, points, flags in zip(
            one.annotation.keypoints,
            one.annotation.visibility,
            other.annotation.keypoints,
            other.annotation.visibility,
            strict=True,
        ):
            assert flags.tolist() == [min(visible[0], visible[1]), 0, 0]
            np.testing.assert_array_equal(points, [(row[0] + row[1]) / 2, *[[math.nan] * 2] * 2])


def test_a_given_skeleton_is_matched_by_name(tmp_path: Path) -> None:
    wanted = Skeleton("ears", ("rightear", "tail", "leftear"))
    labels = read_coco(put(tmp_path, mouse()), skeleton=wanted)
    assert labels.skeleton == wanted
    np.testing.assert_array_equal(labels.labeled_joints, [True, False, True])
    np.testing.assert_array_equal(labels.images[0].annotation.keypoints[0], [[7, 7], [math.nan] * 2, [9, 16]])


def test_labels_round_trip(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    images = []
    for number in range(4):
        rows = generator.integers(0, 4)
        visibility = generator.integers(0, 3, (rows, 13)).astype(np.uint8)
        points = generator.uniform(0, 99, (rows, 13, 2)).astype(np.float32)
        annotation = Annotation(
            keypoints=np.where(visibility[..., None] > 0, points, np.nan).astype(np.float32),
            visibility=visibility,
            boxes=generator.uniform(0, 50, (rows, 4)).astype(np.float32),
            areas=generator.uniform(1, 500, rows).astype(np.float32),
            crowd=generator.random(rows) < 0.3,
            tracks=generator.integers(-1, 3, rows),
        )
        path = tmp_path / f"{number}.jpg"
        path.touch()
        images.append(LabeledImage(number, path, (100, 90), annotation))
    wing = Skeleton("fly", tuple(f"j{i}" for i in range(13)), limbs=((0, 1), (1, 2), (0, 2)), redundant=(2,))
    labels = Labels(wing, tuple(images), np.ones(13, bool))
    write_coco(labels, tmp_path / "out.json")
    again = read_coco(tmp_path / "out.json")
    assert again.skeleton == wing
    for one, other in zip(labels, again, strict=True):
        assert (one.id, one.path, one.size) == (other.id, other.path, other.size)
        for name in Annotation.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(one.annotation, name), getattr(other.annotation, name))


@pytest.mark.parametrize("key", ["track", "track_id", "instance_id"])
@pytest.mark.parametrize("other", ["female", None, True, -2, 1e9])
def test_track_ids_are_read_if_they_are_numbers(tmp_path: Path, key: str, other: Any) -> None:
    content = mouse()
    content["annotations"][1]["track"] = other
    assert read_coco(put(tmp_path, content)).images[0].annotation.tracks is None
    content["annotations"][0][key] = 3
    first, second = read_coco(put(tmp_path, content))
    assert (first.annotation.tracks.tolist(), second.annotation.tracks.tolist()) == ([-1, -1], [3])


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    labels = read_coco(put(tmp_path, mouse()))
    with pytest.raises(OutputError, match="cannot write"):
        write_coco(labels, tmp_path / "a.jpg" / "x.json")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.jpg", "b.jpg", "labels.json"]


def set_annotation(**values: Any) -> Callable[[dict], None]:
    return lambda content: content["annotations"][0].update(values)


def drop(kind: str, key: str) -> Callable[[dict], None]:
    return lambda content: content[kind][0].pop(key)


def use_cage(content: dict) -> None:
    content["annotations"][3]["keypoints"] = [1, 2, 2]


INVALID: list[tuple[Callable[[dict], object], str]] = [
    (set_annotation(keypoints=[1, 2, 2, 3]), "annotation 11: keypoints must be 3 numbers for each .* 4 joints.* got 4"),
    (set_annotation(keypoints=[math.nan, 2, 2] + [0] * 9), "annotation 11: .*finite numbers, got nan"),
    (set_annotation(keypoints=[math.inf, 2, 2] + [0] * 9), "annotation 11: .*finite numbers, got inf"),
    (set_annotation(keypoints=[1e300, 2, 2] + [0] * 9), "annotation 11: .*finite numbers, got 1e"),
    (set_annotation(keypoints=["1", 2, 2] + [0] * 9), "annotation 11: .*finite numbers, got '1'"),
    (set_annotation(keypoints=[None, 2, 2] + [0] * 9), "annotation 11: .*snout .*finite numbers, got nan"),
    (set_annotation(keypoints={"snout": 1}), "annotation 11: keypoints must be a list"),
    (set_annotation(keypoints=[1, 2, 3] + [0] * 9), "annotation 11: v must be 0 .*got 3"),
    (set_annotation(bbox=[0, 0, -1, 2]), "annotation 11: bbox has a negative width or height"),
    (set_annotation(bbox=[0, 0, 1]), "annotation 11: bbox must be x, y, width, height.* got 3"),
    (set_annotation(area="big"), "annotation 11: area"),
    (set_annotation(iscrowd=2), "annotation 11: iscrowd"),
    (set_annotation(image_id=99), "annotation 11 has image_id 99"),
    (set_annotation(image_id=[7]), "annotation 11 has image_id"),
    (set_annotation(category_id=9), "annotation 11 has category_id 9"),
    (set_annotation(keypoints=[0] * 12, bbox=None), "annotation 11 has neither a bbox nor a labeled joint"),
    (drop("annotations", "image_id"), "annotation 11 has image_id None"),
    (drop("annotations", "category_id"), "annotation 11 has category_id None"),
    (drop("images", "width"), "image 7 needs a width and a height .*got None and 30, and .*a.jpg is not an image"),
    (drop("images", "file_name"), "image 7 needs a file_name"),
    (drop("images", "id"), "annotation 12 has image_id 7, which is not in images"),
    (lambda content: content["images"][1].update(id=7), "image id 7 occurs twice"),
    (lambda content: content["images"][1].update(file_name="c.jpg"), r"1 of 2 images are missing.*c\.jpg"),
    (lambda content: content.update(images=[]), "it lists no images"),
    (lambda content: content.pop("categories"), "not in COCO format.*categories"),
    (lambda content: content["categories"].pop(0), "no category has keypoints"),
    (
        lambda content: (content["categories"][1].update(keypoints=["a"]), use_cage(content)),
        r"different keypoints \(mouse with 4 keypoints in 2 annotations, cage with 1 .* in 1 .*\): .*--category",
    ),
    (lambda content: content["categories"][1].update(id=1), "category id 1 occurs twice"),
    (lambda content: content["categories"][0].update(keypoints=["a"] * 4), "category 1: .*each name once"),
    (
        lambda content: [row.update(keypoints=[0] * 12, bbox=[1, 1, 2, 2]) for row in content["annotations"]],
        "no instance has a labeled joint",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("corrupt", "message"), INVALID, ids=[message for _, message in INVALID])
def test_an_invalid_record_is_one_line_with_file_and_record(
    tmp_path: Path, corrupt: Callable[[dict], object], message: str
) -> None:
    content = mouse()
    corrupt(content)
    with pytest.raises(LabelError, match=message) as caught:
        read_coco(put(tmp_path, content))
    assert "labels.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "no json", "[]", "\x00\xff", '{"images": 3}', "[" * 100_000, "1" * 5000])
def test_another_file_is_a_one_line_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(LabelError, match=r"labels\.json"):
        read_coco(path)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="cannot read labels"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(LabelError, match="no folder of images"):
        read_coco(put(tmp_path, mouse()), tmp_path / "none")
    with pytest.raises(LabelError, match=r"labels\.json: .*share none with skeleton hand"):
        read_coco(put(tmp_path, mouse()), skeleton=Skeleton("hand", ("thumb",)))


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected", "images", "instances"),
    [("coco-people", "coco17", 205, 532), ("lspet", "lsp14", 544, 544), ("faces", "face68", 369, 369),
     ("flies", "fly", 48, 96), ("openfield", "mouse", 13, 13)],
)  # fmt: skip
def test_real_sets(name: str, expected: str, images: int, instances: int) -> None:
    path = DATA / name / "val.json"
    if not path.is_file():
        pytest.skip(f"no data set at {path}")
    labels = read_coco(path)
    assert labels.skeleton.name == expected
    assert len(labels) == images
    assert sum(len(image.annotation) for image in labels) == instances
