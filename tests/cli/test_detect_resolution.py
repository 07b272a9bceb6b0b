"""`cairn detect` at other resolutions and scales, with hands and faces, and in the colors of objects."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.inference.model_spec import InputSpec
from cairn.media.images import read_image, write_image
from cairn.structures.skeleton import Skeleton
from cairn.visualization.colors import object_color
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import SPEC, totems, write_totem_model

# A totem whose joints are an arm and a head: its dots place a hand and a face.
ARM = Skeleton("arm", ("right_shoulder", "right_elbow", "right_wrist"), limbs=((0, 1), (1, 2)))
HEAD = Skeleton("head", ("right_eye", "nose", "left_eye"), limbs=((0, 1), (1, 2)))
CROP = {
    "name": "crop",
    "task": "crop",
    "input": InputSpec(resize="square", size=128, multiple=8, margin=1.0),
    "outputs": ("heatmaps",),
    "decode": {},
}


@pytest.fixture
def cairn(tmp_path: Path, totem_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cairn:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.onnx").write_bytes(totem_model.read_bytes())
    write_totem_model(tmp_path / "face.onnx", SPEC.model_copy(update=CROP))
    write_totem_model(tmp_path / "head.onnx", SPEC.model_copy(update={"name": "head", "skeleton": HEAD}))
    write_totem_model(tmp_path / "arm.onnx", SPEC.model_copy(update={"name": "arm", "skeleton": ARM}))
    write_image(tmp_path / "photo.png", totems((240, 320), [(80, 120), (240, 110)]))

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "photo.png", "--threads", "1", *arguments)

    return run


def found(line: str) -> list[list[float]]:
    people = json.loads(line)["people"]
    return sorted([v for joint in SPEC.skeleton.joints for v in person["keypoints"][joint][:2]] for person in people)


@pytest.mark.parametrize(
    "options",
    [
        ("--net-resolution", "-1x352"),
        ("--net-resolution", "-1x368"),  # rounded to 384
        ("--net-resolution", "640x480"),
        ("--net-resolution", "320x-1"),
        ("--scales", "2"),
        ("--size", "640", "--scales", "3", "--scale-gap", "0.2"),
        ("--net-resolution", "-1x480", "--scales", "2", "--scale-gap", "0.4"),
    ],
)
def test_results_are_in_image_pixels_at_every_resolution(cairn: Cairn, options: tuple) -> None:
    ended = cairn("--model", "whole.onnx", "--json", "-", *options)
    assert ended.status == 0
    expected = [[x, y - 40, x, y, x, y + 40] for x, y in ((80, 120), (240, 110))]
    np.testing.assert_allclose(found(ended.stdout), expected, atol=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "320", "--net-resolution", "320x320"], "size and net-resolution both set the input size"),
        (["--net-resolution", "320"], "a net resolution is WxH, such as 656x368 or -1x368, got '320'"),
        (["--scales", "5"], "5 scales with a gap of 0.25 end at 0"),
        (["--scales", "2", "--scale-gap", "0"], "gap between scales must be between 0 and 1"),
        (["--scale-gap", "0.3"], "scale-gap is the difference between scales"),
        (["--net-resolution", ""], "a net resolution is WxH"),
        (["--hands", ""], "no model ''"),
        (["--model", ""], "no model ''"),
        (["--draw-colors", "people"], "draw-colors must be limb or object"),
        (["--draw-colors", "object", "--no-draw"], "draw-colors need drawing"),
        (
            ["--hands", "whole.onnx"],
            "hands need a model of one instance per crop; totems detects all instances of an image",
        ),
        (["--face", "absent.onnx"], "no model file at absent.onnx"),
        (["--face", "face.onnx"], "skeleton totem has none"),
        (["--model", "arm.onnx", "--hands", "face.onnx"], "skeleton arm has no left_shoulder"),
        (["--model", "face.onnx", "--scales", "2"], "predicts one instance per crop"),
    ],
)
def test_wrong_options_are_one_line(cairn: Cairn, options: list, message: str, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    ended = cairn(*([] if "--model" in options else ["--model", "whole.onnx"]), *options)
    assert ended.status == 2
    assert len(ended.stderr.strip().splitlines()) == 1
    assert message in ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == before


def test_faces_are_written_with_the_body(cairn: Cairn, tmp_path: Path) -> None:
    ended = cairn("--model", "head.onnx", "--face", "face.onnx", "--write", "json,openpose,coco,csv", "--draw")
    assert ended.status == 0, ended.stderr
    form = json.loads((tmp_path / "photo.cairn.json").read_text())
    assert form["model"] == "head + crop"
    assert form["skeleton"]["name"] == "head+totem"
    for person in form["people"]:
        points = person["keypoints"]
        for part, own in (("face_top", "right_eye"), ("face_middle", "nose"), ("face_base", "left_eye")):
            np.testing.assert_allclose(points[part][:2], points[own][:2], atol=5)
    people = json.loads((tmp_path / "cairn.openpose" / "photo_keypoints.json").read_text())["people"]
    assert [len(people[0][f"{part}_keypoints_2d"]) for part in ("pose", "face", "hand_left")] == [9, 9, 0]
    assert (tmp_path / "photo.cairn.jpg").exists()


def test_colors_may_distinguish_objects(cairn: Cairn, tmp_path: Path) -> None:
    assert cairn("--model", "whole.onnx", "--draw-colors", "object", "--draw-threshold", "0").status == 0
    drawn = read_image(tmp_path / "photo.cairn.jpg").astype(int)
    pixels = [drawn[140, 80], drawn[130, 240]]
    wanted = [object_color(0), object_color(1)]
    distance = np.array([[np.abs(pixel - color).max() for color in wanted] for pixel in pixels])
    assert (distance.min(axis=1) < 90).all()
    assert set(distance.argmin(axis=1)) == {0, 1}


def test_rounded_net_resolution_is_one_line_of_notice(cairn: Cairn) -> None:
    plain = cairn("--model", "whole.onnx", "--json", "-", "--net-resolution", "-1x384")
    rounded = cairn("--model", "whole.onnx", "--json", "-", "--net-resolution", "-1x368")
    assert rounded.stdout == plain.stdout
    assert rounded.status == 0


def test_device_that_is_absent_is_one_line(cairn: Cairn) -> None:
    ended = cairn("--model", "whole.onnx", "--device", "tpu")
    assert ended.status == 2
    assert ended.stderr.startswith("cairn: device must be one of auto, cpu, cuda")
    assert cairn("--model", "whole.onnx", "--device", "cpu", "--json", "-").status == 0
