"""Training of several classes, from labels to detections: squares and disks with the same three keypoints."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cairn.api.load import load
from cairn.datasets.classes import in_classes
from cairn.datasets.labels import Labels
from cairn.errors import LabelError, ModelError
from cairn.evaluation.evaluate import evaluate
from cairn.inference.network import OnnxNetwork
from cairn.methods.hourglass.training import TRAINING as HOURGLASS
from cairn.methods.openpose import predictor
from cairn.methods.openpose.training import TRAINING as OPENPOSE
from cairn.training.checkpoints.pretrained import read_start
from cairn.training.data.classes import with_shared_classes
from cairn.training.engine.initial_weights import build_module
from cairn.training.engine.loop import export_from, train
from cairn.training.exporting.precision import precision_of
from cairn.training.exporting.quantization import quantize
from cairn.training.recipe import LabelSource
from cairn.training.run_folder import read_classes
from support.made_classes import CLASSES, class_labels

SHARED = {
    "augmentation": {"rotation": 10, "scale": [0.9, 1.1], "flip": 0, "color": 0.1, "gray": 0},
    "optimizer": {"learning_rate": 6e-3, "ema": 0.9},
    "run": {"batch_size": 8, "workers": 0, "validate_every": 100, "threads": 1, "precision": "fp32"},
}
SMALL = {
    "openpose": {
        "input": {"size": 64, "inference_size": 64},
        "network": {"widths": [16, 24, 32], "depths": [1, 1], "features": 24},
    },
    "hourglass": {"input": {"size": 64}, "network": {"features": 16, "depth": 1}, "task": "crop"},
}
METHODS = {"openpose": OPENPOSE, "hourglass": HOURGLASS}
EPOCHS = {"openpose": 12, "hourglass": 8}


def method_of(name: str, labels: Labels, val: Labels):
    """The method with labels in memory."""
    source = LabelSource(labels=Path("labels.json"))

    def read_data(recipe, run):
        sources, (held_out,) = with_shared_classes([(labels, source)], [val])
        return labels.skeleton, sources, held_out

    return replace(METHODS[name], read_data=read_data)


def recipe_of(name: str, epochs: int = 1, **changes):
    tables = SHARED | SMALL[name] | {"run": SHARED["run"] | {"epochs": epochs}} | changes
    return METHODS[name].recipe.model_validate(tables)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    return class_labels(folder, 16), class_labels(folder, 6, seed=1)


@pytest.fixture(scope="module", params=["openpose", "hourglass"])
def trained(request, labels, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / request.param
    train(method_of(request.param, *labels), recipe_of(request.param, EPOCHS[request.param]), run)
    return request.param, run


def test_detections_have_the_right_class(trained, labels):
    name, run = trained
    network = OnnxNetwork(run / "model.onnx")
    assert network.spec.classes == read_classes(run) == CLASSES
    assert network.spec.outputs[-1] == "classes"
    assert "class accuracy" in (run / "metrics.csv").read_text()
    model = load(run / "model.onnx")
    evaluation = evaluate(model, labels[1], network.spec.task)
    assert evaluation.pairs.matched.mean() > 0.8
    assert evaluation.class_accuracy > 90
    assert {pose.class_name for poses in evaluation.predictions for pose in poses} == set(CLASSES)
    assert all(poses.class_names == CLASSES for poses in evaluation.predictions)
    assert '"classes": {' in (run / "report" / "metrics.json").read_text()
    if name == "hourglass":  # the faster export
        target = export_from(METHODS[name], recipe_of(name), run, "last", run / "again.onnx")
        assert OnnxNetwork(target).spec.classes == CLASSES


def test_a_run_is_not_resumed_with_other_classes(trained, labels):
    name, run = trained
    train_labels, val = labels
    for changed, now in (
        (in_classes(train_labels, ("disk", "square")), "classes disk, square"),
        (in_classes(train_labels, (*CLASSES, "star")), "classes square, disk, star"),
        (in_classes(train_labels, ()), "one class"),
    ):
        with pytest.raises(LabelError) as error:
            train(method_of(name, changed, in_classes(val, changed.classes)), recipe_of(name, 3), run, resume=True)
        assert str(error.value) == (
            f"{run} was started with classes square, disk, and its labels now have {now}: "
            "restore the labels, or start a new run"
        )
    assert read_classes(run) == CLASSES


def test_a_quantized_model_has_the_classes(trained, labels, tmp_path):
    name, run = trained
    if name == "hourglass":
        pytest.skip("one method suffices")
    train_labels, val = labels
    for precision in ("fp16", "int8"):
        target = tmp_path / f"{precision}.onnx"
        quantize(run / "model.onnx", target, precision, predictor, train_labels, val)
        assert precision_of(target) == precision
        network = OnnxNetwork(target)
        assert network.spec.classes == CLASSES
        assert evaluate(load(target), val, network.spec.task).class_accuracy > 90


def test_fine_tuning_from_other_classes_keeps_what_both_have(trained, labels, caplog):
    name, run = trained
    train_labels, val = (in_classes(each, ("star", "disk", "square")) for each in labels)
    recipe = recipe_of(name, pretrained=str(run))
    with caplog.at_level(logging.INFO):
        module = built(name, recipe, train_labels, val)
    assert f"trained from scratch, because {run} lacks these classes: star" in caplog.text
    start = read_start(str(run))
    last = next(key for key in reversed(start.weights) if key.startswith("class_head") and key.endswith("bias"))
    bias = module.network.state_dict()[last]
    assert torch.equal(bias[1:], start.weights[last].flip(0))
    shared = {key: value for key, value in module.network.state_dict().items() if key.startswith("backbone")}
    assert all(torch.equal(value, start.weights[key]) for key, value in shared.items() if "num_batches" not in key)


def test_fine_tuning_from_one_class_starts_the_class_head_anew(labels, tmp_path, caplog):
    for name in METHODS:
        plain = [in_classes(each, ()) for each in labels]
        module = built(name, recipe_of(name), *plain)
        run = tmp_path / name
        (run / "checkpoints").mkdir(parents=True)
        torch.save({"state_dict": module.state_dict()}, run / "checkpoints" / "best.ckpt")
        (run / "recipe.toml").write_text(f'method = "{name}"\n')
        (run / "skeleton.toml").write_text('name = "shape"\njoints = ["left_ear", "right_ear", "chin"]\n'
                                           'limbs = [["left_ear", "right_ear"], ["right_ear", "chin"]]\n')  # fmt: skip
        caplog.clear()
        with caplog.at_level(logging.INFO):
            tuned = built(name, recipe_of(name, pretrained=str(run)), *labels)
        assert f"because {run} lacks these classes: the whole class head (square, disk)" in caplog.text
        state = tuned.network.state_dict()
        assert all(torch.equal(state[key], value) for key, value in module.network.state_dict().items())
        fresh = built(name, recipe_of(name), *labels).network.state_dict()
        head = {key: value for key, value in fresh.items() if key.startswith("class_head.")}
        assert head
        assert all(torch.equal(state[key], value) for key, value in head.items())
        # And back: a model of several classes as the start of one.
        torch.save({"state_dict": tuned.state_dict()}, run / "checkpoints" / "best.ckpt")
        (run / "classes.toml").write_text('classes = ["square", "disk"]\n')
        back = built(name, recipe_of(name, pretrained=str(run)), *plain).network.state_dict()
        assert all(torch.equal(back[key], value) for key, value in module.network.state_dict().items())


def built(name, recipe, train_labels, val):
    method = method_of(name, train_labels, val)
    skeleton, sources, held_out = method.read_data(recipe, Path())
    return build_module(method, recipe, skeleton, held_out, method.training_set(recipe, skeleton, sources), False)


def test_a_damaged_file_of_classes_is_one_line(tmp_path):
    (tmp_path / "classes.toml").write_text("classes = 3\n")
    with pytest.raises(ModelError, match=r"classes\.toml is damaged: expected the names of the classes of the run"):
        read_classes(tmp_path)
    assert read_classes(tmp_path / "none") == ()


def test_sources_share_their_classes_by_name(labels, caplog):
    train_labels, val = labels
    source = LabelSource(labels=Path("a.json"))
    other, plain = in_classes(train_labels, ("disk", "square", "star")), in_classes(train_labels, ())
    with caplog.at_level(logging.INFO):
        sources, (held_out,) = with_shared_classes([(train_labels, source), (other, source), (plain, source)], [val])
    assert [each.classes for each, _ in sources] == [("square", "disk", "star")] * 3
    assert held_out.classes == ("square", "disk", "star")
    for one, two, none in zip(*(each for each, _ in sources), strict=True):
        assert np.array_equal(one.annotation.classes, two.annotation.classes)
        assert (none.annotation.classes == -1).all()
    assert "a.json has no classes: its instances train the keypoints, not the classes" in caplog.text
    assert "no training instance has class star: the model will not predict it" in caplog.text
    ((one, _),), (held_out,) = with_shared_classes([(plain, source)], [val])
    assert one.classes == held_out.classes == ()
    assert held_out.images[0].annotation.classes is None
