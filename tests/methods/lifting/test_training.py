from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.errors import CairnError, LabelError, ModelError, RecipeError
from cairn.inference.lifter import Lifter, toward
from cairn.methods.lifting.recipe import Recipe
from cairn.methods.lifting.training import errors, read_data
from cairn.structures.camera import Camera, rotation_matrix
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from cairn.training.recipe_tables import check_recipe
from support.made_motion import BONES, JOINTS, made_poses, write_motion

SETTINGS = {"network.width": 64, "network.blocks": 1, "network.dropout": 0.0, "run.threads": 1, "lengths": 0.0}
SETTINGS |= {"noise.spread": 0.01, "noise.outliers": 0.0, "noise.missing": 0.1}
SETTINGS |= {"optimizer.learning_rate": 3e-3, "optimizer.ema": 0.0, "run.validate_every": 4}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> cairn.Run:
    folder = tmp_path_factory.mktemp("lifting")
    path = write_motion(folder / "swings.npz", 500, 4)
    return cairn.train(path, method="lifting", out=folder / "run", epochs=8, settings=SETTINGS | {"repeat": 4})


def test_training_learns_to_lift(trained):
    first, last = trained.history[0], trained.history[-1]
    assert last["MPJPE"] < first["MPJPE"]
    data = read_data(check_recipe(Recipe, trained.recipe))
    view, _ = data.measured
    still = errors(np.broadcast_to(view.target.mean(axis=0), view.target.shape), view.target)
    assert trained.metrics["MPJPE"] < 0.4 * still["MPJPE"]
    assert trained.metrics["PA-MPJPE"] <= trained.metrics["MPJPE"]


def test_a_run_has_the_files_of_every_run(trained):
    for name in ("recipe.toml", "metrics.csv", "curves.png", "model.onnx", "checkpoints/best.ckpt"):
        assert (trained.folder / name).is_file(), name
    assert repr(trained).startswith(f"Run({trained.folder}: lifting")


def test_the_exported_file_says_what_it_is(trained):
    spec = Lifter(trained.model).spec
    assert (spec.method, spec.root, spec.frame, spec.name) == ("lifting", ("pelvis",), "pose", "swings")
    assert spec.skeleton.joints == JOINTS
    assert spec.provenance["data"].endswith("swings.npz")
    assert spec.metrics == pytest.approx(trained.metrics)


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    path = trained.recipe["data"]["train"][0]["path"]
    again = cairn.train(path, method="lifting", out=tmp_path / "run", epochs=8, settings=SETTINGS | {"repeat": 4})
    assert again.metrics == pytest.approx(trained.metrics, rel=1e-4)


def test_an_interrupted_run_resumes(trained, tmp_path):
    path = trained.recipe["data"]["train"][0]["path"]
    run = cairn.train(path, method="lifting", out=tmp_path / "run", epochs=4, settings=SETTINGS)
    recipe = run.folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 4", "epochs = 8"))
    resumed = run.resume()
    assert [row["epoch"] for row in resumed.history] == [4, 8]
    with pytest.raises(CairnError, match="not empty"):
        cairn.train(path, method="lifting", out=tmp_path / "run", epochs=4)


def test_a_run_is_exported_again(trained, tmp_path):
    trained.export(tmp_path / "again.onnx", settings={"name": "other"})
    assert Lifter(tmp_path / "again.onnx").spec.name == "other"


@pytest.mark.parametrize(("precision", "bytes_saved"), [("fp16", 2), ("int8", 3)])
def test_weights_are_made_smaller_without_images(trained, tmp_path, precision, bytes_saved):
    report = trained.export(tmp_path / "small.onnx", precision=precision)
    weights = 24 * 64 + 2 * 64 * 64 + 64 * 24
    saved = trained.model.stat().st_size - report.path.stat().st_size
    assert saved == pytest.approx(bytes_saved * weights, rel=0.15)  # without the scales and names that are added
    points = np.random.default_rng(0).normal(size=(20, len(JOINTS), 2))
    known = np.ones(points.shape[:2], bool)
    lifted = [Lifter(path).lift(points, known) for path in (trained.model, report.path)]
    assert np.abs(lifted[0] - lifted[1]).mean() < 0.005
    assert Lifter(report.path).spec == Lifter(trained.model).spec
    with pytest.raises(CairnError, match=f"is in {precision} already"):
        cairn.export(report.path, tmp_path / "other.onnx", precision=precision)
    with pytest.raises(CairnError, match="for models of images"):
        trained.export(tmp_path / "other.onnx", precision="int8", calibrate=tmp_path)


