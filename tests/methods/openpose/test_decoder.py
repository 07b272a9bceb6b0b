import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.errors import CairnError, SkeletonError
from cairn.methods.openpose.decoder import MATCHINGS, Matching, decode
from cairn.ops.grouping import Order
from cairn.structures.skeleton import Skeleton, load_skeleton
from crowd import SIGMA, WIDTH, compare, crowd, perfect_maps

SEEDS = st.integers(0, 2**32 - 1)
SIZE = (46, 82)
COCO18 = load_skeleton("coco18")


def random_tree(rng: np.random.Generator, joints: int) -> Skeleton:
    """Joints joined in any shape and direction, and some limbs twice over."""
    limbs = []
    for joint in range(1, joints):
        pair = (int(rng.integers(joint)), joint)
        limbs.append(pair if rng.random() < 0.5 else pair[::-1])
    extra = [
        (a, b)
        for a in range(joints)
        for b in range(a + 1, joints)
        if rng.random() < 0.2 and (a, b) not in limbs and (b, a) not in limbs
    ]
    order = rng.permutation(len(limbs) + len(extra))
    every = [(limbs + extra)[i] for i in order]
    return Skeleton(
        name="random",
        joints=tuple(f"joint{i}" for i in range(joints)),
        limbs=tuple(every),
        redundant=tuple(i for i, limb in enumerate(every) if limb in extra),
    )


def people_apart(rng: np.random.Generator, joints: int) -> np.ndarray:
    """Six people (6, K, 2), each in a part of the field of its own; limbs of two never meet."""
    corners = np.array([(x, y) for x in (2, 29, 56) for y in (2, 25)])
    return corners[:, None] + rng.uniform(0, [22, 18], (6, joints, 2))


def assert_same_people(detected: np.ndarray, people: np.ndarray) -> None:
    """In any order, to 0.05 cells, missing joints included."""
    assert len(detected) == len(people)
    left = list(range(len(detected)))
    for person in people:
        for i in left:
            if np.allclose(detected[i], person, atol=0.05, equal_nan=True):
                left.remove(i)
                break
        else:
            pytest.fail(f"no detection is like {person.tolist()}")


@given(SEEDS, st.integers(2, 12), st.sampled_from(sorted(MATCHINGS)), st.sampled_from(["global", "limb"]))
def test_decoding_rendered_people_returns_them(seed: int, joints: int, matching: Matching, order: Order) -> None:
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, joints)
    people = people_apart(rng, joints)
    poses = decode(*perfect_maps(people, SIZE, tree), tree, matching=matching, order=order)
    assert_same_people(poses.keypoints, people)
    np.testing.assert_allclose(poses.confidence, 1, atol=0.02)


@given(SEEDS, st.sampled_from(["global", "limb"]))
def test_missing_joints_stay_missing_and_the_others_are_detected(seed: int, order: Order) -> None:
    """Leaves of the tree are missing, so that what is left of a person still hangs together."""
    rng = np.random.default_rng(seed)
    people = people_apart(rng, len(COCO18))
    ends = [COCO18.index(name) for name in ("left_wrist", "right_ankle", "left_ankle", "right_wrist")]
    for person in people:
        person[rng.choice(ends, rng.integers(0, 5), replace=False)] = np.nan
    poses = decode(*perfect_maps(people, SIZE, COCO18), COCO18, order=order)
    assert_same_people(poses.keypoints, people)
    assert np.array_equal(poses.confidence > 0, np.isfinite(poses.keypoints[..., 0]))


@given(SEEDS, st.integers(1, 25))
@settings(max_examples=40)
def test_overlapping_people_are_detected(seed: int, count: int) -> None:
    """A few joints may fall on another's of the same name, and then two are one peak; the people stay apart."""
    people = crowd(np.random.default_rng(seed), count, SIZE, COCO18)
    poses = decode(*perfect_maps(people, SIZE, COCO18), COCO18)
    detected, false_positives, errors = compare(people, poses.keypoints)
    assert detected >= count - 1 - count // 10
    assert false_positives <= 1 + count // 10
    assert errors.mean() <= 0.08


def test_two_crossing_people_are_separated() -> None:
    cross = Skeleton("cross", ("head", "hip", "foot"), ((0, 1), (1, 2)))
    people = np.array([[[10, 10], [20, 20], [30, 30]], [[30, 10.4], [20.6, 15], [10, 30.7]]], dtype=float)
    assert_same_people(decode(*perfect_maps(people, SIZE, cross), cross).keypoints, people)


def test_the_background_is_ignored() -> None:
    people = crowd(np.random.default_rng(1), 3, SIZE, COCO18)
    maps, pafs = perfect_maps(people, SIZE, COCO18)
    background = 1 - maps.max(axis=0, keepdims=True)
    with_it, without = decode(np.concatenate([maps, background]), pafs, COCO18), decode(maps, pafs, COCO18)
    np.testing.assert_array_equal(with_it.keypoints, without.keypoints)


def test_scores_are_sums_over_parts_and_limbs_of_the_skeleton() -> None:
    chain = Skeleton("chain", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)))
    people = np.array([[[4, 5], [9, 5], [14, 5], [19, 5]], [[4, 30], [9, 30], [14, 30], [np.nan] * 2]], dtype=float)
    maps, pafs = perfect_maps(people, SIZE, chain)
    poses = decode(maps * 0.8, pafs * 0.5, chain)
    np.testing.assert_allclose(poses.scores, [(4 * 0.8 + 3 * 0.5) / 7, (3 * 0.8 + 2 * 0.5) / 7], atol=0.01)
    np.testing.assert_allclose(poses.confidence[0], 0.8, atol=0.01)
    assert (poses.scores[:-1] >= poses.scores[1:]).all()


