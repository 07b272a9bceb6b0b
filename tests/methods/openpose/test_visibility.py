"""The head for visibility in whole images: its loss, its weights, and what it costs when off."""

import numpy as np
import pytest
import torch

from cairn.datasets.labels import Labels
from cairn.errors import LabelError, RecipeError
from cairn.methods.openpose.model import Stages
from cairn.methods.openpose.network import build_network, network_of
from cairn.methods.openpose.recipe import Loss, NetworkSettings, Recipe
from cairn.methods.openpose.training import OpenPoseModule, stage_losses, training_set
from cairn.training.checkpoints.pretrained import Start, carry_over
from cairn.training.data.loading import stack
from cairn.training.recipe import LabelSource
from cairn.training.recipe_tables import check_recipe
from support.made_classes import SHAPE, class_labels
from support.occluded_labels import occluded_labels

SMALL = {"widths": [8, 8, 8], "depths": [1, 1], "features": 8}
SIZES = {"input": {"size": 64, "inference_size": 64}}
OFF = Recipe.model_validate({**SIZES, "network": SMALL})
ON = Recipe.model_validate({**SIZES, "network": {**SMALL, "visibility": True}})
NOTHING = Labels(SHAPE, (), np.ones(3, bool))


def batch_of(recipe, folder):
    samples = training_set(recipe, SHAPE, [(occluded_labels(folder), LabelSource(labels=folder / "labels.json"))])
    return stack([samples[i] for i in range(3)])


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("kind", ["weighted", "squared"])
def test_the_loss_is_the_entropy_weighted_by_heatmaps_in_supervised_cells(kind, background):
    rng = np.random.default_rng(0)

    def random(*shape):
        return torch.from_numpy(rng.random(shape).astype(np.float32))

    maps = 3 + background
    logits = (random(2, 3, 4, 5) - 0.5).requires_grad_()
    batch = {
        "heatmaps": random(2, maps, 4, 5),
        "pafs": random(2, 4, 4, 5),
        "mask": random(2, 4, 5) < 0.7,
        "known_joints": torch.tensor([[True, True, False, True]] * 2)[:, :maps],
        "known_limbs": torch.ones(2, 4, dtype=torch.bool),
        "visibility": (random(2, 3, 4, 5) < 0.5).float(),
    }
    stages = Stages((random(2, maps, 4, 5),), (random(2, 4, 4, 5),), None, logits)
    losses = stage_losses(stages, batch, Loss(kind=kind))
    total = 0.0
    for b, k, y, x in np.ndindex(2, 3, 4, 5):
        p = 1 / (1 + np.exp(-float(logits[b, k, y, x])))
        weight = float(batch["heatmaps"][b, k, y, x]) * bool(batch["mask"][b, y, x]) * (k != 2)
        total -= weight * np.log(p if batch["visibility"][b, k, y, x] else 1 - p)
    assert float(losses["visibility"]) == pytest.approx(total / 2, rel=1e-5)
    losses["visibility"].backward()
    assert not logits.grad[:, 2].any()
    assert not logits.grad.permute(0, 2, 3, 1)[~batch["mask"]].any()


@pytest.mark.parametrize("kind", ["light", "paper", "cvpr", "lightweight"])
def test_every_kind_of_network_takes_the_head(kind):
    settings = {"kind": kind, "visibility": True, "background": True}
    if kind == "light":
        settings |= SMALL
    network = build_network(NetworkSettings.model_validate(settings), SHAPE).eval()
    plain = build_network(NetworkSettings.model_validate(settings | {"visibility": False}), SHAPE)
    more = set(network.state_dict()) - set(plain.state_dict())
    assert more
    assert all(name.startswith("visibility_head.") for name in more)
    found = network_of(network.state_dict(), 3)
    assert found["visibility"]
    assert "visibility" not in network_of(plain.state_dict(), 3)
    build_network(NetworkSettings.model_validate(found), SHAPE).load_state_dict(network.state_dict())
    with torch.no_grad():
        stages = network(torch.rand(1, 3, 64, 64))
    assert stages.visibility.shape == (1, 3, 8, 8)


@pytest.mark.parametrize("kind", ["light", "lightweight"])
def test_its_channels_are_those_of_the_joints(kind):
    settings = {"kind": kind, "visibility": True, "background": True} | (SMALL if kind == "light" else {})
    recipe = Recipe.model_validate({**SIZES, "network": settings})
    channels = OpenPoseModule(recipe, SHAPE, NOTHING).channels()
    own = {name: value for name, value in channels.items() if name.startswith("visibility_head.")}
    assert own["visibility_head.3.weight"] == (0, SHAPE.joints)
    assert own["visibility_head.3.bias"] == (0, SHAPE.joints)
    assert own["visibility_head.0.0.weight"][0] == 1


def test_off_it_costs_nothing(tmp_path):
    off, on = OpenPoseModule(OFF, SHAPE, NOTHING), OpenPoseModule(ON, SHAPE, NOTHING)
    assert off.spec().outputs == ("heatmaps", "pafs")
    assert on.spec().outputs == ("heatmaps", "pafs", "visibility")
    batch = batch_of(OFF, tmp_path)
    assert "visibility" not in batch
    assert set(off.losses(batch)) == {"heatmaps", "pafs"}
    assert len(off.export_module()(batch["image"].float())) == 2
    batch = batch_of(ON, tmp_path)
    assert set(on.losses(batch)) == {"heatmaps", "pafs", "visibility"}
    outputs = on.export_module()(batch["image"].float())
    assert [tuple(each.shape[1:]) for each in outputs] == [(3, 8, 8), (4, 8, 8), (3, 8, 8)]
    assert bool(((outputs[2] >= 0) & (outputs[2] <= 1)).all())


def test_what_does_not_apply_is_one_line(tmp_path):
    with pytest.raises(RecipeError, match="visibility applies to"):
        check_recipe(Recipe, {"network": {"kind": "hand", "visibility": True}})
    labels = class_labels(tmp_path, 2)
    with pytest.raises(LabelError, match="none is occluded"):
        training_set(ON, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])


def test_a_model_without_the_head_can_be_fine_tuned_with_it():
    off, on = OpenPoseModule(OFF, SHAPE, NOTHING), OpenPoseModule(ON, SHAPE, NOTHING)
    start = Start("off", "openpose", SHAPE, dict(off.network.state_dict()))
    before = on.network.state_dict()["visibility_head.3.weight"].clone()
    carry_over(on.network, start, on.channels(), on.channels())
    after = on.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in off.network.state_dict().items())
    assert torch.equal(after["visibility_head.3.weight"], before)