def seen(camera: Camera, poses: np.ndarray) -> Poses:
    """What a camera sees of poses (P, 8, 3)."""
    skeleton = cairn.Skeleton("made", JOINTS, BONES)
    count = len(poses)
    pixels = camera.project(poses).astype(np.float32)
    return Poses(pixels, np.ones((count, 8), np.float32), np.ones(count, np.float32), skeleton, np.arange(count) + 1)


def camera(turn: float = 0.0) -> Camera:
    matrix = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    down = rotation_matrix([np.pi / 2, 0, 0])  # y down, z forward along the world's y
    return Camera("c", matrix, [-0.2, 0.05, 0, 0], rotation_matrix([0, turn, 0]) @ down, [0, 0.9, 4], (720, 1280))


def test_poses_in_pixels_are_lifted(trained):
    lifter, view, poses = Lifter(trained.model, threads=1), camera(), made_poses(200, seed=9)
    lifted = lifter(seen(view, poses), view)
    truth = view.to_camera(poses)
    truth -= truth[:, :1]
    wrong = np.linalg.norm(lifted.keypoints - truth, axis=-1).mean()
    assert wrong < 0.08
    assert list(lifted.ids) == list(range(1, 201))
    without = lifter(seen(view, poses))  # as if the camera faced each pose, and had no distortion
    assert np.linalg.norm(without.keypoints - truth, axis=-1).mean() < 0.15


def test_the_direction_of_a_calibrated_camera_does_not_matter(trained):
    lifter, poses = Lifter(trained.model, threads=1), made_poses(20, seed=9)
    ahead, aside = camera(), camera(0.4)
    turn = aside.rotation @ ahead.rotation.T
    one, other = (lifter(seen(each, poses), each).keypoints for each in (ahead, aside))
    # Both cameras are at different places; the poses are the same up to the turn and the errors of the network.
    assert np.linalg.norm(one @ turn.T - other, axis=-1).mean() < 0.1


def test_missing_keypoints_stay_missing(trained):
    lifter, view = Lifter(trained.model), camera()
    poses = seen(view, made_poses(3))
    poses.confidence[0, 3] = 0
    poses.keypoints[0, 3] = np.nan
    poses.confidence[1, :4] = 0
    lifted = lifter(poses)
    assert np.isnan(lifted.keypoints[0, 3]).all()
    assert np.isfinite(lifted.keypoints[0, [0, 1, 2, 4]]).all()
    assert np.isnan(lifted.keypoints[1]).all()  # four of eight are too few
    assert (lifted.confidence[1] == 0).all()
    assert len(lifter(poses[[]])) == 0


