"""`cairn.evaluate(model, labels, tracking=True)`: a model on labels with track IDs, in the order of the frames."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cairn
from cairn.errors import CairnError, LabelError
from support.totem_labels import write_totem_labels

pytest.importorskip("onnx", reason="making a model needs onnx, which is in the train extra")

WALK = [[(60 + 12 * i, 100), (250 - 12 * i, 220)] for i in range(6)]
"""Two totems of which one walks to the right and the other to the left."""

Edit = Callable[[dict[str, Any]], None]


def video(folder: Path, scenes: Any = WALK, edit: Edit = lambda _: None) -> Path:
    """Labels of a video with a track ID for each place in a scene."""
    path = write_totem_labels(folder, scenes)
    content = json.loads(path.read_text())
    numbers = [n for scene in scenes for n in range(1, len(scene) + 1)]
    for one, number in zip(content["annotations"], numbers, strict=True):
        one["track_id"] = number
    edit(content)
    path.write_text(json.dumps(content))
    return path


def measured(model: Path, labels: Path, **options: Any) -> dict[str, float]:
    return dict(cairn.evaluate(model, labels, tracking=True, threads=1, **options).metrics)


def test_a_perfect_model_scores_100(totem_model: Path, tmp_path: Path) -> None:
    report = cairn.evaluate(totem_model, video(tmp_path), tracking=True, threads=1, out=tmp_path / "out")
    assert (report.metrics["MOTA"], report.metrics["IDF1"], report.metrics["ID switches"]) == (100, 100, 0)
    assert (report.result.frames, report.result.tracks, report.result.predicted_tracks) == (6, 2, 2)
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (written["name"], written["tracks"], written["metrics"]["HOTA"]) == ("totems", 2, 100)


def test_frames_are_in_the_order_of_their_numbers(totem_model: Path, tmp_path: Path) -> None:
    def shuffle(content: dict[str, Any]) -> None:
        content["images"] = [content["images"][i] for i in (3, 0, 5, 1, 4, 2)]

    jumps = [[(50 + 40 * i, 100), (260 - 40 * i, 220)] for i in range(6)]
    assert measured(totem_model, video(tmp_path / "a", jumps, shuffle)) == measured(
        totem_model, video(tmp_path / "b", jumps)
    )


def test_each_video_has_a_tracker_of_its_own(totem_model: Path, tmp_path: Path) -> None:
    def split(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["video"] = "first" if image["id"] < 3 else "second"

    apart = [[(60, 100)]] * 3 + [[(62, 100)]] * 3  # in one video this is one track
    report = cairn.evaluate(totem_model, video(tmp_path, apart, split), tracking=True, threads=1)
    assert (report.result.tracks, report.result.predicted_tracks, report.metrics["IDF1"]) == (2, 2, 100)


def test_frames_that_are_missing_take_their_time(totem_model: Path, tmp_path: Path) -> None:
    def gap(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["frame"] = image["id"] + (0 if image["id"] < 4 else 500)

    still: Any = [[(60, 100)]] * 3 + [[]] + [[(60, 100)]] * 2
    assert measured(totem_model, video(tmp_path / "a", still))["ID switches"] == 0
    assert measured(totem_model, video(tmp_path / "b", still, gap))["ID switches"] == 1


@pytest.mark.parametrize("change", [{"iscrowd": 1}, {"track_id": None}, {"keypoints": [0] * 9}])
def test_what_is_ignored_counts_neither_way(totem_model: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    def ignore(content: dict[str, Any]) -> None:
        for one in content["annotations"]:
            if one["track_id"] == 2:
                one.update(change)

    metrics = measured(totem_model, video(tmp_path, edit=ignore))
    assert (metrics["MOTA"], metrics["false positives"]) == (100, 0)


def test_a_false_positive_elsewhere_counts(totem_model: Path, tmp_path: Path) -> None:
    def forget(content: dict[str, Any]) -> None:
        content["annotations"] = [one for one in content["annotations"] if one["track_id"] == 1]

    assert measured(totem_model, video(tmp_path, edit=forget))["false positives"] == 6


def test_labels_without_track_ids_are_an_error_before_the_model_runs(totem_model: Path, tmp_path: Path) -> None:
    labels = write_totem_labels(tmp_path, WALK)
    done: list[float] = []
    with pytest.raises(LabelError, match=r"labels\.json: the labels have no track IDs: expected track or track_id"):
        cairn.evaluate(totem_model, labels, tracking=True, progress=lambda *state: done.append(state[1]))
    assert not any(done)


def test_a_frame_with_a_track_id_twice_is_an_error_before_the_model_runs(totem_model: Path, tmp_path: Path) -> None:
    def double(content: dict[str, Any]) -> None:
        content["annotations"][-1]["track_id"] = 1

    done: list[float] = []
    with pytest.raises(LabelError, match=r"labels of 5\.png have track ID 1 twice"):
        cairn.evaluate(
            totem_model, video(tmp_path, edit=double), tracking=True, progress=lambda *state: done.append(state[1])
        )
    assert not any(done)


def test_frames_that_are_not_labeled_are_not_measured(totem_model: Path, tmp_path: Path) -> None:
    def unlabel(content: dict[str, Any]) -> None:
        for image in content["images"]:
            image["is_labeled"] = image["id"] != 3
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 3]

    report = cairn.evaluate(totem_model, video(tmp_path, edit=unlabel), tracking=True, threads=1)
    assert (report.result.frames, report.metrics["MOTA"], report.metrics["IDF1"]) == (5, 100, 100)


def test_errors_are_of_one_line(totem_model: Path, tmp_path: Path) -> None:
    labels = video(tmp_path)

    def message(model: Any = totem_model, **options: Any) -> str:
        with pytest.raises(CairnError) as raised:
            cairn.evaluate(model, labels, tracking=True, threads=1, **options)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    for options in ({"metric": "box"}, {"threshold": 0.5}, {"mean": "pooled"}, {"model": [totem_model]}):
        assert message(**options).startswith("tracking measures one model")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "metrics.json").write_text("another file")
    assert "metrics.json already exists" in message(out=tmp_path / "out")
    (tmp_path / "images" / "3.png").unlink()
    assert "3.png" in message()
