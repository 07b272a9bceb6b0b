"""Laws of what a recipe learns from: what labels leave open is the same for all of its sets."""

import json
import logging
from pathlib import Path

import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.limbs import infer_limbs
from cairn.methods.openpose.training import Recipe
from cairn.training.data.sources import read_data
from cairn.training.recipe import check_recipe
from support.made_data import THING, made_labels


def without_limbs(folder: Path, seed: int) -> Path:
    made_labels(folder, 6, people=2, seed=seed)
    path = folder / "labels.json"
    document = json.loads(path.read_text())
    document["categories"][0]["skeleton"] = []
    path.write_text(json.dumps(document))
    return path


def test_limbs_that_no_labels_name_are_guessed_once_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = [without_limbs(tmp_path / name, seed) for seed, name in enumerate(("one", "two", "val"))]
    *train, val = [{"labels": str(path)} for path in paths]
    recipe = check_recipe(Recipe, {"data": {"train": train, "val": [val]}})
    with caplog.at_level(logging.INFO):
        joints, sources, validation = read_data(recipe, tmp_path)
    assert joints == infer_limbs(read_coco(paths[0])).skeleton
    assert len(joints.limbs) == 2
    assert all(labels.skeleton == joints for labels, _ in sources)
    assert validation.skeleton == joints
    told = [record.message for record in caplog.records if "guessed" in record.message]
    assert len(told) == 1
    assert all(name in told[0] for name in THING.joints)


def test_limbs_that_labels_name_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made_labels(tmp_path / "some", 8, people=2)
    recipe = check_recipe(Recipe, {"data": {"train": [{"labels": str(tmp_path / "some" / "labels.json")}]}})
    with caplog.at_level(logging.INFO):
        joints, _, val = read_data(recipe, tmp_path)
    assert set(map(frozenset, joints.limbs)) == set(map(frozenset, THING.limbs))
    assert val.skeleton == joints
    assert "guessed" not in caplog.text
