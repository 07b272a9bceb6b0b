"""Laws of initial weights: those of a model, with the backbone's own in their place where the recipe says so."""

from pathlib import Path

import pytest
import torch
from torch import nn

from cairn.errors import RecipeError
from cairn.methods.hourglass.training import TRAINING
from cairn.training.backbones.imagenet import has_imagenet
from cairn.training.checkpoints.pretrained import folded_norms, read_start
from cairn.training.data.loading import TrainingSet
from cairn.training.data.sources import read_data
from cairn.training.engine.initial_weights import build_module
from cairn.training.recipe_tables import check_recipe
from support.made_data import made_labels

NETWORK = {"backbone": "efficientnet-lite1", "stacks": 1, "features": 128, "depth": 3}
BOTH = {"pretrained": "person-single", "pretrained_backbone": "imagenet"}

with_imagenet = pytest.mark.skipif(not has_imagenet(1), reason="the weights of ImageNet are in the train extra")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    made_labels(folder, 3)
    return folder


def built(folder: Path, **tables: object) -> tuple[nn.Module, TrainingSet]:
    source = [{"labels": str(folder / "labels.json")}]
    data = {"train": source, "val": source}
    shared = {"method": "hourglass", "data": data, "input": {"size": 64}, "network": NETWORK}
    recipe = check_recipe(TRAINING.recipe, {**shared, **tables})
    skeleton, sources, val = read_data(recipe, folder)
    training = TRAINING.training_set(recipe, skeleton, sources)
    return build_module(TRAINING, recipe, skeleton, val, training, False).network, training


@with_imagenet
def test_the_backbone_has_weights_of_imagenet_and_the_other_layers_those_of_the_model(folder: Path) -> None:
    state, of_imagenet = built(folder, **BOTH)[0].state_dict(), built(folder, pretrained="imagenet")[0].state_dict()
    start = read_start("person-single").weights
    backbone = {name for name in state if name.startswith("backbone.")}
    for name in backbone:
        torch.testing.assert_close(state[name], of_imagenet[name])
    copied = {name for name in start.keys() & state.keys() - backbone if ".heatmaps." not in name}  # of other joints
    assert copied
    for name in copied:
        torch.testing.assert_close(state[name], start[name])


@with_imagenet
def test_folded_normalizations_have_the_statistics_of_that_backbone(folder: Path) -> None:
    """With them the samples give the same in training, where the batch has its own statistics."""
    network, training = built(folder, **BOTH)
    images = torch.stack([torch.from_numpy(training[i]["image"]) for i in range(len(training))]).float()
    network.eval()
    features = network.backbone(images)
    expected = network.stacks[0](network.neck(features))[1].detach()
    folded = [name for name in folded_norms(network, read_start("person-single")) if not name.startswith("backbone.")]
    assert folded
    for name in folded:
        network.get_submodule(name).train()
    got = network.stacks[0](network.neck(features))[1].detach()
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("pretrained", ["none", "imagenet"])
def test_a_backbone_of_its_own_needs_a_model(folder: Path, pretrained: str) -> None:
    with pytest.raises(RecipeError, match=f"set pretrained to a model, got {pretrained}"):
        built(folder, pretrained=pretrained, pretrained_backbone="imagenet")


def test_a_file_of_a_backbone_takes_no_other(folder: Path) -> None:
    with pytest.raises(RecipeError, match="movenet has weights of a backbone already"):
        built(folder, pretrained="movenet", pretrained_backbone="imagenet")
