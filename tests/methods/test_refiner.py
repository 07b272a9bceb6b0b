"""A refiner beside the model of several instances: when it is planned, trained and used."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

import cairn
from cairn.datasets.labels import Labels
from cairn.errors import RecipeError
from cairn.inference.base import BasePredictor
from cairn.inference.network import OnnxNetwork
from cairn.inference.zoo import path_of
from cairn.methods import autoconfig, refined
from cairn.methods.autoconfig import BESIDE_SLOW_BACKBONE, IMAGENET_LR_FACTOR, KNOWN_RATE
from cairn.methods.refiner import configure_all, configure_both
from cairn.structures.poses import Poses
from cairn.training.autoconfig import choices
from cairn.training.autoconfig.choices import WITH_REFINER, Pace
from cairn.training.backbones import imagenet
from cairn.training.data.sources import read_training_images
from cairn.training.recipe import LabelSource
from support.made_data import made_labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    made_labels(folder / "pairs", 8, people=2)
    made_labels(folder / "val", 3, people=2, seed=1)
    made_labels(folder / "single", 4)
    return folder


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the measurement of the pace, which takes seconds."""
    monkeypatch.setattr("cairn.training.autoconfig.machine.measure_pace", lambda *_: (8, 2, Pace(0.1, 0.1)))


def tables(labels: Path, **more: object) -> dict[str, object]:
    return {"data": {"train": [{"labels": str(labels / "labels.json")}], "val": []}, **more}


@pytest.mark.usefixtures("at_once")
def test_a_refiner_shares_the_labels_and_the_time_of_the_run(folder: Path) -> None:
    choice = configure_both(tables(folder / "pairs", seed=5))
    crops = choice.tables["refiner"]
    assert (choice.tables["method"], crops["method"], crops["task"]) == ("openpose", "hourglass", "crop")
    assert (crops["seed"], crops["data"]) == (5, choice.tables["data"])
    assert (choice.tables["run"]["minutes"], crops["run"]["minutes"]) == WITH_REFINER
    assert {"refiner", "refiner.run.epochs", "run.epochs"} <= choice.reasons.keys()


@pytest.mark.usefixtures("at_once")
def test_values_of_the_user_describe_the_first_model(folder: Path) -> None:
    given = {"method": "openpose", "input": {"inference_size": 320}, "optimizer": {"learning_rate": 1e-5}}
    chosen = configure_both(tables(folder / "pairs", **given)).tables
    assert chosen["input"]["inference_size"] == 320
    assert chosen["optimizer"]["learning_rate"] == 1e-5
    assert chosen["refiner"]["optimizer"]["learning_rate"] == BESIDE_SLOW_BACKBONE


@pytest.mark.usefixtures("at_once")
def test_a_target_duration_is_divided_between_both(folder: Path) -> None:
    choice = configure_both(tables(folder / "pairs", run={"minutes": 46}))
    minutes = choice.tables["run"]["minutes"], choice.tables["refiner"]["run"]["minutes"]
    assert sum(minutes) == pytest.approx(46)
    assert minutes[0] / minutes[1] == pytest.approx(WITH_REFINER[0] / WITH_REFINER[1])


@pytest.mark.usefixtures("at_once")
def test_many_images_have_a_refiner_and_weights_of_imagenet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = tables(folder / "pairs")
    few = configure_all(pairs).tables
    assert "refiner" not in few
    assert few["pretrained"] == "person"
    monkeypatch.setattr(choices, "MANY_IMAGES", 8)
    many = configure_all(pairs).tables
    crops = many["refiner"]
    assert many["pretrained"] == "imagenet"
    assert (crops["pretrained"], crops["pretrained_backbone"]) == ("person-single", "imagenet")
    assert many["network"]["backbone_lr_factor"] == crops["network"]["backbone_lr_factor"] == IMAGENET_LR_FACTOR
    assert many["network"]["pointwise"]
    assert many["refiner"]["network"]["pointwise"]
    assert "refiner" not in configure_all(pairs, refiner=False).tables
    for given in ({"pretrained": "person"}, {"run": {"epochs": 3}}, {"network": {"features": 32}}):
        assert "refiner" not in configure_all({**pairs, **given}).tables
    assert "refiner" not in configure_all(tables(folder / "single")).tables
    monkeypatch.setattr(imagenet, "has_imagenet", lambda _: False)
    assert configure_all(pairs).tables["pretrained"] == "person"


@pytest.mark.usefixtures("at_once")
def test_labels_of_people_start_from_a_model_of_people(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "MANY_IMAGES", 1)
    monkeypatch.setattr(autoconfig, "OF_PEOPLE", 0.0)
    chosen = configure_all(tables(folder / "pairs")).tables
    assert chosen["pretrained"] == "person"
    assert "refiner" not in chosen
    chosen = configure_all(tables(folder / "pairs"), refiner=True).tables
    assert (chosen["pretrained"], chosen["refiner"]["pretrained"]) == ("person", "person-single")


def test_a_refiner_of_single_instances_is_an_error(folder: Path) -> None:
    with pytest.raises(RecipeError, match="labels have one each"):
        configure_both(tables(folder / "single"))


@pytest.mark.parametrize("refiner", [True, False])
def test_a_recipe_decides_about_its_refiner_itself(folder: Path, tmp_path: Path, refiner: bool) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'method = "openpose"\n[data]\ntrain = [{{ labels = "{folder / "pairs" / "labels.json"}" }}]\n')
    with pytest.raises(RecipeError, match="a table of that name"):
        cairn.train(recipe, refiner=refiner, out=tmp_path / "run")


