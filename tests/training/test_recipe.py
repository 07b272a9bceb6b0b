"""Recipes survive a round trip through TOML; an unknown or impossible setting is an error that names it."""

import tomllib

import pytest

from cairn.errors import RecipeError
from cairn.methods.autoconfig import training_of
from cairn.methods.hourglass.training import Recipe as HourglassRecipe
from cairn.methods.openpose.training import Recipe as OpenPoseRecipe
from cairn.structures.skeleton import Skeleton
from cairn.training.recipe_tables import check_recipe, migrate, override, put, read_recipe
from cairn.training.toml import to_toml
from support import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_published_recipes_are_valid_and_survive_a_round_trip(path):
    tables = read_recipe(path)
    recipe = check_recipe(training_of(tables).recipe, tables)
    assert check_recipe(type(recipe), tomllib.loads(to_toml(recipe.model_dump(mode="json")))) == recipe


def test_text_with_quotes_and_backslashes_survives_a_round_trip():
    recipe = OpenPoseRecipe(name='a "b" \\ c', data={"train": [{"labels": "d\\e.json", "repeat": 2}]})
    assert check_recipe(OpenPoseRecipe, tomllib.loads(to_toml(recipe.model_dump(mode="json")))) == recipe


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab", "\x00\x1f\x7f", "snow ☃ and 😀"])
def test_control_characters_and_unicode_survive_a_round_trip(text):
    recipe = OpenPoseRecipe(license=text)
    assert tomllib.loads(to_toml(recipe.model_dump(mode="json")))["license"] == text


@pytest.mark.parametrize("joint", ["left_eye", "Left Eye", "a.b", 'the "tip"', ""])
def test_a_skeleton_with_any_joint_names_survives_a_round_trip(joint):
    skeleton = Skeleton("odd", (joint, "b"), means=((joint, ("x y", "z")),))
    assert Skeleton.from_dict(tomllib.loads(to_toml(skeleton.to_dict()))) == skeleton


def test_decode_settings_keep_their_types():
    settings = ["decode.second_try=false", "decode.max_peaks=64", "decode.peak_threshold=0.1"]
    decode = check_recipe(OpenPoseRecipe, override({}, settings)).decode
    assert [(type(value), value) for value in decode.values()] == [(bool, False), (int, 64), (float, 0.1)]


@pytest.mark.parametrize(("kind", "stages"), [("light", (1, 1)), ("paper", (4, 2)), ("cvpr", (6, 6))])
def test_each_kind_of_network_has_its_published_number_of_stages(kind, stages):
    network = check_recipe(OpenPoseRecipe, {"network": {"kind": kind}}).network
    assert (network.paf_stages, network.heatmap_stages) == stages
    fewer = check_recipe(OpenPoseRecipe, {"network": {"kind": kind, "paf_stages": 2}}).network
    assert (fewer.paf_stages, fewer.heatmap_stages) == (2, 2 if kind == "cvpr" else stages[1])


def test_a_setting_overrides_one_value_and_keeps_the_others():
    tables = {"method": "openpose", "run": {"epochs": 3, "batch_size": 2}}
    changed = override(tables, ["run.epochs=7", "name=flies", "augmentation.scale=[0.5, 2]"])
    recipe = check_recipe(OpenPoseRecipe, changed)
    assert (recipe.run.epochs, recipe.run.batch_size, recipe.name) == (7, 2, "flies")
    assert recipe.augmentation.scale == (0.5, 2.0)
    assert tables["run"]["epochs"] == 3


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"run": {"epoch": 3}}, "there is no setting run.epoch; run has epochs, minutes, batch_size, accumulate, "),
        (
            {"data": {"train": [{"labels": "a", "image": "b"}]}},
            r"no setting data\.train\.0\.image; data\.train\.0 has labels, images, ",
        ),
        ({"refinement": "parabola"}, "there is no setting refinement; openpose has input, network, "),
        ({"run": {"epochs": 0}}, "run.epochs"),
        ({"optimizer": {"name": "magic"}}, "optimizer.name"),
        ({"network": {"kind": "resnet"}}, "network.kind"),
        ({"method": "hourglass"}, "method"),
        ({"run": 3}, "recipe: run: Input should be a table, got 3"),
        ({"data": {"train": "x.json"}}, "data.train: Input should be a list"),
        ({"name": ""}, "name"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"optimizer": {"learning_rate": float("inf")}}, "optimizer.learning_rate: .*finite"),
        ({"augmentation": {"rotation": float("nan")}}, "augmentation.rotation"),
        ({"augmentation": {"scale": [2, 1]}}, "augmentation: scale is .minimum, maximum."),
        ({"run": {"threads": 10**6}}, "run.threads"),
        ({"input": {"scales": 5}}, "recipe: input: 5 scales with a gap of 0.25 end at 0 times the image"),
        ({"input": {"size": 100}}, "recipe: input.size must be a multiple of 32, got 100"),
        ({"network": {"widths": [8, 8]}}, "network: widths .* one more than depths"),
        ({"network": {"kind": "cvpr", "paf_stages": 2, "heatmap_stages": 3}}, "as many heatmap_stages as paf_stages"),
        ({"decode": {"peak": 0.1}}, "decode: .* has no peak"),
        ({"decode": {"peak_threshold": "high"}}, "decode: .* takes peak_threshold such as 0.05"),
    ],
)
def test_an_invalid_recipe_is_one_line_that_names_the_setting(tables, message):
    with pytest.raises(RecipeError, match=message) as error:
        check_recipe(OpenPoseRecipe, tables)
    assert "\n" not in str(error.value)


