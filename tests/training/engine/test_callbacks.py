"""The table of metrics that a run logs."""

import math

from cairn.training.engine.callbacks import MAX_JOINTS, TABLE_WIDTH, joint_table


def row(**joints):
    return {"epoch": 1.0, "AP": 50.0} | {f"PCK/{joint}": value for joint, value in joints.items()}


def test_each_keypoint_has_its_pck_and_its_change():
    lines = joint_table(row(head=50.0, tail=75.25), row(head=60.0, tail=75.0))
    assert [line.split() for line in lines] == [
        ["PCK", "per", "keypoint"],
        ["head", "50.0", "-10.0", "tail", "75.2", "+0.2"],
    ]
    assert "+" not in "".join(joint_table(row(head=50.0), {}))


def test_keypoints_without_labels_are_omitted_and_without_keypoints_there_is_no_table():
    assert "tail" not in "".join(joint_table(row(head=1.0, tail=math.nan), {}))
    assert joint_table({"epoch": 1.0, "AP": 3.0}, {}) == []


def test_the_table_lists_the_keypoints_with_the_lowest_pck_in_lines_of_limited_width():
    many = row(**{f"joint{i}": float(i) for i in range(90)})
    lines = joint_table(many, many)
    listed = {word for line in lines[1:] for word in line.split() if word.startswith("joint")}
    assert listed == {f"joint{i}" for i in range(MAX_JOINTS)}
    assert max(map(len, lines)) <= TABLE_WIDTH + 4
