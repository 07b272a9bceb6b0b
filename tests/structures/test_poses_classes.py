import csv
import pickle

import numpy as np
import pytest

from cairn.errors import SkeletonError
from cairn.structures.geometry import Affine
from cairn.structures.poses import Poses
from support.fake_network import TOTEM
from support.fake_poses import random_poses

NAMES = ("cat", "dog", "cow")


def with_classes(seed: int, classes: list[int], names: tuple[str, ...] = NAMES) -> Poses:
    poses = random_poses(seed, len(classes))
    return Poses(
        poses.keypoints,
        np.maximum(poses.confidence, np.float32(0.1)),
        poses.scores,
        TOTEM,
        classes=np.array(classes, np.int64),
        class_names=names,
    )


def names_of(poses: Poses) -> list[str | None]:
    return [pose.class_name for pose in poses]


def test_classes_follow_their_instances_through_every_operation():
    poses = with_classes(0, [2, 0, 0, 1])
    expected = ["cow", "cat", "cat", "dog"]
    assert names_of(poses) == expected
    assert names_of(poses[[3, 0]]) == ["dog", "cow"]
    assert names_of(poses[np.array([False, True, False, True])]) == ["cat", "dog"]
    assert names_of(poses[1:]) == expected[1:]
    assert names_of(poses.transformed(Affine.mirror(9))) == expected
    assert names_of(poses.above(0.0)) == expected
    assert names_of(poses.mapped(TOTEM)) == expected
    assert names_of(Poses.concatenate([poses[2:], poses[:2]], TOTEM)) == ["cat", "dog", "cow", "cat"]


def test_poses_of_different_classes_are_concatenated_by_name():
    one, other = with_classes(0, [0, 1], ("cat", "dog")), with_classes(1, [0, 1], ("dog", "hen"))
    both = Poses.concatenate([one, other], TOTEM)
    assert names_of(both) == ["cat", "dog", "dog", "hen"]
    assert names_of(Poses.concatenate([one, Poses.empty(TOTEM)], TOTEM)) == ["cat", "dog"]
    assert names_of(Poses.concatenate([one, random_poses(2, 1)], TOTEM)) == [None] * 3
    assert Poses.concatenate([Poses.empty(TOTEM, NAMES)], TOTEM).class_names == NAMES


def test_classes_can_be_renumbered_by_name_and_removed():
    poses = with_classes(0, [2, 0])
    other = poses.in_classes(("cow", "hen", "cat"))
    assert other.classes.tolist() == [0, 2]
    assert names_of(other) == names_of(poses)
    assert poses.in_classes(()).classes is None
    assert Poses.empty(TOTEM).in_classes(NAMES).class_names == NAMES
    with pytest.raises(SkeletonError, match="class cow is none of cat, dog"):
        poses.in_classes(("cat", "dog"))
    with pytest.raises(SkeletonError, match="these poses have no classes"):
        random_poses(0, 1).in_classes(NAMES)


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        (np.array([0, 3]), NAMES, "classes must be from 0 to 2, for cat, dog, cow, got 0 to 3"),
        (np.array([-1, 0]), NAMES, "got -1 to 0"),
        (np.array([0]), NAMES, "one integer for each of 2 instances"),
        (np.array([0.0, 1.0]), NAMES, "got float64"),
        (None, NAMES, "give both or neither"),
        (np.array([0, 0]), (), "give both or neither"),
    ],
)
def test_contradictory_classes_raise_skeleton_error(classes, names, message):
    poses = random_poses(0, 2)
    with pytest.raises(SkeletonError, match=message):
        Poses(poses.keypoints, poses.confidence, poses.scores, TOTEM, classes=classes, class_names=names)


def test_conversions_have_the_class_only_where_there_are_several(tmp_path):
    poses, plain = with_classes(0, [2, 0]), random_poses(0, 2)
    content = poses.to_dict()
    assert content["classes"] == list(NAMES)
    assert [person["class"] for person in content["people"]] == ["cow", "cat"]
    assert poses[0].to_dict()["class"] == "cow"
    assert "classes" not in plain.to_dict()
    assert all("class" not in person for person in plain.to_dict()["people"])
    assert [row["category_id"] for row in poses.to_coco(7, category_id=5)] == [7, 5]
    assert {row["category_id"] for row in plain.to_coco(7, category_id=5)} == {5}
    poses.save(tmp_path / "classes.csv")
    plain.save(tmp_path / "plain.csv")
    rows = list(csv.DictReader((tmp_path / "classes.csv").open()))
    assert [row["class"] for row in rows] == ["cow"] * 3 + ["cat"] * 3
    assert "class" not in next(csv.DictReader((tmp_path / "plain.csv").open()))


def test_a_data_frame_has_a_column_for_the_class():
    pytest.importorskip("pandas")
    frame = with_classes(0, [2, 0]).to_dataframe()
    assert frame["class"].tolist() == ["cow"] * 3 + ["cat"] * 3
    assert "class" not in random_poses(0, 2).to_dataframe().columns


def test_the_representation_counts_classes():
    poses = with_classes(0, [2, 0, 2])
    assert repr(poses).startswith("Poses(3 instances of totem (1 cat, 2 cow), ")
    assert repr(poses[0]).startswith("Pose(cow, score ")
    assert "(" not in repr(random_poses(0, 2)).removeprefix("Poses(")


def test_a_pickle_of_an_earlier_version_is_read():
    poses = random_poses(0, 2)
    state = {key: value for key, value in vars(poses).items() if not key.startswith("class")}
    old = pickle.loads(pickle.dumps(poses))
    vars(old).clear()
    vars(old).update(state)
    assert (old.classes, old.class_names) == (None, ())
    assert names_of(old[[1, 0]]) == [None, None]
    assert names_of(pickle.loads(pickle.dumps(with_classes(0, [1])))) == ["dog"]
