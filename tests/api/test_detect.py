"""`cairn.api.detect.detect`: the options of the command as keywords, and a result object."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.api.detect import detect
from cairn.api.load import load
from cairn.errors import CairnError, ImageError
from cairn.inference.model_spec import InputSpec
from cairn.inference.refine import RefinedPredictor
from cairn.media.images import read_image, write_image
from cairn.results.ownership import RECORD
from cairn.structures.poses import Poses
from support.fake_network import SPEC, FixedPredictor, totems, write_totem_model

CROP = {
    "name": "one-totem",
    "method": "hourglass",
    "task": "crop",
    "input": InputSpec(resize="square", size=128, multiple=8, margin=1.5),
    "outputs": ("heatmaps",),
    "decode": {},
}


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "photo.png", totems((240, 320), [(80, 120), (240, 120)]))
    return Path("photo.png")


@pytest.fixture
def folder(photo: Path) -> Path:
    for i in range(3):
        write_image(Path("pics") / f"{i}.png", totems((240, 320), [(80, 120)] * (i > 0)))
    return Path("pics")


def files(place: Path) -> set[str]:
    """The files there, without the record of whose results they are."""
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file() and path.name != RECORD}


def test_one_image_gives_an_overlay_and_json(photo: Path, totem_model: Path) -> None:
    run = detect(photo, model=totem_model, threads=1)
    assert (run.images, run.frames, run.people, run.tracks, run.errors) == (1, 0, 2, None, [])
    assert run.results == (Path("photo.cairn.jpg"), Path("photo.cairn.json"))
    assert all(path.is_file() for path in run.results)
    assert repr(run) == "DetectionRun(1 image, 0 frames, 2 people, 0 errors -> photo.cairn.jpg and photo.cairn.json)"


def test_folder_gives_json(folder: Path, totem_model: Path) -> None:
    run = detect([folder], model=str(totem_model), threads=1)
    assert (run.images, run.people, run.results) == (3, 2, (Path("cairn-results"),))
    assert files(Path("cairn-results")) == {"0.cairn.json", "1.cairn.json", "2.cairn.json"}


def test_formats_may_be_a_sequence_or_text(folder: Path, totem_model: Path) -> None:
    for i, write in enumerate(("csv,coco", ["csv", "coco"], ("csv", "coco", "csv"))):
        run = detect(folder, model=totem_model, threads=1, write=write, out=f"out{i}")
        assert run.results == (Path(f"out{i}"),)
        assert files(Path(f"out{i}")) == {"cairn.csv", "cairn.coco.json", "cairn.coco-images.json"}


def test_lines_go_to_a_stream(folder: Path, totem_model: Path) -> None:
    lines = io.StringIO()
    before = files(Path())
    run = detect(folder, model=totem_model, threads=1, lines=lines)
    assert [len(json.loads(line)["people"]) for line in lines.getvalue().splitlines()] == [0, 1, 1]
    assert files(Path()) == before
    assert run.results == ()


def test_loaded_predictor_is_a_model(photo: Path, totem_model: Path) -> None:
    model = load(totem_model, threads=1, peak_threshold=0.99, second_try=False)
    assert detect(photo, model=model, draw=False).people == 0
    with pytest.raises(CairnError, match=r"size and device are options of cairn\.load: the model is loaded"):
        detect(photo, model=model, size=320)


def test_tracking_of_numbered_images(folder: Path, totem_model: Path) -> None:
    run = detect("pics/%d.png", model=totem_model, threads=1, track=True, fps=10, smooth=1)
    assert (run.images, run.frames, run.people, run.tracks) == (0, 3, 2, 1)


@pytest.mark.parametrize("boxes", [[[60, 70, 40, 100]], {"photo.png": [[60, 70, 40, 100]]}, "boxes.json"])
def test_boxes_are_an_array_a_mapping_or_a_file(photo: Path, tmp_path: Path, boxes: Any) -> None:
    Path("boxes.json").write_text(json.dumps({"photo.png": [[60, 70, 40, 100]]}))
    model = write_totem_model(tmp_path / "one.onnx", SPEC.model_copy(update=CROP))
    detect(photo, model=model, boxes=boxes, threads=1, draw=False)
    (person,) = json.loads(Path("photo.cairn.json").read_text())["people"]
    np.testing.assert_allclose(person["keypoints"]["middle"][:2], [80, 120], atol=2)


def test_errors_are_logged_and_counted(folder: Path, totem_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (folder / "1.png").write_text("not an image")
    run = detect(folder, model=totem_model, threads=1)
    assert (run.images, len(run.errors), run.people) == (2, 1, 1)
    assert caplog.messages == [
        "pics/1.png is not an image in a supported format (JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000, HEIC)"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"write": "xml"}, "write: expected formats of json,coco,openpose,csv,parquet,maps,mpii, got xml"),
        ({"write": [], "draw": False}, "nothing would be written"),
        ({"smooth": 1.0}, "smooth needs track"),
        ({"track": True}, r"track is for videos, webcams and numbered images .*photo\.png is one image"),
        ({"fps": 10}, "fps is for numbered images"),
        ({"draw_as": "webm"}, "draw-as is for videos"),
        ({"draw": False, "draw_threshold": 0.5}, "need drawing"),
        ({"draw_colors": "red"}, "draw-colors must be limb or object, got 'red'"),
        ({"keypoint_scale": 3}, "need the format openpose"),
        ({"boxes": [[0, 0, 9, 9]], "refine": "person-refine"}, "give boxes or refine, not both"),
        ({"boxes": [[0, 0, 9, 9]]}, "boxes are for models of one instance per crop"),
        ({"refine": "person-single", "write": "maps"}, "need a model that runs on whole images"),
    ],
)
def test_option_that_would_be_ignored_raises(photo: Path, totem_model: Path, options: dict, message: str) -> None:
    before = files(Path())
    with pytest.raises(CairnError, match=message) as caught:
        detect(photo, model=totem_model, threads=1, **options)
    assert "\n" not in str(caught.value)
    assert files(Path()) == before


def test_sources_must_be_names(totem_model: Path) -> None:
    for sources, message in (
        ([np.zeros((4, 4, 3), np.uint8)], "detect reads files and webcams, got uint8"),
        ([], "there are no sources"),
        ("absent.jpg", r"no image at absent\.jpg"),
    ):
        with pytest.raises(ImageError, match=message):
            detect(sources, model=totem_model, threads=1)  # type: ignore[arg-type]


def test_images_and_frames_of_clips_are_drawn_by_the_threshold_of_their_own_predictor(tmp_path: Path) -> None:
    names = [tmp_path / f"{name}.png" for name in ("photo", "frame_00", "frame_01")]
    gray = np.full((120, 160, 3), 127, np.uint8)
    for name in names:
        write_image(name, gray)
    points = np.array([[[40, 40], [80, 60], [120, 80]]], np.float32)
    poses = Poses(points, np.full((1, 3), 0.3, np.float32), np.ones(1, np.float32), SPEC.skeleton)
    whole = FixedPredictor(poses, SPEC.model_copy(update={"draw_threshold": 0.5}))
    crops = FixedPredictor(poses, SPEC.model_copy(update={"draw_threshold": 0.2, "task": "crop"}))
    model = RefinedPredictor(whole, crops, plain=whole)
    for threshold, expected in ((None, [True, False, False]), (0.2, [True] * 3), (0.5, [False] * 3)):
        out = tmp_path / f"out-{threshold}"
        sources = [names[0], tmp_path / "frame_%02d.png"]
        detect(sources, model=model, out=out, draw=True, draw_as="jpg", draw_threshold=threshold)
        drawn = [
            read_image(path) for path in sorted(out.rglob("*.jpg"), key=lambda path: path.name.startswith("frame"))
        ]
        assert [bool((np.abs(image.astype(int) - 127) > 30).any()) for image in drawn] == expected
