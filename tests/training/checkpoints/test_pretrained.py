"""Laws of fine-tuning: copied weights compute what they did, and the others keep their initial values."""

import numpy as np
import pytest
import torch
from cv2 import resize
from torch import nn

import cairn.methods.hourglass.training as hourglass
import cairn.methods.openpose.training as openpose
import cairn.training.engine.loop as fit
from cairn.datasets.labels import Labels
from cairn.errors import ModelError
from cairn.inference import zoo
from cairn.inference.network import OnnxNetwork
from cairn.media.images import read_image
from cairn.methods.hourglass.network import build_network as build_hourglass
from cairn.methods.hourglass.recipe import NetworkSettings as HourglassSettings
from cairn.methods.openpose.network import build_network, network_of
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.training.checkpoints.pretrained import carry_over, folded_norms, read_start, restore_norms
from cairn.training.exporting.torch_network import TorchNetwork
from cairn.training.recipe_tables import check_recipe
from support import ROOT
from support.made_data import THING, made_labels

TREE = Skeleton("tree", ("root", "crown", "left_twig"), ((0, 1), (1, 2)))
BUSH = Skeleton("bush", ("left_twig", "berry", "crown"), ((2, 0), (2, 1)))
"""Has joints 0 and 2 and the second limb of the tree."""


def module_of(method, tables, joints):
    recipe = check_recipe(method.Recipe, tables)
    return method.module(recipe, joints, Labels(joints, (), np.ones(len(joints), bool)))


@pytest.mark.parametrize(
    "settings",
    [
        {"widths": [8, 12, 16], "depths": [1, 3], "features": 8, "paf_stages": 2, "heatmap_stages": 3},
        {"widths": [8, 8, 8, 8], "features": 12, "depthwise": True, "background": True},
        {"backbone": "efficientnet-lite0", "features": 12, "paf_stages": 2},
        {"backbone": "efficientnet-lite2", "features": 8, "depthwise": True},
        {"kind": "paper", "paf_stages": 2, "heatmap_stages": 1},
        {"kind": "paper", "backbone": "light", "features": 32, "paf_stages": 1},
        {"kind": "cvpr", "paf_stages": 2, "background": True},
        {"kind": "cvpr", "backbone": "efficientnet-lite1", "paf_stages": 1},
    ],
)
def test_settings_are_recovered_from_the_weights_of_openpose(settings):
    expected = NetworkSettings.model_validate(settings)
    weights = build_network(expected, TREE).state_dict()
    found = NetworkSettings.model_validate(network_of(weights, len(TREE)))
    assert found == expected


def test_settings_are_recovered_from_the_weights_of_an_hourglass():
    for tables in (
        {"stacks": 2, "features": 8, "depth": 3},
        {"features": 12, "depth": 1, "residuals": 2},
        {"backbone": "efficientnet-lite1", "features": 8, "depth": 2},
    ):
        settings = HourglassSettings.model_validate(tables)
        weights = build_hourglass(settings, 3).state_dict()
        assert HourglassSettings.model_validate(hourglass.network_of(weights, 3)) == settings