def test_people_with_few_or_weak_parts_are_ignored() -> None:
    chain = Skeleton("chain", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)))
    people = np.array([[[4, 5], [9, 5], [14, 5], [19, 5]], [[4, 30], [9, 30], [np.nan] * 2, [np.nan] * 2]], dtype=float)
    maps, pafs = perfect_maps(people, SIZE, chain)
    assert len(decode(maps, pafs, chain)) == 1
    assert len(decode(maps, pafs, chain, min_parts=2)) == 2
    weak_maps, weak_pafs = maps * 0.2, pafs * 0.1  # (4·0.2 + 3·0.1) / 4 parts = 0.275 a part
    assert len(decode(weak_maps, weak_pafs, chain, min_score=0.3, second_try=False)) == 0
    assert len(decode(weak_maps, weak_pafs, chain, min_score=0.25, second_try=False)) == 1


def test_ignored_keypoints_are_kept_and_alone_are_no_person() -> None:
    """The first has a, b, c and d, the second b, c and d."""
    chain = Skeleton("chain", ("a", "b", "c", "d"), ((0, 1), (1, 2), (2, 3)))
    people = np.array([[[4, 5], [9, 5], [14, 5], [19, 5]], [[np.nan] * 2, [9, 30], [14, 30], [19, 30]]], dtype=float)
    maps, pafs = perfect_maps(people, SIZE, chain)
    poses = decode(maps, pafs, chain, ignore_keypoints="c d", min_parts=2)
    assert_same_people(poses.keypoints, people[:1])
    assert len(decode(maps, pafs, chain, ignore_keypoints="d", min_parts=2)) == 2
    assert len(decode(maps, pafs, chain, ignore_keypoints="d", min_parts=3)) == 1
    with pytest.raises(SkeletonError, match="skeleton chain has no joint 'tail'"):
        decode(maps, pafs, chain, ignore_keypoints="a tail")


def test_the_second_try_detects_people_below_the_thresholds_of_the_first() -> None:
    people = crowd(np.random.default_rng(2), 2, SIZE, COCO18)
    maps, pafs = perfect_maps(people, SIZE, COCO18)
    maps, pafs = maps * 0.1, pafs * 0.1
    assert len(decode(maps, pafs, COCO18, second_try=False)) == 0
    assert len(decode(maps, pafs, COCO18)) == 2


def test_skeletons_of_few_limbs() -> None:
    people = np.array([[[4, 5], [9, 5], [14, 5]], [[4, 30], [9, 30], [14, 30]]], dtype=float)
    points = Skeleton("points", ("a", "b", "c"))
    poses = decode(*perfect_maps(people, SIZE, points), points)
    assert len(poses) == 6  # no limb assigns the points to people
    assert (poses.confidence > 0).sum(axis=1).tolist() == [1] * 6
    stick = Skeleton("stick", ("a", "b", "c"), ((0, 1),))
    poses = decode(*perfect_maps(people, SIZE, stick), stick)
    assert sorted((poses.confidence > 0).sum(axis=1).tolist()) == [1, 1, 2, 2]


def test_empty_maps_have_no_people() -> None:
    poses = decode(np.zeros((19, 46, 82), np.float32), np.zeros((38, 46, 82), np.float32), COCO18)
    assert len(poses) == 0
    assert poses.keypoints.shape == (0, 18, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [(46, 82), (1, 1), (2, 1), (1, 9)])
def test_invalid_values_in_maps_give_valid_poses(bad: float, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    maps, pafs = rng.random((18, *size), dtype=np.float32), rng.normal(size=(38, *size)).astype(np.float32)
    maps[rng.random(maps.shape) < 0.1] = bad
    pafs[rng.random(pafs.shape) < 0.1] = bad
    poses = decode(maps, pafs, COCO18, max_peaks=20)
    assert np.isfinite(poses.scores).all()
    assert ((poses.confidence >= 0) & (poses.confidence <= 1)).all()
    assert np.array_equal(np.isfinite(poses.keypoints[..., 0]), poses.confidence > 0)
    assert len(decode(np.full_like(maps, np.nan), np.full_like(pafs, bad), COCO18)) == 0


def test_maps_that_do_not_fit_raise_skeleton_error() -> None:
    maps, pafs = np.zeros((18, 4, 5)), np.zeros((38, 4, 5))
    with pytest.raises(SkeletonError, match=r"heatmaps must be \(18 or 19, h, w\).*got \(17, 4, 5\)"):
        decode(maps[:17], pafs, COCO18)
    with pytest.raises(SkeletonError, match=r"pafs must be \(38, 4, 5\).*got \(38, 4, 4\)"):
        decode(maps, pafs[..., :4], COCO18)
    with pytest.raises(CairnError, match="matching must be exchange, greedy or hungarian"):
        decode(maps, pafs, COCO18, matching="best")  # type: ignore[arg-type]


def test_synthetic_people_are_inside_the_image_and_complete() -> None:
    people = crowd(np.random.default_rng(0), 20, SIZE, COCO18)
    assert people.shape == (20, 18, 2)
    assert people.min() >= 0
    assert (people.max(axis=(0, 1)) <= [81, 45]).all()
    assert SIGMA > 0.5
    assert WIDTH > 0.5
