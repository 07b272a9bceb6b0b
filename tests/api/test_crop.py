"""`cairn.crop`, and crops within discovery and teaching."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.datasets.formats.coco import write_coco
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.reading import read_labels
from cairn.errors import CairnError, ImageError, LabelError, OutputError
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from support.face_sets import make_celeba, names
from support.made_figures import FIGURE, draw_figure

DOTS = Skeleton("dots", ("a", "b", "c"))


def dotted(folder: Path, corners: list[list[tuple[int, int]]], heads: bool = False) -> Path:
    """Images of 120 x 90 with instances of three white dots on black; the boxes are 20 x 30, 5 around the dots."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for number, own in enumerate(corners, start=1):
        pixels = np.zeros((90, 120, 3), np.uint8)
        points = np.array([[[x + 5, y + 5], [x + 15, y + 10], [x + 8, y + 25]] for x, y in own], np.float32)
        for x, y in points.reshape(-1, 2).astype(int):
            pixels[y - 1 : y + 2, x - 1 : x + 2] = 255
        path = folder / f"{number}.png"
        write_image(path, pixels)
        count = len(own)
        boxes = np.array([[x, y, 20, 30] for x, y in own], np.float32).reshape(-1, 4)
        annotation = Annotation(
            points.reshape(-1, 3, 2),
            np.full((count, 3), 2, np.uint8),
            boxes,
            np.full(count, 300, np.float32),
            np.zeros(count, bool),
            np.full(count, 8, np.float32) if heads else None,
            np.arange(count, dtype=np.int64),
        )
        images.append(LabeledImage(number, path, (90, 120), annotation, frame=number))
    write_coco(Labels(DOTS, tuple(images), np.ones(3, bool)), folder / "labels.json")
    return folder / "labels.json"


@pytest.mark.parametrize("by", ["boxes", "landmarks"])
@pytest.mark.parametrize("size", [45, 90])
def test_labels_move_with_the_pixels(tmp_path: Path, by: str, size: int) -> None:
    source = dotted(tmp_path / "in", [[(30, 20), (80, 40)], [(50, 30)]], heads=True)
    crops = cairn.crop(source, tmp_path / "out", by=by, margin=1.5, size=size)
    assert (crops.num_crops, crops.labels) == (3, (tmp_path / "out/labels.json",))
    labels = read_labels(tmp_path / "out/labels.json")
    assert [image.path.name for image in labels] == ["1_0.png", "1_1.png", "2.png"]
    scale = size / (1.5 * (30 if by == "boxes" else 20))
    for image in labels:
        assert image.size == (size, size)
        pixels = read_image(image.path)
        (points,) = image.annotation.keypoints
        for x, y in np.round(points).astype(int):
            assert pixels[y, x].min() > 200  # the dot is where the label is
        x, y, width, height = image.annotation.boxes[0]
        np.testing.assert_allclose((width, height), (20 * scale, 30 * scale), rtol=1e-5)
        np.testing.assert_allclose(points[0] - (x, y), 5 * scale, atol=1e-3)
        np.testing.assert_allclose(image.annotation.areas, 300 * scale**2, rtol=1e-5)
        np.testing.assert_allclose(image.annotation.heads, 8 * scale, rtol=1e-5)
    centers = [image.annotation.boxes[0, :2] + image.annotation.boxes[0, 2:] / 2 for image in labels]
    if by == "boxes":
        np.testing.assert_allclose(centers, (size - 1) / 2, atol=1e-3)
    assert [image.frame for image in labels] == [1, 1, 2]


def test_splits_names_and_exclusion_survive(tmp_path: Path) -> None:
    root = make_celeba(tmp_path / "celeba", wild=False)
    crops = cairn.crop(root, tmp_path / "out", by="landmarks", margin=2, size=32, exclude=root / "MAFL/testing.txt")
    assert [file.name for file in crops.labels] == ["train.json", "val.json"]
    labels = read_labels(tmp_path / "out")
    assert sorted(image.path.name for image in labels) == names(10)[:7]
    assert labels.splits == ("train", "val")
    assert labels.skeleton.name == "face5"


def test_folders_are_kept_where_names_are_the_same(tmp_path: Path) -> None:
    one = dotted(tmp_path / "in/x", [[(30, 20)]])
    dotted(tmp_path / "in/y", [[(30, 20)]])
    labels = read_labels(one)
    other = read_labels(tmp_path / "in/y/labels.json")
    both = replace(labels, images=(labels.images[0], replace(other.images[0], id=2)))
    write_coco(both, tmp_path / "in/labels.json")
    cairn.crop(tmp_path / "in/labels.json", tmp_path / "out", size=32)
    assert sorted(path.relative_to(tmp_path / "out/images").as_posix() for path in tmp_path.glob("out/images/*/*")) == [
        "x/1.png",
        "y/1.png",
    ]


def test_instances_that_cannot_be_cropped_are_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = dotted(tmp_path / "in", [[(30, 20), (80, 40)], [(50, 30)]])
    content = json.loads(source.read_text())
    content["annotations"][0]["bbox"] = [300, 20, 20, 30]
    content["annotations"][1]["bbox"] = [30, 20, 3, 3]
    source.write_text(json.dumps(content))
    assert cairn.crop(source, tmp_path / "out").num_crops == 1
    assert [record.getMessage() for record in caplog.records if "2, the first is instance 1 of 1.png" in record.message]


def test_keypoints_outside_their_crop_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cairn.crop(dotted(tmp_path / "in", [[(30, 20)]]), tmp_path / "out", margin=0.6)
    assert "2 of 3 labeled keypoints are outside their crop" in caplog.text


