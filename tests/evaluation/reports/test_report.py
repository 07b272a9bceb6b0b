"""What an evaluation leaves behind: files that say what they mean, and say it without a network."""

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
from cairn.evaluation.reports.worst import TILE, worst_objects, worst_sheet
from cairn.inference.model_spec import Task
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton

BODY = Skeleton("body", ("nose", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),))
ABOUT = {"model": "<model>", "labels": "labels.json"}


def evaluation(folder: Path, shifts: tuple[float, ...] = (1, 9, 3), task: Task = "multi_instance") -> Evaluation:
    """One object in each image, its nose off by so many of 50 pixels; infinity: nothing found."""
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
        found = points + np.array([[[shift, 0], [0, 0], [0, 0]]], np.float32)
        full = Poses(found, np.ones((1, 3), np.float32), np.ones(1, np.float32), BODY)
        predictions.append(full if np.isfinite(shift) else Poses.empty(BODY))
    return measure(Labels(BODY, tuple(images), np.ones(3, bool)), tuple(predictions), task)


def test_files_say_the_figures(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    written = write_report(result, tmp_path / "report", ABOUT)
    assert [path.name for path in written] == ["metrics.json", "pck.png", "worst.jpg", "report.html"]
    figures = json.loads(written[0].read_text())
    assert figures["model"] == "<model>"
    assert (figures["images"], figures["objects"], figures["objects_found"]) == (3, 3, 3)
    assert figures["pck"]["protocol"] == "diagonal"
    assert figures["pck"]["means"].startswith("distance below 0.05 of the diagonal of the object's box")
    assert figures["pck"]["per_joint"] == {"nose": pytest.approx(100 / 3), "left_hand": 100, "right_hand": 100}
    assert figures["pck"]["per_part"] == {"nose": pytest.approx(100 / 3), "hand": 100}
    assert figures["pck"]["keypoints"]["nose"] == 3
    assert figures["oks"]["sigmas"] == {"nose": 0.05, "left_hand": 0.05, "right_hand": 0.05}
    assert figures["oks"]["APL"] is None  # no object is that large
    assert figures["nme"]["per_joint"]["nose"] == pytest.approx(100 * 13 / 3 / 50)
    assert figures["nme"]["means"] == "mean distance of what was found, in percent of the diagonal of the object's box"
    assert [entry["image"] for entry in figures["worst"]] == ["1.png", "2.png", "0.png"]
    assert read_image(written[1]).shape[2] == 3


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_report(evaluation(tmp_path), tmp_path / "report", ABOUT)
    page = (tmp_path / "report" / "report.html").read_text()
    assert "&lt;model&gt; on labels.json" in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert page.count("data:image/") == 5  # curve, joints, kinds of errors, sizes, worst
    for name, value in headline(evaluation(tmp_path)).items():
        if name != "ms an image":
            assert f"<td>{name}</td><td>{value}</td>" in page


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    (tmp_path / "worst.jpg").write_text("mine")
    with pytest.raises(OutputError, match=r"worst\.jpg is there already"):
        write_report(result, tmp_path, ABOUT)
    assert (tmp_path / "worst.jpg").read_text() == "mine"
    assert not (tmp_path / "metrics.json").exists()


def test_without_matplotlib_there_is_all_but_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    written = write_report(evaluation(tmp_path), tmp_path / "report", ABOUT)
    assert [path.name for path in written] == ["metrics.json", "worst.jpg", "report.html"]
    assert (tmp_path / "report" / "report.html").read_text().count("data:image/") == 1


def test_nothing_found_is_reported_too(tmp_path: Path) -> None:
    result = evaluation(tmp_path, (np.inf,) * 14)
    write_report(result, tmp_path / "report", ABOUT)
    figures = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert figures["oks"]["AP"] == 0
    assert figures["nme"]["value"] is None
    assert headline(result)["NME, %"] == "-"
    assert len(figures["worst"]) == 12
    assert not any(entry["detected"] for entry in figures["worst"])


def test_worst_first_and_in_the_tile_of_its_number(tmp_path: Path) -> None:
    result = evaluation(tmp_path, (1, np.inf, 3))
    worst = worst_objects(result)
    assert [entry.row for entry in worst] == [1, 2, 0]
    assert not worst[0].detected
    assert worst[0].caption == "1.png: not found"
    assert worst[1].error == pytest.approx(3 / 50 / 3)
    sheet = worst_sheet(result, worst)
    assert sheet.shape == (TILE, 4 * TILE, 3)
    # Images are gray of 30·number; below the objects nothing is drawn.
    assert [int(sheet[TILE - 60, i * TILE + TILE // 2 + 40, 0]) for i in range(4)] == [30, 60, 0, 255]


def test_crops_have_no_oks(tmp_path: Path) -> None:
    figures = metrics(evaluation(tmp_path, task="crop"))
    assert "oks" not in figures
    assert "pck_of_objects_found" not in figures
    assert figures["pck"]["value"] == pytest.approx((100 / 3 + 200) / 3)


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


def test_time_that_was_not_taken_is_not_shown(tmp_path: Path) -> None:
    result = evaluation(tmp_path)
    assert "ms an image" not in headline(result)
    assert headline(replace(result, seconds=0.25))["ms an image"] == "250"
    assert metrics(result)["milliseconds_per_image"] is None
