"""Laws: a known shift is found between frames; weak and repeated motions are refused; files round-trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cairn.errors import CameraError
from cairn.multiview.synchronization import (
    Offset,
    moments_from_file,
    offset_of,
    offsets_between,
    offsets_from_moments,
    read_offsets,
    speeds,
    write_offsets,
)

RATE = 50.0


def motion(start: float, count: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    """(F, K, 2) keypoints of one motion that does not repeat, from a moment on."""
    rng = np.random.default_rng(seed)
    times = start + np.arange(count)
    height = sum(
        amplitude * np.sin(times[:, None] / period + phase)
        for amplitude, period, phase in zip(
            rng.uniform(5, 20, (9, 6)), rng.uniform(4, 40, (9, 1)), rng.uniform(0, 6, (9, 6)), strict=True
        )
    )
    return scale * np.stack([np.zeros_like(height), 200 + height], axis=-1)


@pytest.mark.parametrize("late", [0.0, 7.0, -12.0, 3.4, -0.6])
def test_shift_is_found_between_frames(late: float) -> None:
    """Also at another scale, with noise, and with keypoints that are missing."""
    rng = np.random.default_rng(1)
    one, other = motion(100, 300), motion(100 + late, 280, scale=0.4)
    other = other + rng.normal(0, 0.3, other.shape)
    one[rng.random(one.shape[:2]) < 0.1] = np.nan
    found = offset_of(speeds(one, RATE), speeds(other, RATE), 60, RATE, "a and b")
    assert found.frames == pytest.approx(late, abs=0.15)
    assert found.correlation > 0.9


def test_offsets_add_up_along_pairs_that_correlate() -> None:
    """Cameras that see different halves of the keypoints are joined by one that sees all."""
    one, middle, other = motion(50, 300), motion(55, 300), motion(41, 300)
    one[:, :3] = np.nan
    other[:, 3:] = np.nan
    signals = {name: speeds(each, RATE) for name, each in (("a", one), ("b", other), ("c", middle))}
    found = offsets_between(signals, 40, RATE)
    assert list(found) == ["a", "b", "c"]
    assert [each.frames for each in found.values()] == pytest.approx([0, -9, 5], abs=0.1)


def test_weak_correlations_are_refused() -> None:
    rng = np.random.default_rng(0)
    one, other = (speeds(rng.normal(0, 5, (300, 6, 2)), RATE) for _ in range(2))
    with pytest.raises(CameraError, match="a and b: the speeds correlate weakly"):
        offset_of(one, other, 60, RATE, "a and b")
    with pytest.raises(CameraError, match="correlate weakly"):
        offsets_between({"a": one, "b": other}, 60, RATE)


def test_a_motion_that_repeats_is_refused() -> None:
    times = np.arange(600)[:, None]
    wave = np.stack([np.zeros((600, 1)), 50 * np.sin(2 * np.pi * times / 40)], axis=-1)
    with pytest.raises(CameraError, match="fit equally well"):
        offset_of(speeds(wave[:500], RATE), speeds(wave[13:513], RATE), 100, RATE, "a and b")


def test_nothing_to_compare_is_refused() -> None:
    nothing = np.full((200, 4, 2), np.nan)
    with pytest.raises(CameraError, match="fewer than 30 frames"):
        offset_of(speeds(motion(0, 200)[:, :4], RATE), speeds(nothing, RATE), 50, RATE, "a and b")
    with pytest.raises(CameraError, match="fewer than 30 frames"):
        offset_of(speeds(motion(0, 20), RATE), speeds(motion(0, 20), RATE), 5, RATE, "a and b")


def test_offsets_file_round_trip(tmp_path: Path) -> None:
    offsets = {"cam 1": Offset(0.0, 1.0), "cam_2": Offset(-3.26, 0.91)}
    write_offsets(offsets, 30.0, tmp_path / "offsets.toml")
    assert read_offsets(tmp_path / "offsets.toml") == {"cam 1": 0.0, "cam_2": -3.26}
    moments = moments_from_file(tmp_path / "offsets.toml", ["cam 1", "cam_2"], [5, 4])
    assert [each.tolist() for each in moments] == [[3, 4, 5, 6, 7], [0, 1, 2, 3]]
    with pytest.raises(CameraError, match="no offset of camera cam_9"):
        moments_from_file(tmp_path / "offsets.toml", ["cam_9"], [1])
    (tmp_path / "x.toml").write_text("offsets = 3")
    with pytest.raises(CameraError, match="no table"):
        read_offsets(tmp_path / "x.toml")


def test_timestamps_of_caliscope(tmp_path: Path) -> None:
    """The k-th frame of a camera is its k-th row by time; a dropped frame leaves a gap."""
    path = tmp_path / "timestamps.csv"
    rows = [(3, 0, 0.3), (2, 0, 0.2), (0, 0, 0.0), (0, 1, 0.01), (1, 1, 0.11), (2, 1, 0.19), (3, 1, 0.31)]
    path.write_text("sync_index,cam_id,frame_index,frame_time\n" + "".join(f"{s},{c},9,{t}\n" for s, c, t in rows))
    moments = moments_from_file(path, ["cam_0", "cam_1"], [3, 4])
    assert [each.tolist() for each in moments] == [[0, 2, 3], [0, 1, 2, 3]]
    assert offsets_from_moments(moments) == [0.0, -1.0]
    with pytest.raises(CameraError, match="3 frames of camera cam_0, and its video has 9"):
        moments_from_file(path, ["cam_0"], [9])
    with pytest.raises(CameraError, match="has no camera cam_5; it has 0, 1"):
        moments_from_file(path, ["cam_5"], [3])
    path.write_text("a,b\n1,2\n")
    with pytest.raises(CameraError, match="expected columns"):
        moments_from_file(path, ["cam_0"], [1])
    path.write_text("sync_index,cam_id,frame_time\n1,0,x\n")
    with pytest.raises(CameraError, match="line 2"):
        moments_from_file(path, ["cam_0"], [1])
