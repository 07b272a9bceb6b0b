"""Labeled specimens in folders: matched by name, in one frame, and on their surfaces."""

from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io.landmarks import write_landmarks
from cairn.pointclouds.shapes.specimens import Frame, placed, read_specimens
from support.shapes import specimen, write_specimen

CLOUD, LANDMARKS = specimen()
LPS = replace(LANDMARKS, coordinate_system="LPS")
PLAIN = replace(CLOUD, unit=None)


def test_names_match_in_one_folder_and_in_two(tmp_path):
    for seed in range(3):
        cloud, landmarks = specimen(seed)
        write_specimen(tmp_path / "one", f"s{seed}", cloud, landmarks if seed else None)
        write_specimen(tmp_path / "shapes", f"s{seed}", cloud, None)
        (tmp_path / "marks").mkdir(exist_ok=True)
        write_landmarks(tmp_path / "marks" / f"s{seed}.csv", landmarks)
    (tmp_path / "one" / "split.json").write_text("{}")
    assert [each.name for each in read_specimens(tmp_path / "one")] == ["s1", "s2"]
    two = read_specimens(tmp_path / "shapes", tmp_path / "marks")
    assert [each.name for each in two] == ["s0", "s1", "s2"]
    np.testing.assert_allclose(two[2].landmarks.points, specimen(2)[1].points)
    single = read_specimens(tmp_path / "shapes" / "s0.off", tmp_path / "marks" / "s2.csv")
    assert len(single) == 1
    assert single[0].cloud.unit == "mm"


def test_no_names_match(tmp_path):
    write_specimen(tmp_path / "shapes", "a", CLOUD, None)
    write_specimen(tmp_path / "other", "b", CLOUD, LANDMARKS)
    with pytest.raises(CloudError, match="no landmarks have the name of a shape, such as a"):
        read_specimens(tmp_path / "shapes", tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CloudError, match="expected shapes"):
        read_specimens(tmp_path / "empty")
    with pytest.raises(CloudError, match="does not exist"):
        read_specimens(tmp_path / "nowhere")


def test_two_files_of_one_specimen(tmp_path):
    write_specimen(tmp_path, "a", CLOUD, LANDMARKS)
    write_landmarks(tmp_path / "a.fcsv", LPS)
    with pytest.raises(CloudError, match="are both landmarks of a: keep one"):
        read_specimens(tmp_path)


def test_ras_landmarks_come_into_the_lps_of_the_mesh():
    found = placed("a", PLAIN, LPS.in_system("RAS"))
    np.testing.assert_allclose(found.landmarks.points, LANDMARKS.points)
    assert (found.cloud.coordinate_system, found.cloud.unit) == ("LPS", "mm")


@pytest.mark.parametrize("stated", ["LPS", "RAS", None])
def test_lps_taken_for_ras_is_one_clear_line(stated):
    wrong = replace(LANDMARKS, points=LANDMARKS.points * [-1, -1, 1], coordinate_system="LPS" if stated else None)
    wrong = wrong.in_system(stated)
    fix = "pass --coordinate-system RAS" if stated else "negate x and y"
    with pytest.raises(CloudError, match=f"with x and y negated: LPS is taken for RAS.*{fix}") as error:
        placed("a", PLAIN, wrong)
    assert "\n" not in str(error.value)
    if stated:
        assert placed("a", replace(PLAIN, coordinate_system="RAS"), wrong).cloud.coordinate_system == "RAS"


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "m"), (0.1, "cm"), (1 / 25.4, "in")])
def test_another_unit_of_the_mesh_is_one_clear_line(tmp_path, factor, unit):
    small = replace(PLAIN, points=factor * PLAIN.points)
    with pytest.raises(CloudError, match=f"the units differ; pass --unit {unit}"):
        placed("a", small, LANDMARKS)
    write_specimen(tmp_path, "a", small, LANDMARKS)
    found = read_specimens(tmp_path, frame=Frame(unit))[0]
    np.testing.assert_allclose(found.landmarks.points, factor * LANDMARKS.points)


def test_a_wrong_unit_of_the_user():
    with pytest.raises(CloudError, match="pass --unit mm if the mesh is in mm"):
        placed("a", replace(CLOUD, unit="m"), LANDMARKS)


def test_landmarks_of_another_shape():
    far = replace(LANDMARKS, points=LANDMARKS.points + np.array([300.0, 0, 0]))
    with pytest.raises(CloudError, match="give the landmarks of this shape"):
        placed("a", PLAIN, far)
    with pytest.raises(CloudError, match="no landmark has a position"):
        placed("a", PLAIN, replace(LANDMARKS, points=np.full_like(LANDMARKS.points, np.nan)))
