"""Classes from planted maps to poses, bottom-up, in crops, and refined."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import ModelError, SkeletonError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.refine import RefinedPredictor
from cairn.methods.hourglass import predictor as crop_predictor
from cairn.methods.openpose import classify, predictor
from cairn.ops.heatmaps import render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.structures.poses import Poses
from support.fake_network import SPEC, TOTEM, FakeNetwork, FixedPredictor
from support.fake_poses import random_poses

NAMES = ("cat", "dog", "cow")
CLASSED = SPEC.model_copy(update={"classes": NAMES, "outputs": ("heatmaps", "pafs", "classes")})
CROPS = ModelSpec(
    name="dots",
    method="hourglass",
    task="crop",
    skeleton=TOTEM,
    classes=NAMES,
    input=InputSpec(resize="square", size=64, multiple=16),
    stride=4,
    outputs=("heatmaps", "classes"),
)
IMAGE = np.zeros((320, 320, 3), np.uint8)


def planted(points: np.ndarray, classes: list[int]) -> dict[str, np.ndarray]:
    """Maps of instances (P, 3, 2) in cells of a 40 × 40 grid; every class map also has a weaker false response."""
    size = (40, 40)
    heatmaps = render_gaussians(points, size, 1.0)
    maps = np.stack([
        render_gaussians(points[np.array(classes) == index].reshape(-1, 1, 2), size, 1.0)[0] for index in range(3)
    ])  # fmt: skip
    maps = np.maximum(maps, 0.4 * heatmaps.max(axis=0))
    return {
        "heatmaps": heatmaps[None],
        "pafs": render_pafs(points, TOTEM.limbs, size, 1.0)[None],
        "classes": maps[None],
    }


def test_an_instance_has_the_class_with_the_largest_sum_at_its_keypoints():
    points = np.array([[[x, y], [x, y + 6], [x, y + 12]] for x, y in ((5, 4), (15.5, 8.25), (25, 20), (33, 3))], float)
    classes = [2, 0, 1, 0]
    poses = predictor(FakeNetwork(CLASSED, planted(points, classes)), matching="greedy")(IMAGE)
    assert len(poses) == 4
    for pose in poses:
        x = (pose["top"][0] + 0.5) / 8 - 0.5
        nearest = int(np.abs(points[:, 0, 0] - x).argmin())
        assert pose.class_name == NAMES[classes[nearest]]


def test_one_wrong_keypoint_is_outvoted_by_two_others():
    points = np.array([[[10, 4], [10, 10], [10, 16]]], float)
    maps = planted(points, [1])
    maps["classes"][0, 0, 3:6, 9:12], maps["classes"][0, 1, 3:6, 9:12] = 1, 0
    assert predictor(FakeNetwork(CLASSED, maps))(IMAGE)[0].class_name == "dog"


def test_the_keypoints_do_not_depend_on_the_class_maps():
    points = np.array([[[10, 4], [10, 10], [10, 16]]], float)
    maps = planted(points, [1])
    plain = predictor(FakeNetwork(SPEC, maps))(IMAGE)
    classed = predictor(FakeNetwork(CLASSED, maps))(IMAGE)
    assert plain.classes is None
    for name in ("keypoints", "confidence", "scores"):
        assert np.array_equal(getattr(plain, name), getattr(classed, name), equal_nan=True)


def test_an_image_without_instances_has_the_names_of_the_classes():
    maps = planted(np.zeros((0, 3, 2)), [])
    poses = predictor(FakeNetwork(CLASSED, maps))(IMAGE)
    assert len(poses) == 0
    assert poses.class_names == NAMES


def test_class_maps_that_do_not_fit_the_names_are_an_error():
    with pytest.raises(SkeletonError, match=r"class maps must be \(3, h, w\) for cat, dog, cow, got \(2, 4, 4\)"):
        classify(random_poses(0, 1), np.zeros((2, 4, 4)), NAMES)


class Sided:
    """A network of crops whose class logits depend on which half of the crop is brighter."""

    spec, device, threads = CROPS, "cpu", 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        left, right = images[..., :32].mean(axis=(1, 2, 3)), images[..., 32:].mean(axis=(1, 2, 3))
        heatmaps = np.tile(render_gaussians(np.array([[[4, 4], [8, 8], [4, 12]]], float), (16, 16), 1.0),
                           (len(images), 1, 1, 1))  # fmt: skip
        return {"heatmaps": heatmaps, "classes": np.stack([left, right, 0 * left + 60], axis=1)}


def test_a_crop_has_the_class_of_the_largest_logit():
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, :32] = 200
    image[:, 96:] = 150
    boxes = np.array([(6.4, 6.4, 51.2, 51.2), (70.4, 6.4, 51.2, 51.2)])
    poses = crop_predictor(Sided())(image, boxes)
    assert [pose.class_name for pose in poses] == ["cat", "dog"]
    assert crop_predictor(Sided())(image, np.zeros((0, 4))).class_names == NAMES
    assert np.allclose(poses.scores, poses.confidence.mean(axis=1))  # the classes are certain
    # The flip test averages the logits of both halves: 100 and 75, against 60 of the third class.
    flipped = crop_predictor(Sided(), flip=True)
    assert np.allclose(flipped._of_crops(np.full((1, 3, 64, 64), 80, np.float32))["classes"], [[80, 80, 60]])
    assert [pose.class_name for pose in flipped(image, boxes)] == ["cat", "cat"]


def test_the_score_is_multiplied_by_the_probability_of_the_class():
    heatmaps = render_gaussians(np.array([[[4, 4], [8, 8], [4, 12]]], float), (16, 16), 1.0)
    logits = np.log([[0.2, 0.7, 0.1]]) + 3
    network = FakeNetwork(CROPS, {"heatmaps": heatmaps[None], "classes": logits.astype(np.float32)})
    poses = crop_predictor(network)(np.zeros((64, 64, 3), np.uint8))
    assert poses[0].class_name == "dog"
    assert np.allclose(poses.scores, 0.7 * poses.confidence.mean(), atol=1e-6)
    assert poses.scores.dtype == np.float32


def test_logits_that_do_not_fit_the_names_are_an_error():
    network = FakeNetwork(CROPS, {"heatmaps": np.zeros((1, 3, 16, 16)), "classes": np.zeros((1, 2))})
    with pytest.raises(ModelError, match=r"the output classes must be \(3,\) for cat, dog, cow, got \(2,\)"):
        crop_predictor(network)(np.zeros((64, 64, 3), np.uint8))


def test_refinement_takes_the_classes_of_the_crops_else_those_of_the_first_model():
    found = Poses(
        np.array([[[20, 20], [20, 40], [20, 60]], [[90, 20], [90, 40], [90, 60]]], np.float32),
        np.ones((2, 3), np.float32),
        np.ones(2, np.float32),
        TOTEM,
        classes=np.array([1, 0]),
        class_names=("hen", "fox"),
    )
    spec = SPEC.model_copy(update={"classes": ("hen", "fox")})
    image = np.zeros((80, 128, 3), np.uint8)
    plain = CROPS.model_copy(update={"classes": (), "outputs": ("heatmaps",)})
    heatmaps = {"heatmaps": Sided()(np.zeros((2, 3, 64, 64), np.float32))["heatmaps"]}
    refined = RefinedPredictor(FixedPredictor(found, spec), crop_predictor(FakeNetwork(plain, heatmaps)))
    assert [pose.class_name for pose in refined(image)] == ["fox", "hen"]
    assert refined.spec.classes == ("hen", "fox")
    refined = RefinedPredictor(FixedPredictor(found, spec), crop_predictor(Sided()))
    assert [pose.class_name for pose in refined(image)] == ["cow", "cow"]
    assert refined.spec.classes == NAMES


def test_the_specification_of_one_class_is_that_of_earlier_versions():
    assert "classes" not in json.loads(SPEC.to_json())
    assert json.loads(CLASSED.to_json())["classes"] == list(NAMES)
    assert ModelSpec.from_json(CLASSED.to_json()) == CLASSED
    assert ModelSpec.from_json(SPEC.to_json()).classes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["cat"]}, "several different names"),
        ({"classes": ["cat", "cat"]}, "several different names"),
        ({"classes": []}, "names in classes and the output classes"),
        ({"outputs": ["heatmaps", "pafs"]}, "names in classes and the output classes"),
    ],
)
def test_a_specification_with_contradictory_classes_is_an_error(change, message):
    values = json.loads(CLASSED.to_json()) | change
    with pytest.raises(ModelError, match=message):
        ModelSpec.from_json(json.dumps(values))


def test_a_frame_that_cannot_be_read_has_the_names_of_the_classes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG damaged")
    poses = replace(random_poses(0, 1), classes=np.array([0]), class_names=NAMES)
    source = FixedPredictor(poses, SPEC.model_copy(update={"classes": NAMES}))
    (frame,) = source.stream(tmp_path / "a.png", on_error="yield")
    assert frame.error is not None
    assert frame.poses.class_names == NAMES
