"""`cairn train`: exit status, log, selected values and files."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

import cairn.training.autoconfig.machine as machine
import cairn.training.engine.loop as fit
from cairn.cli import main
from cairn.training.autoconfig.choices import Pace
from cairn.training.recipe_tables import read_recipe
from support.made_data import made_labels


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture
def labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made_labels(tmp_path / "set", 2)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "set" / "labels.json"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupts a run before its first step; nothing is timed."""

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit.lightning.Trainer, "fit", stopped)
    monkeypatch.setattr(machine, "measure_pace", lambda *_: (1, 1, Pace(0.1, 0.1)))


def test_invalid_input_is_one_line_and_leaves_no_files(
    labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    taken, flat, odd = tmp_path / "taken", tmp_path / "flat.toml", tmp_path / "odd.toml"
    taken.mkdir()
    (taken / "notes.txt").touch()
    flat.write_text('method = "hourglass"\nrun = 3\ndata = 4\n')
    odd.write_text('name = "odd"\n')
    hourglass = ["train", "--method", "hourglass", "--data", labels]
    cases: list[tuple[list[str | Path], str]] = [
        (["train"], "no training data: give labels, as in cairn train labels.json"),
        (["train", odd, "--method", "hourglass"], "give a recipe or --method, not both"),
        (["train", odd], "names no method"),
        (["train", tmp_path / "none.toml"], "cannot read recipe"),
        (["train", "--method", "horse"], "no method 'horse'"),
        (["train", "--method", "hourglass"], "has no training labels"),
        (["train", "--method", "hourglass", "--images", tmp_path], "--images needs labels to train on"),
        ([*hourglass, "--val-images", tmp_path], "--val-images needs --val"),
        (["train", flat, "--data", labels], "data must be a section"),
        (["train", flat, "--epochs", "3"], "run must be a section"),
        ([*hourglass, "--set", "network.feature=8"], "no setting network.feature"),
        ([*hourglass, "--set", "augmentation.scale=[2, 1]"], "augmentation: scale is [minimum, maximum]"),
        ([*hourglass, "--set", "seed"], "a setting is section.name=value"),
        ([*hourglass, "--val", tmp_path / "none.json"], "cannot read labels"),
        ([*hourglass, "--set", "skeleton=horse"], "no skeleton 'horse'"),
        ([*hourglass, "--out", taken], "is not empty"),
        ([*hourglass, "--out", labels], "cannot write into the folder"),
        (["train", "--resume"], "resume needs the folder of the run: --out RUN"),
        (["train", "--resume", "--out", taken], "no run to resume"),
        (["train", "--resume", "--out", taken, "--epochs", "3"], "give no other option beside --out"),
        (["export", taken, "model.onnx"], "is not a training run"),
        (["export", taken, "model.pt"], "must end in .onnx"),
        (["import", labels, "--out", labels], "must end in .onnx"),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 2, arguments
        output = capsys.readouterr()
        assert message in output.err
        assert output.err.count("\n") == 1, output.err
        assert output.out == ""
    assert not [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert [path.name for path in taken.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("ending", "status"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_an_interrupted_run_prints_the_command_that_resumes_it(
    labels: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, ending: BaseException, status: int
) -> None:
    def stopped(*_: object) -> None:
        raise ending

    monkeypatch.setattr(fit.lightning.Trainer, "fit", lambda *_, **__: stopped())
    small = ("--set", "network.features=8", "--set", "run.threads=1")
    assert run("train", "--method", "hourglass", "--data", labels, *small, "--out", "my run") == status
    assert capsys.readouterr().err.endswith("stopped; resume with: cairn train --resume --out 'my run'\n")
    assert Path("my run/recipe.toml").is_file()


def test_values_are_selected_from_labels_alone_and_logged(
    labels: Path, capsys: pytest.CaptureFixture, untrained: None
) -> None:
    made_labels(Path("several"), 6, people=2)
    several = Path("several") / "labels.json"
    assert run("train", "--data", several, "--val", several, "--set", "run.threads=1", "--batch", "3") == 130
    log = capsys.readouterr().err
    assert "method = openpose: up to 2 instances in an image\n" in log
    assert "run.batch_size" not in log  # given, not selected
    written = Path("runs/several/recipe.toml")
    length = "epochs = 400 # about 1 minutes on this machine, at 10 samples per second; more epochs improve little\n"
    assert length in written.read_text()
    assert read_recipe(written)["run"]["batch_size"] == 3

    # Again from the written recipe, and from the labels, which get a new folder.
    assert run("train", written, "--out", "again") == 130
    assert read_recipe("again/recipe.toml") == read_recipe(written)
    assert run("train", "--data", labels, "--val", labels, "--set", "run.threads=1", "--from", "person-single") == 130
    single = read_recipe("runs/set/recipe.toml")
    assert (single["method"], single["pretrained"], single["task"]) == ("hourglass", "person-single", "single_instance")
    backbone = {
        "backbone": "efficientnet-lite1",
        "frozen_stages": 3,
        "pointwise": False,
        "backbone_lr_factor": 0.3,
    }
    assert single["network"] == backbone | {
        "stacks": 1,
        "features": 128,
        "depth": 3,
        "residuals": 1,
        "visibility": False,
    }
    assert run("train", "--data", several, "--val", several, "--set", "run.threads=1") == 130
    assert Path("runs/several-2/recipe.toml").is_file()


def test_pretrained_weights_are_a_model_of_people_by_default(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, untrained: None
) -> None:
    monkeypatch.chdir(tmp_path)
    made_labels(Path("several"), 6, people=2)
    made_labels(Path("one"), 6, people=1)

    def chosen(name: str, options: list[str]) -> dict[str, Any]:
        data, out = Path(name) / "labels.json", f"run{len(list(Path().iterdir()))}"
        command = ["train", "--data", data, "--val", data, "--set", "run.threads=1", "--out", out, *options]
        assert run(*command) == 130, capsys.readouterr().err
        return read_recipe(Path(out) / "recipe.toml")

    for options, pretrained, backbone in (
        ([], "person", "efficientnet-lite2"),
        (["--from", "imagenet"], "imagenet", "efficientnet-lite1"),
        (["--from", "none"], None, "light"),
        (["--set", "network.features=32"], None, "light"),
        (["--set", "network.frozen_stages=0", "--set", "network.backbone_lr_factor=1"], "person", "efficientnet-lite2"),
        (["--from", "imagenet", "--set", "network.backbone=efficientnet-lite0"], "imagenet", "efficientnet-lite0"),
    ):
        recipe = chosen("several", options)
        network = recipe["network"]
        assert (recipe["method"], recipe.get("pretrained")) == ("openpose", pretrained)
        assert (network["kind"], network["backbone"]) == ("light", backbone)
        kept = pretrained and "network.frozen_stages=0" not in options
        assert (network["frozen_stages"], network["backbone_lr_factor"]) == ((3, 0.1) if kept else (0, 1))
        assert recipe["optimizer"]["learning_rate"] == (3e-3 if kept else 1e-3 if pretrained else 2e-3)
    for options, pretrained, backbone in (
        ([], "person-single", "efficientnet-lite1"),
        (["--from", "imagenet"], "imagenet", "efficientnet-lite1"),
        (["--from", "none"], None, "hourglass-stem"),
        (["--set", "network.stacks=2"], "person-single", "efficientnet-lite1"),
    ):
        recipe = chosen("one", options)
        assert recipe["network"]["stacks"] == (2 if "network.stacks=2" in options else 1)
        assert (recipe["method"], recipe.get("pretrained"), recipe["network"]["backbone"]) == (
            "hourglass",
            pretrained,
            backbone,
        )
        network, rate = recipe["network"], 0.1 if pretrained == "imagenet" else 0.3
        assert (network["frozen_stages"], network["backbone_lr_factor"]) == ((3, rate) if pretrained else (0, 1))
    assert run("train", "--method", "landmarks", "--data", Path("one") / "labels.json", "--from", "imagenet") == 2
    assert "landmarks has no network with ImageNet weights" in capsys.readouterr().err


def test_weights_of_another_method_are_one_line(labels: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("train", "--data", labels, "--method", "hourglass", "--from", "person") == 2
    assert "person is a model of openpose: hourglass cannot be fine-tuned from its weights" in capsys.readouterr().err
    recipe = Path("recipe.toml")  # nothing is selected automatically
    data = f'[data]\ntrain = [{{ labels = "{labels}" }}]\n'
    recipe.write_text('method = "hourglass"\npretrained = "person"\nnetwork.features = 32\n' + data)
    assert run("train", recipe) == 2
    assert "person is a model of openpose: hourglass cannot be fine-tuned from its weights" in capsys.readouterr().err


def test_epochs_of_the_user_stay_and_minutes_of_the_user_are_the_target(labels: Path, untrained: None) -> None:
    def written(name: str, *options: str | Path) -> tuple[int, float]:
        assert run("train", *options, "--out", name) == 130
        values = read_recipe(Path(name) / "recipe.toml")["run"]
        return values["epochs"], values["minutes"]

    fixed = ("--from", "none", "--set", "run.threads=1")
    assert written("chosen", labels, *fixed) == (400, 20)  # 0.1 seconds an epoch
    # Of 12 seconds, ten validations take one.
    assert written("short", labels, *fixed, "--set", "run.minutes=0.2") == (110, 0.2)
    assert written("given", labels, *fixed, "--epochs", "7") == (7, 0)
    chosen = Path("chosen/recipe.toml")
    assert written("again", chosen) == (400, 20)
    assert written("again7", chosen, "--epochs", "7") == (7, 0)
    assert written("again8", chosen, "--set", "run.epochs=8") == (8, 0)
    assert written("both", chosen, "--epochs", "7", "--set", "run.minutes=5") == (7, 5)


def test_positional_labels_equal_the_option_data(labels: Path, untrained: None) -> None:
    # What autoconfig measures of the machine, memory and pace, differs from run to run: it is set here.
    measured = ("--set", "run.threads=1", "--set", "run.cache=16", "--epochs", "4")
    options = ("--method", "hourglass", "--batch-size", "4", "--pretrained", "none", *measured)
    assert run("train", labels, *options, "--out", "positional") == 130
    assert run("train", "--data", labels, *options, "--out", "option") == 130
    assert read_recipe("positional/recipe.toml") == read_recipe("option/recipe.toml")
    assert read_recipe("option/recipe.toml")["run"]["batch_size"] == 4


def test_labels_given_twice_are_an_error(labels: Path, capsys: pytest.CaptureFixture) -> None:
    assert run("train", labels, "--data", labels) == 2
    assert "labels are given twice" in capsys.readouterr().err
