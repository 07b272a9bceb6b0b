"""The detector: laws of its keypoints, suppression by brute force, and errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import cairn
from cairn.errors import CairnError, CloudError, ModelError
from cairn.methods.usip import METHOD
from cairn.methods.usip.detector import CloudDetector, CloudSpec, Options, suppressed
from cairn.methods.usip.recipe import Recipe
from cairn.methods.usip.training import Pairs, UsipModule
from cairn.pointclouds.lengths import Length
from cairn.pointclouds.normals import with_normals
from cairn.structures.cloud import Cloud
from cairn.training.exporting.onnx_file import export_graph

SETTINGS = {"network": {"width": 8, "fusion": 12, "head": [10]}, "input": {"points": 10, "neighbors": 6}}


def exported(path: Path, normals: bool = False) -> Path:
    """An untrained model whose keypoints leave their nodes."""
    recipe = Recipe.model_validate({**SETTINGS, "input": {**SETTINGS["input"], "normals": normals}})
    torch.manual_seed(0)
    module = UsipModule(recipe, Pairs(recipe, [], []))
    torch.nn.init.normal_(module.network.head[-1].weight, std=0.3)  # type: ignore[union-attr, index]
    export_graph(module.graph(), module.spec(), path)
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> CloudDetector:
    return CloudDetector(exported(tmp_path_factory.mktemp("usip") / "made.onnx"), threads=1)


def bumps(count: int = 3000, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1, 1, (2, count))
    return np.stack([x, y, 0.2 * np.sin(4 * x) * np.cos(3 * y)], axis=1)


def test_the_method_runs_its_models(detector: CloudDetector) -> None:
    assert METHOD.predictor is CloudDetector
    assert detector.spec.method == "usip"
    found = detector(Cloud(bumps()))
    assert len(found) > 20
    assert found.score_name == "sigma"
    assert (np.diff(found.scores) >= 0).all()
    assert "node spacing" in found.summary


def test_keypoints_know_the_point_that_is_nearest(detector: CloudDetector) -> None:
    cloud = Cloud(bumps())
    found = detector(cloud)
    distances = np.linalg.norm(cloud.points[None] - found.points[:, None], axis=2)
    np.testing.assert_array_equal(found.indices, distances.argmin(axis=1))
    assert distances.min(axis=1).max() > 0
    snapped = detector(cloud, Options(snap=True))
    np.testing.assert_array_equal(snapped.points, cloud.points[found.indices])


@pytest.mark.parametrize("scale", [1e-3, 1000.0])
def test_scale_and_translation_go_through(detector: CloudDetector, scale: float) -> None:
    found = detector(Cloud(bumps()))
    other = detector(Cloud(scale * (bumps() + np.array([5, -3, 1]))))
    np.testing.assert_allclose(other.points / scale - [5, -3, 1], found.points, atol=1e-4)
    np.testing.assert_allclose(other.scores / scale, found.scores, rtol=1e-3)
    np.testing.assert_array_equal(other.indices, found.indices)


def test_coordinates_far_from_the_origin_lose_nothing(detector: CloudDetector) -> None:
    far = np.array([450_000.0, 5_400_000.0, 300.0])
    found, other = detector(Cloud(bumps())), detector(Cloud(bumps() + far))
    np.testing.assert_allclose(other.points - far, found.points, atol=1e-4)


def test_the_order_of_points_does_not_matter(detector: CloudDetector) -> None:
    order = np.random.default_rng(1).permutation(3000)
    found, mixed = detector(Cloud(bumps())), detector(Cloud(bumps()[order]))
    np.testing.assert_allclose(mixed.points, found.points, atol=1e-5)
    np.testing.assert_array_equal(order[mixed.indices], found.indices)


def test_spacing_in_units_equals_that_in_multiples_of_the_resolution(detector: CloudDetector) -> None:
    cloud = Cloud(bumps(), unit="m")
    spacing = 8 * detector_resolution(cloud)
    relative = detector(cloud, Options(spacing=Length(8), nms_radius=Length(4)))
    absolute = detector(cloud, Options(spacing=Length(1000 * spacing, "mm"), nms_radius=Length(spacing / 2, "units")))
    np.testing.assert_allclose(relative.points, absolute.points, atol=1e-6)
    assert len(relative) < len(detector(cloud))


def detector_resolution(cloud: Cloud) -> float:
    distances = np.linalg.norm(cloud.points[:, None] - cloud.points[None], axis=2) + 9 * np.eye(len(cloud))
    return float(distances.min(axis=1).mean())


def test_options_limit_the_keypoints(detector: CloudDetector) -> None:
    cloud = Cloud(bumps())
    found = detector(cloud)
    assert len(detector(cloud, Options(count=5))) == 5
    spacing = detector.spec.spacing * detector_resolution(cloud)
    limit = float(np.median(found.scores) / spacing)
    certain = detector(cloud, Options(max_sigma=limit))
    np.testing.assert_array_equal(certain.scores, found.scores[found.scores <= limit * spacing])


def test_suppression_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    points, sigma = rng.uniform(size=(200, 3)), rng.uniform(size=200)
    kept: list[int] = []
    for row in np.argsort(sigma):
        if all(np.linalg.norm(points[row] - points[other]) > 0.2 for other in kept):
            kept.append(int(row))
    assert suppressed(points, sigma, 0.2).tolist() == kept
    assert suppressed(points, sigma, 0).tolist() == np.argsort(sigma).tolist()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((1, 3)), "expected several points, got one"),
        (np.ones((50, 3)), "all 50 points are at the same place"),
    ],
)
def test_clouds_without_extent_are_errors(detector: CloudDetector, points: NDArray[np.float64], message: str) -> None:
    with pytest.raises(CloudError, match=message):
        detector(Cloud(points))


@pytest.mark.parametrize("points", [[[0, 0, 0], [1, 0, 0]], np.eye(3), np.arange(12).reshape(4, 3)])
def test_a_few_points_are_no_error(detector: CloudDetector, points: NDArray[np.float64]) -> None:
    found = detector(Cloud(np.asarray(points, float)))
    assert 1 <= len(found) <= len(points)
    assert np.isfinite(found.points).all()


def test_a_model_of_normals_estimates_them_where_a_cloud_has_none(tmp_path: Path) -> None:
    detector = CloudDetector(exported(tmp_path / "made.onnx", normals=True), threads=1)
    cloud = Cloud(bumps())
    found = detector(cloud)
    assert len(found) > 20
    given = detector(with_normals(cloud))
    np.testing.assert_array_equal(given.points, found.points)
    turned = detector(Cloud(cloud.points, -with_normals(cloud).normals))  # type: ignore[operator]
    assert np.abs(turned.points[:10] - found.points[:10]).max() > 1e-3


def test_models_are_not_confused(tmp_path: Path, detector: CloudDetector) -> None:
    from cairn.inference.lifter import LifterSpec

    with pytest.raises(ModelError, match="detects keypoints of point clouds"):
        LifterSpec.from_json(detector.spec.to_json())
    with pytest.raises(ModelError):
        CloudSpec.from_json('{"task": "multi_instance"}')


@pytest.mark.parametrize(
    ("values", "message"),
    [({"count": 0}, "at least 1"), ({"max_sigma": 0.0}, "must be positive"), ({"max_sigma": float("nan")}, "positive")],
)
def test_impossible_options(values: dict[str, float], message: str) -> None:
    with pytest.raises(CloudError, match=message):
        Options(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "usip"}, "needs a trained model"),
        ({"snap": True}, "needs a trained model"),
        ({"method": "iss", "snap": True}, "snap is for the method usip"),
        ({"method": "iss", "spacing": 4}, "spacing is for the method usip"),
        ({"model": "MODEL", "salient_radius": 4}, "salient-radius is for the method iss"),
        ({"model": "MODEL", "spacing": "4 parsecs"}, "parsec"),
        ({"model": "MODEL", "spacing": "2mm"}, "does not state its unit"),
        ({"model": "MODEL", "max_sigma": -1}, "max-sigma must be positive"),
        ({"method": "usip", "model": "person"}, "is a model of images"),
    ],
)
def test_options_that_contradict(detector: CloudDetector, given: dict[str, object], message: str) -> None:
    values = {name: str(detector.path) if value == "MODEL" else value for name, value in given.items()}
    with pytest.raises(CairnError, match=message):
        cairn.keypoints(bumps(500), **values)  # type: ignore[arg-type]


def test_the_radius_of_suppression_is_that_of_the_model_or_given(detector: CloudDetector) -> None:
    many, few = (cairn.keypoints(bumps(), model=detector.path, nms_radius=radius) for radius in (1, 9))
    assert len(many) > len(few) > 0
    assert len(cairn.keypoints(bumps(), model=detector.path, num_keypoints=7)) == 7


def test_parts_of_a_cloud_are_run_as_the_whole(detector: CloudDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = detector(Cloud(bumps()))
    monkeypatch.setattr("cairn.methods.usip.detector.PART", 17)
    parts = detector(Cloud(bumps()))
    np.testing.assert_allclose(parts.points, whole.points, atol=1e-6)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5)