def test_faced_directions_are_along_z():
    directions = np.random.default_rng(0).normal(size=(50, 3))
    rotations = toward(directions)
    turned = (rotations @ directions[..., None])[..., 0]
    np.testing.assert_allclose(turned, np.linalg.norm(directions, axis=1)[:, None] * [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1)
    np.testing.assert_allclose(rotations[:, 0, 1], 0, atol=1e-12)  # the horizon stays level


def test_models_are_not_mistaken_for_one_another(trained):
    with pytest.raises(ModelError, match="lifts 2D keypoints to 3D: cairn detect --lift"):
        cairn.load(trained.model)
    person = Path(cairn.__file__).parent / "models" / "person.onnx"
    with pytest.raises(ModelError, match="model of images"):
        Lifter(person)
    coco = load_skeleton("coco17")
    poses = Poses(np.zeros((1, 17, 2), np.float32), np.ones((1, 17), np.float32), np.ones(1, np.float32), coco)
    with pytest.raises(ModelError, match="coco17 has 4 of them"):
        Lifter(trained.model)(poses)


def test_a_model_for_calibrated_cameras_needs_the_camera(tmp_path):
    path = write_motion(tmp_path / "swings.npz")
    run = cairn.train(
        path, method="lifting", out=tmp_path / "run", epochs=1, settings=SETTINGS | {"input.frame": "camera"}
    )
    poses = seen(camera(), made_poses(2))
    with pytest.raises(ModelError, match="give the camera of the image"):
        Lifter(run.model)(poses)
    assert len(Lifter(run.model)(poses, camera())) == 2


@pytest.mark.parametrize(
    ("settings", "arrays", "message"),
    [
        ({}, {"joint_names": np.array([f"j{i}" for i in range(8)])}, "none of the roots"),
        ({"root": ["hip"]}, {}, "no joint 'hip'"),
        ({"skeleton": "hand21"}, {}, "too few of hand21"),
        ({"cameras.kind": "rig"}, {}, "needs cameras.file"),
        ({"cameras.pitch": [30, 10]}, {}, "from low to high"),
        ({"network.depth": 3}, {}, "no setting network.depth"),
        ({}, {"xyz": np.full((180, 8, 3), np.nan)}, "no pose to train on"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(tmp_path, settings, arrays, message):
    path = write_motion(tmp_path / "swings.npz", **arrays)
    with pytest.raises((RecipeError, LabelError, CairnError), match=message):
        cairn.train(path, method="lifting", out=tmp_path / "run", epochs=1, settings=SETTINGS | settings)
    assert not (tmp_path / "run").exists()


def test_options_of_images_are_refused(tmp_path):
    path = write_motion(tmp_path / "swings.npz")
    with pytest.raises(RecipeError, match="--images is for labeled images, and lifting does not train on them"):
        cairn.train(path, method="lifting", images=tmp_path, out=tmp_path / "run")


def test_flipped_poses_are_mirror_images_with_sides_exchanged(tmp_path):
    tables = {"method": "lifting", "data": {"train": [{"path": str(write_motion(tmp_path / "a.npz"))}]}}
    data = read_data(check_recipe(Recipe, tables))
    flipped = data.flipped(data.poses)
    np.testing.assert_allclose(data.flipped(flipped), data.poses)
    np.testing.assert_allclose(flipped[:, 6], data.poses[:, 7] * [-1, 1, 1])
    np.testing.assert_allclose(flipped[:, 0], data.poses[:, 0] * [-1, 1, 1])


def test_validation_recordings_are_whole(tmp_path):
    tables = {"method": "lifting", "data": {"train": [{"path": str(write_motion(tmp_path / "a.npz", 30, 10))}]}}
    data = read_data(check_recipe(Recipe, tables))
    assert (len(data.poses), len(data.val)) == (270, 30)
    rows = {tuple(pose.ravel()) for pose in data.poses}
    assert not any(tuple(pose.ravel()) in rows for pose in data.val)


def test_pa_mpjpe_ignores_a_similarity_and_mpjpe_does_not():
    poses = made_poses(5)
    moved = 1.5 * poses @ rotation_matrix([0.1, 0.2, 0.3]).T + 1
    assert errors(moved, poses)["PA-MPJPE"] == pytest.approx(0, abs=1e-6)
    assert errors(poses + np.array([0.03, 0, 0.04]), poses)["MPJPE"] == pytest.approx(50)


def test_a_loss_in_meters_and_lengths_of_limbs_train_too(tmp_path):
    path = write_motion(tmp_path / "swings.npz", 500, 4)
    more = {
        "loss": "distance",
        "input.limbs": True,
        "flip_test": True,
        "mix": 0.2,
        "network.max_norm": 0.0,
        "noise.exact": 0.3,
    }
    more |= {"noise.parts": [["left_hand"], ["left_knee", "right_knee"]], "noise.part": 0.1}
    run = cairn.train(path, method="lifting", out=tmp_path / "run", epochs=4, settings=SETTINGS | {"repeat": 4} | more)
    data = read_data(check_recipe(Recipe, run.recipe))
    view, _ = data.measured
    lifted = Lifter(run.model).lift(view.keypoints[..., :2], view.keypoints[..., 2] > 0)
    assert errors(lifted, view.target)["MPJPE"] == pytest.approx(run.metrics["MPJPE"], rel=0.05)
    still = errors(np.broadcast_to(view.target.mean(axis=0), view.target.shape), view.target)
    assert run.metrics["MPJPE"] < 0.6 * still["MPJPE"]


def test_batches_have_exact_poses_and_missing_parts(tmp_path):
    tables = {"method": "lifting", "data": {"train": [{"path": str(write_motion(tmp_path / "a.npz"))}]}}
    noise = {"exact": 0.5, "parts": [["left_hand", "right_hand"]], "part": 0.3, "missing": 0.0, "outliers": 0.0}
    data = read_data(check_recipe(Recipe, tables | {"noise": noise, "run": {"batch_size": 2000}, "lengths": 0.0}))
    known = data.batch(0, 0)["keypoints"][..., 2]
    hands = [JOINTS.index("left_hand"), JOINTS.index("right_hand")]
    assert 1 - known[:, hands].mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.03)
    assert np.delete(known, hands, axis=1).all()


def test_parts_of_unknown_joints_are_one_line(tmp_path):
    path = write_motion(tmp_path / "swings.npz")
    with pytest.raises(CairnError, match="no joint 'tail'"):
        cairn.train(
            path, method="lifting", out=tmp_path / "run", epochs=1, settings=SETTINGS | {"noise.parts": [["tail"]]}
        )
    assert not (tmp_path / "run").exists()
