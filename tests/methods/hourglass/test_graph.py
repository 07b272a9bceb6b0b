"""Crops decoded in a graph equal the Python decoders, for all methods with heatmaps of one instance."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="making a graph needs onnx, which is in the train extra")

from cairn.inference.model_spec import CLASSES, VISIBILITY, ModelSpec
from cairn.methods import get_method
from support.decoded_graphs import run_nodes, smooth_noise
from support.fake_network import SPEC, FakeNetwork


@pytest.mark.parametrize(
    ("method", "outputs", "channels"),
    [
        ("hourglass", ("heatmaps", CLASSES, VISIBILITY), 3),
        ("hourglass", ("heatmaps",), 3),
        ("openpose", ("heatmaps",), 4),
    ],
)
def test_the_graph_finds_the_instance_of_python(method: str, outputs: tuple[str, ...], channels: int) -> None:
    values = {"method": method, "task": "crop", "outputs": outputs, "decode": {"refinement": "quarter"}}
    values["classes"] = ("cat", "dog") if CLASSES in outputs else ()
    spec = ModelSpec.model_validate({**SPEC.model_dump(), **values})
    rng, decoder = np.random.default_rng(0), get_method(method).graph_decoder()
    maps = {"heatmaps": smooth_noise(rng, (4, channels, 12, 12))}  # of openpose the background last
    maps["heatmaps"][0, 1] = -1  # not detected
    maps[CLASSES] = rng.normal(size=(4, 2)).astype(np.float32)
    maps[VISIBILITY] = rng.uniform(-0.2, 1.2, (4, 3, 12, 12)).astype(np.float32)
    names: list[str] = []

    def build(*given):
        added = decoder.add(dict(zip(outputs, given, strict=True)), spec, lambda points: points)
        names[:] = added
        return [each.value for each in added.values()]

    arrays = run_nodes(build, *(maps[name] for name in outputs))
    predictor = get_method(method).predictor(FakeNetwork(spec, {}))
    for i in range(4):
        got = decoder.poses({name: array[i] for name, array in zip(names, arrays, strict=True)}, spec)
        expected = predictor.decode({name: maps[name][i] for name in outputs})
        assert (i == 0) == np.isnan(expected.keypoints).any()
        np.testing.assert_allclose(got.keypoints, expected.keypoints, atol=1e-3)
        np.testing.assert_allclose(got.confidence, expected.confidence, atol=1e-5)
        np.testing.assert_array_equal(got.classes, expected.classes)
        if VISIBILITY in outputs:
            np.testing.assert_allclose(got.visibility, expected.visibility, atol=1e-4)