@pytest.mark.parametrize(("name", "within"), [("person", 1e-3), ("person-single", 0.15)])
def test_a_bundled_model_has_the_outputs_of_its_file_in_torch_and_can_be_trained(name, within):
    """The file of person-single computes in 8 bits, torch in floating point."""
    start, network = read_start(name), OnnxNetwork(zoo.path_to_learn_from(name), threads=1)
    method = {"openpose": openpose, "hourglass": hourglass}[start.method]
    tables = {"network": method.network_of(start.weights, len(start.skeleton))}
    unsmoothed = {"smoothing": 0} if method is hourglass else {}  # as the bundled file
    module = module_of(method, tables | unsmoothed, start.skeleton)
    folded = folded_norms(module.network, start)
    assert folded
    carried, places = carry_over(module.network, start, module.channels(), module.channels())
    assert carried == places > 0
    side = 128 if network.spec.input.resize == "letterbox" else network.spec.input.size
    portraits = read_image(ROOT / "examples" / "portraits.jpg")
    images = np.stack([resize(half, (side, side)) for half in np.array_split(portraits, 2, axis=1)])
    images = images.transpose(0, 3, 1, 2).astype(np.float32)
    expected = network(images)
    ours = TorchNetwork(module.export_module(), network.spec)
    close_to(ours(images), expected, within)  # as exported
    restore_norms(module.network, folded, [torch.from_numpy(images)])
    close_to(ours(images), expected, within)  # with restored statistics
    norms = [name for name, layer in module.network.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    if len(folded) == len(norms):  # in training mode a batch is normalized by its own statistics: the same function
        with torch.no_grad():
            trained = module.export_module().train()(torch.from_numpy(images))
        close_to(dict(zip(expected, (maps.numpy() for maps in trained), strict=True)), expected, within)


def close_to(got, expected, within):
    for output, maps in expected.items():
        assert np.abs(got[output] - maps).max() < within * np.abs(maps).max()


@pytest.mark.parametrize(
    ("method", "tables"),
    [
        (openpose, {"network": {"widths": [8, 8, 8], "depths": [1, 1], "features": 8, "heatmap_stages": 2}}),
        (openpose, {"network": {"kind": "cvpr", "paf_stages": 2}}),
        (hourglass, {"network": {"features": 8, "stacks": 2}}),
    ],
)
def test_channels_of_joints_and_limbs_of_the_same_name_are_copied(method, tables, tmp_path):
    before, after = module_of(method, tables, TREE), module_of(method, tables, BUSH)
    drawn = {name: value.clone() for name, value in after.network.state_dict().items()}
    (tmp_path / "checkpoints").mkdir()
    torch.save({"state_dict": before.state_dict()}, tmp_path / "checkpoints" / "best.ckpt")
    (tmp_path / "recipe.toml").write_text(f'method = "{before.recipe.method}"\n')
    (tmp_path / "skeleton.toml").write_text('name = "tree"\njoints = ["root", "crown", "left_twig"]\n')
    start = read_start(str(tmp_path))
    now, then = after.channels(), before.channels()
    carry_over(after.network, start, now, then)
    state, source = after.network.state_dict(), before.network.state_dict()
    assert set(now) == set(then)
    same = {name: value for name, value in state.items() if name not in now}
    assert all(torch.equal(value, source[name]) for name, value in same.items())
    for name, (axis, meanings) in now.items():
        for i, meaning in enumerate(meanings):
            there = then[name][1].index(meaning) if meaning in then[name][1] else None
            expected = drawn[name].select(axis, i) if there is None else source[name].select(axis, there)
            assert torch.equal(state[name].select(axis, i), expected), (name, meaning)
    shared = {meaning for _, meanings in now.values() for meaning in meanings if isinstance(meaning, str)}
    assert shared == {"left_twig", "berry", "crown"}


def test_weights_of_another_network_raise_model_error_and_change_nothing():
    start = read_start("person")
    tables = {"network": {"backbone": "efficientnet-lite0", "features": 32}}
    module = module_of(openpose, tables, load_skeleton("coco17"))
    before = {name: value.clone() for name, value in module.network.state_dict().items()}
    with pytest.raises(ModelError, match="person is of another network than the recipe describes"):
        carry_over(module.network, start, module.channels(), module.channels())
    assert all(torch.equal(value, before[name]) for name, value in module.network.state_dict().items())
    with pytest.raises(ModelError, match="do not belong to an hourglass network"):
        hourglass.network_of(start.weights, 17)


def test_restored_statistics_are_those_of_the_inputs_of_the_layer():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
    norm = network[1]
    nn.init.constant_(norm.running_var, 1 - norm.eps)
    nn.init.normal_(norm.bias)
    images = torch.rand(6, 3, 9, 9)
    before = network.eval()(images)
    restore_norms(network, ["1"], images.split(2))
    given = network[0](images).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, given.mean(dim=1), atol=1e-5)
    assert torch.allclose(norm.running_var, given.var(dim=1, unbiased=False), atol=1e-5)
    assert torch.allclose(network(images), before, atol=1e-5)
    assert torch.allclose(network.train()(images), before, atol=1e-3)


def test_files_that_cannot_be_fine_tuned_are_one_line(tmp_path):
    (tmp_path / "text.onnx").write_text("text")
    for source, message in (
        ("horse", "no model 'horse'"),
        (str(tmp_path / "none.onnx"), "no model to fine-tune"),
        (str(tmp_path / "text.onnx"), "not an ONNX model"),
        (str(tmp_path), "no checkpoint"),
    ):
        with pytest.raises(ModelError, match=message) as error:
            read_start(source)
        assert "\n" not in str(error.value)


def test_a_run_fine_tunes_the_weights_of_another(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "_finish", lambda module, run: run)  # no export
    made_labels(tmp_path / "set", 6)
    labels = [{"labels": str(tmp_path / "set" / "labels.json")}]
    tables = {
        "input": {"size": 64},
        "network": {"features": 8},
        "data": {"train": labels, "val": labels},
        "run": {"epochs": 1, "batch_size": 3, "workers": 0, "threads": 1},
    }
    fit.train(hourglass.TRAINING, check_recipe(hourglass.Recipe, tables), tmp_path / "first")
    begun = read_start(str(tmp_path / "first"))
    assert begun.skeleton.joints == THING.joints
    unchanged = {"optimizer": {"learning_rate": 1e-12, "weight_decay": 0}, "pretrained": str(tmp_path / "first")}
    fit.train(hourglass.TRAINING, check_recipe(hourglass.Recipe, tables | unchanged), tmp_path / "second")
    for name, value in read_start(str(tmp_path / "second")).weights.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, begun.weights[name], atol=1e-6), name
