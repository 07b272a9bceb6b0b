"""SLEAP's analysis files: predictions of one video as labels, in any order of the axes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.reading import detect_format, read_labels
from cairn.errors import LabelError
from cairn.media.images import read_image

h5py = pytest.importorskip("h5py", reason="analysis files need h5py, which is in the io extra")

NODES = ("head", "wing_L", "wing_R")
# (frames, nodes, xy, tracks), as SLEAP holds them before it reverses the axes
POINTS = np.full((4, 3, 2, 2), np.nan)
POINTS[1, :, :, 0] = [[1, 2], [3, 4], [5, 6]]
POINTS[1, :2, :, 1] = [[7, 8], [9, 10]]
POINTS[3, 0, :, 1] = [11, 12]
SCORES = np.where(np.isfinite(POINTS[:, :, 0]), 0.9, np.nan)
SCORES[1, 1] = [0.2, 0.6]
SCORES[3, 0, 1] = np.nan  # placed by the user


def write_video(path: Path) -> None:
    import cv2

    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in (20, 90, 160, 230):
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()


def write_analysis(path: Path, reverse: bool = True, count: int = 2, **changed: Any) -> None:
    arrays: dict[str, Any] = {
        "tracks": POINTS[..., :count],
        "point_scores": SCORES[..., :count],
        "track_occupancy": np.isfinite(POINTS[..., :count]).any(axis=(1, 2)).T,
    }
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=np.asarray(values, float).T if reverse else np.asarray(values, float))
        file["node_names"] = np.array(NODES, "S")
        file["edge_names"] = np.array([(NODES[0], NODES[1]), (NODES[0], NODES[2])], "S")
        file["track_names"] = np.array([f"track_{i}" for i in range(count)], "S")
        file["video_path"] = r"C:\Users\me\clip.avi"
        for name, value in changed.items():
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value


def check(labels: Any) -> None:
    assert labels.skeleton.joints == NODES
    assert labels.skeleton.limbs == ((0, 1), (0, 2))
    assert labels.skeleton.flip_pairs == ((1, 2),)
    first, second = labels
    assert (first.frame, second.frame) == (1, 3)
    assert first.annotation.visibility.tolist() == [[2, 0, 2], [2, 2, 0]]
    np.testing.assert_array_equal(first.annotation.keypoints[1, :2], [[7, 8], [9, 10]])
    assert (first.annotation.tracks.tolist(), second.annotation.tracks.tolist()) == ([0, 1], [1])
    assert first.groups == ("video clip.avi",)
    assert [round(float(read_image(image.path).mean()) / 10) for image in labels] == [9, 23]


@pytest.mark.parametrize("reverse", [True, False])
def test_confident_points_are_labels_of_frames(tmp_path: Path, reverse: bool) -> None:
    path = tmp_path / "clip.analysis.h5"
    write_analysis(path, reverse)
    assert detect_format(path).name == "sleap"
    with pytest.raises(LabelError, match="no video at"):
        read_labels(path, ReadOptions(frames=tmp_path / "frames"))
    write_video(tmp_path / "clip.avi")
    with pytest.raises(LabelError, match=r"its images are in clip\.avi: cairn convert"):
        read_labels(path)
    for _ in range(2):  # once more, with a folder of images beside the file
        check(read_labels(path, ReadOptions(frames=tmp_path / "images")))
    loose = read_labels(path, ReadOptions(frames=tmp_path / "frames", confidence=0.1))
    assert loose.images[0].annotation.visibility.tolist() == [[2, 2, 2], [2, 2, 0]]


@pytest.mark.parametrize("preset", ["matlab", "standard"])
def test_sleap_io_states_the_order_of_the_axes(tmp_path: Path, preset: str) -> None:
    sio = pytest.importorskip("sleap_io")
    write_video(tmp_path / "clip.avi")
    write_analysis(tmp_path / "one.h5", tracking_scores=np.ones((2, 4)), instance_scores=np.ones((2, 4)))
    content = sio.load_analysis_h5(str(tmp_path / "one.h5"), video=str(tmp_path / "clip.avi"))
    sio.save_analysis_h5(content, str(tmp_path / "two.h5"), preset=preset)
    check(read_labels(tmp_path / "two.h5", ReadOptions(frames=tmp_path / "frames")))


def test_one_animal_has_no_track_ids(tmp_path: Path) -> None:
    write_video(tmp_path / "clip.avi")
    write_analysis(tmp_path / "a.h5", count=1, track_names=np.array([], "S"))
    labels = read_labels(tmp_path / "a.h5", ReadOptions(frames=tmp_path / "frames"))
    assert labels.images[0].annotation.tracks is None
    assert labels.images[0].annotation.keypoints[0, 0].tolist() == [1, 2]


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"tracks": np.zeros((2, 2, 5, 4))}, r"not an analysis file of SLEAP \(ValueError: tracks of 5 joints"),
    ({"tracks": np.zeros(3)}, "not an analysis file of SLEAP"),
    ({"point_scores": np.zeros((2, 2, 2))}, "not an analysis file of SLEAP"),
    ({"video_path": " "}, "names no video"),
    ({"video_path": "../clip.avi"}, "leaves the folder|no video at"),
    ({"node_names": np.array([b"a", b"a", b"b"])}, "each name once"),
    ({"node_names": np.array([b"\xff", b"a", b"b"])}, "not an analysis file of SLEAP"),
    ({"point_scores": np.zeros((2, 3, 4))}, "no prediction has a confidence of 0.5 or more"),
    ({"tracks": np.full((2, 2, 3, 4), np.inf), "point_scores": None}, r"frame 0: joint 1 is at \[inf, inf\]"),
]


@pytest.mark.parametrize(("changed", "message"), INVALID)
def test_an_invalid_file_is_a_one_line_error(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "clip.avi")
    write_video(tmp_path / "in/clip.avi" if "video_path" not in changed else tmp_path / "in/other.avi")
    write_analysis(tmp_path / "in/a.h5", **changed)
    with pytest.raises(LabelError, match=message) as caught:
        read_labels(tmp_path / "in/a.h5", ReadOptions(frames=tmp_path / "frames"))
    assert "\n" not in str(caught.value)


def test_an_array_that_states_a_huge_size_is_not_read(tmp_path: Path) -> None:
    write_analysis(tmp_path / "a.h5", tracks=None)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file.create_dataset("tracks", (2, 2, 3, 10**12), chunks=(1, 1, 1, 1024))
    with pytest.raises(LabelError, match="is damaged: it states an array that is larger than the file"):
        read_labels(tmp_path / "a.h5", ReadOptions(frames=tmp_path / "frames"))


def test_another_hdf5_file_is_one_line(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(LabelError, match="is not a file of DeepLabCut: expected one data frame, got 0"):
        read_labels(tmp_path / "a.h5")
