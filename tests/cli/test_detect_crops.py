"""`cairn detect --boxes` and `--refine`: models of one instance per crop."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.inference.model_spec import InputSpec
from cairn.media.images import write_image
from support.ended import Cairn, Ended, run_cairn
from support.fake_network import SPEC, totems, write_totem_model

CROP_SPEC = SPEC.model_copy(
    update={
        "name": "one-totem",
        "method": "hourglass",
        "task": "crop",
        "input": InputSpec(resize="square", size=128, multiple=8, margin=1.5),
        "outputs": ("heatmaps",),
        "decode": {},
    }
)
MIDDLES = [(80, 120), (240, 110)]


@pytest.fixture
def cairn(tmp_path: Path, totem_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cairn:
    """Runs `cairn detect` in a folder with whole.onnx, one.onnx, photo.png and other.png."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.onnx").write_bytes(totem_model.read_bytes())
    write_totem_model(tmp_path / "one.onnx", CROP_SPEC)
    write_image(tmp_path / "photo.png", totems((240, 320), MIDDLES))
    write_image(tmp_path / "other.png", totems((240, 320), MIDDLES[:1]))

    def run(*arguments: str) -> Ended:
        return run_cairn(capsys, "detect", "--threads", "1", *arguments)

    return run


def found(line: str) -> list[tuple[float, ...]]:
    """Positions of the three keypoints of each instance, from left to right."""
    people = json.loads(line)["people"]
    return sorted(tuple(v for joint in SPEC.skeleton.joints for v in each["keypoints"][joint][:2]) for each in people)


def expected(middles: list[tuple[int, int]]) -> list[list[float]]:
    return [[x, y - 40, x, y, x, y + 40] for x, y in middles]


def boxes_file(folder: Path, content: object) -> str:
    (folder / "boxes.json").write_text(json.dumps(content))
    return "boxes.json"


def test_one_instance_is_detected_in_each_box(cairn: Cairn, tmp_path: Path) -> None:
    path = boxes_file(tmp_path, [[60, 70, 40, 100], [220, 60, 40, 100]])
    ended = cairn("photo.png", "--model", "one.onnx", "--boxes", path, "--json", "-")
    assert ended.status == 0
    np.testing.assert_allclose(found(ended.stdout), expected(MIDDLES), atol=2)
    assert json.loads(ended.stdout)["model"] == "one-totem"


def test_model_of_one_instance_per_image_takes_boxes_too(cairn: Cairn, tmp_path: Path) -> None:
    whole = CROP_SPEC.model_copy(update={"task": "single_instance"})
    write_totem_model(tmp_path / "sole.onnx", whole)
    path = boxes_file(tmp_path, [[60, 70, 40, 100], [220, 60, 40, 100]])
    boxed = cairn("photo.png", "--model", "sole.onnx", "--boxes", path, "--json", "-")
    np.testing.assert_allclose(found(boxed.stdout), expected(MIDDLES), atol=2)
    alone = cairn("other.png", "--model", "sole.onnx", "--json", "-")
    np.testing.assert_allclose(found(alone.stdout), expected(MIDDLES[:1]), atol=6)


def test_boxes_are_matched_to_images_by_name(cairn: Cairn, tmp_path: Path) -> None:
    path = boxes_file(tmp_path, {"photo.png": [[220, 60, 40, 100]], "other.png": [[60, 70, 40, 100]]})
    ended = cairn("other.png", "photo.png", "--model", "one.onnx", "--boxes", path, "--json", "-")
    assert ended.status == 0
    for line, middle in zip(ended.stdout.splitlines(), MIDDLES, strict=True):
        np.testing.assert_allclose(found(line), expected([middle]), atol=2)


def test_without_boxes_the_crop_is_the_whole_image(cairn: Cairn) -> None:
    ended = cairn("other.png", "--model", "one.onnx", "--json", "-")
    np.testing.assert_allclose(found(ended.stdout), expected(MIDDLES[:1]), atol=6)


def test_refinement_is_more_accurate(cairn: Cairn) -> None:
    coarse = cairn("photo.png", "--model", "whole.onnx", "--json", "-", "--size", "160")
    fine = cairn("photo.png", "--model", "whole.onnx", "--json", "-", "--size", "160", "--refine-with", "one.onnx")
    assert fine.status == 0
    errors = [np.abs(np.array(found(each.stdout)) - expected(MIDDLES)).max() for each in (coarse, fine)]
    assert errors[1] < min(errors[0], 2)


def test_invalid_box_in_one_of_several_images_is_one_line_and_status_1(cairn: Cairn, tmp_path: Path) -> None:
    path = boxes_file(tmp_path, {"photo.png": [[400, 60, 40, 100]], "other.png": [[60, 70, 40, 100]]})
    ended = cairn("other.png", "photo.png", "--model", "one.onnx", "--boxes", path, "--json", "-")
    assert ended.status == 1
    assert len(ended.stdout.splitlines()) == 1
    assert "photo.png: box 0 (400, 60, 40, 100) lies outside the image of 320 x 240 pixels" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photo.png", "--model", "one.onnx", "--boxes", "absent.json"], "cannot read boxes absent.json"),
        (["photo.png", "--model", "one.onnx", "--boxes", "boxes.json"], "boxes.json has no boxes for photo.png"),
        (["photo.png", "other.png", "--model", "one.onnx", "--boxes", "list.json"], "list of boxes for one image"),
        (["other.png", "--model", "one.onnx", "--boxes", "boxes.json"], "box 0 (0, 0, 0, 5) has no area"),
        (
            ["other.png", "--model", "whole.onnx", "--boxes", "boxes.json"],
            "boxes are for models of one instance per crop; totems detects all instances",
        ),
        (
            ["other.png", "--model", "one.onnx", "--boxes", "boxes.json", "--refine-with", "whole.onnx"],
            "one instance per crop is refined by another model of one instance per crop, got",
        ),
        (["photo.png", "--model", "whole.onnx", "--refine-with", "whole.onnx"], "refinement needs a model of all"),
        (["photo.png", "--model", "one.onnx", "--size", "100"], "a multiple of 8, got 100"),
    ],
)
def test_wrong_options_are_one_line_and_nothing_is_written(
    cairn: Cairn, tmp_path: Path, arguments: list[str], message: str
) -> None:
    boxes_file(tmp_path, {"other.png": [[0, 0, 0, 5]]})
    (tmp_path / "list.json").write_text("[[60, 70, 40, 100]]")
    before = set(tmp_path.rglob("*"))
    ended = cairn(*arguments)
    assert ended.status == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before
