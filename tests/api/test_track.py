"""`cairn.track`: the poses of a stream with track IDs, as a table and as files."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cairn
from cairn.api.track import COLUMNS, Tracks
from cairn.errors import CairnError, OutputError
from cairn.structures.poses import Poses
from support.fake_network import SPEC


@dataclass
class FakeFrame:
    index: int
    time: float | None
    poses: Poses | None
    image: Any = None


class FakePredictor:
    """Streams given poses, and records the options."""

    spec = SPEC

    def __init__(self, frames: list[FakeFrame]) -> None:
        self.frames = frames
        self.options: dict[str, Any] = {}

    def stream(self, source: Any, **options: Any) -> Iterator[FakeFrame]:
        self.options = options
        yield from self.frames


def poses(ids: list[int], shift: float) -> Poses:
    count = len(ids)
    keypoints = np.arange(count * 6, dtype=np.float32).reshape(count, 3, 2) + np.float32(shift)
    confidence = np.full((count, 3), 0.5, np.float32)
    confidence[:, 2] = 0
    keypoints[:, 2] = np.nan
    scores = np.linspace(0.5, 0.9, count).astype(np.float32)
    return Poses(keypoints, confidence, scores, SPEC.skeleton, np.array(ids), image=np.zeros((4, 4, 3), np.uint8))


@pytest.fixture
def predictor() -> FakePredictor:
    frames = [FakeFrame(0, 0.0, poses([1, 2], 0)), FakeFrame(1, 0.04, None), FakeFrame(2, 0.08, poses([2, -1], 1))]
    return FakePredictor(frames)


def test_tracks_hold_the_poses_of_each_frame(predictor: FakePredictor) -> None:
    tracks = cairn.track("clip.mp4", model=predictor, smooth=1.5, min_confidence=0.1, rate=30)
    assert predictor.options == {"track": True, "smooth": 1.5, "min_confidence": 0.1, "threads": 0, "rate": 30}
    assert (len(tracks), tracks.indices, tracks.times) == (2, (0, 2), (0.0, 0.08))
    assert tracks.ids == [1, 2]
    assert [len(each) for each in tracks] == [2, 2]
    assert isinstance(tracks[:1], Tracks)
    assert tracks[-1].ids is not None
    assert repr(tracks) == "Tracks(clip.mp4: 2 frames, 2 track IDs)"


def test_tracks_keep_no_pixels(predictor: FakePredictor) -> None:
    assert all(each.image is None for each in cairn.track("clip.mp4", model=predictor))


def test_the_table_has_a_row_for_each_keypoint(predictor: FakePredictor, tmp_path: Path) -> None:
    tracks = cairn.track("clip.mp4", model=predictor)
    rows = list(tracks.rows())
    assert len(rows) == sum(len(each) for each in tracks) * 3
    for index, frame in zip(tracks.indices, tracks, strict=True):
        of_frame = [row for row in rows if row[0] == index]
        for i, row in enumerate(of_frame):
            person, joint = divmod(i, 3)
            assert row[4] == SPEC.skeleton.joints[joint]
            assert row[7] == pytest.approx(float(frame.confidence[person, joint]))
            if frame.confidence[person, joint] > 0:
                assert row[5:7] == pytest.approx(tuple(frame.keypoints[person, joint]))
            else:
                assert row[5:7] == (None, None)
    with tracks.save(tmp_path / "tracks.csv").open() as file:
        written = list(csv.reader(file))
    assert tuple(written[0]) == COLUMNS
    assert [[("" if cell is None else str(cell)) for cell in row] for row in rows] == written[1:]


def test_the_data_frame_equals_the_table(predictor: FakePredictor) -> None:
    pytest.importorskip("pandas", reason="data frames need pandas")
    tracks = cairn.track("clip.mp4", model=predictor)
    frame = tracks.to_dataframe()
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == len(list(tracks.rows()))
    assert sorted(frame["id"].dropna().unique()) == tracks.ids


def test_a_data_frame_without_pandas_is_a_clear_error(
    predictor: FakePredictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(CairnError, match="to_dataframe needs pandas, which is not installed: pip install pandas"):
        cairn.track("clip.mp4", model=predictor).to_dataframe()


def test_json_lines_have_a_line_for_each_frame(predictor: FakePredictor, tmp_path: Path) -> None:
    tracks = cairn.track("clip.mp4", model=predictor)
    lines = tracks.save(tmp_path / "tracks.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == tracks.to_dicts()
    assert json.loads(lines[1])["poses"][0]["id"] == 2
    assert json.loads(lines[1])["poses"][1]["id"] is None
    assert json.loads(lines[0])["poses"][0]["keypoints"]["base"] is None
    with pytest.raises(OutputError, match=r"tracks are written as \.csv or \.jsonl"):
        tracks.save(tmp_path / "tracks.txt")


def test_options_of_loading_need_a_name_or_path(predictor: FakePredictor) -> None:
    with pytest.raises(CairnError, match="device: only for a model that is loaded by name or path"):
        cairn.track("clip.mp4", model=predictor, device="cuda")


def test_frames_without_detections_have_a_row_where_it_is_asked_for(tmp_path: Path) -> None:
    frames = [FakeFrame(0, 0.0, Poses.empty(SPEC.skeleton)), FakeFrame(1, 0.04, poses([1], 0))]
    tracks = cairn.track("clip.mp4", model=FakePredictor(frames))
    assert len(list(tracks.rows())) == 3
    first, *others = tracks.rows(empty=True)
    assert first == (0, 0.0, *[None] * (len(COLUMNS) - 2))
    assert others == list(tracks.rows())
    with tracks.save(tmp_path / "tracks.csv", empty=True).open(newline="") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == ["0", "1", "1", "1"]
    assert len(tracks.save(tmp_path / "tracks.jsonl").read_text().splitlines()) == 2
