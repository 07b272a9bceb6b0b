"""A comparison has the metrics of each model's own evaluation."""

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
from cairn.evaluation.reports.compare import (
    example_instances,
    given_boxes,
    joint_comparison,
    metric_rows,
    write_comparison,
)
from cairn.evaluation.reports.diagnosis import diagnose
from cairn.inference.model_spec import Task
from cairn.media.images import read_image, write_image
from cairn.structures.annotation import Annotation
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton
from cairn.visualization.sheet import TILE

pytest.importorskip("faster_coco_eval", reason="OKS needs faster-coco-eval, which is in the train extra")

BODY = Skeleton("body", ("nose", "left_hand", "right_hand"), limbs=((0, 1), (0, 2)), flip_pairs=((1, 2),))


def evaluation(folder: Path, shifts: tuple[float, ...], task: Task = "multi_instance") -> Evaluation:
    """One instance per image, its nose off by the shift over a diagonal of 50 pixels; infinity: not detected."""
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
        predicted = points + np.array([[[shift, 0], [0, 0], [0, 0]]], np.float32)
        full = Poses(predicted, np.ones((1, 3), np.float32), np.ones(1, np.float32), BODY)
        predictions.append(full if np.isfinite(shift) else Poses.empty(BODY))
    return measure(Labels(BODY, tuple(images), np.ones(3, bool)), tuple(predictions), task)


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Evaluation]:
    return {"good": evaluation(tmp_path, (1, 2, 3)), "<bad>": evaluation(tmp_path, (1, np.inf, 9))}


def test_each_column_has_the_metrics_of_that_model(models: dict[str, Evaluation]) -> None:
    rows = {name: cells for name, *cells in metric_rows(models)}
    for i, entry in enumerate(models.values()):
        assert {name: cells[i] for name, cells in rows.items()} == headline(entry)
    joint, keypoints, sigma, *values = joint_comparison(models)[0]
    assert (joint, keypoints, sigma) == ("nose", "3", "0.050")
    assert values == [f"{entry.pck.per_joint[0]:.1f}" for entry in models.values()]


def test_files_have_all_models_and_the_page_is_self_contained(models: dict[str, Evaluation], tmp_path: Path) -> None:
    diagnoses = {name: diagnose(entry) for name, entry in models.items()}
    written = write_comparison(models, diagnoses, tmp_path / "out", {"compared": "good, <bad>", "labels": "x.json"})
    assert [path.name for path in written] == ["metrics.json", "pck.png", "worst.jpg", "report.html"]
    content = json.loads(written[0].read_text())
    for name, entry in models.items():
        table = content["models"][name]
        assert {key: table[key] for key in metrics(entry)} == metrics(entry)
        assert table["errors"]["percent_of_keypoints"] == diagnoses[name].breakdown.shares
        assert table["by_size"][0]["instances"] == 3
    page = written[-1].read_text()
    assert "good, &lt;bad&gt; on x.json" in page
    assert "<bad>" not in page
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []
    assert "http" not in page
    assert page.count("data:image/") == 5  # curves, joints, error types, sizes, worst
    assert read_image(written[2]).shape == (3 * TILE, 2 * TILE, 3)
    with pytest.raises(OutputError, match="already exists"):
        write_comparison(models, diagnoses, tmp_path / "out", {})


def test_worst_instances_come_first_then_those_where_models_differ(tmp_path: Path) -> None:
    ours, theirs = (np.inf, 1.0, 5.0, 1.0), (np.inf, 1.0, 4.0, 9.0)
    pair = {"ours": evaluation(tmp_path, ours), "theirs": evaluation(tmp_path, theirs)}
    examples = example_instances(pair, count=2)
    assert [(entry.row, entry.reason) for entry in examples] == [(0, "worst"), (3, "worst"), (2, "most different")]
    assert examples[2].errors == pytest.approx({"ours": 5 / 50 / 3, "theirs": 4 / 50 / 3})
    assert examples[2].caption == "2.png, most different: ours 0.03, theirs 0.03"


def test_models_with_and_without_given_boxes_give_a_warning(tmp_path: Path) -> None:
    detects, given = evaluation(tmp_path, (1, 2)), evaluation(tmp_path, (1, 2), "crop")
    assert given_boxes({"a": detects, "b": detects}) == []
    assert given_boxes({"a": given, "b": given}) == []
    assert given_boxes({"a": detects, "b": given}) == [
        "Not the same task: b gets the annotated bounding boxes as input."
    ]
    rows = {name: cells for name, *cells in metric_rows({"b": given, "a": detects})}
    assert rows["OKS AP"][0] == "-"
    assert rows["OKS AP"][1] != "-"


def test_different_labels_are_an_error(models: dict[str, Evaluation], tmp_path: Path) -> None:
    other = evaluation(tmp_path, (1, 2))
    with pytest.raises(LabelError, match="same images"):
        write_comparison({"a": models["good"], "b": other}, {}, tmp_path / "out", {})
    longer = replace(other.pck.protocol, name="another")
    with pytest.raises(LabelError, match="same joints, under the same protocol"):
        write_comparison({"a": other, "b": replace(other, pck=replace(other.pck, protocol=longer))}, {}, tmp_path, {})
    assert not (tmp_path / "out").exists()
