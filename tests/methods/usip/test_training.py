"""Training on a folder of clouds, from the command line to keypoints; resume; and data that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import cairn
from cairn.cli import main
from cairn.errors import CloudError
from cairn.methods.usip.detector import CloudDetector
from cairn.methods.usip.recipe import Recipe
from cairn.methods.usip.training import Pairs, UsipModule, _ranks, cloud_files, prepared, read_data
from cairn.structures.cloud import Cloud

SMALL = (
    "pairs=4",
    "run.batch_size=2",
    "run.threads=1",
    "run.validate_every=1",
    "input.nodes=32",
    "input.points=8",
    "input.neighbors=6",
    "network.width=8",
    "network.fusion=12",
    "network.head=[10]",
)
CUBE = [[0, 2, 1], [0, 3, 2], [4, 5, 6], [4, 6, 7], [0, 1, 5], [0, 5, 4], [1, 2, 6], [1, 6, 5], [2, 3, 7], [2, 7, 6],
        [3, 0, 4], [3, 4, 7]]  # fmt: skip


@pytest.fixture(autouse=True)
def few_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.methods.usip.training.MEASURED", 2)


def corners() -> NDArray[np.float64]:
    return np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))], float)


def clouds(folder: Path) -> Path:
    """A mesh, a cloud, and files that are no clouds."""
    folder.mkdir()
    np.savez(folder / "cube.npz", points=corners(), faces=np.array(CUBE))
    points = np.random.default_rng(0).normal(size=(1500, 3))
    np.savetxt(folder / "ball.xyz", points / np.linalg.norm(points, axis=1, keepdims=True))
    (folder / "README.md").write_text("About the clouds.")
    (folder / ".ball.xyz.part").write_text("1 2")
    return folder


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    return int(ended.value.code or 0)


def options(*more: str) -> list[str]:
    return [part for setting in (*SMALL, *more) for part in ("--set", setting)]


def test_a_folder_of_clouds_trains_resumes_and_detects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clouds(tmp_path / "clouds")
    assert run("train", "clouds", "--method", "usip", "--epochs", "1", "--out", "run", *options()) == 0
    recipe = (tmp_path / "run" / "recipe.toml").read_text()
    (tmp_path / "run" / "recipe.toml").write_text(recipe.replace("epochs = 1", "epochs = 2"))
    assert run("train", "--resume", "--out", "run") == 0
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 3
    spec = CloudDetector("run/model.onnx", threads=1).spec
    assert (spec.name, spec.task, spec.provenance["epoch"]) == ("clouds", "cloud", 2) or spec.provenance["epoch"] == 1
    assert "repeatability" in spec.metrics
    assert run("keypoints", "clouds/ball.xyz", "--model", "run", "--snap", "--write", "json,ply") == 0
    assert (tmp_path / "ball.keypoints.json").is_file()
    found = cairn.keypoints("clouds/ball.xyz", method="usip", model="run/model.onnx", snap=True)
    assert isinstance(found, cairn.CloudKeypoints)
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), 1)


def test_pairs_are_the_same_in_all_epochs_and_turned_anew(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"pairs": 2, "run": {"batch_size": 2}, "input": {"nodes": 32}})
    data = Pairs(recipe, [prepared(Cloud(corners(), faces=np.array(CUBE)), 4000, False)], [])
    first, again, second = data.batch(0, 0), Pairs(recipe, data.clouds, []).batch(0, 0), data.batch(1, 0)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
    rows = [int(np.abs(second["centers"] - each).sum(axis=(1, 2)).argmin()) for each in first["centers"]]
    np.testing.assert_array_equal(first["centers"], second["centers"][rows])
    assert np.abs(first["rotation"] - second["rotation"][rows]).max() > 0.1


@pytest.mark.parametrize("frames", ["cloud", "node"])
@pytest.mark.parametrize("kind", ["point", "plane"])
def test_keypoints_of_both_views_are_in_one_frame(frames: str, kind: str) -> None:
    """Where offsets lead to places that are fixed to the cloud, keypoints of both views coincide."""
    recipe = Recipe.model_validate(
        {"input": {"nodes": 48, "frames": frames}, "loss": {"kind": kind}, "views": {"scans": 0, "jitter": 0}}
    )
    module = UsipModule(recipe, Pairs(recipe, [prepared(Cloud(corners(), faces=np.array(CUBE)), 4000, True)], []))
    batch = {name: torch.from_numpy(values) for name, values in module.data.batch(0, 0).items()}

    class Nearest(torch.nn.Module):
        """Offsets to the nearest point of a grid that is fixed to the cloud."""

        def forward(self, *_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            centers = batch["centers"]
            count = len(centers) // 2
            origins = centers[:count, :1].repeat(2, 1, 1)  # the same in both views
            moved = torch.round((centers - origins) / 2) * 2 + origins - centers
            offsets = (batch["rotation"] @ moved[..., None])[..., 0] / batch["scale"][:, None, None]
            return offsets, torch.full(centers.shape[:2], 0.1)

    module.network = Nearest()
    keypoints, sigma = module._keypoints(batch)
    first, second = keypoints.chunk(2)
    shared = batch["shared"].chunk(2)[0] > 0
    distances = torch.cdist(first, second).amin(dim=2)[shared]
    assert float((distances < 1e-3).float().mean()) > 0.6
    assert float(sigma.max()) < 0.2
    assert all(bool(loss.isfinite()) for loss in module.losses(batch).values())


def test_meshes_are_sampled_evenly_with_the_normals_of_their_faces() -> None:
    sampled = prepared(Cloud(corners() * [1, 1, 3], faces=np.array(CUBE)), 7000, False)
    assert len(sampled) == 7000
    assert sampled.normals is not None
    sides = np.abs(sampled.normals).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(sides) / 7000, [3 / 7, 3 / 7, 1 / 7], atol=0.03)
    assert (np.sum(sampled.normals * sampled.points, axis=1) > 0).all()
    assert np.linalg.norm(np.ptp(sampled.points, axis=0)) == pytest.approx(1, rel=0.02)


def test_large_clouds_are_thinned_and_units_do_not_matter() -> None:
    points = np.random.default_rng(0).uniform(size=(9000, 3)) * [1, 1, 0.01]
    small, large = prepared(Cloud(points), 2000, False), prepared(Cloud(1000 * points), 2000, False)
    assert 1500 < len(small) <= 2100
    np.testing.assert_allclose(small.points, large.points, atol=1e-9)


def test_normals_are_estimated_where_they_are_needed() -> None:
    points = np.random.default_rng(0).uniform(size=(800, 3)) * [1, 1, 0]
    normals = prepared(Cloud(points), 2000, True).normals
    assert normals is not None
    np.testing.assert_allclose(np.abs(normals[:, 2]), 1, atol=1e-6)


def recipe_of(path: Path) -> Recipe:
    return Recipe.model_validate({"data": {"train": [{"path": path}]}})


def test_files_of_a_folder(tmp_path: Path) -> None:
    folder = clouds(tmp_path / "clouds")
    assert [path.name for path in cloud_files(folder)] == ["ball.xyz", "cube.npz"]
    assert cloud_files(folder / "ball.xyz") == [folder / "ball.xyz"]
    data = read_data(recipe_of(folder))
    assert (len(data.clouds), len(data.val)) == (1, 1)
    alone = read_data(recipe_of(folder / "ball.xyz"))
    assert alone.clouds[0] is alone.val[0]


def few(folder: Path) -> None:
    np.savetxt(folder / "few.xyz", np.random.default_rng(0).normal(size=(40, 3)))


def same(folder: Path) -> None:
    np.savetxt(folder / "same.xyz", np.ones((600, 3)))


def without_area(folder: Path) -> None:
    np.savez(folder / "line.npz", points=np.arange(9.0).reshape(3, 3), faces=np.array([[0, 1, 2]]))


def damaged(folder: Path) -> None:
    (folder / "cut.ply").write_bytes(b"ply\nformat binary_little_endian 1.0\nelement vertex 9\nproperty float x\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (few, "few.xyz: expected at least 500 different points, got 40"),
        (same, "same.xyz: expected at least 500 different points"),
        (without_area, "the faces of the mesh have no area"),
        (damaged, "cut.ply"),
        (lambda folder: None, "has no point clouds: expected files .ply"),
    ],
)
def test_data_that_cannot_be_used(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path)
    with pytest.raises(CloudError, match=message):
        read_data(recipe_of(tmp_path))


def test_one_line_for_a_folder_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", str(tmp_path / "none"), "--method", "usip", "--out", str(tmp_path / "run")) == 2
    error = capsys.readouterr().err
    assert "is missing: expected a file or a folder of point clouds" in " ".join(error.split())
    assert "Traceback" not in error
    assert not (tmp_path / "run").exists()


def test_ranks_of_farthest_points_with_points_that_occur_twice() -> None:
    points = np.random.default_rng(0).normal(size=(9, 3))
    ranks = _ranks(np.concatenate([points, points[:4]]))
    assert sorted(ranks[:9]) == list(range(9))
    assert ranks[9:].tolist() == [13.0] * 4
