"""Cairn's own results are read as labels: the keypoints that were written, from a confidence on."""

import json
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.media.names import ImageName
from cairn.results import Detections, WriterOptions, create_writers
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.fake_poses import random_poses
from support.made_labels import SIZE, draw_images

COCO = load_skeleton("coco17")
FILES = {"json": "out", "coco": "out/cairn.coco.json", "csv": "out/cairn.csv", "parquet": "out/cairn.parquet"}
NAMES = ("a.png", "sub/b ü.png", "none.png")


def detected(folder: Path, form: str, skeleton: Skeleton = COCO) -> dict[str, Poses]:
    """Writes the results of three images, the last of which has no detection."""
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in an extra")
    draw_images(folder / "images", NAMES)
    run = {name: random_poses(i, 2, skeleton) for i, name in enumerate(NAMES)}
    run[NAMES[0]] = replace(run[NAMES[0]], ids=np.array([4, -1]))
    run[NAMES[2]] = Poses.empty(skeleton)
    images = [folder / "images" / name for name in NAMES]
    (writer,) = create_writers([form], WriterOptions(folder / "out", "person", images))
    with writer:
        for path, (name, poses) in zip(images, run.items(), strict=True):
            writer.write(Detections(ImageName(path, PurePath(name).with_suffix("")), SIZE, poses))
    return run


def check(labels: Labels, run: dict[str, Poses], confidence: float) -> None:
    by_name = {image.path.name: image for image in labels}
    for name, poses in run.items():
        if not len(poses):
            continue
        image = by_name[PurePath(name).name]
        labeled = poses.detected & (np.round(poses.confidence, 4) >= confidence)
        rows = np.flatnonzero(labeled.any(axis=1))
        assert image.size == SIZE
        np.testing.assert_array_equal(image.annotation.visibility, np.where(labeled, 2, 0)[rows])
        expected = np.where(labeled[..., None], poses.keypoints, np.nan)[rows]
        np.testing.assert_allclose(image.annotation.keypoints, expected, atol=0.0051)


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("confidence", [0.0, 0.5, 0.8])
def test_results_are_read_back(tmp_path: Path, form: str, confidence: float) -> None:
    run = detected(tmp_path, form)
    labels = read_labels(tmp_path / FILES[form], ReadOptions(confidence=confidence))
    assert labels.skeleton == COCO
    check(labels, run, confidence)
    tracks = labels.images[0].annotation.tracks
    assert tracks is not None
    assert 4 in tracks.tolist()
    if form in ("json", "coco"):  # tables have no row for an image without a detection
        assert sorted(image.path.name for image in labels) == sorted(PurePath(name).name for name in NAMES)


@pytest.mark.parametrize("form", FILES)
def test_joints_have_the_names_of_the_skeleton(tmp_path: Path, form: str) -> None:
    own = Skeleton("bug", ("head", "tail", "left", "right", "nose"), ((0, 1),))
    run = detected(tmp_path, form, own)
    labels = read_labels(tmp_path / FILES[form], ReadOptions(confidence=0, skeleton=own))
    assert labels.skeleton == own
    check(labels, run, 0)
    joints = read_labels(tmp_path / FILES[form]).skeleton.joints
    assert joints == (own.joints if form != "coco" else tuple("12345"))


@pytest.mark.parametrize("form", FILES)
def test_what_is_labeled_is_noted(tmp_path: Path, form: str, caplog: pytest.LogCaptureFixture) -> None:
    run = detected(tmp_path, form)
    confidence = np.concatenate([poses.confidence.ravel() for poses in run.values()])
    labeled, low = int((confidence >= 0.5).sum()), int(((confidence > 0) & (confidence < 0.5)).sum())
    read_labels(tmp_path / FILES[form])
    assert f"{labeled} " in caplog.text
    assert f"{low} are not" in caplog.text


def test_images_relative_to_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    detected(Path(), "json")
    (image,) = read_labels(tmp_path / "out/a.cairn.json")
    assert image.path == tmp_path / "images/a.png"
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(LabelError, match="missing"):
        read_labels(tmp_path / "out/a.cairn.json")
    (image,) = read_labels(tmp_path / "out/a.cairn.json", ReadOptions(tmp_path / "moved"))
    assert image.path == tmp_path / "moved/a.png"