def test_an_unknown_section_lists_the_settings_of_the_method():
    with pytest.raises(RecipeError, match=r"no section decode; hourglass has .*refinement.*, name, license") as error:
        check_recipe(HourglassRecipe, override({}, ["decode.peak_threshold=0.1"]))
    assert "\n" not in str(error.value)


# vocabulary: off
OLD_SETTINGS = {
    "optimiser.learning_rate=1e-3": {"optimizer": {"learning_rate": 1e-3}},
    "augmentation.grey=0.5": {"augmentation": {"gray": 0.5}},
    "licence=CC0-1.0": {"license": "CC0-1.0"},
    "run.batch=4": {"run": {"batch_size": 4}},
    "input.fit=letterbox": {"task": "multi_instance"},
    "decode.least_score=0.3": {"decode": {"min_score": 0.3}},
}
# vocabulary: on


@pytest.mark.parametrize(("setting", "expected"), OLD_SETTINGS.items())
def test_a_setting_of_version_0_1_is_migrated_with_one_line(setting, expected, caplog):
    assert override({}, [setting]) == expected
    [record] = caplog.records
    assert record.getMessage().startswith("old name of a setting: ")
    assert "\n" not in record.getMessage()


def test_a_setting_of_version_0_1_overrides_the_value_of_a_recipe(caplog):
    tables = {"optimizer": {"name": "sgd", "learning_rate": 1.0}}
    # vocabulary: off
    assert override(tables, ["optimiser.learning_rate=0.5"]) == {"optimizer": {"name": "sgd", "learning_rate": 0.5}}
    # vocabulary: on
    assert override(tables, ["optimizer.learning_rate=0.5"])["optimizer"]["learning_rate"] == 0.5
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("method", "expected"), [("hourglass", {"backbone": "hourglass-stem"}), ("landmarks", {"kind": "paper"})]
)
def test_a_key_of_version_0_1_is_renamed_by_method(method, expected):
    # vocabulary: off
    old = {"method": method, "network": {"trunk": "paper"}}
    assert migrate(old)[0]["network"] == expected
    assert override({"method": method}, ["network.trunk=paper"])["network"] == expected
    # vocabulary: on


@pytest.mark.parametrize("method", [None, "openpose", "hourglass"])
def test_the_order_of_settings_of_version_0_1_does_not_matter(method):
    tables = {} if method is None else {"method": method}
    # vocabulary: off
    settings = [
        "network.lite=2",
        "network.trunk=efficientnet" if method == "hourglass" else "network.kind=efficientnet",
    ]
    # vocabulary: on
    networks = [override(tables, order)["network"] for order in (settings, settings[::-1])]
    assert [network["backbone"] for network in networks] == ["efficientnet-lite2"] * 2


def test_the_last_of_two_settings_of_one_key_holds():
    assert override({}, ["run.epochs=1", "seed=3", "run.epochs=2"]) == {"run": {"epochs": 2}, "seed": 3}


def test_an_hourglass_needs_an_input_that_it_can_halve():
    with pytest.raises(RecipeError, match="multiple of 64"):
        check_recipe(HourglassRecipe, {"input": {"size": 100}})


@pytest.mark.parametrize("setting", ["epochs", "=3", "name.x=1"])
def test_a_setting_without_name_or_value_is_an_error(setting):
    with pytest.raises(RecipeError):
        override({"name": "a"}, [setting])


def test_a_value_cannot_be_a_section():
    with pytest.raises(RecipeError, match=r"run must be a section, to set run\.epochs in it; got 3"):
        put({"run": 3}, "run.epochs", 7)


def test_a_missing_or_invalid_file_is_one_line(tmp_path):
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path / "no.toml")
    (tmp_path / "broken.toml").write_text("a = [")
    with pytest.raises(RecipeError, match="not TOML"):
        read_recipe(tmp_path / "broken.toml")
