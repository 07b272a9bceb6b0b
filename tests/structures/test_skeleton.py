"""A skeleton is consistent, or it raises; every built-in skeleton is consistent."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import SkeletonError
from cairn.structures.flip_pairs import flip_pairs_by_name
from cairn.structures.skeleton import DEFAULT_SIGMA, Skeleton, joined, load_skeleton, skeleton_names

NAMES = skeleton_names()


@st.composite
def skeletons(draw: st.DrawFn) -> Skeleton:
    """Random trees with a few redundant limbs and flip pairs."""
    count = draw(st.integers(1, 12))
    tree = [(draw(st.integers(0, joint - 1)), joint) for joint in range(1, count)]
    others = [(a, b) for a in range(count) for b in range(a) if (b, a) not in tree and (a, b) not in tree]
    extra = draw(st.lists(st.sampled_from(others), unique=True, max_size=3)) if others else []
    limbs = draw(st.permutations(tree + extra))
    order = draw(st.permutations(range(count)))
    pairs = draw(st.integers(0, count // 2))
    return Skeleton(
        "random",
        tuple(f"joint {i}" for i in range(count)),
        tuple(limbs),
        tuple(i for i, limb in enumerate(limbs) if limb in extra),
        tuple((order[2 * i], order[2 * i + 1]) for i in range(pairs)),
        tuple(draw(st.lists(st.floats(0.01, 0.2), min_size=count, max_size=count))),
    )


@given(skeletons())
def test_to_dict_and_from_dict_are_inverse(one: Skeleton) -> None:
    assert Skeleton.from_dict(one.to_dict()) == one


@given(skeletons())
def test_flip_twice_is_identity(one: Skeleton) -> None:
    order = one.flip_order
    assert [order[order[joint]] for joint in range(len(one))] == list(range(len(one)))


@pytest.mark.parametrize("name", NAMES)
def test_built_in_skeletons_are_consistent(name: str) -> None:
    one = load_skeleton(name)
    assert one.name == name
    assert len(one.sigmas) == len(one)
    for limb in one.redundant:
        assert limb not in one.tree
    assert Skeleton.from_dict(one.to_dict()) == one


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("face68", "face70")])
def test_flip_pairs_are_left_and_right(name: str) -> None:
    one = load_skeleton(name)
    for joint, other in zip(one.joints, one.flip_order, strict=True):
        swapped = joint.replace("left", "@").replace("right", "left").replace("@", "right")
        assert one.joints[other] == swapped
        assert one.sigmas[one.index(joint)] == one.sigmas[other]


@pytest.mark.parametrize("name", ["face68", "face70"])
def test_flip_order_of_faces(name: str) -> None:
    """The 68 points of Multi-PIE in flipped order, and the pupils after them."""
    order = load_skeleton(name).flip_order
    assert order[68:] == (69, 68)[: len(order) - 68]
    assert order[:17] == tuple(range(16, -1, -1))
    assert order[17:27] == tuple(range(26, 16, -1))
    assert order[27:31] == (27, 28, 29, 30)
    assert order[31:36] == (35, 34, 33, 32, 31)
    assert (order[36], order[39], order[37], order[41]) == (45, 42, 44, 46)
    assert (order[48], order[51], order[57], order[60], order[62], order[66]) == (54, 51, 57, 64, 62, 66)


def test_hands_and_faces_have_the_order_of_openpose_s_output_format() -> None:
    hand, face = load_skeleton("hand21"), load_skeleton("face70")
    assert (hand.joints[0], hand.joints[4], hand.joints[5], hand.joints[20]) == (
        "wrist", "thumb_4", "index_1", "little_4",
    )  # fmt: skip
    assert [b for a, b in hand.limbs if a == 0] == [1, 5, 9, 13, 17]
    assert all(b == a + 1 for a, b in hand.limbs if a)
    assert hand.flip_order == tuple(range(21))
    assert face.joints[:68] == load_skeleton("face68").joints
    assert face.joints[68:] == ("right_pupil", "left_pupil")


def test_five_face_points_are_means_of_the_68_of_300_w() -> None:
    parts = dict(
        zip(load_skeleton("face5").joints, load_skeleton("face5").parts_in(load_skeleton("face68")), strict=True)
    )
    assert parts == {
        "left_eye": (42, 43, 44, 45, 46, 47),
        "right_eye": (36, 37, 38, 39, 40, 41),
        "nose_tip": (30,),
        "mouth_left": (54,),
        "mouth_right": (48,),
    }


def test_a_joint_of_the_same_name_comes_before_a_mean() -> None:
    coco18, lsp14 = load_skeleton("coco18"), load_skeleton("lsp14")
    neck = coco18.index("neck")
    assert coco18.parts_in(lsp14)[neck] == (lsp14.index("neck"),)
    assert coco18.parts_in(coco18) == tuple((joint,) for joint in range(18))
    assert coco18.parts_in(load_skeleton("face5")) == tuple(
        {"right_eye": (1,), "left_eye": (0,)}.get(joint, ()) for joint in coco18.joints
    )


# PAF channel of each limb in the released models: from-to:channel of x.
RELEASED = {
    "coco18": "1-2:12 1-5:20 2-3:14 3-4:16 5-6:22 6-7:24 1-8:0 8-9:2 9-10:4 1-11:6 11-12:8 12-13:10 1-0:28 "
    "0-14:30 14-16:34 0-15:32 15-17:36 2-16:18 5-17:26",
    "body25": "1-8:0 1-2:14 1-5:22 2-3:16 3-4:18 5-6:24 6-7:26 8-9:6 9-10:2 10-11:4 8-12:8 12-13:10 13-14:12 1-0:30 "
    "0-15:32 15-17:36 0-16:34 16-18:38 2-17:20 5-18:28 14-19:40 19-20:42 14-21:44 11-22:46 22-23:48 11-24:50",
    "mpii15": "0-1:0 1-2:2 2-3:4 3-4:6 1-5:8 5-6:10 6-7:12 1-14:14 14-8:16 8-9:18 9-10:20 14-11:22 11-12:24 12-13:26",
}


@pytest.mark.parametrize("name", RELEASED)
def test_limbs_have_the_order_of_the_released_channels(name: str) -> None:
    pairs = {}
    for entry in RELEASED[name].split():
        limb, channel = entry.split(":")
        a, b = map(int, limb.split("-"))
        pairs[int(channel) // 2] = (a, b)
    assert load_skeleton(name).limbs == tuple(pairs[i] for i in range(len(pairs)))


def test_coco17_and_coco18_have_the_same_sigmas() -> None:
    coco17, coco18 = load_skeleton("coco17"), load_skeleton("coco18")
    assert set(coco18.joints) - set(coco17.joints) == {"neck"}
    for joint in coco17.joints:
        assert coco17.sigmas[coco17.index(joint)] == coco18.sigmas[coco18.index(joint)]


@pytest.mark.parametrize(
    ("joints", "pairs"),
    [
        (("nose", "left_eye", "right_eye"), {("left_eye", "right_eye")}),
        (("wingL", "wingR", "head"), {("wingL", "wingR")}),
        (("l_knee", "r_knee"), {("l_knee", "r_knee")}),
        (("knee.r", "knee.l"), {("knee.l", "knee.r")}),
        (("legL1", "legR1", "legL2", "legR2"), {("legL1", "legR1"), ("legL2", "legR2")}),
        (("tail", "lower", "Left", "L"), set()),
        (("LeftEar", "RightEar"), {("LeftEar", "RightEar")}),
        (("left_eye",), set()),
    ],
)
def test_flip_pairs_are_recognized_by_name(joints: tuple[str, ...], pairs: set[tuple[str, str]]) -> None:
    assert {(joints[a], joints[b]) for a, b in flip_pairs_by_name(joints)} == pairs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": ()}, "at least one joint"),
        ({"joints": ("a", "a", "b")}, "each name once"),
        ({"sigmas": (0.1,)}, "3 positive sigmas"),
        ({"sigmas": (0.1, 0.0, 0.1)}, "3 positive sigmas"),
        ({"limbs": ((0, 3),)}, "pairs joints 0 and 3"),
        ({"limbs": ((1, 1),)}, "pairs joints 1 and 1"),
        ({"flip_pairs": ((0, 1), (1, 2))}, "flips a joint twice"),
        ({"means": (("d", ("a", "b")),)}, "means of skeleton triple must give parts of its joints, got d"),
        ({"means": (("a", ()),)}, r"got a of \[\]"),
        ({"limbs": ((0, 1), (1, 2), (2, 0))}, "closes a circle: list it as redundant"),
    ],
)
def test_contradictions_raise(change: dict, message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        Skeleton(**{"name": "triple", "joints": ("a", "b", "c"), **change})


def test_a_cycle_is_allowed_if_a_limb_is_redundant() -> None:
    one = Skeleton("triple", ("a", "b", "c"), ((0, 1), (1, 2), (2, 0)), redundant=(1,))
    assert one.tree == (0, 2)
    assert one.sigmas == (DEFAULT_SIGMA,) * 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "x"}, "a skeleton has name, joints"),
        ({"name": "x", "joints": ["a"], "skeleton": []}, "a skeleton has name, joints"),
        ({"name": "x", "joints": ["a", "b"], "limbs": [["a", "c"]]}, "expected two of its joints"),
        ({"name": "x", "joints": ["a", "b"], "redundant": [["a", "b"]]}, "must also be in limbs"),
        ({"name": "x", "joints": 3}, "joints of skeleton x must be a list of names, got 3"),
        ({"name": "x", "joints": "ab"}, "joints of skeleton x must be a list of names, got 'ab'"),
        ({"name": "x", "joints": ["a", 2]}, "joints of skeleton x must be a list of names"),
        ({"name": "x", "joints": ["a", "b"], "limbs": 5}, "limbs of skeleton x must be a list of pairs of joints"),
        ({"name": "x", "joints": ["a", "b"], "limbs": [1, 2]}, "must be a list of pairs of joints"),
        ({"name": "x", "joints": ["a", "b"], "limbs": [["a", ["b"]]]}, "expected two of its joints"),
        ({"name": "x", "joints": ["a"], "sigmas": ["wide"]}, "sigmas of skeleton x must be a list of numbers"),
        ({"name": "x", "joints": ["a"], "sigmas": [float("inf")]}, "1 positive sigmas"),
        ({"name": "x", "joints": ["a"], "means": ["a"]}, "means of skeleton x must be a table of lists of names"),
        ({"name": "x", "joints": ["a"], "means": {"a": "bc"}}, "must be a table of lists of names, got {'a': 'bc'}"),
        ("coco17", "a skeleton is a table"),
    ],
)
def test_invalid_tables_raise(table: Any, message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        Skeleton.from_dict(table)


def test_a_skeleton_is_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fly.toml"
    path.write_text('name = "fly"\njoints = ["head", "wingL", "wingR"]\nlimbs = [["head", "wingL"]]\n')
    fly = load_skeleton(path)
    assert fly.limbs == ((0, 1),)
    assert fly.flip_order == (0, 2, 1)


def test_unreadable_and_unknown_skeletons_raise(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(SkeletonError, match="is not TOML"):
        load_skeleton(broken)
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SkeletonError, match=r"bytes\.toml is not TOML"):
        load_skeleton(tmp_path / "bytes.toml")
    with pytest.raises(SkeletonError, match="no skeleton file"):
        load_skeleton(tmp_path / "absent.toml")
    with pytest.raises(SkeletonError, match=r"there are .*coco17"):
        load_skeleton("coco")
    with pytest.raises(SkeletonError, match="no joint 'neck'; it has nose"):
        load_skeleton("coco17").index("neck")


def test_colors_and_hidden_limbs_are_read_and_written(tmp_path: Path) -> None:
    path = tmp_path / "fly.toml"
    path.write_text(
        'name = "fly"\njoints = ["head", "tail"]\nlimbs = [["head", "tail"]]\nhidden = [["head", "tail"]]\n'
        'colors = ["#102030", "#FF8000"]\n'
    )
    fly = load_skeleton(path)
    assert (fly.colors, fly.hidden) == (("#102030", "#FF8000"), (0,))
    back = Skeleton.from_dict(fly.to_dict())
    assert (back.colors, back.hidden) == (fly.colors, fly.hidden)
    one = Skeleton.from_dict({"name": "dots", "joints": ["a", "b", "c"], "colors": ["#ffffff"]})
    assert one.colors == ("#ffffff",) * 3
    assert one == Skeleton("dots", ("a", "b", "c"))  # colors do not make another skeleton


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"colors": ["#fff", "#000000"]}, "needs 2 colors such as #ff8000, got"),
        ({"colors": ["#ffffff"] * 3}, "needs 2 colors such as #ff8000, got"),
        ({"colors": "#ffffff"}, "colors of skeleton pair must be a list of #rrggbb"),
        ({"hidden": [["b", "a"]], "limbs": [["a", "b"]]}, "hidden limbs of skeleton pair must also be in limbs"),
    ],
)
def test_invalid_colors_and_hidden_limbs_raise(table: dict, message: str) -> None:
    with pytest.raises(SkeletonError, match=message):
        Skeleton.from_dict({"name": "pair", "joints": ["a", "b"], **table})


@given(skeletons(), skeletons())
def test_joined_skeletons_keep_their_limbs_and_flip_pairs(one: Skeleton, other: Skeleton) -> None:
    both = joined("both", [("", one), ("face_", other)])
    shift = len(one)
    assert both.joints == (*one.joints, *(f"face_{joint}" for joint in other.joints))
    assert both.limbs == (*one.limbs, *((a + shift, b + shift) for a, b in other.limbs))
    assert both.redundant == (*one.redundant, *(len(one.limbs) + i for i in other.redundant))
    assert both.flip_order == (*one.flip_order, *(shift + i for i in other.flip_order))
    assert both.sigmas == (*one.sigmas, *other.sigmas)
    assert both.parts == {"": list(range(shift)), "face_": list(range(shift, shift + len(other)))}


def test_a_left_and_a_right_hand_are_flip_pairs() -> None:
    hand = Skeleton("hand", ("wrist", "tip"), ((0, 1),), colors=("#000000", "#ffffff"))
    body = load_skeleton("coco18")
    whole = joined("whole", [("", body), ("left_hand_", hand), ("right_hand_", hand)])
    assert whole.flip_order == (*body.flip_order, 20, 21, 18, 19)
    assert whole.colors == (*body.colors, *hand.colors, *hand.colors)
    assert whole.hidden == body.hidden
    assert dict(whole.means) == dict(body.means)
    with pytest.raises(SkeletonError, match="each name once"):
        joined("twice", [("", hand), ("", hand)])


def test_the_shown_skeleton_lacks_hidden_limbs_alone() -> None:
    body = load_skeleton("body25")
    hidden = [body.limbs[i] for i in body.hidden]
    assert hidden
    assert body.shown.limbs == tuple(limb for limb in body.limbs if limb not in hidden)
    assert {body.shown.limbs[i] for i in body.shown.redundant} == {body.limbs[i] for i in body.redundant} - set(hidden)
    assert (body.shown.joints, body.shown.sigmas, body.shown.colors) == (body.joints, body.sigmas, body.colors)
    coco = load_skeleton("coco17")
    assert coco.shown == coco
