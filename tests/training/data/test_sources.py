"""Training and validation labels of a recipe: one skeleton, their splits, and the checks before a run."""

import json
import logging
from pathlib import Path

import pytest

from cairn.datasets.formats.coco import read_coco
from cairn.datasets.labels import Labels
from cairn.datasets.limbs import infer_limbs
from cairn.errors import LabelError
from cairn.media.images import read_image, write_image
from cairn.methods.openpose.training import Recipe
from cairn.training.data.sources import check_data, held_out_share, read_data, read_training_images
from cairn.training.recipe import LabelSource
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels
from support.made_objects import with_image
from support.split_labels import made_splits


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


def names_of(labels: Labels) -> set[str]:
    return {image.path.stem.rstrip("0123456789") for image in labels}


def read_splits(tmp_path: Path, path: Path, split: str | None = None, **data: object):
    source = {"labels": str(path)} | ({"split": split} if split else {})
    return read_data(check_recipe(Recipe, {"data": {"train": [source], **data}}), tmp_path)


def test_splits_of_the_labels_are_trained_and_validated_on_and_test_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = made_splits(tmp_path / "set", {"train": 5, "val": 3, "test": 2}, monkeypatch)
    with caplog.at_level(logging.INFO):
        _, sources, val = read_splits(tmp_path, path)
    assert (names_of(sources[0][0]), names_of(val)) == ({"train"}, {"val"})
    assert (len(sources[0][0]), len(val)) == (5, 3)
    line = f"{path} has train (5 images), val (3) and test (2): training on train, validating on val, test not used"
    assert [record.message for record in caplog.records].count(line) == 1
    assert not (tmp_path / "split.json").exists()


def test_without_val_a_share_of_train_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_splits(tmp_path / "set", {"train": 6, "test": 4}, monkeypatch)
    _, sources, val = read_splits(tmp_path, path)
    assert names_of(sources[0][0]) == names_of(val) == {"train"}
    assert len(sources[0][0]) + len(val) == 6
    _, again, same = read_splits(tmp_path, path)
    assert [image.id for image in again[0][0]] == [image.id for image in sources[0][0]]
    assert [image.id for image in same] == [image.id for image in val]


@pytest.mark.parametrize(
    ("images", "held_out"), [(10, 1), (80, 8), (500, 50), (897, 50), (1000, 50), (1001, 50), (4000, 200)]
)
def test_a_tenth_is_held_out_by_default_or_50_or_a_twentieth(images: int, held_out: int) -> None:
    assert round(held_out_share(images) * images) == held_out


@pytest.mark.parametrize(("split", "validation"), [("test", "val"), ("val", "val"), ("train", "val")])
def test_a_split_can_be_chosen_to_train_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str, validation: str
) -> None:
    path = made_splits(tmp_path / "set", {"train": 5, "val": 4, "test": 4}, monkeypatch)
    _, sources, val = read_splits(tmp_path, path, split)
    assert (names_of(sources[0][0]), names_of(val)) == ({split}, {validation})
    assert not {image.id for image in sources[0][0]} & {image.id for image in val}


def test_other_validation_labels_replace_the_split_val(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made_labels(tmp_path / "other", 3, seed=9)
    path = made_splits(tmp_path / "set", {"train": 5, "val": 3}, monkeypatch)
    with caplog.at_level(logging.INFO):
        _, _, val = read_splits(tmp_path, path, val=[{"labels": str(tmp_path / "other" / "labels.json")}])
    assert {image.path.parent.parent.name for image in val} == {"other"}
    assert "training on train, val not used" in caplog.text


def test_given_validation_labels_with_splits_give_val(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_splits(tmp_path / "set", {"train": 5, "val": 3, "test": 2}, monkeypatch)
    _, _, val = read_splits(tmp_path, path, val=[{"labels": str(path)}])
    assert names_of(val) == {"val"}
    _, _, val = read_splits(tmp_path, path, val=[{"labels": str(path), "split": "test"}])
    assert names_of(val) == {"test"}


def test_labels_without_train_need_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_splits(tmp_path / "set", {"val": 3, "test": 2}, monkeypatch)
    with pytest.raises(LabelError, match=r"no split train, only val \(3 images\) and test \(2\): .* --split"):
        read_splits(tmp_path, path)


def test_autoconfig_sees_the_training_images_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_splits(tmp_path / "set", {"train": 5, "val": 3, "test": 2}, monkeypatch)
    assert names_of(read_training_images(LabelSource(labels=path), None)) == {"train"}
    assert names_of(read_training_images(LabelSource(labels=path, split="test"), None)) == {"test"}


def test_wrong_sizes_stop_training_and_doubtful_labels_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = made_labels(tmp_path / "set", 4)
    source = LabelSource(labels=tmp_path / "set" / "labels.json")
    twice = with_image(labels, 0, annotation=labels.images[0].annotation[[0, 0]])
    check_data([(twice, source)], labels)
    assert "labels.json: 1 instance occurs twice" in caplog.text
    caplog.clear()
    check_data([(labels, source)], labels)
    assert not caplog.records
    write_image(labels.images[2].path, read_image(labels.images[2].path)[:48, :48])
    for sets in (([(labels, source)], twice), ([], labels)):
        with pytest.raises(LabelError, match=r"1 of 4 images of another size than in the labels: 2\.png is 48×48"):
            check_data(*sets)
