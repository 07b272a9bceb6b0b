"""Poses in other forms hold the same values, keypoint by keypoint."""

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import CairnError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import load_skeleton
from support.fake_poses import random_poses

SEEDS = st.integers(0, 2**32 - 1)


def tracked(seed: int, people: int = 3) -> Poses:
    return replace(random_poses(seed, people), ids=np.array([5, -1, 12])[:people])


@given(SEEDS, st.integers(0, 3), st.booleans())
def test_to_dict_has_every_value_by_name(seed: int, people: int, with_ids: bool) -> None:
    poses = tracked(seed, people) if with_ids else random_poses(seed, people)
    table = poses.to_dict()
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert table["skeleton"]["joints"] == list(poses.skeleton.joints)
    assert len(table["people"]) == len(poses)
    for row, entry in enumerate(table["people"]):
        assert entry["score"] == poses.scores[row]
        assert ("id" in entry) == with_ids
        if with_ids:
            assert entry["id"] == (poses.ids[row] if poses.ids[row] > 0 else None)
        assert list(entry["keypoints"]) == list(poses.skeleton.joints)
        for k, values in enumerate(entry["keypoints"].values()):
            if poses.confidence[row, k] == 0:
                assert values is None
            else:
                assert values == [*poses.keypoints[row, k].tolist(), poses.confidence[row, k].item()]
        box = poses.boxes[row]
        assert entry["box"] is None if np.isnan(box).any() else entry["box"] == box.tolist()
        assert poses[row].to_dict() == {key: value for key, value in entry.items() if value is not None or key != "id"}


@given(SEEDS)
def test_to_dataframe_has_a_row_per_keypoint(seed: int) -> None:
    pandas = pytest.importorskip("pandas")
    poses = tracked(seed)
    table = poses.to_dataframe()
    assert list(table.columns) == ["pose", "id", "score", "keypoint", "x", "y", "confidence"]
    assert len(table) == poses.confidence.size
    for i, row in enumerate(table.to_dict("records")):
        pose, k = divmod(i, len(poses.skeleton))
        assert (row["pose"], row["keypoint"]) == (pose, poses.skeleton.joints[k])
        assert row["score"] == poses.scores[pose]
        assert row["confidence"] == poses.confidence[pose, k]
        assert pandas.isna(row["id"]) if poses.ids[pose] < 0 else row["id"] == poses.ids[pose]
        np.testing.assert_array_equal([row["x"], row["y"]], poses.keypoints[pose, k].astype(float))


def test_a_dataframe_without_instances_has_its_columns() -> None:
    pytest.importorskip("pandas")
    table = random_poses(1, 0).to_dataframe()
    assert len(table) == 0
    assert table.dtypes.astype(str).to_dict() == random_poses(1, 2).to_dataframe().dtypes.astype(str).to_dict()


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_missing_package_is_one_line_with_its_install_command(package: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    method = {"pandas": "to_dataframe", "supervision": "to_supervision"}[package]
    with pytest.raises(CairnError) as caught:
        getattr(random_poses(1, 1), method)()
    assert str(caught.value) == f"{method} needs {package}, which is not installed: pip install {package}"


class FakeKeyPoints(SimpleNamespace):
    """The arguments of supervision.KeyPoints since 0.29."""

    def __init__(
        self, xy: Any, class_id: Any, keypoint_confidence: Any, detection_confidence: Any, visible: Any, data: Any
    ) -> None:
        super().__init__(**{name: value for name, value in locals().items() if name not in ("self", "__class__")})


@given(SEEDS, st.integers(0, 3))
def test_to_supervision_has_all_arrays(seed: int, people: int) -> None:
    poses = tracked(seed, people)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=FakeKeyPoints, __version__="0.31.2"))
        result = poses.to_supervision()
    assert result.xy.dtype == np.float32
    assert np.array_equal(result.xy[poses.detected], poses.keypoints[poses.detected])
    assert not result.xy[~poses.detected].any()
    assert np.array_equal(result.visible, poses.detected)
    assert np.array_equal(result.keypoint_confidence, poses.confidence)
    assert np.array_equal(result.detection_confidence, poses.scores)
    assert result.class_id.tolist() == [0] * people
    assert result.data["tracker_id"].tolist() == poses.ids.tolist()


def test_to_supervision_of_the_installed_release() -> None:
    supervision = pytest.importorskip("supervision")
    poses = tracked(1)
    result = poses.to_supervision()
    assert isinstance(result, supervision.KeyPoints)
    assert len(result) == 3
    np.testing.assert_array_equal(result.visible, poses.detected)


def test_an_old_supervision_is_named_in_the_error(monkeypatch: Any) -> None:
    old = SimpleNamespace(KeyPoints=lambda xy, confidence=None, class_id=None, data=None: None, __version__="0.20.0")
    monkeypatch.setitem(sys.modules, "supervision", old)
    with pytest.raises(CairnError, match=r"needs supervision 0\.29 or newer, got 0\.20\.0: pip install --upgrade"):
        tracked(1).to_supervision()


@given(SEEDS, st.integers(0, 3))
def test_to_coco_is_flat_and_zero_where_not_detected(seed: int, people: int) -> None:
    coco17 = load_skeleton("coco17")
    poses = random_poses(seed, people, coco17)
    results = poses.to_coco(image_id=42, category_id=3)
    assert len(results) == people
    for row, entry in enumerate(results):
        assert (entry["image_id"], entry["category_id"]) == (42, 3)
        assert math.isclose(entry["score"], poses.scores[row], abs_tol=1e-6)
        assert "track_id" not in entry
        for k in range(17):
            x, y, confidence = entry["keypoints"][3 * k : 3 * k + 3]
            if poses.confidence[row, k] > 0:
                expected = [*poses.keypoints[row, k], poses.confidence[row, k]]
                np.testing.assert_allclose([x, y, confidence], expected, atol=1e-4)
            else:
                assert (x, y, confidence) == (0, 0, 0)
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_to_coco_has_track_ids_and_defaults() -> None:
    results = tracked(1).to_coco()
    assert [entry["track_id"] for entry in results] == [5, -1, 12]
    assert {(entry["image_id"], entry["category_id"]) for entry in results} == {(0, 1)}
    assert len(random_poses(3, 1, load_skeleton("coco18")).to_coco()[0]["keypoints"]) == 3 * 17
    assert len(random_poses(3, 1, load_skeleton("lsp14")).to_coco()[0]["keypoints"]) == 3 * 14


def test_saved_json_is_to_dict(tmp_path: Path) -> None:
    poses = tracked(2)
    poses.save(tmp_path / "poses.json")
    assert json.loads((tmp_path / "poses.json").read_text(encoding="utf-8")) == poses.to_dict()


def test_saved_csv_has_a_row_per_keypoint(tmp_path: Path) -> None:
    poses = tracked(2)
    poses.save(str(tmp_path / "poses.CSV"))
    with (tmp_path / "poses.CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == poses.confidence.size
    for i, row in enumerate(rows):
        pose, k = divmod(i, len(poses.skeleton))
        assert (int(row["pose"]), row["keypoint"]) == (pose, poses.skeleton.joints[k])
        assert np.float32(row["confidence"]) == poses.confidence[pose, k]
        assert (row["x"] == "") == (not poses.detected[pose, k])
        if poses.detected[pose, k]:
            assert np.float32(row["x"]) == poses.keypoints[pose, k, 0]
        assert row["id"] == ("" if poses.ids[pose] < 0 else str(poses.ids[pose]))