@pytest.mark.usefixtures("at_once")
def test_weights_that_predict_the_keypoints_already_change_slowly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known, rate in ((True, KNOWN_RATE), (False, BESIDE_SLOW_BACKBONE)):
        monkeypatch.setattr(autoconfig, "_predicts", lambda *_, known=known: known)
        chosen = configure_both(tables(folder / "pairs", pretrained="person"))
        assert chosen.tables["optimizer"]["learning_rate"] == rate


def test_both_models_are_trained_resumed_and_used_where_better(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"size": 64, "margin": 1.25}
    network = {"features": 8, "depth": 2}
    crops = {"method": "hourglass", "task": "crop", "input": small, "network": network, "run": {"epochs": 1}}
    data = tables(folder / "pairs")["data"]
    validation = [{"labels": str(folder / "val" / "labels.json")}]
    settings = {
        "method": "openpose",
        "input.size": 64,
        "input.inference_size": 96,
        "network.widths": [8, 8, 8, 8],
        "network.depths": [1, 1, 1],
        "network.features": 8,
        "run.threads": 1,
        "run.cache": 10,
        "refiner": {**crops, "data": {**data, "val": validation}},
    }
    aps: list[float] = []
    monkeypatch.setattr(refined, "evaluate", lambda *_: SimpleNamespace(oks={"AP": aps.pop(0)}))
    monkeypatch.setattr(refined, "write_report", lambda *_: None)
    aps += [20.0, 10.0, 30.0, 25.0, 10.0, 29.4]  # alone, four margins, with more crops
    out = folder / "run"
    train = {"val": folder / "val" / "labels.json", "out": out, "epochs": 1, "pretrained": "none", "settings": settings}
    run = cairn.train(folder / "pairs" / "labels.json", **train)
    crops_of_run = run.load(threads=1).crops
    assert (crops_of_run.spec.input.margin, crops_of_run.flip) == (1.5, True)
    assert "second_margin" not in crops_of_run.spec.decode  # more than chance below
    assert "wide_margin" not in crops_of_run.spec.decode
    models = run.model, out / "refiner" / "model.onnx"
    times = [model.stat().st_mtime_ns for model in models]
    aps += [20.0, 10.0, 18.0, 25.0, 10.0, 24.6]
    run.resume()
    crops_of_run = run.load(threads=1).crops
    assert (crops_of_run.spec.input.margin, crops_of_run.flip) == (1.25, True)
    assert crops_of_run.spec.decode["second_margin"] > 0
    assert crops_of_run.spec.decode["wide_margin"] == refined.WIDE
    aps += [20.0, 10.0, 18.0, 15.0, 10.0, 20.0]
    run.resume()
    assert not (out / "refiner.onnx").exists()  # the model alone is better now
    assert [model.stat().st_mtime_ns for model in models] == times


def test_a_second_crop_is_as_large_around_keypoints_as_crops_in_training(folder: Path) -> None:
    labels = read_training_images(LabelSource(labels=folder / "pairs" / "labels.json"), None)

    class Exact(BasePredictor[Poses]):
        """Predicts the middle 80% of each box."""

        spec, networks = OnnxNetwork(path_of("person-refine")).spec, ()

        def infer(self, pixels: np.ndarray, boxes: np.ndarray | None = None) -> Poses:
            ends = np.linspace(0.1, 0.9, len(self.spec.skeleton))[:, None]
            points = boxes[:, None, :2] + ends * boxes[:, None, 2:]
            ones = np.ones(points.shape[:2], np.float32)
            return Poses(points.astype(np.float32), ones, ones[:, 0], self.spec.skeleton)

        def decode_raw(self, raw: Poses) -> Poses:
            return raw

    assert refined._second_margin(Exact(), labels) == pytest.approx(Exact.spec.input.margin / 0.8, abs=0.01)


def test_the_first_model_runs_once_on_each_image() -> None:
    model = cairn.load("person", threads=1, size=96, refine=False)
    images = [np.full((64, 64, 3), value, np.uint8) for value in (0, 200)]
    calls: list[bytes] = []
    infer = model.infer

    def counted(pixels: np.ndarray, boxes: object = None) -> object:
        calls.append(pixels.tobytes())
        return infer(pixels, boxes)

    model.infer = counted
    remembered = refined.Remembered(model)
    assert (remembered.spec, remembered.networks) == (model.spec, model.networks)
    for image in (*images, *images):
        poses = remembered(image)
        assert poses.image is image
        np.testing.assert_array_equal(poses.keypoints, model.decode_raw(infer(image)).keypoints)
    assert calls == [image.tobytes() for image in images]


def test_of_many_images_a_share_selects_the_margin_and_all_decide(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    val = read_training_images(LabelSource(labels=folder / "pairs" / "labels.json"), None)
    assert len(val) == 8
    measured: list[int] = []
    aps = [20.0, 30.0, 10.0, 10.0, 10.0, 10.0, 15.0]  # alone; margins and more crops on a share; all of them

    def evaluated(_: object, labels: Labels) -> SimpleNamespace:
        measured.append(len(labels))
        return SimpleNamespace(oks={"AP": aps.pop(0)})

    monkeypatch.setattr(refined, "TRIED", 3)
    monkeypatch.setattr(refined, "evaluate", evaluated)
    shutil.copyfile(path_of("person"), tmp_path / "model.onnx")
    (tmp_path / "refiner").mkdir()
    shutil.copyfile(path_of("person-refine"), tmp_path / "refiner" / "model.onnx")
    assert not refined.choose_refined(tmp_path, tmp_path / "refiner", val)
    assert measured == [8, 3, 3, 3, 3, 3, 8]
