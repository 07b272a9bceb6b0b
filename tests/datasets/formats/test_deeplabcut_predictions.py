"""Predictions of DeepLabCut as labels: rows are frame numbers of a video, and a third column is the confidence."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.media.images import read_image
from support.dlc_projects import add_folder, sheet
from support.made_labels import draw_images

SCORER = "DLC_resnet50_miceJan1shuffle1_500"
TEXT = f"""\
scorer,{SCORER},{SCORER},{SCORER},{SCORER},{SCORER},{SCORER}
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,1,2,0.9,3,4,0.4
1,1,2,0.1,3,4,0.2
2,5,6,0.5,7,8,1
3,5,6,,,,
"""


def write_video(path: Path, grays: tuple[int, ...] = (20, 90, 160, 230)) -> None:
    import cv2

    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in grays:
        video.write(np.full((48, 64, 3), value, np.uint8))
    video.release()


@pytest.mark.parametrize("suffix", ["", "_filtered"])
def test_confident_keypoints_are_labels_of_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{SCORER}{suffix}.csv"
    path.write_text(TEXT)
    write_video(tmp_path / "clip.avi")
    with pytest.raises(LabelError, match=r"its images are in clip\.avi: cairn convert"):
        read_labels(path)
    labels = read_labels(path, ReadOptions(frames=tmp_path / "frames"))
    assert [image.frame for image in labels] == [0, 2, 3]
    assert [image.annotation.visibility.tolist() for image in labels] == [[[2, 0]], [[2, 2]], [[2, 0]]]
    assert {image.groups for image in labels} == {("video clip.avi",)}
    for image, gray in zip(labels, (20, 160, 230), strict=True):
        assert abs(float(read_image(image.path).mean()) - gray) < 4
    strict = read_labels(path, ReadOptions(frames=tmp_path / "frames", confidence=0.95))
    assert [image.annotation.visibility.tolist() for image in strict] == [[[0, 2]], [[2, 0]]]
    path.write_text(TEXT.rpartition("3,5,6")[0])
    with pytest.raises(LabelError, match="no prediction has a confidence of 2 or more"):
        read_labels(path, ReadOptions(confidence=2))


def test_the_images_may_be_a_folder_of_numbered_frames(tmp_path: Path) -> None:
    path = tmp_path / f"clip{SCORER}.csv"
    path.write_text(TEXT)
    with pytest.raises(LabelError, match="rows are frames of the video clip: give the folder"):
        read_labels(path)
    draw_images(tmp_path / "frames", ("img0000.png", "img0002.png", "img0003.png"))
    labels = read_labels(path, ReadOptions(tmp_path / "frames"))
    assert [image.path.name for image in labels] == ["img0000.png", "img0002.png", "img0003.png"]
    (tmp_path / "frames/img0003.png").unlink()
    with pytest.raises(LabelError, match="has no image of frame 3"):
        read_labels(path, ReadOptions(tmp_path / "frames"))
    problems = Problems(skip=True)
    assert len(read_labels(path, ReadOptions(tmp_path / "frames", problems=problems))) == 2
    assert len(problems.skipped) == 1
    draw_images(tmp_path / "frames", ("other_2.png",))
    with pytest.raises(LabelError, match="are both frame 2"):
        read_labels(path, ReadOptions(tmp_path / "frames"))


@pytest.mark.parametrize("layout", ["table", "fixed"])
def test_predictions_of_several_animals_in_h5(tmp_path: Path, layout: str) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables", reason="pandas writes .h5 through tables")
    columns = pandas.MultiIndex.from_tuples(
        [(SCORER, who, "nose", axis) for who in ("ind1", "ind2", "single") for axis in ("x", "y", "likelihood")],
        names=["scorer", "individuals", "bodyparts", "coords"],
    )
    values = [[1, 2, 0.9, 3, 4, 0.8, 5, 6, 0.7], [np.nan, np.nan, np.nan, 3, 4, 0.8, 5, 6, 0.1]]
    path = tmp_path / f"clip{SCORER}_el.h5"
    pandas.DataFrame(np.array(values), columns=columns).to_hdf(path, key="df_with_missing", format=layout, mode="w")
    draw_images(tmp_path / "frames", ("0.png", "1.png"))
    labels = read_labels(path, ReadOptions(tmp_path / "frames"))
    assert [image.annotation.tracks.tolist() for image in labels] == [[0, 1, -1], [1]]
    assert labels.images[1].annotation.keypoints.tolist() == [[[3, 4]]]


def test_predictions_of_images_have_their_names(tmp_path: Path) -> None:
    add_folder(tmp_path)
    path = tmp_path / "labeled-data/vid1/machinelabels-iter0.csv"
    lines = sheet(parts=("nose",)).splitlines()
    cells = ("me", "nose", "likelihood", "0.9", "0.2", "0.6")
    path.write_text("\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True)))
    labels = read_labels(path)
    assert [image.path.name for image in labels] == ["img00.png", "img02.png"]


def test_likelihoods_of_labels_are_ignored(tmp_path: Path) -> None:
    """Corrected predictions keep the confidences that they had."""
    lines = sheet(parts=("nose",)).splitlines()
    cells = ("me", "nose", "likelihood", "0.9", "0.2", "")
    text = "\n".join(f"{line},{cell}" for line, cell in zip(lines, cells, strict=True))
    problems = Problems(log_notes=False)
    path = add_folder(tmp_path, text=text)
    labels = read_labels(path, ReadOptions(problems=problems))
    assert [len(image.annotation) for image in labels] == [1, 1, 1]
    assert problems.notes[0].startswith("likelihoods of labels are ignored")


def test_a_frame_beyond_the_video_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / f"clip{SCORER}.csv"
    path.write_text(TEXT)
    write_video(tmp_path / "clip.avi", (20, 90))
    with pytest.raises(LabelError, match=r"clip\.avi has no frame 2"):
        read_labels(path, ReadOptions(frames=tmp_path / "frames"))
    problems = Problems(skip=True)
    assert len(read_labels(path, ReadOptions(frames=tmp_path / "frames", problems=problems))) == 1
    assert len(problems.skipped) == 2
