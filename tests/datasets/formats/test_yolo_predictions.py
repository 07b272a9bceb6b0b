"""Files that `yolo predict save_txt` writes are read as labels; each file decides what its numbers are."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.structures.annotation import Annotation
from support.yolo_sets import LINE, POSE, yolo_set

pytest.importorskip("yaml", reason="reading data.yaml needs PyYAML, which is in the io extra")

PREDICTED = "0 0.5 0.5 0.4 0.4 0.4 0.4 0.981 0.5 0.6 0.5 0.6 0.5 0.12"
FLAT = "kpt_shape: [3, 2]\nnames: [fly]\n"
PAIRS = "0 0.5 0.5 0.4 0.4 0.4 0.4 0.5 0.6 0.6 0.5"


def first(root: Path, confidence: float = 0.5) -> tuple[Annotation, tuple[str, ...]]:
    """The instances of the first image, and what was noted."""
    problems = Problems()
    labels = read_labels(root, ReadOptions(problems=problems, confidence=confidence))
    return labels.images[0].annotation, problems.notes


@pytest.mark.parametrize("trailing", ["", " 0.91", " 0.91 7"])
def test_the_third_number_is_a_confidence(tmp_path: Path, trailing: str) -> None:
    root = yolo_set(tmp_path, POSE, {"a": PREDICTED + trailing})
    annotation, (note,) = first(root)
    assert annotation.visibility.tolist() == [[2, 2, 0]]
    np.testing.assert_allclose(annotation.keypoints[0, 0], [24, 16])
    assert np.isnan(annotation.keypoints[0, 2]).all()
    assert "predictions" in note
    assert "0.5 (--confidence)" in note
    assert first(root, 0.1)[0].visibility.tolist() == [[2, 2, 2]]
    assert first(root, 0.9)[0].visibility.tolist() == [[2, 0, 0]]
    annotation, _ = first(root, 0.99)  # the box stays, as a region to ignore
    assert annotation.labeled.tolist() == [False]


def test_a_confidence_of_zero_is_not_labeled_at_any_threshold(tmp_path: Path) -> None:
    annotation, _ = first(yolo_set(tmp_path, POSE, {"a": PREDICTED.replace("0.12", "0")}), 0.0)
    assert annotation.visibility.tolist() == [[2, 2, 0]]


def test_whole_numbers_of_a_predicted_file_are_confidences(tmp_path: Path) -> None:
    sure = PREDICTED.replace("0.981", "1").replace("0.6 0.5 0.6", "0.6 1 0.6").replace("0.12", "0")
    annotation, _ = first(yolo_set(tmp_path, POSE, {"a": f"{PREDICTED}\n{sure}\n"}))
    assert annotation.visibility.tolist() == [[2, 2, 0], [2, 2, 0]]
    annotation, _ = first(yolo_set(tmp_path / "trailing", POSE, {"a": f"{sure} 0.99\n"}))
    assert annotation.visibility.tolist() == [[2, 2, 0]]
    annotation, notes = first(yolo_set(tmp_path / "labels", POSE, {"a": sure}))  # nothing says that they are
    assert annotation.visibility.tolist() == [[1, 1, 0]]
    assert notes == ()


def test_a_file_may_have_corrected_lines_beside_predicted_ones(tmp_path: Path) -> None:
    annotation, _ = first(yolo_set(tmp_path, POSE, {"a": f"{PREDICTED}\n{LINE}\n"}))
    assert annotation.visibility.tolist() == [[2, 2, 0], [2, 1, 0]]


@pytest.mark.parametrize(
    ("trailing", "tracks"), [(("0.91", "0.5"), None), (("3", "12"), [3, 12]), (("0.91 3", "0.5 12"), [3, 12])]
)
def test_numbers_after_joints_of_two_numbers(
    tmp_path: Path, trailing: tuple[str, str], tracks: list[int] | None
) -> None:
    lines = "\n".join(f"{PAIRS} {end}" for end in trailing)
    root = yolo_set(tmp_path, FLAT, {"a": lines, "b": PAIRS})
    (root / "labels/val/c.txt").write_text(PAIRS)
    annotation, (note,) = first(root)
    assert annotation.visibility.tolist() == [[2, 2, 2]] * 2
    assert (None if annotation.tracks is None else annotation.tracks.tolist()) == tracks
    assert "predictions" in note


INVALID = [
    (f"{LINE} 0.9 1 2", "expected 14 numbers by kpt_shape, got 17"),
    (f"{LINE}\n{LINE} 1", "line 2: expected 14 numbers by kpt_shape, got 15"),
    (f"{PREDICTED} 0.9\n{PREDICTED} 0.8\n{PREDICTED}", "line 3: expected 15 numbers by kpt_shape, got 14"),
    (PREDICTED.replace("0.981", "2"), "v must be 0 .* got 0.5"),
    (f"{PREDICTED}\n{PREDICTED.replace('0.981', '-0.2')}", "line 2: the confidence of a joint must be from 0 to 1"),
    (f"{PREDICTED} inf", "the confidence of the box must be from 0 to 1, got inf"),
    (f"{PREDICTED} 0.5 0.25", "expected 14 numbers by kpt_shape, got 16"),
]


@pytest.mark.parametrize(("text", "message"), INVALID)
def test_what_is_neither_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        read_labels(yolo_set(tmp_path, POSE, {"a": text}))