@pytest.mark.parametrize("form", FILES)
def test_frames_of_a_video_need_images(tmp_path: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in an extra")
    (writer,) = create_writers([form], WriterOptions(tmp_path / "out", "person"))
    with writer:
        for i in range(2):
            name = ImageName(tmp_path / "clip.mp4", PurePath(f"clip_{i}"), PurePath("clip"), i, i / 25)
            writer.write(Detections(name, SIZE, random_poses(i, 2, COCO)))
    file = tmp_path / "out" / {"json": "clip.cairn.jsonl"}.get(form, f"clip.{Path(FILES[form]).name}")
    with pytest.raises(LabelError, match=r"clip\.mp4 has 2 frames: labels need images"):
        read_labels(file)


def test_the_format_is_told_from_others(tmp_path: Path) -> None:
    detected(tmp_path, "json")
    detected(tmp_path, "coco")
    assert detect_format(tmp_path / "out").name == "cairn-json"
    assert detect_format(tmp_path / "out/a.cairn.json").name == "cairn-json"
    assert detect_format(tmp_path / "out/cairn.coco.json").name == "coco-results"
    for text, name in (
        ('[{"category_id": 1, "image_id": 3, "score": 1, "keypoints": []}]', "coco-results"),
        ('[{"joints": [[1, 2]], "image": "a.png"}]', "mpii"),
        ('{"images": [], "format": "cairn"}', "coco"),
    ):
        (tmp_path / "x").write_text(text)
        assert detect_format(tmp_path / "x").name == name


def edited(path: Path, **values: Any) -> Path:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))
    return path


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"people": [{"keypoints": {"nose": [1, 2]}}]}, "person 0: nose must be x, y and confidence, or null"),
        ({"people": [{"keypoints": {"nose": [1, 2, "x"]}}]}, "person 0: nose must be"),
        ({"people": [{"keypoints": {"nose": [1, 2, 87]}}]}, "a confidence must be from 0 to 1, got 87"),
        ({"people": [{"keypoints": {"nose": [float("nan"), 2, 1]}}]}, "a keypoint with a confidence has no position"),
        ({"people": [{"keypoints": {"tail": None}}]}, "'tail' is no joint"),
        ({"people": [{"keypoints": 5}]}, "needs keypoints by name"),
        ({"people": [5]}, "needs keypoints by name"),
        ({"people": None}, "needs a list of people"),
        ({"people": []}, "no instance has a labeled joint"),
        ({"skeleton": None}, "needs a skeleton"),
        ({"skeleton": {"name": "x", "joints": 5}}, "needs a skeleton"),
        ({"width": "x"}, "needs a width and a height"),
        ({"image": None}, "needs the path of an image"),
    ],
)
def test_invalid_results_are_one_line(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    detected(tmp_path, "json")
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(edited(tmp_path / "out/a.cairn.json", **values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"image_id": 9, "keypoints": [1, 2, 1]}], "result 0 has image_id 9, which no image has"),
        ([{"image_id": 1, "keypoints": [1, 2]}], "result 0 needs keypoints"),
        ([{"image_id": 1, "keypoints": [1, 2, "x"]}], "result 0 needs keypoints"),
        ([{"image_id": 1, "keypoints": [1, 2, 1]}, {"image_id": 1, "keypoints": [1] * 6}], "result 1 has 2 keypoints"),
        ([{"image_id": 1, "score": 1}], "result 0 needs keypoints"),
    ],
)
def test_invalid_coco_results_are_one_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    detected(tmp_path, "coco")
    path = tmp_path / "out/cairn.coco.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(LabelError, match=message):
        read_labels(path)
    problems = Problems(skip=True)
    good = {"image_id": 1, "keypoints": [1, 2, 1]}
    path.write_text(json.dumps([good, *rows]))
    assert len(read_labels(path, ReadOptions(problems=problems)).images[0].annotation) >= 1
    (tmp_path / "out/cairn.coco-images.json").unlink()
    with pytest.raises(LabelError, match=r"no names of images: expected them in .*cairn\.coco-images\.json"):
        read_labels(path)


@pytest.mark.parametrize("form", FILES)
def test_results_keep_their_classes(tmp_path: Path, form: str) -> None:
    """Classes are read back by name; one of them can be selected; a name that no instance has is an error."""
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, which is in an extra")
    names = ("cat", "dog", "cow")
    draw_images(tmp_path / "images", NAMES[:1])
    path = tmp_path / "images" / NAMES[0]
    poses = replace(random_poses(0, 3, COCO), classes=np.array([2, 0, 2], np.int64), class_names=names)
    (writer,) = create_writers([form], WriterOptions(tmp_path / "out", "animals", [path], classes=names))
    with writer:
        writer.write(Detections(ImageName(path, PurePath("a")), SIZE, poses))
    options = ReadOptions(confidence=0.0)
    labels = read_labels(tmp_path / FILES[form], options)
    classes = labels.images[0].annotation.classes
    assert classes is not None
    assert [labels.classes[index] for index in classes] == ["cow", "cat", "cow"]
    assert len(read_labels(tmp_path / FILES[form], replace(options, category="cow")).images[0].annotation) == 2
    with pytest.raises(LabelError, match="no category 'dog': expected one of"):
        read_labels(tmp_path / FILES[form], replace(options, category="dog"))


@pytest.mark.parametrize("form", ["json", "coco"])
@pytest.mark.parametrize("key", ["keypoints", "id", "category"])
def test_numbers_without_end_and_lists_for_ids(tmp_path: Path, form: str, key: str) -> None:
    """Keypoints of such numbers are an error; ids of results, which are optional, are ignored."""
    detected(tmp_path, form)
    path = tmp_path / FILES[form]
    file = path / "a.cairn.json" if form == "json" else path
    content = json.loads(file.read_text())
    person = content["people"][0] if form == "json" else content[0]
    if key == "category":
        person["class" if form == "json" else "category_id"] = [1]
    elif key == "id":
        person["id" if form == "json" else "track_id"] = 10**400
    elif form == "json":
        person["keypoints"]["nose"] = [10**400, 1, 1]
    else:
        person["keypoints"][0] = 10**400
    file.write_text(json.dumps(content))
    if key == "keypoints":
        with pytest.raises(LabelError, match="confidence") as caught:
            read_labels(path, ReadOptions(images=tmp_path / "images"))
        assert len(str(caught.value)) < 400
    else:
        assert len(read_labels(path, ReadOptions(images=tmp_path / "images"))) == 3
