"""The interface that users type, as the design states it: commands and Python lines in one workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PREDICT = """
import cairn
model = cairn.load("person", device="auto")
poses = model("photo.jpg")
for pose in poses: pose.score, pose["left_wrist"]
poses.keypoints, poses.confidence, poses.boxes
poses.to_dict(); poses.to_coco()
poses.plot().save("out.jpg")
for frame in model.stream("clip.mp4", track=True): frame.index, frame.time, frame.image, frame.poses
"""

TRAIN = """
import cairn
small = {"input.size": 32, "network.stacks": 1, "network.features": 8, "network.depth": 1, "run.threads": 1,
         "run.workers": 0}
run = cairn.train("labels.json", epochs=1, method="hourglass", pretrained="none", settings=small)
report = cairn.evaluate(run, "val.json"); run.export("mine.onnx")
print(run, report, sep="\\n")
"""

SMALL = "--set input.size=32 --set run.threads=1 --set run.workers=0"
RECIPE = """
method = "landmarks"
[input]
size = 48
[network]
landmarks = 5
widths = [8, 8, 8]
[run]
epochs = 1
batch_size = 4
threads = 1
workers = 0
"""


def test_bundled_model_predicts_plots_and_streams(script: Callable[[str], str], workspace: Path) -> None:
    script(PREDICT)
    assert (workspace / "out.jpg").stat().st_size > 0


def test_conversion_to_dataframe(script: Callable[[str], str]) -> None:
    pytest.importorskip("pandas")
    printed = script('import cairn; print(len(cairn.load("person")("photo.jpg").to_dataframe()))')
    assert int(printed) % 17 == 0


def test_conversion_to_supervision(script: Callable[[str], str]) -> None:
    pytest.importorskip("supervision")
    script('import cairn; cairn.load("person")("photo.jpg").to_supervision()')


def test_model_is_trained_evaluated_and_exported(script: Callable[[str], str], workspace: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    assert len(script(TRAIN).strip().splitlines()) == 2, "objects have a repr that fits a line"
    assert (workspace / "mine.onnx").is_file()


def test_commands_detect_and_track(shell: Callable[[str], str], workspace: Path) -> None:
    shell("cairn detect photo.jpg\ncairn detect clip.mp4 --track")
    for name in ("photo.cairn.jpg", "photo.cairn.json", "clip.cairn.jsonl"):
        assert (workspace / name).stat().st_size > 0


def test_commands_train_evaluate_and_export(shell: Callable[[str], str], workspace: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    shell(
        f"""
        cairn train labels.json --epochs 1 --method hourglass --from none --name flies {SMALL} \
            --set network.stacks=1 --set network.features=8 --set network.depth=1
        cairn evaluate runs/flies val.json
        cairn export runs/flies flies.onnx
        """
    )
    assert (workspace / "flies.onnx").is_file()


def test_commands_discover_and_teach(shell: Callable[[str], str], workspace: Path) -> None:
    pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
    (workspace / "small.toml").write_text(RECIPE)  # a recipe, so that an epoch has as many samples as there are images
    shell("cairn discover images/ --recipe small.toml --out runs/faces\ncairn teach runs/faces labels.json")
    assert (workspace / "runs" / "faces" / "taught.onnx").is_file()
