"""The exported file computes what torch computes, or is not written."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cairn.errors import ModelError, OutputError
from cairn.inference.model_spec import InputSpec, ModelSpec
from cairn.inference.network import OnnxNetwork
from cairn.structures.skeleton import load_skeleton
from cairn.training.exporting.onnx_file import export
from cairn.training.exporting.torch_network import TorchNetwork

SPEC = ModelSpec(
    name="tiny",
    method="openpose",
    skeleton=load_skeleton("coco17"),
    task="multi_instance",
    input=InputSpec(resize="letterbox", size=64, multiple=16),
    stride=8,
    outputs=("heatmaps", "pafs"),
    decode={"peak_threshold": 0.1},
)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 17, 8, stride=8), nn.Conv2d(3, 38, 8, stride=8)

    def forward(self, image):
        return self.a(image / 255).sigmoid(), self.b(image / 255)


class Diverged(Tiny):
    def forward(self, image):
        a, b = super().forward(image)
        return a * float("nan"), b


class Inconsistent(Tiny):
    """Computes other outputs in ONNX than in torch."""

    def forward(self, image):
        a, b = super().forward(image)
        return a + (0.0 if torch.compiler.is_exporting() else 0.1), b


def test_the_file_has_its_specification_and_equals_torch_at_any_size(tmp_path):
    module = Tiny()
    export(module, SPEC, tmp_path / "deep" / "tiny.onnx")
    network = OnnxNetwork(tmp_path / "deep" / "tiny.onnx", threads=1)
    assert network.spec == SPEC
    for shape in ((1, 3, 16, 16), (3, 3, 48, 112)):
        images = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
        expected, got = TorchNetwork(module, SPEC)(images), network(images)
        for name in SPEC.outputs:
            assert np.allclose(got[name], expected[name], atol=1e-5)


class FixedSize(nn.Module):
    """Has one weight for each cell, so it takes images of one size."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(17, 8, 8))

    def forward(self, image):
        return (nn.functional.avg_pool2d(image / 255, 8).mean(dim=1, keepdim=True) * self.weight,)


@pytest.mark.parametrize("task", ["crop", "single_instance"])
def test_a_model_of_one_size_is_exported_at_that_size(tmp_path, task):
    spec = SPEC.model_copy(
        update={
            "task": task,
            "input": InputSpec(resize="square", size=64, multiple=16),
            "outputs": ("heatmaps",),
            "decode": {},
        }
    )
    module = FixedSize()
    export(module, spec, tmp_path / "square.onnx")
    images = np.random.default_rng(0).uniform(0, 255, (3, 3, 64, 64)).astype(np.float32)
    got = OnnxNetwork(tmp_path / "square.onnx", threads=1)(images)["heatmaps"]
    assert np.allclose(got, TorchNetwork(module, spec)(images)["heatmaps"], atol=1e-5)


def test_the_file_contains_no_paths_of_the_machine(tmp_path):
    export(Tiny(), SPEC, tmp_path / "tiny.onnx")
    content = (tmp_path / "tiny.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert str(Path(__file__).parent).encode() not in content


def test_a_file_that_differs_from_torch_is_not_written(tmp_path):
    with pytest.raises(ModelError, match="differ"):
        export(Inconsistent(), SPEC, tmp_path / "inconsistent.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_network_is_not_written(tmp_path):
    with pytest.raises(ModelError, match="heatmaps of the network are not finite: the training has diverged"):
        export(Diverged(), SPEC, tmp_path / "nan.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        export(Tiny(), SPEC, tmp_path / "file" / "tiny.onnx")


def test_a_torch_network_computes_in_float32_inside_autocast():
    module = Tiny().eval()
    images = np.random.default_rng(0).uniform(0, 255, (1, 3, 16, 16)).astype(np.float32)
    expected = TorchNetwork(module, SPEC)(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = TorchNetwork(module, SPEC)(images)
    assert all(np.array_equal(got[name], expected[name]) for name in SPEC.outputs)


def test_a_torch_network_keeps_the_mode_of_the_module():
    module = Tiny().train()
    TorchNetwork(module, SPEC)(np.zeros((1, 3, 16, 16), np.float32))
    assert module.training
