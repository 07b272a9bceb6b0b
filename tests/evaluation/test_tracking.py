"""Evaluation of files of tracks: frames by number, instances by OKS or IoU, and what does not count."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cairn
from cairn.datasets.track_files import read_track_file
from cairn.errors import CairnError, LabelError
from cairn.evaluation.tracking import TrackingResult, evaluate_track_files

Boxes = dict[int, dict[int, float]]
"""Frame -> track ID -> left side of a box of 20 x 40."""

TRUTH: Boxes = {i: {1: 100.0 + i, 2: 300.0} for i in range(6)}


def mot(path: Path, boxes: Boxes, extra: str = "") -> Path:
    lines = [f"{i + 1},{n},{x},50,20,40,1,1,1\n" for i, row in boxes.items() for n, x in row.items()]
    path.write_text("".join(lines) + extra)
    return path


def coco(path: Path, boxes: Boxes, keypoints: bool = False, base: int = 0, **extra: Any) -> Path:
    images = [{"id": i, "file_name": f"{i + base:06}.jpg", **extra} for i in boxes]
    rows = []
    for i, row in boxes.items():
        for number, x in row.items():
            one: dict[str, Any] = {"image_id": i, "track_id": number, "bbox": [x, 50, 20, 40]}
            if keypoints:
                one["keypoints"] = [x, 50, 2, x + 20, 50, 2, x + 10, 90, 2]
            rows.append(one)
    category = {"id": 1, "name": "person", "keypoints": ["nose", "left_hip", "right_hip"]}
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": [category]}))
    return path


def lines(path: Path, boxes: Boxes) -> Path:
    def person(number: int, x: float) -> dict[str, Any]:
        places = {"right_hip": [x + 10, 90, 0.9], "nose": [x, 50, 0.9], "left_hip": [x + 20, 50, 0.9]}
        return {"id": number, "score": 1, "keypoints": places}

    path.write_text(
        "".join(
            json.dumps({"frame": i, "people": [person(*one) for one in r.items()]}) + "\n" for i, r in boxes.items()
        )
    )
    return path


def measured(predicted: Path, truth: Path) -> TrackingResult:
    return evaluate_track_files(read_track_file(predicted), read_track_file(truth))


@pytest.mark.parametrize("write", [mot, coco, lines])
@pytest.mark.parametrize("write_truth", [mot, coco])
def test_perfect_tracks_of_any_formats_score_100(
    tmp_path: Path, write: Callable[..., Path], write_truth: Callable[..., Path]
) -> None:
    (tmp_path / "a").mkdir()
    predicted = write(tmp_path / "a" / f"p{ {mot: '.txt', coco: '.json', lines: '.jsonl'}[write] }", TRUTH)
    result = measured(predicted, write_truth(tmp_path / f"t{'.txt' if write_truth is mot else '.json'}", TRUTH))
    own = result.metrics
    assert (own.mota, own.idf1, own.hota.hota, own.switches) == pytest.approx((100, 100, 100, 0))
    assert (result.measure, result.frames, result.tracks, result.predicted_tracks) == ("IoU", 6, 2, 2)


def test_keypoints_are_paired_by_name_and_measured_by_oks(tmp_path: Path) -> None:
    result = measured(lines(tmp_path / "p.jsonl", TRUTH), coco(tmp_path / "t.json", TRUTH, keypoints=True))
    assert result.measure == "OKS"
    assert result.metrics.mota == 100


def test_exchanged_ids_are_switches(tmp_path: Path) -> None:
    swapped = {i: row if i < 3 else {1: row[2], 2: row[1]} for i, row in TRUTH.items()}
    own = measured(mot(tmp_path / "p.txt", swapped), mot(tmp_path / "t.txt", TRUTH)).metrics
    assert own.switches == 2
    assert own.idf1 == pytest.approx(50)


def test_frames_without_labels_are_not_measured_and_missing_ones_are_missed(tmp_path: Path) -> None:
    some = {i: TRUTH[i] for i in (0, 2, 5)}
    assert measured(mot(tmp_path / "p.txt", TRUTH), mot(tmp_path / "t.txt", some)).metrics.mota == 100
    assert measured(mot(tmp_path / "q.txt", some), mot(tmp_path / "u.txt", TRUTH)).metrics.misses == 6


def test_names_that_count_from_1_are_compared_from_the_first_frame_on(tmp_path: Path) -> None:
    result = measured(lines(tmp_path / "p.jsonl", TRUTH), coco(tmp_path / "t.json", TRUTH, base=1))
    assert result.metrics.mota == 100
    assert "counts frames from 0" in result.warnings[0]


def test_predictions_on_distractors_and_in_regions_do_not_count(tmp_path: Path) -> None:
    more = {i: row | {7: 500.0} for i, row in TRUTH.items()}
    distractors = "".join(f"{i + 1},90,500,50,20,40,0,8,1\n" for i in TRUTH)
    result = measured(mot(tmp_path / "p.txt", more), mot(tmp_path / "t.txt", TRUTH, distractors))
    assert (result.metrics.mota, result.ignored) == (100, 6)
    assert measured(tmp_path / "p.txt", mot(tmp_path / "u.txt", TRUTH)).metrics.false_positives == 6
    regions = {"ignore_regions_x": [[480, 600]], "ignore_regions_y": [[0, 200]]}
    assert measured(tmp_path / "p.txt", coco(tmp_path / "v.json", TRUTH, **regions)).metrics.mota == 100


def test_a_region_over_everything_does_not_hide_matches(tmp_path: Path) -> None:
    regions = {"ignore_regions_x": [[0, 900]], "ignore_regions_y": [[0, 900]]}
    own = measured(mot(tmp_path / "p.txt", TRUTH), coco(tmp_path / "v.json", TRUTH, **regions)).metrics
    assert (own.predictions, own.mota) == (12, 100)


def test_files_without_a_common_frame_or_keypoint_raise(tmp_path: Path) -> None:
    late = {i + 50: row for i, row in TRUTH.items()}
    with pytest.raises(LabelError, match="no frame in common: the predictions have frames 50 to 55"):
        measured(mot(tmp_path / "p.txt", late), mot(tmp_path / "t.txt", TRUTH))
    truth = coco(tmp_path / "t.json", TRUTH, keypoints=True)
    truth.write_text(truth.read_text().replace('"nose", "left_hip", "right_hip"', '"x", "y", "z"'))
    with pytest.raises(LabelError, match="no keypoint of the same name"):
        measured(lines(tmp_path / "p.jsonl", TRUTH), truth)


def test_evaluate_writes_a_report_and_takes_no_option_of_models(tmp_path: Path) -> None:
    predicted, truth = mot(tmp_path / "p.txt", TRUTH), mot(tmp_path / "t.txt", TRUTH)
    report = cairn.evaluate(predicted, truth, tracking=True, out=tmp_path / "out")
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["metrics"]["HOTA"] == pytest.approx(100)
    assert report.metrics["ID switches"] == 0
    assert "0 ID switches" in repr(report)
    with pytest.raises(CairnError, match="size: only for models"):
        cairn.evaluate(predicted, truth, tracking=True, size=128)
    with pytest.raises(CairnError, match="already exists"):
        cairn.evaluate(predicted, truth, tracking=True, out=tmp_path / "out")
