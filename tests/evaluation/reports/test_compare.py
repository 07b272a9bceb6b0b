"""Models side by side: what is shown of each is what an evaluation of it alone says."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError, OutputError
from cairn.evaluation.evaluate import Evaluation, measure
from cairn.evaluation.metrics.summary import headline, metrics
from cairn.evaluation.reports.compare import compared_joints, figure_rows, shown_objects, told_where, write_comparison
from cairn.evaluation.reports.diagnosis import diagnose
from cairn.evaluation.reports.worst import TILE
from cairn.inference.model_spec import Task
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")

BODY = Skeleton("body", ("nose", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),))


def evaluation(folder: Path, shifts: tuple[float, ...], task: Task = "multi_instance") -> Evaluation:
    """One object in each image, its nose off by so many of 50 pixels; infinity: nothing found."""
    images, predictions = [], []
    for i, shift in enumerate(shifts):
        path = folder / f"{i}.png"
        if not path.exists():
            write_image(path, np.full((60, 80, 3), (30 * i) % 256, np.uint8))
        points = np.array([[[20, 20], [30, 40], [40, 20]]], np.float32)
        annotation = Annotation(
            keypoints=points,
            visibility=np.full((1, 3), 2, np.uint8),
            boxes=np.array([[10, 10, 30, 40]], np.float32),
            areas=np.array([900], np.float32),
            crowd=np.zeros(1, bool),
        )
        images.append(LabeledImage(i, path, (60, 80), annotation))
        found = points + np.array([[[shift, 0], [0, 0], [0, 0]]], np.float32)
        full = Poses(found, np.ones((1, 3), np.float32), np.ones(1, np.float32), BODY)
        predictions.append(full if np.isfinite(shift) else Poses.empty(BODY))
    return measure(Labels(BODY, tuple(images), np.ones(3, bool)), tuple(predictions), task)


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Evaluation]:
    return {"good": evaluation(tmp_path, (1, 2, 3)), "<bad>": evaluation(tmp_path, (1, np.inf, 9))}


def test_each_column_is_the_evaluation_of_that_model_alone(models: dict[str, Evaluation]) -> None:
    rows = {name: cells for name, *cells in figure_rows(models)}
    for i, entry in enumerate(models.values()):
        assert {name: cells[i] for name, cells in rows.items()} == headline(entry)
    joint, keypoints, sigma, *values = compared_joints(models)[0]
    assert (joint, keypoints, sigma) == ("nose", "3", "0.050")
    assert values == [f"{entry.pck.per_joint[0]:.1f}" for entry in models.values()]


def test_files_hold_all_models_and_the_page_needs_nothing_from_elsewhere(
    models: dict[str, Evaluation], tmp_path: Path
) -> None:
    diagnoses = {name: diagnose(entry) for name, entry in models.items()}
    written = write_comparison(models, diagnoses, tmp_path / "out", {"compared": "good, <bad>", "labels": "x.json"})
    assert [path.name for path in written] == ["metrics.json", "pck.png", "worst.jpg", "report.html"]
    figures = json.loads(written[0].read_text())
    for name, entry in models.items():
        table = figures["models"][name]
        assert {key: table[key] for key in metrics(entry)} == metrics(entry)
        assert table["errors"]["percent_of_keypoints"] == diagnoses[name].breakdown.shares
        assert table["by_size"][0]["objects"] == 3
    page = written[-1].read_text()
    assert "good, &lt;bad&gt; on x.json" in page
    assert "<bad>" not in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert page.count("data:image/") == 5  # curves, joints, kinds of errors, sizes, worst
    assert read_image(written[2]).shape == (3 * TILE, 2 * TILE, 3)
    with pytest.raises(OutputError, match="is there already"):
        write_comparison(models, diagnoses, tmp_path / "out", {})


def test_worst_for_all_comes_first_and_then_where_they_differ(tmp_path: Path) -> None:
    ours, theirs = (np.inf, 1.0, 5.0, 1.0), (np.inf, 1.0, 4.0, 9.0)
    pair = {"ours": evaluation(tmp_path, ours), "theirs": evaluation(tmp_path, theirs)}
    shown = shown_objects(pair, count=2)
    assert [(entry.row, entry.why) for entry in shown] == [(0, "worst"), (3, "worst"), (2, "most different")]
    assert shown[2].errors == pytest.approx({"ours": 5 / 50 / 3, "theirs": 4 / 50 / 3})
    assert shown[2].caption == "2.png, most different: ours 0.03, theirs 0.03"


def test_a_model_that_is_told_where_objects_are_is_no_equal(tmp_path: Path) -> None:
    looks, told = evaluation(tmp_path, (1, 2)), evaluation(tmp_path, (1, 2), "crop")
    assert told_where({"a": looks, "b": looks}) == []
    assert told_where({"a": told, "b": told}) == []
    assert told_where({"a": looks, "b": told}) == ["Not the same task: b is told where the objects are."]
    rows = {name: cells for name, *cells in figure_rows({"b": told, "a": looks})}
    assert rows["OKS AP"][0] == "-"
    assert rows["OKS AP"][1] != "-"


def test_other_labels_are_refused(models: dict[str, Evaluation], tmp_path: Path) -> None:
    other = evaluation(tmp_path, (1, 2))
    with pytest.raises(LabelError, match="same images"):
        write_comparison({"a": models["good"], "b": other}, {}, tmp_path / "out", {})
    longer = replace(other.pck.protocol, name="another")
    with pytest.raises(LabelError, match="same joints, in the same length"):
        write_comparison({"a": other, "b": replace(other, pck=replace(other.pck, protocol=longer))}, {}, tmp_path, {})
    assert not (tmp_path / "out").exists()
