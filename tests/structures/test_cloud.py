import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.structures.cloud import Cloud, CloudKeypoints, Landmarks, check_unit
from support.clouds import FACES, SQUARE, random_motion


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((0, 3)), "has none"),
        (np.zeros((5, 2)), r"expected points \(N, 3\)"),
        (np.zeros(3), r"expected points \(N, 3\)"),
        ([[0, 0, np.nan], [1, 1, 1]], "1 of 2 points are NaN or infinite"),
        ([[0, 0, np.inf]], "NaN or infinite"),
        ("abc", "must be numbers"),
        ([[1, 2], [3]], "must be numbers"),
    ],
)
def test_wrong_points_are_one_line(points, message):
    with pytest.raises(CloudError, match=message):
        Cloud(points)


@pytest.mark.parametrize("face", [[0, 1, 4], [-1, 0, 1]])
def test_faces_have_vertices(face):
    with pytest.raises(CloudError, match="a face has vertex"):
        Cloud(SQUARE, faces=[face])


def test_no_faces_are_none_and_other_shapes_are_errors():
    assert Cloud(SQUARE, faces=np.zeros((0, 3))).faces is None
    for field in ("normals", "colors"):
        with pytest.raises(CloudError, match=f"expected {field}"):
            Cloud(SQUARE, **{field: np.zeros((3, 3))})


def test_selected_points_keep_their_rows():
    cloud = Cloud(SQUARE, faces=FACES, rows=[2, 3, 5, 7])
    some = cloud.select([1, 3])
    assert some.faces is None
    assert some.file_rows([0, 1]).tolist() == [3, 7]
    assert Cloud(SQUARE).select([2]).file_rows([0]).tolist() == [2]


def test_motion_moves_points_and_turns_normals():
    motion = random_motion()
    cloud = Cloud(SQUARE, normals=np.tile([0, 0, 1.0], (4, 1)))
    back = cloud.moved(motion).moved(np.linalg.inv(motion))
    np.testing.assert_allclose(back.points, SQUARE, atol=1e-12)
    np.testing.assert_allclose(back.normals, cloud.normals, atol=1e-12)
    np.testing.assert_allclose(cloud.moved(motion).normals[0], motion[:3, 2])


def test_landmarks_change_system_and_unit():
    marks = Landmarks(("a", "b"), [[1, 2, 3], [np.nan] * 3], "LPS", "mm")
    np.testing.assert_array_equal(marks.in_system("RAS")["a"], [-1, -2, 3])
    np.testing.assert_array_equal(marks.in_system("RAS").in_system("LPS")["a"], marks["a"])
    np.testing.assert_allclose(marks.in_unit("m")["a"], [0.001, 0.002, 0.003])
    assert marks.known.tolist() == [True, False]
    assert Landmarks(("a",), [[1, 2, 3]]).in_system("RAS")["a"].tolist() == [1, 2, 3]  # unknown: as it is


@pytest.mark.parametrize(
    ("names", "points", "message"),
    [
        (("a", "a"), np.zeros((2, 3)), "two landmarks have the name 'a'"),
        ((), np.zeros((0, 3)), "has none"),
        (("a",), np.zeros((2, 3)), "expected landmarks"),
        (("a",), [[0, 0, np.inf]], "landmark a is infinite"),
    ],
)
def test_wrong_landmarks_are_one_line(names, points, message):
    with pytest.raises(CloudError, match=message):
        Landmarks(names, points)


def test_units_by_symbol_or_name():
    names = {"mm": "mm", "Millimeters": "mm", "metre": "m", "µm": "um", "inches": "in"}  # vocabulary: allow
    assert [check_unit(name) for name in names] == list(names.values())
    with pytest.raises(CloudError, match="expected a unit of length"):
        check_unit("parsec")


def test_keypoints_are_sliced_together():
    found = CloudKeypoints(SQUARE, np.arange(4.0), np.arange(4), Cloud(SQUARE), names=("a", "b", "c", "d"))
    part = found[1:3]
    assert (part.names, part.scores.tolist(), part.indices.tolist()) == (("b", "c"), [1, 2], [1, 2])
    assert found[[3]].names == ("d",)
    assert found[:2].landmarks.names == ("a", "b")
    with pytest.raises(CloudError, match="keypoints, scores and indices"):
        CloudKeypoints(SQUARE, np.arange(3.0), np.arange(4), Cloud(SQUARE))
