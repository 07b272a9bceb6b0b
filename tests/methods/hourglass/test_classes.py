"""The class head of crops."""

import numpy as np
import pytest
import torch

from cairn.datasets.classes import in_classes
from cairn.datasets.labels import Labels
from cairn.methods.hourglass.losses import class_entropy
from cairn.methods.hourglass.model import Hourglass
from cairn.methods.hourglass.network import network_of
from cairn.methods.hourglass.recipe import Recipe
from cairn.methods.hourglass.training import HourglassModule, training_set
from cairn.training.data.loading import stack
from cairn.training.recipe import LabelSource
from support.made_classes import CLASSES, SHAPE, class_labels

RECIPE = Recipe.model_validate({"input": {"size": 32}, "network": {"features": 8, "depth": 1}})


def empty(classes: tuple[str, ...]) -> Labels:
    return Labels(SHAPE, (), np.ones(3, bool), classes)


def test_the_loss_is_the_mean_entropy_over_crops_of_known_class():
    logits = torch.tensor([[1.0, 2.0], [0.0, 3.0], [5.0, -5.0]], requires_grad=True)
    classes = torch.tensor([0, 1, -1])
    expected = -(np.log(1 / (1 + np.e)) + np.log(np.e**3 / (1 + np.e**3))) / 2
    loss = class_entropy(logits, classes)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert not logits.grad[2].any()
    assert float(class_entropy(logits, torch.full((3,), -1))) == 0


def test_each_crop_has_the_class_of_its_instance(tmp_path):
    labels = class_labels(tmp_path, 5)
    samples = training_set(RECIPE, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])
    expected = [int(kind) for image in labels for kind in image.annotation.classes]
    assert [int(samples[i]["classes"]) for i in range(len(samples))] == expected
    batch = stack([samples[0], samples[1]])
    losses = HourglassModule(RECIPE, SHAPE, empty(CLASSES)).losses(batch)
    assert set(losses) == {"heatmaps", "classes"}


def test_one_class_costs_nothing(tmp_path):
    """Same parameters, targets, losses and outputs as without classes."""
    module, classed = HourglassModule(RECIPE, SHAPE, empty(())), HourglassModule(RECIPE, SHAPE, empty(CLASSES))
    assert module.spec().outputs == ("heatmaps",)
    assert classed.spec().outputs == ("heatmaps", "classes")
    names = set(module.network.state_dict())
    assert set(classed.network.state_dict()) - names == {"class_head.weight", "class_head.bias"}
    assert set(classed.channels()) - set(module.channels()) == {"class_head.weight", "class_head.bias"}
    labels = in_classes(class_labels(tmp_path, 1), ())
    samples = training_set(RECIPE, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])
    batch = stack([samples[0], samples[1]])
    assert set(batch) == {"image", "heatmaps", "weights"}
    assert set(module.losses(batch)) == {"heatmaps"}
    assert len(module.export_module()(batch["image"].float())) == 1


def test_the_head_adds_weights_after_all_others():
    torch.manual_seed(0)
    plain = Hourglass(3, stacks=2, features=8, depth=1)
    torch.manual_seed(0)
    classed = Hourglass(3, stacks=2, features=8, depth=1, classes=4).eval()
    state = classed.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())
    assert network_of(state, 3) == network_of(plain.state_dict(), 3)
    outputs = classed.outputs(torch.rand(2, 3, 32, 32))
    assert outputs.classes.shape == (2, 4)
    assert len(outputs.heatmaps) == 2
    assert plain.outputs(torch.zeros(2, 3, 32, 32)).classes is None
