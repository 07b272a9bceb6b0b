"""A new method is one folder plus one line: the toy method trains, exports, loads and predicts like any other."""

from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn.cli import main
from cairn.methods import METHODS, all_methods, get_method
from support.blobs import draw_blobs


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "toy", "support.toy_method")  # the one line


def test_the_table_holds_the_method() -> None:
    assert get_method("toy") in all_methods()


def test_the_method_trains_exports_loads_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_blobs(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = ("run.workers=0", "run.batch_size=4", "optimizer.learning_rate=0.1", "optimizer.ema=0")
    options = [part for setting in settings for part in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        main(["train", "--data", "single/labels.json", "--method", "toy", "--epochs", "8", "--out", "run", *options])
    assert ended.value.code == 0
    assert (tmp_path / "run" / "report" / "report.html").is_file()
    model = cairn.load("run/model.onnx", threads=1)
    assert (model.spec.method, model.spec.task) == ("toy", "single_instance")
    poses = model("single/images/0.png")
    assert poses.keypoints.shape == (1, 3, 2)
    assert np.isfinite(poses.keypoints).all()
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "run/model.onnx", "single/labels.json", "--out", "report"])
    assert ended.value.code == 0
