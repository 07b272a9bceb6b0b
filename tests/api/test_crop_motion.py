"""Crops by motion: `cairn.crop`, `cairn detect --boxes motion`, and discovery and teaching without boxes."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.datasets.reading import read_labels
from cairn.errors import CairnError, LabelError, OutputError
from cairn.media.images import read_image, write_image
from cairn.media.video import write_video
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import totems, write_totem_model
from support.moving import frame, scene, write_frames


def test_frames_without_labels_are_cropped_around_what_moves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    centers = write_frames(tmp_path / "frames")
    write_image(tmp_path / "frames/005.png", scene((90, 120)))
    crops = cairn.crop(tmp_path / "frames", tmp_path / "out", by="motion", margin=2.0, size=40)
    assert (crops.num_crops, crops.labels, crops.boxes) == (11, (), tmp_path / "out/boxes.json")
    assert "nothing moves in them: 005.png" in caplog.text
    boxes = json.loads((tmp_path / "out/boxes.json").read_text())
    assert len(boxes) == 11
    assert "005.png" not in boxes
    for i, center in enumerate(centers):
        if i == 5:
            continue
        ((x, y, width, height),) = boxes[f"{i:03d}.png"]
        np.testing.assert_allclose((x + width / 2, y + height / 2), center, atol=3)
        pixels = read_image(tmp_path / f"out/images/{i:03d}.png")
        assert pixels.shape == (40, 40, 3)
        assert pixels[17:23, 17:23].max() < 60  # the disk is in the middle


def test_labels_are_cropped_by_motion_with_their_keypoints(tmp_path: Path) -> None:
    centers = write_frames(tmp_path / "images")
    names = ["center"]
    content = {
        "images": [{"id": i, "file_name": f"{i:03d}.png", "width": 120, "height": 90} for i in range(12)],
        "annotations": [
            {"id": i + 1, "image_id": i, "category_id": 1, "keypoints": [round(x), round(y), 2], "bbox": [1, 1, 5, 5],
             "area": 25, "iscrowd": 0, "num_keypoints": 1}
            for i, (x, y) in enumerate(centers.tolist())
        ],
        "categories": [{"id": 1, "name": "disk", "keypoints": names, "skeleton": []}],
    }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(content))
    crops = cairn.crop(tmp_path / "labels.json", tmp_path / "out", by="motion", margin=2.0, size=40)
    assert crops.labels == (tmp_path / "out/labels.json",)
    for image in read_labels(tmp_path / "out/labels.json"):
        np.testing.assert_allclose(image.annotation.keypoints[0, 0], 19.5, atol=4)


def test_impossible_motion_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    write_frames(tmp_path / "frames", count=3)
    with pytest.raises(LabelError, match="has 3 frames of 120x90"):
        cairn.crop(tmp_path / "frames", tmp_path / "out", by="motion")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CairnError, match="crops are by boxes, landmarks or motion, got 'movement'"):
        cairn.crop(tmp_path / "frames", tmp_path / "out", by="movement")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.txt").write_text("a")
    with pytest.raises(OutputError, match="is not empty"):
        cairn.crop(tmp_path / "frames", tmp_path / "full", by="motion")


@pytest.fixture
def detect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cairn:
    """Runs `cairn detect` beside one.onnx (crops) and frames/ of a totem that moves."""
    from cairn.inference.model_spec import InputSpec
    from support.fake_network import SPEC

    monkeypatch.chdir(tmp_path)
    spec = {"name": "one-totem", "method": "hourglass", "task": "crop", "outputs": ("heatmaps",), "decode": {}}
    spec["input"] = InputSpec(resize="square", size=128, multiple=8, margin=1.5)
    write_totem_model(tmp_path / "one.onnx", SPEC.model_copy(update=spec))
    (tmp_path / "frames").mkdir()
    for i in range(8):
        write_image(tmp_path / f"frames/{i}.png", totems((240, 320), [(60 + 25 * i, 120)]))
    return lambda *arguments: run_cairn(capsys, "detect", "--threads", "1", *arguments)


def middles(ended: Ended) -> list[float | None]:
    """The x of the middle keypoint in each image."""
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    return [next(iter(line["people"][0]["keypoints"].values()))[0] if line["people"] else None for line in lines]


def test_detection_finds_the_boxes_of_a_folder_itself(detect: Cairn, tmp_path: Path) -> None:
    write_image(tmp_path / "frames/9.png", totems((240, 320), []))
    ended = detect("frames", "--model", "one.onnx", "--boxes", "motion", "--json", "-")
    assert ended.status == 0
    *found, nothing = middles(ended)
    np.testing.assert_allclose(np.array(found, float), 60 + 25 * np.arange(8), atol=4)
    assert nothing is None


def test_detection_by_motion_takes_videos(detect: Cairn, tmp_path: Path) -> None:
    pytest.importorskip("av")
    with write_video(tmp_path / "clip.mp4", (240, 320), 10) as writer:
        for i in range(8):
            writer.write(totems((240, 320), [(60 + 25 * i, 120)]), i / 10)
    ended = detect("clip.mp4", "--model", "one.onnx", "--boxes", "motion", "--json", "-")
    assert ended.status == 0
    np.testing.assert_allclose(np.array(middles(ended), float), 60 + 25 * np.arange(8), atol=5)


def test_boxes_of_motion_that_cannot_be_are_one_line(detect: Cairn, tmp_path: Path) -> None:
    ended = detect("0", "--model", "one.onnx", "--boxes", "motion", "--json", "-")
    assert (ended.status, ended.stderr.count("\n")) == (2, 1)
    assert "record it first" in ended.stderr
    few = tmp_path / "few"
    few.mkdir()
    for i in range(3):
        (few / f"{i}.png").write_bytes((tmp_path / f"frames/{i}.png").read_bytes())
    ended = detect("few", "--model", "one.onnx", "--boxes", "motion", "--json", "-")
    assert (ended.status, ended.stderr.count("\n")) == (2, 1)
    assert "motion needs at least 5" in ended.stderr


def test_discovery_and_teaching_need_no_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    from cairn.methods.landmarks.images import landmark_skeleton, views_of
    from cairn.methods.landmarks.recipe import Crop
    from cairn.training.recipe import LabelSource

    centers = write_frames(tmp_path / "frames", count=15)
    write_image(tmp_path / "frames/020.png", scene((90, 120)))
    source, skeleton = LabelSource(labels=tmp_path / "frames"), landmark_skeleton(3)
    with caplog.at_level(logging.WARNING):
        views = views_of(source, Crop(by="motion"), skeleton)
    assert "nothing moves in them: 020.png" in caplog.text
    boxes = np.array([image.annotation.boxes[0] for image in views])
    np.testing.assert_allclose(boxes[:, :2] + boxes[:, 2:] / 2, centers, atol=3)
    with pytest.raises(CairnError, match="for frames of a static camera there is --crop motion"):
        views_of(source, Crop(by="boxes"), skeleton)


def test_a_disk_is_drawn_where_it_should_be() -> None:
    assert frame(scene((90, 120)), (30, 40), 9)[40, 30].max() == 15
