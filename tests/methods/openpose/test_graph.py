"""Decoding in a graph, and assembly in Python and in JavaScript, equal the Python decoder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a graph needs onnx, which is in the train extra")

from cairn.inference.model_spec import CLASSES, VISIBILITY, ModelSpec
from cairn.methods.openpose import METHOD
from cairn.methods.openpose.graph import DECODER
from cairn.ops.heatmaps import render_gaussians
from cairn.ops.pafs import render_pafs
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.training.exporting.decoding.decoded_file import _describe
from support.decoded_graphs import run_nodes
from support.fake_network import SPEC, FakeNetwork
from support.node import people_of

BODY = Skeleton(
    "body",
    ("head", "neck", "left", "right", "hip", "foot", "left_tag", "right_tag", "alone"),
    limbs=((0, 1), (1, 2), (1, 3), (1, 4), (4, 5), (2, 4), (6, 7)),
    redundant=(5,),
)
SIZE = (56, 64)


def spec_of(outputs: tuple[str, ...] = ("heatmaps", "pafs"), classes: tuple[str, ...] = (), **decode: Any) -> ModelSpec:
    values = {"skeleton": BODY, "decode": {"second_try": False, **decode}, "outputs": outputs, "classes": classes}
    return ModelSpec.model_validate({**SPEC.model_dump(), **values})


def crowd(seed: int, people: int, noise: float) -> dict[str, np.ndarray]:
    """Maps of people who overlap, with weak peaks and false limbs between them."""
    rng = np.random.default_rng(seed)
    shape = np.array([[0, -12], [0, -7], [-5, -4], [5, -4], [0, 2], [0, 10], [-9, -9], [9, -9], [3, 14]])
    points = shape + rng.uniform(12, 44, (people, 1, 2)) + rng.normal(0, 1.5, (people, len(BODY), 2))
    points[rng.random((people, len(BODY))) < 0.15] = np.nan
    heatmaps = np.zeros((len(BODY), *SIZE))
    for person in points:  # no two peaks of one height: the order of equal ones is open
        heights = rng.uniform(0.3, 0.95, (len(BODY), 1, 1))
        heatmaps = np.maximum(heatmaps, heights * render_gaussians(person[None], SIZE, 1.1))
    pafs = render_pafs(points, BODY.limbs, SIZE, 1.0)
    maps = {
        "heatmaps": heatmaps + rng.normal(0, noise, heatmaps.shape),
        "pafs": pafs + rng.normal(0, noise, pafs.shape),
        CLASSES: rng.uniform(0, 1, (3, *SIZE)),
        VISIBILITY: rng.uniform(-0.2, 1.2, heatmaps.shape),
    }
    return {name: values.astype(np.float32) for name, values in maps.items()}


def outputs_of(spec: ModelSpec, images: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """The outputs of the graph for each image of a batch."""
    names: list[str] = []

    def build(*values):
        outputs = DECODER.add(dict(zip(spec.outputs, values, strict=True)), spec, lambda points: points)
        names[:] = outputs
        return [each.value for each in outputs.values()]

    batch = [np.stack([maps[name] for maps in images]) for name in spec.outputs]
    arrays = run_nodes(build, *batch)
    return [{name: array[i] for name, array in zip(names, arrays, strict=True)} for i in range(len(images))]


def check_equal(got: Poses, expected: Poses) -> None:
    assert len(got) == len(expected)
    np.testing.assert_allclose(got.keypoints, expected.keypoints, atol=5e-3)
    np.testing.assert_allclose(got.confidence, expected.confidence, atol=1e-4)
    np.testing.assert_allclose(got.scores, expected.scores, atol=1e-4)
    assert got.class_names == expected.class_names
    np.testing.assert_array_equal(got.classes, expected.classes)
    if expected.visibility is not None:
        np.testing.assert_allclose(got.visibility, expected.visibility, atol=1e-3)


CASES = {
    "defaults": {},
    "greedy": {"matching": "greedy"},
    "hungarian": {"matching": "hungarian"},
    "limb by limb": {"order": "limb"},
    "thresholds": {"peak_threshold": 0.15, "sample_threshold": 0.1, "sample_share": 0.8, "min_score": 0.3},
    "small people": {"min_parts": 1, "min_score": 0.05, "sample_share": 0.5},
    "ignored keypoints": {"ignore_keypoints": "head hip", "min_parts": 4},
    "few peaks": {"max_peaks": 3},
    "length prior": {"free_length": 0.1, "sample_share": 0.5},
}


@pytest.mark.parametrize("name", CASES)
def test_the_graph_and_javascript_group_people_as_python_does(name: str, tmp_path: Path) -> None:
    spec = spec_of(**CASES[name])
    images = [crowd(seed, people, 0.01 * (seed % 3)) for seed, people in enumerate((0, 1, 2, 3, 5, 8, 12, 16))]
    predictor = METHOD.predictor(FakeNetwork(spec, {}))
    outputs = outputs_of(spec, images)
    expected = [predictor.decode({name: maps[name] for name in spec.outputs}) for maps in images]
    assert sum(map(len, expected)) > 15
    for got, wanted in zip(outputs, expected, strict=True):
        check_equal(DECODER.poses(got, spec), wanted)
    if name == "hungarian":  # not in JavaScript
        return
    description = _describe(spec, {}, DECODER, 17, has_size=False)
    cases = [{"description": description, "outputs": {k: v[None] for k, v in each.items()}} for each in outputs]
    for people, wanted in zip(people_of(cases, tmp_path), expected, strict=True):
        assert [each["score"] for each in people] == pytest.approx(wanted.scores.tolist(), abs=1e-4)
        nothing = [np.nan, np.nan, 0]
        points = np.array([[point or nothing for point in each["keypoints"]] for each in people], float)
        points = points.reshape(len(wanted), len(BODY), 3)
        np.testing.assert_allclose(points[..., :2], wanted.keypoints, atol=5e-3)
        np.testing.assert_allclose(points[..., 2], wanted.confidence, atol=1e-4)


def test_classes_and_visibility_are_looked_up_in_the_graph(tmp_path: Path) -> None:
    spec = spec_of(("heatmaps", "pafs", CLASSES, VISIBILITY), ("cat", "dog", "cow"))
    images = [crowd(seed, 4, 0.01) for seed in range(3)]
    predictor = METHOD.predictor(FakeNetwork(spec, {}))
    outputs = outputs_of(spec, images)
    description = _describe(spec, {}, DECODER, 17, has_size=False)
    cases = [{"description": description, "outputs": {k: v[None] for k, v in each.items()}} for each in outputs]
    for got, maps, people in zip(outputs, images, people_of(cases, tmp_path), strict=True):
        expected = predictor.decode(maps)
        check_equal(DECODER.poses(got, spec), expected)
        assert [each["class"] for each in people] == [spec.classes[i] for i in expected.classes]
        visible = np.array([each["visibility"] for each in people], float)
        np.testing.assert_allclose(visible, expected.visibility, atol=1e-3)


def test_a_background_channel_is_ignored() -> None:
    spec, maps = spec_of(), crowd(3, 4, 0.01)
    with_background = {**maps, "heatmaps": np.concatenate([maps["heatmaps"], np.ones((1, *SIZE), np.float32)])}
    one, other = outputs_of(spec, [maps])[0], outputs_of(spec, [with_background])[0]
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_the_example_has_people_whose_decoding_is_compared_at_export() -> None:
    spec = spec_of()
    assert len(METHOD.predictor(FakeNetwork(spec, {})).decode(DECODER.example(spec))) >= 3
