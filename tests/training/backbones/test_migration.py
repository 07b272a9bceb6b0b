"""Recipes and weights of version 0.1 as those of today."""

import pytest

from cairn.methods.hourglass.recipe import Recipe as HourglassRecipe
from cairn.methods.hourglass.training import build_network as build_hourglass
from cairn.methods.openpose.network import build_network
from cairn.methods.openpose.recipe import NetworkSettings
from cairn.methods.openpose.recipe import Recipe as OpenPoseRecipe
from cairn.training.backbones.migration import current_name
from cairn.training.recipe_tables import check_recipe, migrate
from support.made_data import THING

RECIPES = {"openpose": OpenPoseRecipe, "hourglass": HourglassRecipe}
DUMPED = {"lite": 0, "frozen": 0, "trunk_rate": 1.0}
LIGHT = {"widths": [32, 64, 128, 192], "depths": [1, 2, 2], "features": 64, "depthwise": False}


@pytest.mark.parametrize(
    ("method", "old", "expected"),
    [
        ("openpose", {"kind": "efficientnet"}, {"kind": "light", "backbone": "efficientnet-lite0"}),
        (
            "openpose",
            DUMPED | LIGHT | {"kind": "efficientnet", "lite": 2, "frozen": 3, "trunk_rate": 0.1, "widths": [8, 8]},
            {"backbone": "efficientnet-lite2", "frozen_stages": 3, "backbone_lr_factor": 0.1, "features": 64},
        ),
        ("openpose", DUMPED | LIGHT | {"kind": "light"}, {"kind": "light", "backbone": "light"}),
        ("openpose", DUMPED | LIGHT | {"kind": "paper"}, {"kind": "paper", "backbone": "vgg19", "features": 128}),
        ("openpose", DUMPED | LIGHT | {"kind": "cvpr"}, {"kind": "cvpr", "backbone": "vgg19", "features": 128}),
        ("openpose", {"lite": 1}, {"kind": "light", "backbone": "efficientnet-lite1"}),
        ("hourglass", DUMPED | {"trunk": "paper"}, {"backbone": "hourglass-stem", "frozen_stages": 0}),
        (
            "hourglass",
            DUMPED | {"trunk": "efficientnet", "lite": 1, "frozen": 3},
            {"backbone": "efficientnet-lite1", "frozen_stages": 3},
        ),
    ],
)
def test_an_old_network_table_gives_the_same_network(method, old, expected):
    tables, renamed = migrate({"method": method, "network": old})
    network = check_recipe(RECIPES[method], tables).network
    assert {name: getattr(network, name) for name in expected} == expected
    assert renamed
    assert migrate(tables) == (tables, ())


def test_present_tables_and_those_of_other_methods_are_not_changed():
    for method, network in (
        ("openpose", {"kind": "paper", "features": 32}),
        ("hourglass", {"backbone": "efficientnet-lite1"}),
        ("landmarks", {"backbone": "paper"}),
        ("hourglass", "no table"),
    ):
        tables = {"method": method, "network": network}
        assert migrate(tables) == (tables, ())


@pytest.mark.parametrize(
    ("settings", "pairs"),
    [
        (
            {"kind": "light"},
            {
                "trunk.stem.1.0.weight": "backbone.stages.0.0.weight",
                "trunk.levels.0.0.0.weight": "backbone.stages.1.0.0.weight",
                "trunk.levels.2.2.branch.1.1.running_var": "backbone.stages.3.2.branch.1.1.running_var",
                "trunk.laterals.1.bias": "neck.laterals.1.bias",
                "paf_stages.0.3.bias": "paf_stages.0.3.bias",
            },
        ),
        (
            {"kind": "paper"},
            {
                f"trunk.layers.{old}.weight": f"backbone.stages.{new}.weight"
                for old, new in {
                    1: "0.0", 3: "0.2", 6: "1.1", 8: "1.3", 11: "2.1", 13: "2.3", 15: "2.5", 17: "2.7",
                    20: "3.1", 22: "3.3", 24: "4.0", 26: "4.2",
                }.items()
            },
        ),
        (
            {"backbone": "efficientnet-lite1"},
            {
                "trunk.stages.6.3.layers.1.0.weight": "backbone.stages.6.3.layers.1.0.weight",
                "trunk.laterals.0.weight": "neck.laterals.0.weight",
            },
        ),
    ],
)  # fmt: skip
def test_old_names_of_openpose_weights_are_renamed(settings, pairs):
    names = set(build_network(NetworkSettings.model_validate(settings), THING).state_dict())
    for old, new in pairs.items():
        assert current_name(f"network.{old}") == f"network.{new}"
        assert new in names
    assert all(current_name(f"network.{name}") == f"network.{name}" for name in names)


@pytest.mark.parametrize(
    ("backbone", "pairs"),
    [
        (
            "hourglass-stem",
            {
                "stem.conv.bias": "backbone.stages.0.0.bias",
                "stem.norm.running_mean": "backbone.stages.0.1.running_mean",
                "stem.residuals.0.norms.0.weight": "backbone.stages.1.0.norms.0.weight",
                "stem.residuals.1.convs.2.bias": "backbone.stages.2.convs.2.bias",
                "stem.residuals.2.skip.weight": "backbone.stages.3.skip.weight",
                "stacks.0.norm.weight": "stacks.0.norm.weight",
            },
        ),
        (
            "efficientnet-lite0",
            {
                "stem.stages.0.0.weight": "backbone.stages.0.0.weight",
                "stem.laterals.3.weight": "neck.laterals.3.weight",
            },
        ),
    ],
)
def test_old_names_of_hourglass_weights_are_renamed(backbone, pairs):
    settings = check_recipe(HourglassRecipe, {"network": {"backbone": backbone}}).network
    names = set(build_hourglass(settings, 3).state_dict())
    for old, new in pairs.items():
        assert current_name(f"network.{old}") == f"network.{new}"
        assert new in names
    assert all(current_name(f"network.{name}") == f"network.{name}" for name in names)
