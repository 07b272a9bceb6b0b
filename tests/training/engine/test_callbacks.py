"""Laws of what is shown while a network learns."""

import math

from cairn.training.engine.callbacks import MAX_JOINTS, TABLE_WIDTH, joint_table


def row(**joints):
    return {"epoch": 1.0, "AP": 50.0} | {f"PCK/{joint}": value for joint, value in joints.items()}


def test_each_joint_is_shown_with_its_change():
    lines = joint_table(row(head=50.0, tail=75.25), row(head=60.0, tail=75.0))
    assert [line.split() for line in lines] == [
        ["PCK", "of", "joints"],
        ["head", "50.0", "-10.0", "tail", "75.2", "+0.2"],
    ]
    assert "+" not in "".join(joint_table(row(head=50.0), {}))


def test_a_joint_that_nobody_labeled_is_not_shown_and_no_joints_are_no_table():
    assert "tail" not in "".join(joint_table(row(head=1.0, tail=math.nan), {}))
    assert joint_table({"epoch": 1.0, "AP": 3.0}, {}) == []


def test_of_many_joints_the_worst_are_shown_in_lines_that_fit():
    many = row(**{f"joint{i}": float(i) for i in range(90)})
    lines = joint_table(many, many)
    shown = {word for line in lines[1:] for word in line.split() if word.startswith("joint")}
    assert shown == {f"joint{i}" for i in range(MAX_JOINTS)}
    assert max(map(len, lines)) <= TABLE_WIDTH + 4
