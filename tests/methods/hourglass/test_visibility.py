"""The head for visibility in crops: its loss, its weights, what it costs when off, and the exported file."""

import numpy as np
import pytest
import torch

from cairn.datasets.labels import Labels
from cairn.errors import LabelError
from cairn.inference.network import OnnxNetwork
from cairn.methods.hourglass.losses import visibility_entropy
from cairn.methods.hourglass.network import build_network, network_of
from cairn.methods.hourglass.recipe import NetworkSettings, Recipe
from cairn.methods.hourglass.training import HourglassModule, training_set
from cairn.training.checkpoints.pretrained import Start, carry_over
from cairn.training.data.loading import stack
from cairn.training.exporting.onnx_file import export
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.recipe import LabelSource
from support.made_classes import SHAPE, class_labels
from support.occluded_labels import occluded_labels

NETWORK = {"features": 8, "depth": 1}
OFF = Recipe.model_validate({"input": {"size": 32}, "network": NETWORK})
ON = Recipe.model_validate({"input": {"size": 32}, "network": {**NETWORK, "visibility": True}})
NOTHING = Labels(SHAPE, (), np.ones(3, bool))


def batch_of(recipe, folder):
    labels = occluded_labels(folder)
    samples = training_set(recipe, SHAPE, [(labels, LabelSource(labels=folder / "labels.json"))])
    return stack([samples[i] for i in range(4)])


def test_the_loss_is_the_mean_entropy_weighted_by_the_heatmaps():
    rng = np.random.default_rng(0)
    logits, heatmaps = rng.normal(size=(2, 3, 4, 4)), rng.random((2, 3, 4, 4))
    visible = (rng.random((2, 3, 4, 4)) < 0.5).astype(float)
    heatmaps[0, 1] = 0  # an unlabeled joint
    total = 0.0
    for index in np.ndindex(logits.shape):
        p = 1 / (1 + np.exp(-logits[index]))
        total -= heatmaps[index] * np.log(p if visible[index] else 1 - p)
    given = torch.tensor(logits, requires_grad=True)
    loss = visibility_entropy(given, torch.tensor(visible).float(), torch.tensor(heatmaps).float())
    assert float(loss) == pytest.approx(total / heatmaps.sum(), rel=1e-5)
    loss.backward()
    assert not given.grad[0, 1].any()
    assert float(visibility_entropy(given, torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4))) == 0


def test_off_it_costs_nothing_and_on_it_adds_one_layer(tmp_path):
    off, on = HourglassModule(OFF, SHAPE, NOTHING), HourglassModule(ON, SHAPE, NOTHING)
    assert off.spec().outputs == ("heatmaps",)
    assert on.spec().outputs == ("heatmaps", "visibility")
    head = {"visibility_head.weight", "visibility_head.bias"}
    assert set(on.network.state_dict()) - set(off.network.state_dict()) == head
    assert set(on.channels()) - set(off.channels()) == head
    batch = batch_of(OFF, tmp_path)
    assert "visibility" not in batch
    assert set(off.losses(batch)) == {"heatmaps"}
    batch = batch_of(ON, tmp_path)
    assert set(on.losses(batch)) == {"heatmaps", "visibility"}
    assert network_of(on.network.state_dict(), 3)["visibility"]
    settings = NetworkSettings.model_validate(network_of(on.network.state_dict(), 3))
    build_network(settings, 3).load_state_dict(on.network.state_dict())


def test_labels_without_occlusion_are_one_line(tmp_path):
    labels = class_labels(tmp_path, 2)
    with pytest.raises(LabelError, match="none is occluded: set network"):
        training_set(ON, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])


def test_a_model_without_the_head_can_be_fine_tuned_with_it():
    off, on = HourglassModule(OFF, SHAPE, NOTHING), HourglassModule(ON, SHAPE, NOTHING)
    before = {name: value.clone() for name, value in on.network.state_dict().items()}
    start = Start("off", "hourglass", SHAPE, dict(off.network.state_dict()))
    carry_over(on.network, start, on.channels(), on.channels())
    after = on.network.state_dict()
    for name, value in off.network.state_dict().items():
        assert torch.equal(after[name], value)
    assert torch.equal(after["visibility_head.weight"], before["visibility_head.weight"])
    again = HourglassModule(ON, SHAPE, NOTHING)
    carry_over(again.network, Start("on", "hourglass", SHAPE, dict(after)), again.channels(), again.channels())
    assert torch.equal(again.network.state_dict()["visibility_head.weight"], after["visibility_head.weight"])


def test_the_file_computes_what_torch_computes(tmp_path):
    module = HourglassModule(ON, SHAPE, NOTHING).eval()
    path = tmp_path / "model.onnx"
    export(module.export_module(), module.spec(), path)
    images = np.random.default_rng(0).uniform(0, 255, (2, 3, 32, 32)).astype(np.float32)
    theirs, ours = OnnxNetwork(path)(images), TorchNetwork(module.export_module(), module.spec())(images)
    assert theirs["visibility"].shape == (2, 3, 8, 8)
    for name, values in ours.items():
        assert np.allclose(theirs[name], values, atol=1e-4)
    assert (theirs["visibility"] >= 0).all()
    assert (theirs["visibility"] <= 1).all()


def test_the_head_learns_which_keypoints_are_occluded(tmp_path):
    """A network that is trained on a few crops separates their keypoints."""
    torch.manual_seed(0)
    batch = batch_of(ON, tmp_path)
    module = HourglassModule(ON, SHAPE, NOTHING)
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    first = None
    for _ in range(40):
        loss = module.losses(batch)["visibility"]
        first = float(loss) if first is None else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.5 * first