def test_what_cannot_be_done_is_a_one_line_error(tmp_path: Path) -> None:
    source = dotted(tmp_path / "in", [[(30, 20)], [(40, 20)]])
    for error, values, message in (
        (CairnError, {"by": "eyes"}, "by boxes, landmarks or motion, got 'eyes'"),
        (CairnError, {"margin": 0.0}, "must be positive"),
        (CairnError, {"margin": float("nan")}, "must be positive"),
        (CairnError, {"size": 8}, "from 16 to 8192"),
        (LabelError, {"exclude": tmp_path / "none.txt"}, "no list of images"),
        (LabelError, {"margin": 0.1}, "no instance can be cropped by boxes"),
    ):
        with pytest.raises(error, match=message):
            cairn.crop(source, tmp_path / "out", **values)  # type: ignore[arg-type]
        assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="is not empty"):
        cairn.crop(source, tmp_path / "in")
    data = (tmp_path / "in/1.png").read_bytes()
    (tmp_path / "in/1.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"1\.png"):
        cairn.crop(source, tmp_path / "broken")
    assert not (tmp_path / "broken/labels.json").exists()
    crops = cairn.crop(source, tmp_path / "skipped", skip_bad=True)
    assert (crops.num_crops, len(crops.skipped)) == (1, 1)


def figures_in_scenes(folder: Path, count: int) -> Path:
    """Figures of 64 x 64, two in each gray image of 150 x 220."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(1)
    images = []
    for number in range(1, count + 1):
        scene = np.full((150, 220, 3), 128, np.uint8)
        points = []
        for left in (int(rng.integers(0, 40)), int(rng.integers(110, 156))):
            top = int(rng.integers(0, 86))
            figure, own = draw_figure(rng)
            scene[top : top + 64, left : left + 64] = figure
            points.append(own + np.array([left, top]))
        keypoints = np.array(points, np.float32)
        low, high = keypoints.min(axis=1), keypoints.max(axis=1)
        annotation = Annotation(
            keypoints,
            np.full((2, 5), 2, np.uint8),
            np.concatenate([low, high - low], axis=1),
            (high - low).prod(axis=1),
            np.zeros(2, bool),
        )
        path = folder / "images" / f"{number:02}.png"
        write_image(path, scene)
        images.append(LabeledImage(number, path, (150, 220), annotation))
    write_coco(Labels(FIGURE, tuple(images), np.ones(5, bool)), folder / "labels.json")
    return folder / "labels.json"


def test_discovery_and_teaching_see_one_view_of_each_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    import cairn.api.discover as discovering
    from cairn.errors import RecipeError
    from support.made_figures import SMALL

    monkeypatch.setattr(discovering, "PAIRS_PER_EPOCH", 24)
    settings = {f"{a}.{b}": v for a, table in SMALL.items() if isinstance(table, dict) for b, v in table.items()}
    labels = figures_in_scenes(tmp_path / "set", 12)
    (tmp_path / "test.txt").write_text("12.png\nnone.png\n")
    options = {"landmarks": 4, "epochs": 1, "settings": settings, "exclude": tmp_path / "test.txt"}
    run = cairn.discover(labels, crop="boxes", crop_margin=1.6, out=tmp_path / "run", **options)
    assert run.recipe["crop"] == {"by": "boxes", "margin": 1.6}
    assert caplog.text.count("none.png") == 1
    record = json.loads((run.folder / "data.json").read_text())
    assert record["train"]["instances"] + record["val"]["instances"] == 22  # without those of 12.png
    model = run.load(threads=1)
    assert (model.spec.task, model.spec.input.margin) == ("crop", 1.6)
    taught = cairn.teach(run, labels, exclude=tmp_path / "test.txt", metric="diagonal", ridge=True)
    assert taught.num_images == 22
    spec = taught.load(threads=1).spec
    assert (spec.task, spec.input.margin) == ("crop", 1.6)
    for exclude, count in ((None, 24), (tmp_path / "test.txt", 22)):
        report = cairn.evaluate(taught.path, labels, metric="diagonal", threads=1, exclude=exclude)
        assert len(report.evaluation.pairs.ground_truth) == count
    with pytest.raises(RecipeError, match="--crop-margin needs --crop"):
        cairn.discover(labels, crop_margin=2.0, out=tmp_path / "other", **options)
    with pytest.raises(RecipeError, match=r"need labels: .* is a folder of images"):
        cairn.discover(labels.parent / "images", crop="boxes", out=tmp_path / "other", landmarks=4, settings=settings)
    with pytest.raises(LabelError, match="no instance can be cropped"):
        cairn.discover(labels, crop="boxes", crop_margin=0.01, out=tmp_path / "other", **options)


def test_the_view_of_an_instance_is_the_crop_that_is_written(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    from cairn.methods.landmarks.images import view_of, views_of
    from cairn.methods.landmarks.recipe import Crop
    from cairn.structures.geometry import crop
    from cairn.training.recipe import LabelSource

    labels = figures_in_scenes(tmp_path / "set", 3)
    views = views_of(LabelSource(labels=labels), Crop(by="landmarks", margin=1.5), FIGURE)
    cairn.crop(labels, tmp_path / "out", by="landmarks", margin=1.5, size=48)
    written = read_labels(tmp_path / "out/labels.json")
    for view, image in zip(views, written, strict=True):
        seen = crop(*view_of(view, 1.5), (48, 48)).warp(read_image(view.path), (48, 48))
        np.testing.assert_array_equal(seen, read_image(image.path))
