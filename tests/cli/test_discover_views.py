"""From the keyboard: 3D keypoints of views with cameras, resumed, shown, detected, named; and one line for mistakes."""

import json
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import pytest

import cairn
from cairn.cli import main
from cairn.errors import CairnError
from cairn.inference.keypoints3d import Keypoints3D
from cairn.methods.keypointnet.pairs import Pairs
from support.made_views import rendered, ring, write_views

SETTINGS = ("pairs=16", "run.batch_size=8", "run.threads=1", "input.size=32", "network.features=8")
OPTIONS = [part for setting in SETTINGS for part in ("--set", setting)]


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of 2 epochs, which was resumed after the first."""
    folder = tmp_path_factory.mktemp("three-d")
    views = write_views(folder / "views")
    cameras = folder / "rig.toml"
    (views / "cameras.toml").rename(cameras)
    out = folder / "run"
    array_loop = "cairn.training.engine.array_loop._export"  # slow, and the second run exports again
    words = ("discover", views, "--three-d", "--cameras", cameras, "--landmarks", 5, "--epochs", 1, "--out", out)
    with patch(array_loop, lambda module, checkpoint, run, target: target):
        assert run(*words, *OPTIONS) == 0
    recipe = out / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 1", "epochs = 2"))
    assert run("discover", "--resume", "--out", out) == 0
    return out


def test_a_run_has_sheets_a_3d_view_and_measures(trained):
    assert [path.name for path in sorted((trained / "sheets").iterdir())] == ["epoch-0001.png", "epoch-0002.png"]
    sheet = cv2.imread(str(trained / "sheets" / "epoch-0002.png"))
    assert sheet.shape == (192, 6 * 192, 3)  # one held-out object
    page = (trained / "keypoints.html").read_text()
    assert "Epoch 2" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    history = cairn.Run(trained).history
    assert len(history) == 2
    assert {"angle median", "consistency", "separation", "inside", "spread"} <= set(history[1])


def test_a_model_is_one_file_with_intrinsics(trained):
    detector = Keypoints3D(trained, threads=1)
    image, camera = rendered(ring()[0])[..., :3], ring()[0]
    points, poses, _ = detector(image)
    assert points.keypoints.shape == (1, 5, 3)
    assert poses.keypoints.shape == (1, 5, 2)
    np.testing.assert_allclose(camera.to_pixels(points.keypoints[0, :, :2] / points.keypoints[0, :, 2:]),
                               poses.keypoints[0], atol=0.01)  # fmt: skip
    given = detector(image, camera)
    np.testing.assert_allclose(given.points.keypoints, points.keypoints, rtol=1e-5)
    assert 2 < points.keypoints[0, :, 2].mean() < 7  # in the unit of the cameras, 4.5 away


def test_the_distance_follows_the_given_intrinsics(trained):
    detector, image = Keypoints3D(trained, threads=1), rendered(ring()[0])[..., :3]
    camera = ring()[0]
    matrix = camera.matrix * [[0.5, 1, 1], [1, 1, 1], [1, 1, 1]]
    wide = cairn.Camera("wide", matrix, [], np.eye(3), [0, 0, 0], camera.size)
    usual, found = detector(image, camera).points.keypoints, detector(image, wide).points.keypoints
    np.testing.assert_allclose(found[..., 0], 2 * usual[..., 0], atol=1e-4)
    np.testing.assert_allclose(found[..., 1:], usual[..., 1:], atol=1e-4)
    other = cairn.Camera("other", camera.matrix, [], np.eye(3), [0, 0, 0], (64, 64))
    with pytest.raises(CairnError, match="the image is 32x32, but camera other was calibrated for 64x64"):
        detector(image, other)


def test_the_pose_between_two_images(trained):
    image = rendered(ring()[0])[..., :3]
    same = cairn.relative_pose(image, image, model=trained)
    assert same.angle == pytest.approx(0, abs=1e-3)
    other = cairn.relative_pose(image, rendered(ring()[1])[..., :3], model=Keypoints3D(trained, threads=1))
    assert other.angle > 0
    assert np.linalg.det(other.rotation) == pytest.approx(1)


def test_labels_in_3d_give_names(trained, tmp_path):
    (tmp_path / "labels").mkdir()
    for number in (0, 2):
        points = (1 + 0.1 * number) * np.array([[0, -0.8, 0], [0.3, -0.5, 0.7]])
        rows = [f"{name},{x},{y},{z}" for name, (x, y, z) in zip(("nose", "fin"), points, strict=True)]
        (tmp_path / "labels" / f"object-{number}.csv").write_text("name,x,y,z\n" + "\n".join(rows))
    assert run("teach", trained, tmp_path / "labels", "--out", tmp_path / "named.onnx") == 0
    found = Keypoints3D(tmp_path / "named.onnx", threads=1)(rendered(ring()[0])[..., :3])
    assert found.points.skeleton.joints == ("nose", "fin")
    camera = ring()[0]
    truth = camera.to_camera(1.1 * np.array([[0, -0.8, 0], [0.3, -0.5, 0.7]]))
    assert np.linalg.norm(found.points.keypoints[0] - truth, axis=1).max() < 1.5
    (tmp_path / "labels" / "object-0.csv").rename(tmp_path / "labels" / "other.csv")
    (tmp_path / "labels" / "object-2.csv").unlink()
    with pytest.raises(CairnError, match="has landmarks of other: expected the names of the objects of the run, "):
        cairn.teach(trained, tmp_path / "labels")


def write_labels(path: Path) -> Path:
    """Writes COCO labels of all views of three objects, with the keypoints of the first one."""
    images, annotations = [], []
    for number, (each, camera) in enumerate((each, camera) for each in range(3) for camera in ring()):
        images.append({"id": number, "file_name": f"object-{each}/{camera.name}.png", "width": 32, "height": 32})
        if each:
            continue
        (x, y), (u, v) = camera.project([[0, -0.8, 0], [0.3, -0.5, 0.7]])
        row = {"id": number, "image_id": number, "category_id": 1, "keypoints": [x, y, 2, u, v, 2], "num_keypoints": 2}
        annotations.append(row | {"bbox": [4, 4, 24, 24], "area": 500, "iscrowd": 0})
    category = {"id": 1, "name": "box", "keypoints": ["nose", "fin"], "skeleton": []}
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [category]}))
    return path


def test_labels_are_a_source_of_views(tmp_path, monkeypatch):
    monkeypatch.setattr("cairn.training.engine.array_loop._export", lambda module, checkpoint, run, target: target)
    views, labels, out = write_views(tmp_path / "views"), write_labels(tmp_path / "few.json"), tmp_path / "run"
    words = ("discover", labels, "--three-d", "--images", views, "--cameras", views / "cameras.toml", "--out", out)
    assert run(*words, "--epochs", 1, *OPTIONS) == 0
    recipe = (out / "recipe.toml").read_text()
    assert 'name = "few"' in recipe
    assert str(labels) in recipe
    assert len(cairn.Run(out).history) == 1
    assert run("discover", labels, "--three-d", "--images", tmp_path / "none", "--out", tmp_path / "other") == 2


def test_labels_in_images_give_names(trained, tmp_path, monkeypatch):
    weights = []
    monkeypatch.setattr("cairn.methods.keypointnet.teaching.export_taught", lambda *given: weights.append(given[1]))
    views = trained.parent / "views"
    write_labels(tmp_path / "labels.json")
    taught = cairn.teach(trained, tmp_path / "labels.json", images=views, out=tmp_path / "named.onnx")
    assert (taught.kind, taught.examples, taught.names) == ("2D", 8, ("nose", "fin"))
    assert 0 < taught.error < 8
    np.testing.assert_allclose(weights[0].sum(axis=1), [1, 1])
    with pytest.raises(CairnError, match="mirror is not for a run of 3D keypoints"):
        cairn.teach(trained, tmp_path / "labels.json", mirror=True)


def test_detect_says_what_runs_the_model(trained, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "view.png"), rendered(ring()[0])[..., :3])
    assert run("detect", tmp_path / "view.png", "--model", trained) == 2
    assert "detects 3D keypoints of the object in an image: cairn.Keypoints3D" in " ".join(
        capsys.readouterr().err.split()
    )


def test_batches_are_the_same_for_the_same_epoch_and_index(tmp_path):
    from cairn.methods.keypointnet.pairs import read_data
    from cairn.methods.keypointnet.recipe import Recipe

    folder = write_views(tmp_path / "views")
    data = read_data(Recipe.model_validate({"data": {"train": [{"path": folder}]}, "input": {"size": 32}}))
    assert isinstance(data, Pairs)
    assert set(data.train.names).isdisjoint(data.val.names)
    for name, values in data.batch(1, 2).items():
        np.testing.assert_array_equal(values, data.batch(1, 2)[name])
    assert not np.array_equal(data.batch(0, 2)["rotation"], data.batch(1, 2)["rotation"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--turntable", 36], "has 8 images: expected 36 views of a turntable"),
        (["--turntable", 8, "--cameras", "cameras.toml"], "give --cameras or --turntable, not both"),
        (["--crop", "motion"], "--crop is for images without cameras"),
        (["--masks", "files"], "no mask v00 in"),
        (["--cameras", "none.toml"], "no file of cameras at none.toml"),
        (["--set", "data.angles=[1,2]"], "is 1 to 2 degrees apart, and they are 40.6 to 130.0: set data.angles"),
        (["--images", "."], "--images goes with a label file"),
        (["--set", "network.backbone='none'"], "there is no backbone"),
    ],
)
def test_one_line_for_a_mistake(tmp_path, capsys, words, message):
    views = write_views(tmp_path / "views")
    if "none.toml" in words:
        (views / "cameras.toml").unlink()
    assert run("discover", views, "--three-d", "--out", tmp_path / "run", *words) == 2
    error = capsys.readouterr().err
    assert message in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_options_of_views_need_three_d(tmp_path, capsys):
    assert run("discover", write_views(tmp_path / "views"), "--turntable", 8, "--out", tmp_path / "run") == 2
    assert "--turntable is for views of objects: add --three-d" in " ".join(capsys.readouterr().err.split())
