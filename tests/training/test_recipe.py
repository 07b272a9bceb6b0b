"""Laws of recipes: what is written is read back, what is misspelled is named."""

import tomllib

import pytest

from cairn.errors import RecipeError
from cairn.methods.hourglass.training import Recipe as HourglassRecipe
from cairn.methods.landmarks.recipe import Recipe as LandmarksRecipe
from cairn.methods.openpose.training import Recipe as OpenPoseRecipe
from cairn.structures.skeleton import Skeleton
from cairn.training.recipe import check_recipe, override, put, read_recipe, to_toml
from support import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
KINDS = {"openpose": OpenPoseRecipe, "hourglass": HourglassRecipe, "landmarks": LandmarksRecipe}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_published_recipe_is_valid_and_written_as_it_is_read(path):
    tables = read_recipe(path)
    recipe = check_recipe(KINDS[tables["method"]], tables)
    assert check_recipe(type(recipe), tomllib.loads(to_toml(recipe.model_dump(mode="json")))) == recipe


def test_text_with_quotes_and_backslashes_survives():
    recipe = OpenPoseRecipe(name='a "b" \\ c', data={"train": [{"labels": "d\\e.json", "repeat": 2}]})
    assert check_recipe(OpenPoseRecipe, tomllib.loads(to_toml(recipe.model_dump(mode="json")))) == recipe


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab", "\x00\x1f\x7f", "snow ☃ and 😀"])
def test_every_text_survives(text):
    recipe = OpenPoseRecipe(license=text)
    assert tomllib.loads(to_toml(recipe.model_dump(mode="json")))["license"] == text


@pytest.mark.parametrize("joint", ["left_eye", "Left Eye", "a.b", 'the "tip"', ""])
def test_a_skeleton_is_read_as_it_is_written_whatever_its_joints_are_called(joint):
    skeleton = Skeleton("odd", (joint, "b"), means=((joint, ("x y", "z")),))
    assert Skeleton.from_dict(tomllib.loads(to_toml(skeleton.to_dict()))) == skeleton


def test_thresholds_keep_their_kind():
    settings = ["decode.second_try=false", "decode.max_peaks=64", "decode.peak_threshold=0.1"]
    decode = check_recipe(OpenPoseRecipe, override({}, settings)).decode
    assert [(type(value), value) for value in decode.values()] == [(bool, False), (int, 64), (float, 0.1)]


@pytest.mark.parametrize(("kind", "stages"), [("light", (1, 1)), ("paper", (4, 2)), ("cvpr", (6, 6))])
def test_a_network_has_the_stages_that_it_was_published_with(kind, stages):
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
    ("tables", "says"),
    [
        ({"run": {"epoch": 3}}, "no setting run.epoch"),
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
        ({"augmentation": {"scale": [2, 1]}}, "augmentation: scale goes from the smaller"),
        ({"run": {"threads": 10**6}}, "run.threads"),
        ({"input": {"scales": 5}}, "recipe: input: 5 scales with a gap of 0.25 end at 0 times the image"),
        ({"input": {"size": 100}}, "recipe: input.size must be a multiple of 32, got 100"),
        ({"network": {"widths": [8, 8]}}, "network: widths .* one more than depths"),
        ({"network": {"kind": "cvpr", "paf_stages": 2, "heatmap_stages": 3}}, "as many heatmap_stages as paf_stages"),
        ({"decode": {"peak": 0.1}}, "decode: .* has no peak"),
        ({"decode": {"peak_threshold": "high"}}, "decode: .* takes peak_threshold such as 0.05"),
    ],
)
def test_an_impossible_recipe_is_one_line_that_names_the_place(tables, says):
    with pytest.raises(RecipeError, match=says) as error:
        check_recipe(OpenPoseRecipe, tables)
    assert "\n" not in str(error.value)


def test_an_hourglass_needs_a_field_that_it_can_halve():
    with pytest.raises(RecipeError, match="multiple of 64"):
        check_recipe(HourglassRecipe, {"input": {"size": 100}})


@pytest.mark.parametrize("setting", ["epochs", "=3", "name.x=1"])
def test_a_setting_that_is_none_is_refused(setting):
    with pytest.raises(RecipeError):
        override({"name": "a"}, [setting])


def test_a_value_cannot_be_a_section():
    with pytest.raises(RecipeError, match=r"run must be a section, to set run\.epochs in it; got 3"):
        put({"run": 3}, "run.epochs", 7)


def test_a_missing_or_broken_file_is_one_line(tmp_path):
    with pytest.raises(RecipeError, match="cannot read"):
        read_recipe(tmp_path / "no.toml")
    (tmp_path / "broken.toml").write_text("a = [")
    with pytest.raises(RecipeError, match="not TOML"):
        read_recipe(tmp_path / "broken.toml")
