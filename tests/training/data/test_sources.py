"""Training and validation labels of a recipe share one skeleton, also where its limbs are guessed."""

import json
import logging
from pathlib import Path

import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.limbs import infer_limbs
from cairn.methods.openpose.training import Recipe
from cairn.training.data.sources import read_data
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels


def without_limbs(folder: Path, seed: int) -> Path:
    made_labels(folder, 6, people=2, seed=seed)
    path = folder / "labels.json"
    document = json.loads(path.read_text())
    document["categories"][0]["skeleton"] = []
    path.write_text(json.dumps(document))
    return path


def test_missing_limbs_are_guessed_once_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [without_limbs(tmp_path / name, seed) for seed, name in enumerate(("one", "two", "val"))]
    *train, val = [{"labels": str(path)} for path in paths]
    recipe = check_recipe(Recipe, {"data": {"train": train, "val": [val]}})
    with caplog.at_level(logging.INFO):
        skeleton, sources, validation = read_data(recipe, tmp_path)
    assert skeleton == infer_limbs(read_coco(paths[0])).skeleton
    assert len(skeleton.limbs) == 2
    assert all(labels.skeleton == skeleton for labels, _ in sources)
    assert validation.skeleton == skeleton
    messages = [record.message for record in caplog.records if "guessed" in record.message]
    assert len(messages) == 1
    assert all(name in messages[0] for name in THING.joints)


def test_limbs_of_the_labels_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made_labels(tmp_path / "some", 8, people=2)
    recipe = check_recipe(Recipe, {"data": {"train": [{"labels": str(tmp_path / "some" / "labels.json")}]}})
    with caplog.at_level(logging.INFO):
        skeleton, _, val = read_data(recipe, tmp_path)
    assert set(map(frozenset, skeleton.limbs)) == set(map(frozenset, THING.limbs))
    assert val.skeleton == skeleton
    assert "guessed" not in caplog.text
