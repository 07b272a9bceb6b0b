"""The files of a report: content, self-containment, and no overwriting."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import OutputError
from cairn.evaluation.evaluate import Evaluation, measure
from cairn.evaluation.metrics.summary import headline, metrics, parts
from cairn.evaluation.reports.report import write_report
from cairn.evaluation.reports.worst import worst_instances, worst_sheet
from cairn.inference.model_spec import Task
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.visualization.sheet import TILE

BODY = Skeleton("body", ("nose", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),))
ABOUT = {"model": "<model>", "labels": "labels.json"}


def evaluation(folder: Path, shifts: tuple[float, ...] = (1, 9, 3), task: Task = "multi_instance") -> Evaluation:
    """One instance per image, its nose off by the shift over a diagonal of 50 pixels; infinity: not detected."""
    images, predictions = [], []
    for i, shift in enumerate(shifts):
        write_image(folder / f"{i}.png", np.full((60, 80, 3), (30 * i) % 256, np.uint8))
        points = np.array([[[20, 20], [30, 40], [40, 20]]], np.float32)
        annotation = Annotation(
            keypoints=points,
            visibility=np.full((1, 3), 2, np.uint8),
            boxes=np.array([[10, 10, 30, 40]], np.float32),
            areas=np.array([900], np.float32),
            crowd=np.zeros(1, bool),
        )
        images.append(LabeledImage(i, folder / f"{i}.png", (60, 80), annotation))
        predicted = points + np.array([[[shift, 0], [0, 0], [0, 0]]], np.float32)
        full = Poses(predicted, np.ones((1, 3), np.float32), np.ones(1, np.float32), BODY)
        predictions.append(full if np.isfinite(shift) else Poses.empty(BODY))
    return measure(Labels(BODY, tuple(images), np.ones(3, bool)), tuple(predictions), task)


def test_files_have_the_metrics(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    written = write_report(result, tmp_path / "report", ABOUT)
    assert [path.name for path in written] == ["metrics.json", "pck.png", "worst.jpg", "report.html"]
    content = json.loads(written[0].read_text())
    assert content["model"] == "<model>"
    assert (content["images"], content["instances"], content["instances_detected"]) == (3, 3, 3)
    assert content["pck"]["protocol"] == "diagonal"
    assert content["pck"]["definition"].startswith("distance below 0.05 of the diagonal of the bounding box")
    assert content["pck"]["per_joint"] == {"nose": pytest.approx(100 / 3), "left_hand": 100, "right_hand": 100}
    assert content["pck"]["per_part"] == {"nose": pytest.approx(100 / 3), "hand": 100}
    assert content["pck"]["keypoints"]["nose"] == 3
    assert content["oks"]["sigmas"] == {"nose": 0.05, "left_hand": 0.05, "right_hand": 0.05}
    assert content["oks"]["APL"] is None  # no instance is that large
    assert content["nme"]["per_joint"]["nose"] == pytest.approx(100 * 13 / 3 / 50)
    definition = "mean distance of detected keypoints, in percent of the diagonal of the bounding box"
    assert content["nme"]["definition"] == definition
    assert [entry["image"] for entry in content["worst"]] == ["1.png", "2.png", "0.png"]
    assert read_image(written[1]).shape[2] == 3


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    write_report(evaluation(tmp_path), tmp_path / "report", ABOUT)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "&lt;model&gt; on labels.json" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert page.count("data:image/") == 5  # curve, joints, error types, sizes, worst
    for name, value in headline(evaluation(tmp_path)).items():
        if name != "ms per image":
            assert f"<td>{name}</td><td>{value}</td>" in page


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    (tmp_path / "worst.jpg").write_text("mine")
    with pytest.raises(OutputError, match=r"worst\.jpg already exists"):
        write_report(result, tmp_path, ABOUT)
    assert (tmp_path / "worst.jpg").read_text() == "mine"
    assert not (tmp_path / "metrics.json").exists()


def test_without_matplotlib_only_the_plots_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    written = write_report(evaluation(tmp_path), tmp_path / "report", ABOUT)
    assert [path.name for path in written] == ["metrics.json", "worst.jpg", "report.html"]
    assert (tmp_path / "report" / "report.html").read_text().count("data:image/") == 1


def test_a_report_without_detections(tmp_path: Path) -> None:
    result = evaluation(tmp_path, (np.inf,) * 14)
    write_report(result, tmp_path / "report", ABOUT)
    content = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert content["oks"]["AP"] == 0
    assert content["nme"]["value"] is None
    assert headline(result)["NME, %"] == "-"
    assert len(content["worst"]) == 12
    assert not any(entry["detected"] for entry in content["worst"])


def test_worst_instances_are_ordered_as_their_tiles(tmp_path: Path) -> None:
    result = evaluation(tmp_path, (1, np.inf, 3))
    worst = worst_instances(result)
    assert [entry.row for entry in worst] == [1, 2, 0]
    assert not worst[0].detected
    assert worst[0].caption == "1.png: not detected"
    assert worst[1].error == pytest.approx(3 / 50 / 3)
    sheet = worst_sheet(result, worst)
    assert sheet.shape == (TILE, 4 * TILE, 3)
    # Image i is gray of level 30·i; nothing is drawn below the instances.
    assert [int(sheet[TILE - 60, i * TILE + TILE // 2 + 40, 0]) for i in range(4)] == [30, 60, 0, 255]


def test_crops_have_no_oks(tmp_path: Path) -> None:
    content = metrics(evaluation(tmp_path, task="crop"))
    assert "oks" not in content
    assert "pck_of_detected_instances" not in content
    assert content["pck"]["value"] == pytest.approx((100 / 3 + 200) / 3)


def test_parts_join_left_and_right() -> None:
    assert parts(load_skeleton("lsp14")) == {
        "ankle": (0, 5),
        "knee": (1, 4),
        "hip": (2, 3),
        "wrist": (6, 11),
        "elbow": (7, 10),
        "shoulder": (8, 9),
        "neck": (12,),
        "head_top": (13,),
    }
    fly = Skeleton("fly", ("head", "wingL", "wingR"), flip_pairs=((1, 2),))
    assert parts(fly) == {"head": (0,), "wingL/wingR": (1, 2)}


def test_unknown_time_is_not_reported(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    assert "ms per image" not in headline(result)
    assert headline(replace(result, seconds=0.25))["ms per image"] == "250"
    assert metrics(result)["milliseconds_per_image"] is None
