"""`cairn discover`: landmarks from a folder, an interrupted and resumed run, and invalid input."""

from __future__ import annotations

import csv
import importlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is in the train extra")

from cairn.api.load import load
from cairn.cli import main
from cairn.media.images import image_size, write_image
from cairn.training.toml import to_toml
from support.made_figures import SMALL, draw_figure, made_figures

discovering = importlib.import_module("cairn.api.discover")
training = importlib.import_module("cairn.methods.landmarks.training")

SETTINGS = [
    argument
    for section, table in SMALL.items()
    if isinstance(table, dict)
    for name, value in table.items()
    for argument in ("--set", f"{section}.{name}={json.dumps(value)}")
]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return int(stopped.value.code or 0)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "set"
    made_figures(folder, 30)
    return folder


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Restores the handler of interrupts, which Lightning replaces."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_run_is_resumed_to_a_model(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, interrupts: None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(discovering, "PAIRS_PER_EPOCH", 150)
    step = training.LandmarksModule.training_step

    def stopped(self, batch, index):  # type: ignore[no-untyped-def]
        if self.current_epoch == 1 and index == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    out = Path("my run")
    with monkeypatch.context() as patched:
        patched.setattr(training.LandmarksModule, "training_step", stopped)
        ended = run("discover", figures / "images", *SETTINGS, "--landmarks", "4", "--out", out, "--name", "made")
    output = capsys.readouterr()
    assert ended == 130
    assert output.err.endswith("stopped; resume with: cairn discover --resume --out 'my run'\n")
    assert output.out == ""
    assert not (out / "model.onnx").exists()
    split = (out / "split.json").read_text()

    assert run("discover", "--resume", "--out", out) == 0
    output = capsys.readouterr()
    assert output.out == "my run/model.onnx\n"
    for measure in ("equivariance", "still", "collapsed", "coverage", "sheets/epoch-0002.png"):
        assert measure in output.err
    assert (out / "split.json").read_text() == split
    with (out / "metrics.csv").open() as rows:
        table = list(csv.DictReader(rows))
    assert [int(row["epoch"]) for row in table] == [1, 2]
    assert {"equivariance", "still", "collapsed", "spread", "coverage", "loss/alignment", "loss/diversity"} <= set(
        table[0]
    )
    assert [path.name for path in sorted((out / "sheets").iterdir())] == ["epoch-0001.png", "epoch-0002.png"]
    assert image_size(out / "sheets" / "epoch-0002.png") == (192 * 2, 192 * 6)  # 7 of 30 images are held out

    model = load(out / "model.onnx", threads=1)
    assert (model.spec.name, model.spec.method, len(model.spec.skeleton)) == ("made", "landmarks", 4)
    poses = model(figures / "images" / "03.png")
    assert poses.keypoints.shape == (1, 4, 2)
    assert np.isfinite(poses.keypoints).all()
    assert ((poses.keypoints > -0.5) & (poses.keypoints < 63.5)).all()


def write_images(folder: Path, sizes: list[tuple[int, int]], black: bool = False) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate(sizes):
        image = np.zeros((height, width, 3), np.uint8) if black else draw_figure(rng, height, width)[0]
        write_image(folder / f"{i:02}.png", image)
    return folder


def test_invalid_input_is_one_line_and_leaves_no_files(
    figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    images = figures / "images"
    one = write_images(tmp_path / "one", [(64, 64)])
    tiny = write_images(tmp_path / "tiny", [(64, 64)] * 11 + [(64, 12)])
    black = write_images(tmp_path / "black", [(32, 32)] * 12, black=True)
    cut = write_images(tmp_path / "cut", [(64, 64)] * 12)
    (cut / "05.png").write_bytes((cut / "05.png").read_bytes()[:300])
    empty, gone = tmp_path / "empty", tmp_path / "gone"
    for folder in (empty, gone):
        folder.mkdir()
    (gone / "labels.json").write_text((figures / "labels.json").read_text())
    other, old = tmp_path / "other.toml", tmp_path / "old"
    other.write_text('method = "hourglass"\n')
    old.mkdir()
    (old / "recipe.toml").write_text(to_toml({"method": "hourglass"}))
    cases: list[tuple[list[str | Path], str]] = [
        ([], "a discovery needs images: cairn discover FOLDER"),
        ([one], "a discovery needs at least 10 images, got 1"),
        ([empty], "no image in the folder"),
        ([tmp_path / "none"], f"no folder of images, and no label file, at {tmp_path / 'none'}"),
        ([images / "00.png"], "00.png"),
        ([tiny], "11.png is 12 x 64 pixels: each side must be at least 16"),
        ([black], "12 of 12 sampled images are of one color"),
        ([cut], "05.png is truncated"),
        ([gone / "labels.json"], "labels.json"),
        ([images, "--images", empty], "--images goes with a label file"),
        ([images, "--landmarks", "1"], "network.landmarks: Input should be greater than or equal to 2, got 1"),
        ([images, "--landmarks", "500"], "500 landmarks do not fit into maps of"),
        ([images, "--set", "input.size=50"], "input.size must be a multiple of"),
        ([images, "--set", "network.landmark=5"], "no setting network.landmark"),
        ([images, "--recipe", other], "the recipe is of hourglass"),
        ([images, "--set", "method=openpose"], "the recipe is of openpose"),
        ([images, "--epochs", "0"], "run.epochs"),
        ([images, "--out", old], "is not empty"),
        (["--resume"], "resume needs --out RUN and no other option"),
        (["--resume", "--out", old], "the recipe is of hourglass"),
        (["--resume", "--out", empty], "no run to resume"),
        (["--resume", "--out", old, "--landmarks", "3"], "and no other option"),
        (["--resume", "--out", old, "--epochs", "3"], "and no other option"),
        ([images, "--resume", "--out", old], "and no other option"),
    ]
    for arguments, message in cases:
        assert run("discover", *arguments) == 2, arguments
        output = capsys.readouterr()
        assert message in output.err
        assert output.err.count("\n") == 1, output.err
        assert output.out == ""
    assert not [path for path in Path.cwd().rglob("*") if path.is_file()]
    assert [path.name for path in old.iterdir()] == ["recipe.toml"]


def test_widely_different_image_sizes_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_images(tmp_path / "sizes", [(16, 20), (200, 30), (40, 260)] * 4)
    monkeypatch.setattr(discovering, "PAIRS_PER_EPOCH", 12)
    finished: list[object] = []
    monkeypatch.setattr(
        "cairn.training.engine.loop._finish", lambda module, run: finished.append(run) or run / "model.onnx"
    )
    assert run("discover", images, "--out", tmp_path / "run", *SETTINGS, "--epochs", "1") == 0
    assert "images are from 20 to 260 pixels wide or high; all are resized to one size" in caplog.messages
    assert finished == [tmp_path / "run"]


def test_a_setting_of_another_method_is_an_error_without_a_notice_of_old_names(
    figures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("discover", figures / "images", "--set", "network.backbone=paper") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("cairn: recipe: there is no setting network.backbone; network has ")
