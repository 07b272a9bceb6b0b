"""Left and right joints, recognized by their names."""

from __future__ import annotations

SIDES = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
"""Words for the two sides, anywhere in a name."""


def flip_pairs_by_name(joints: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Returns pairs of joints that swap when an image is flipped.

    The names of a pair differ only in left/right, or in a separate l/r (`wingL`, `l_knee`, `knee.r`).

    Args:
        joints: K names.

    Returns:
        Pairs of indices (left, right), in the order of the left joints.
    """
    index = {joint: i for i, joint in enumerate(joints)}
    pairs = []
    for joint, i in index.items():
        for other in _right_names(joint):
            if other in index:
                pairs.append((i, index[other]))
                break
    return tuple(pairs)


def _right_names(joint: str) -> list[str]:
    """Returns candidate names of the right counterpart; empty for joints that are not left, so pairs come once."""
    names = [joint.replace(left, right, 1) for left, right in SIDES if left in joint]
    for left, right in (("l", "r"), ("L", "R")):
        for separator in "_-. ":
            if joint.startswith(left + separator):
                names.append(right + joint[1:])
            if joint.endswith(separator + left):
                names.append(joint[:-1] + right)
    names += [joint[:i] + "R" + joint[i + 1 :] for i in range(len(joint)) if _is_separate(joint, i)]
    return names


def _is_separate(joint: str, i: int) -> bool:
    """Whether character i is an L after the start or a lowercase letter and before a capital, a digit or the end."""
    before, after = joint[:i], joint[i + 1 : i + 2]
    starts, ends = not before or before[-1].islower(), not after or after.isdigit() or after.isupper()
    return joint[i] == "L" and starts and ends and len(joint) > 1
