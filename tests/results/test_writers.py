"""Every output format holds the same poses; a file is complete or does not exist."""

import csv
import errno
import json
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path, PurePath

import numpy as np
import pytest

from cairn.errors import CairnError, OutputError
from cairn.media.names import ImageName
from cairn.results import FORMATS, Detections, Format, Writer, WriterOptions, create_writers
from cairn.results.cairn_json import JsonLinesWriter, JsonWriter
from cairn.results.coco import CocoWriter, image_ids
from cairn.results.csv_table import COLUMNS, CsvWriter
from cairn.results.maps import MapsWriter
from cairn.results.openpose import OpenPoseWriter, part_candidates, to_openpose
from cairn.results.parquet import ParquetWriter
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_poses import random_poses

SIZE = (480, 640)
COCO17, COCO18 = load_skeleton("coco17"), load_skeleton("coco18")

RUN = [
    (ImageName(Path("images/a.jpg"), PurePath("a")), random_poses(1, 2, COCO17)),
    (ImageName(Path("images/none.jpg"), PurePath("none")), Poses.empty(COCO17)),
    (ImageName(Path("images/sub/a.v2.jpg"), PurePath("sub/a.v2")), random_poses(2, 3, COCO17)),
]

CLIP = [
    (
        ImageName(Path("clip.mp4"), PurePath(f"clip_{i:012d}"), PurePath("clip"), i, 0.04 * i),
        replace(random_poses(10 + i, 2, COCO17), ids=np.array([7, -1])),
    )
    for i in range(3)
]

