"""Errors of landmarks on shapes, from files."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.evaluation.landmarks import LandmarkErrors, errors_of_files
from cairn.evaluation.reports.landmarks import write_landmark_report
from cairn.pointclouds.io.landmarks import write_landmarks
from cairn.structures.cloud import Landmarks

POINTS = np.array([[0.0, 0, 5], [8, 0, 0], [0, 12, 0], [3, 4, 5]])
TRUE = Landmarks(("a", "b", "c", "d"), POINTS, "LPS", "mm")


def folders(tmp_path, predicted, true=TRUE):
    for folder, landmarks in (("predicted", predicted), ("true", true)):
        (tmp_path / folder).mkdir()
        write_landmarks(tmp_path / folder / "s1.mrk.json", landmarks)
    return tmp_path / "predicted", tmp_path / "true"


def test_errors_are_distances_by_name(tmp_path):
    shifted = replace(TRUE, names=TRUE.names[::-1], points=(POINTS + np.array([0, 0, 2.0]))[::-1])
    errors = errors_of_files(*folders(tmp_path, shifted))
    np.testing.assert_allclose(errors.distances, [[2.0] * 4])
    assert errors.metrics() == {"mean": 2.0, "median": 2.0, "p95": 2.0, "max": 2.0}
    assert errors.unit == "mm"


def test_units_and_coordinate_systems_are_converted(tmp_path):
    errors = errors_of_files(*folders(tmp_path, TRUE.in_system("RAS").in_unit("cm")))
    np.testing.assert_allclose(errors.distances, np.zeros((1, 4)), atol=1e-9)


def test_missing_landmarks_are_not_counted(tmp_path):
    points = POINTS + np.array([1.0, 0, 0])
    points[1] = np.nan
    errors = errors_of_files(*folders(tmp_path, replace(TRUE, points=points)))
    assert [row["count"] for row in errors.per_landmark()] == [1, 0, 1, 1]
    assert errors.per_specimen()[0]["mean"] == pytest.approx(1)
    written = write_landmark_report(errors, tmp_path / "report", {"model": "m", "landmarks": "l"})
    assert (tmp_path / "report" / "errors.csv").read_text() == "specimen,a,b,c,d\ns1,1,,1,1\n"
    assert tmp_path / "report" / "report.html" in written


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (replace(TRUE, points=POINTS * [-1, -1, 1]), "LPS is taken for RAS"),
        (replace(TRUE, points=POINTS * 1000), "times as far apart .* the units differ"),
        (replace(TRUE, names=("w", "x", "y", "z")), "give them the same names"),
        (replace(TRUE, points=np.full_like(POINTS, np.nan)), "nothing to measure"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, predicted, message):
    with pytest.raises(CloudError, match=message) as error:
        errors_of_files(*folders(tmp_path, predicted))
    assert "\n" not in str(error.value)


def test_no_names_match(tmp_path):
    predicted, true = folders(tmp_path, TRUE)
    (predicted / "s1.mrk.json").rename(predicted / "s2.mrk.json")
    with pytest.raises(CloudError, match="no landmarks have the name"):
        errors_of_files(predicted, true)


def test_the_worst_specimens_come_first():
    true = np.zeros((3, 2, 3))
    predicted = true + np.array([1.0, 3.0, 2.0])[:, None, None]
    assert LandmarkErrors(("x", "y", "z"), ("a", "b"), predicted, true).worst(2) == [1, 2]