Create = Callable[[Path], Writer]
WRITERS: dict[str, Create] = {
    "json": lambda folder: JsonWriter(folder, "person"),
    "coco": lambda folder: CocoWriter(folder, image_ids(name.path for name, _ in RUN)),
    "openpose": OpenPoseWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def write(writer: Writer, run: list[tuple[ImageName, Poses]] = RUN) -> None:
    with writer:
        for name, poses in run:
            writer.write(Detections(name, SIZE, poses))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_each_format_has_its_files(tmp_path: Path) -> None:
    expected = {
        "json": {"a.cairn.json", "none.cairn.json", "sub/a.v2.cairn.json"},
        "coco": {"cairn.coco.json", "cairn.coco-images.json"},
        "openpose": {f"cairn.openpose/{stem}_keypoints.json" for stem in ("a", "none", "sub/a.v2")},
        "csv": {"cairn.csv"},
        "parquet": {"cairn.parquet"},
    }
    for name, create in WRITERS.items():
        write(create(tmp_path / name))
        assert files(tmp_path / name) == expected[name]


def test_the_table_of_formats_creates_the_writers(tmp_path: Path) -> None:
    options = WriterOptions(tmp_path, "person", [name.path for name, _ in RUN])
    names = [name for name in FORMATS if name != "mpii"]  # for MPII's test images alone
    created = dict(zip(names, create_writers(names, options), strict=True))
    assert {name: type(writer) for name, writer in created.items() if name != "maps"} == {
        name: type(create(tmp_path)) for name, create in WRITERS.items()
    }
    assert isinstance(created["maps"], MapsWriter)
    write(created["coco"])
    assert [image["id"] for image in json.loads((tmp_path / "cairn.coco-images.json").read_text())["images"]] == [
        1,
        2,
        3,
    ]
    (openpose,) = create_writers(["openpose", "openpose"], replace(options, keypoint_scale=3, part_candidates=0.2))
    assert isinstance(openpose, OpenPoseWriter)
    assert (openpose.scale, openpose.candidates) == (3, 0.2)
    with pytest.raises(CairnError, match="mpii is for MPII's test images"):
        create_writers(["mpii"], options)
    with pytest.raises(CairnError, match="unknown output format xml, yaml: expected json, coco"):
        create_writers(["json", "xml", "yaml"], options)


def test_a_new_format_is_one_writer_and_one_entry(tmp_path: Path) -> None:
    class CountWriter(Writer):
        def __init__(self, path: Path) -> None:
            self.path = path

        def write(self, detections: Detections) -> None:
            with self.path.open("a") as file:
                file.write(f"{detections.name.path.name} {len(detections.poses)}\n")

    toy = Format("count", "cairn.counts.txt", lambda options: CountWriter(options.folder / "cairn.counts.txt"))
    (writer,) = create_writers(["count"], WriterOptions(tmp_path, "person"), {**FORMATS, "count": toy})
    write(writer)
    assert (tmp_path / "cairn.counts.txt").read_text() == "a.jpg 2\nnone.jpg 0\na.v2.jpg 3\n"


def test_json_has_joints_by_name_and_null_for_missing_ones(tmp_path: Path) -> None:
    write(JsonWriter(tmp_path, "person"))
    for name, poses in RUN:
        content = json.loads(name.beside(tmp_path, ".cairn.json").read_text())
        assert (content["format"], content["version"], content["model"]) == ("cairn", 1, "person")
        assert (content["width"], content["height"], content["image"]) == (640, 480, name.path.as_posix())
        assert content["skeleton"]["joints"] == list(COCO17.joints)
        assert content["skeleton"]["limbs"][0] == ["left_ankle", "left_knee"]
        assert len(content["people"]) == len(poses)
        for row, person in enumerate(content["people"]):
            np.testing.assert_allclose(person["box"], poses.boxes[row], atol=0.01)
            for joint, keypoint in person["keypoints"].items():
                k = COCO17.index(joint)
                assert (keypoint is None) == (not poses.detected[row, k])
                if keypoint is not None:
                    np.testing.assert_allclose(
                        keypoint, [*poses.keypoints[row, k], poses.confidence[row, k]], atol=0.005
                    )


def test_json_lines_equal_the_files(tmp_path: Path) -> None:
    stream = StringIO()
    write(JsonLinesWriter(stream, "person"))
    write(JsonWriter(tmp_path, "person"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines == [json.loads(name.beside(tmp_path, ".cairn.json").read_text()) for name, _ in RUN]


def test_coco_results_are_one_list(tmp_path: Path) -> None:
    write(CocoWriter(tmp_path, image_ids(name.path for name, _ in RUN)))
    results = json.loads((tmp_path / "cairn.coco.json").read_text())
    images = json.loads((tmp_path / "cairn.coco-images.json").read_text())["images"]
    assert [result["image_id"] for result in results] == [1, 1, 3, 3, 3]
    assert [image["id"] for image in images] == [1, 2, 3]
    assert images[2] == {"id": 3, "file_name": "images/sub/a.v2.jpg", "width": 640, "height": 480}
    for result, row in zip(results[2:], range(3), strict=True):
        poses = RUN[2][1]
        flat = np.array(result["keypoints"]).reshape(17, 3)
        np.testing.assert_allclose(flat[:, 2], poses.confidence[row], atol=1e-4)
        np.testing.assert_allclose(flat[:, :2], np.nan_to_num(poses.keypoints[row]), atol=1e-3)
        assert result["category_id"] == 1


def test_coco_results_without_detections_are_an_empty_list(tmp_path: Path) -> None:
    with CocoWriter(tmp_path, {Path("a.jpg"): 1}) as writer:
        writer.write(Detections(ImageName(Path("a.jpg"), PurePath("a")), SIZE, Poses.empty(COCO17)))
    assert json.loads((tmp_path / "cairn.coco.json").read_text()) == []


def test_coco_evaluation_reads_the_results(tmp_path: Path) -> None:
    """Results that equal the labels have AP 1 in faster-coco-eval."""
    evaluation = pytest.importorskip("faster_coco_eval")
    poses = random_poses(5, 3, COCO17)
    with CocoWriter(tmp_path, {Path("7.jpg"): 7}) as writer:
        writer.write(Detections(ImageName(Path("7.jpg"), PurePath("7")), SIZE, poses))
    labels = []
    for row in range(3):
        keypoints = np.where(poses.detected[row, :, None], np.nan_to_num(poses.keypoints[row]), 0)
        flat = np.concatenate([keypoints, 2 * poses.detected[row, :, None]], axis=1).ravel().tolist()
        entry = {"keypoints": flat, "num_keypoints": int(poses.detected[row].sum()), "area": 5000.0, "iscrowd": 0}
        box = poses.boxes[row].tolist()
        labels.append({"id": row + 1, "image_id": 7, "category_id": 1, "bbox": box, **entry})
    ground_truth = evaluation.COCO(
        {
            "images": [{"id": 7, "width": 640, "height": 480, "file_name": "7.jpg"}],
            "annotations": labels,
            "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
        }
    )
    run = evaluation.COCOeval_faster(
        ground_truth, ground_truth.loadRes(str(tmp_path / "cairn.coco.json")), iouType="keypoints"
    )
    run.run()
    assert run.stats[0] == pytest.approx(1)


def test_a_superset_of_coco_joints_is_written_in_coco_joints() -> None:
    poses = random_poses(3, 2, COCO18)
    assert poses.to_coco(4) == poses.mapped(COCO17).to_coco(4)
    assert len(random_poses(3, 1, load_skeleton("lsp14")).to_coco(4)[0]["keypoints"]) == 3 * 14


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000139.jpg", "000000000285.jpg"], [139, 285]),
        (["139.jpg", "sub/0139.jpg"], [1, 2]),
        (["139.jpg", "holiday.jpg"], [1, 2]),
    ],
)
def test_image_ids_are_the_file_names_if_all_are_numbers(names: list[str], ids: list[int]) -> None:
    assert list(image_ids(map(Path, names)).values()) == ids


def test_openpose_keys_are_in_its_order() -> None:
    content = to_openpose(random_poses(1, 2, COCO18), SIZE)
    assert list(content) == ["version", "people"]
    assert content["version"] == 1.3
    keys = [f"{part}_keypoints_{d}" for d in ("2d", "3d") for part in ("pose", "face", "hand_left", "hand_right")]
    for person in content["people"]:
        assert list(person) == ["person_id", *keys]
        assert person["person_id"] == [-1]
        assert [len(person[key]) for key in keys] == [54, *[0] * 7]


def test_missing_joints_are_zeros_in_openpose_json() -> None:
    poses = random_poses(1, 3, COCO18)
    for row, person in enumerate(to_openpose(poses, SIZE)["people"]):
        flat = np.array(person["pose_keypoints_2d"]).reshape(18, 3)
        assert (flat[~poses.detected[row]] == 0).all()
        np.testing.assert_allclose(flat[poses.detected[row], :2], poses.keypoints[row, poses.detected[row]], atol=1e-3)


def test_coco_skeletons_get_a_neck_in_openpose_json() -> None:
    poses = random_poses(8, 20, COCO17)
    flat = np.array([person["pose_keypoints_2d"] for person in to_openpose(poses, SIZE)["people"]]).reshape(20, 18, 3)
    left, right, neck = (flat[:, COCO18.index(joint)] for joint in ("left_shoulder", "right_shoulder", "neck"))
    both = (left[:, 2] > 0) & (right[:, 2] > 0)
    assert both.any()
    assert not both.all()
    np.testing.assert_allclose(neck[both, :2], (left[both, :2] + right[both, :2]) / 2, atol=1e-3)
    np.testing.assert_allclose(neck[both, 2], np.minimum(left[both, 2], right[both, 2]))
    assert (neck[~both] == 0).all()


def test_the_table_has_a_row_for_each_keypoint(tmp_path: Path) -> None:
    write(CsvWriter(tmp_path))
    with (tmp_path / "cairn.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 17 * sum(len(poses) for _, poses in RUN)
    last = RUN[2][1]
    for row in rows[2 * 17 :]:
        person, joint = int(row["person"]), COCO17.index(row["joint"])
        assert row["image"] == "images/sub/a.v2.jpg"
        assert (row["x"] == "") == (row["y"] == "") == (not last.detected[person, joint])
        if row["x"]:
            position = [float(row["x"]), float(row["y"])]
            np.testing.assert_allclose(position, last.keypoints[person, joint], atol=0.01)


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupt_leaves_no_partial_files(tmp_path: Path, name: str) -> None:
    def interrupted() -> None:
        with WRITERS[name](tmp_path) as writer:
            writer.write(Detections(RUN[0][0], SIZE, RUN[0][1]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    left = files(tmp_path)
    # files of one image are complete and stay; files of the whole run are removed
    assert left <= {"a.cairn.json", "cairn.openpose/a_keypoints.json"}
    for path in left:
        json.loads((tmp_path / path).read_text())


@pytest.mark.parametrize("name", WRITERS)
def test_an_unwritable_folder_is_an_output_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write(WRITERS[name](tmp_path / "file"))
    assert files(tmp_path) == {"file"}


def test_all_written_files_have_cairn_in_their_name(tmp_path: Path) -> None:
    """So no other file of the user is ever replaced."""
    for create in WRITERS.values():
        write(create(tmp_path))
    assert all("cairn" in name for name in files(tmp_path))


def test_file_names_that_are_not_utf_8_are_escaped(tmp_path: Path) -> None:
    name = ImageName(Path("images/caf\udce9.jpg"), PurePath("cafe"))  # Latin-1, as in old archives
    for kind in ("json", "coco", "csv"):
        with CocoWriter(tmp_path, {name.path: 1}) if kind == "coco" else WRITERS[kind](tmp_path) as writer:
            writer.write(Detections(name, SIZE, random_poses(1, 1, COCO17)))
    assert json.loads((tmp_path / "cafe.cairn.json").read_text(encoding="utf-8"))["image"] == str(name.path)
    images = json.loads((tmp_path / "cairn.coco-images.json").read_text(encoding="utf-8"))["images"]
    assert images[0]["file_name"] == str(name.path)
    with (tmp_path / "cairn.csv").open(encoding="utf-8", newline="") as table:
        assert {row["image"] for row in csv.DictReader(table)} == {"images/caf\\udce9.jpg"}


def test_a_full_stdout_is_an_output_error() -> None:
    class Full(StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match="cannot write to stdout: No space left"):
        JsonLinesWriter(Full(), "person").write(Detections(RUN[0][0], SIZE, RUN[0][1]))


def test_frames_of_a_clip_are_lines_of_one_file_with_their_time(tmp_path: Path) -> None:
    write(JsonWriter(tmp_path, "person"), [*CLIP, *RUN[:1]])
    assert files(tmp_path) == {"clip.cairn.jsonl", "a.cairn.json"}
    lines = [json.loads(line) for line in (tmp_path / "clip.cairn.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["seconds"]) for line in lines] == [(0, 0), (1, 0.04), (2, 0.08)]
    assert all([person["id"] for person in line["people"]] == [7, None] for line in lines)
    assert "frame" not in json.loads((tmp_path / "a.cairn.json").read_text())


def test_two_clips_have_two_files(tmp_path: Path) -> None:
    other = [(replace(name, output=PurePath("b"), clip=PurePath("b")), poses) for name, poses in CLIP]
    write(JsonWriter(tmp_path, "person"), [*CLIP, *other])
    assert [len((tmp_path / f"{clip}.cairn.jsonl").read_text().splitlines()) for clip in ("clip", "b")] == [3, 3]


def test_coco_results_of_a_clip_number_its_frames_and_have_track_ids(tmp_path: Path) -> None:
    write(CocoWriter(tmp_path, image_ids([RUN[0][0].path])), [*CLIP, *RUN[:1]])
    images = json.loads((tmp_path / "clip.cairn.coco-images.json").read_text())["images"]
    assert [(image["id"], image["frame"]) for image in images] == [(1, 0), (2, 1), (3, 2)]
    results = json.loads((tmp_path / "clip.cairn.coco.json").read_text())
    assert [(each["image_id"], each["track_id"]) for each in results[:3]] == [(1, 7), (1, -1), (2, 7)]
    own = json.loads((tmp_path / "cairn.coco-images.json").read_text())["images"]
    assert [(image["id"], image.get("frame")) for image in own] == [(1, None)]
    assert "track_id" not in json.loads((tmp_path / "cairn.coco.json").read_text())[0]


@pytest.mark.parametrize("empty", [False, True])
def test_csv_and_parquet_have_the_same_rows(tmp_path: Path, empty: bool) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for writer in (CsvWriter(tmp_path, empty=empty), ParquetWriter(tmp_path, empty=empty)):
        write(writer, [*RUN, *CLIP])
    assert files(tmp_path) == {f"{stem}.{suffix}" for stem in ("cairn", "clip.cairn") for suffix in ("csv", "parquet")}
    rows = []
    for stem, run in (("cairn", RUN), ("clip.cairn", CLIP)):
        with (tmp_path / f"{stem}.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        own = parquet.read_table(tmp_path / f"{stem}.parquet").to_pylist()
        assert len(lines) == len(own) == sum(17 * len(poses) or empty for _, poses in run)
        for line, row in zip(lines, own, strict=True):
            assert tuple(line) == tuple(row) == COLUMNS
            for column, value in row.items():
                if value is None:
                    assert line[column] == ""
                elif isinstance(value, str):
                    assert line[column] == value
                else:
                    assert float(line[column]) == pytest.approx(value, abs=0.006)
        rows += own
    assert {row["id"] for row in rows} == {None, 7}
    assert {row["frame"] for row in rows} == {None, 0, 1, 2}
    alone = [row for row in rows if row["joint"] is None]
    assert [row["image"] for row in alone] == ["images/none.jpg"] * empty
    assert all(row[column] is None for row in alone for column in COLUMNS[1:])


def test_a_long_parquet_table_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("cairn.results.parquet.ROWS", 60)
    write(ParquetWriter(tmp_path), CLIP * 7)
    file = parquet.ParquetFile(tmp_path / "clip.cairn.parquet")
    assert file.metadata.num_row_groups == 11  # 68 rows each but for the last
    assert file.metadata.num_rows == 7 * 3 * 2 * 17


def read_strictly(path: Path, parts: int, lowest: float, highest: tuple[float, float]) -> list[list[tuple]]:
    """Reads (x, y, c) of people; accepts only what OpenPose's documentation of version 1.3 specifies."""

    def in_order(pairs: list[tuple[str, object]]) -> list[tuple[str, object]]:
        return pairs

    content = json.loads(path.read_text(encoding="ascii"), object_pairs_hook=in_order)
    names = [name for name, _ in content]
    assert names in (["version", "people"], ["version", "people", "part_candidates"])
    assert content[0][1] == 1.3
    people = []
    kinds = [f"{part}_keypoints_{d}" for d in ("2d", "3d") for part in ("pose", "face", "hand_left", "hand_right")]
    for person in content[1][1]:
        assert [key for key, _ in person] == ["person_id", *kinds]
        values = dict(person)
        assert len(values["person_id"]) == 1
        assert all(type(number) is int for number in values["person_id"])
        lengths = {"pose": parts, "face": 70, "hand_left": 21, "hand_right": 21}
        for kind in kinds:
            flat, part = values[kind], kind.split("_keypoints_")[0]
            assert len(flat) in (
                (3 * lengths[part], 0)
                if kind.endswith("2d") and part != "pose"
                else (3 * parts,)
                if kind.endswith("2d")
                else (0,)
            )
        flat = values["pose_keypoints_2d"]
        assert all(isinstance(number, int | float) for number in flat)
        people.append(list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)))
    candidates = content[2][1] if len(content) == 3 else []
    for each in candidates:
        assert [key for key, _ in each] == [str(part) for part in range(parts)]
        for _, flat in each:
            people.append(list(zip(flat[::3], flat[1::3], flat[2::3], strict=True)))
    for x, y, c in (triplet for person in people for triplet in person):
        assert 0 <= c <= 1
        assert c > 0 or (x, y) == (0, 0)
        assert c == 0 or (lowest <= x <= highest[0] and lowest <= y <= highest[1])
    return people


@pytest.mark.parametrize(("scale", "lowest", "highest"), [(0, 0, (639, 479)), (3, 0, (1, 1)), (4, -1, (1, 1))])
def test_openpose_files_follow_its_documentation(
    tmp_path: Path, scale: int, lowest: float, highest: tuple[float, float]
) -> None:
    write(OpenPoseWriter(tmp_path, scale), [*RUN, *CLIP])
    assert {"a_keypoints.json", "clip_000000000002_keypoints.json"} <= files(tmp_path / "cairn.openpose")
    for name, poses in [*RUN, *CLIP]:
        people = read_strictly(name.beside(tmp_path / "cairn.openpose", "_keypoints.json"), 18, lowest, highest)
        assert len(people) == len(poses)


def test_openpose_keypoint_scales_at_the_corners_of_the_image() -> None:
    corners = np.array([[[0, 0], [639, 479], [319.5, 239.5]]], np.float32)
    poses = Poses(corners, np.ones((1, 3), np.float32), np.ones(1, np.float32), random_poses(1, 1).skeleton)
    for scale, expected in ((3, [0, 0, 1, 1, 0.5, 0.5]), (4, [-1, -1, 1, 1, 0, 0]), (0, corners.ravel())):
        flat = np.array(to_openpose(poses, SIZE, scale)["people"][0]["pose_keypoints_2d"]).reshape(3, 3)
        np.testing.assert_allclose(flat[:, :2].ravel(), expected, atol=1e-4)
    with pytest.raises(CairnError, match=r"must be 0 \(pixels of the source\), 3 .*, got 1"):
        OpenPoseWriter(Path(), 1)


def test_part_candidates_are_the_peaks_of_the_heatmaps(tmp_path: Path) -> None:
    heatmaps = np.zeros((18, 30, 40), np.float32)  # background last
    nose, left_hip = COCO17.index("nose"), COCO17.index("left_hip")
    heatmaps[nose, 10, 20] = heatmaps[nose, 20, 5] = 0.5
    heatmaps[left_hip, 3, 3] = 0.01  # below the threshold
    heatmaps[17] = 1
    maps = {"heatmaps": heatmaps}, Affine.scaling(2)
    with OpenPoseWriter(tmp_path, candidates=0.1) as writer:
        writer.write(Detections(*RUN[0][:1], SIZE, RUN[0][1], maps))
    read_strictly(tmp_path / "cairn.openpose" / "a_keypoints.json", 18, 0, (639, 479))
    candidates = part_candidates(*maps, COCO17, 0.1, SIZE)
    assert {part for part, flat in candidates.items() if flat} == {str(COCO18.index("nose"))}
    assert sorted(np.reshape(candidates["0"], (2, 3)).tolist()) == [[10, 40, 0.5], [40, 20, 0.5]]
    with pytest.raises(CairnError, match="no heatmaps of the whole image"):
        OpenPoseWriter(tmp_path, candidates=0.1).write(Detections(RUN[0][0], SIZE, RUN[0][1]))


def test_maps_are_read_back_with_their_affine_transform(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = {"heatmaps": rng.random((3, 4, 5), np.float32), "pafs": np.full((4, 4, 5), 1e6, np.float32)}
    affine = Affine.scaling(8).then(Affine.translation(3.5, 3.5))
    writer = MapsWriter(tmp_path)
    writer.write(Detections(CLIP[0][0], SIZE, CLIP[0][1], (maps, affine)))
    with np.load(tmp_path / "cairn.maps" / "clip_000000000000.npz") as read:
        assert set(read) == {"heatmaps", "pafs", "affine"}
        assert read["heatmaps"].dtype == np.float16
        np.testing.assert_allclose(read["heatmaps"], maps["heatmaps"], atol=1e-3)
        assert np.isfinite(read["pafs"]).all()
        np.testing.assert_array_equal(Affine(read["affine"]).apply(np.array([[0.0, 2.0]])), [[3.5, 19.5]])
    with pytest.raises(OutputError, match="no network output"):
        writer.write(Detections(CLIP[0][0], SIZE, CLIP[0][1]))


def test_hands_and_face_have_separate_arrays_in_openpose_json() -> None:
    skeleton = Skeleton("half", ("nose", "neck", "left_hand_0", "right_hand_0", "right_hand_1", "face_0"))
    poses = random_poses(4, 6, skeleton)
    for row, person in enumerate(to_openpose(poses, SIZE)["people"]):
        for part, joints in (("pose", [0, 1]), ("hand_left", [2]), ("hand_right", [3, 4]), ("face", [5])):
            flat = np.array(person[f"{part}_keypoints_2d"]).reshape(-1, 3)
            np.testing.assert_allclose(flat[:, 2], poses.confidence[row, joints], atol=1e-4)
            np.testing.assert_allclose(flat[:, :2], np.nan_to_num(poses.keypoints[row, joints]), atol=1e-4)
