import numpy as np
import pytest

from cairn.methods.lifting.recipe import Cameras, Noise
from cairn.methods.lifting.views import Viewer, chains, mixed, noisy, spanning_tree, with_lengths, without_parts
from cairn.structures.camera import Camera, Rig, rotation_matrix
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_motion import BONES, JOINTS, made_poses

SKELETON = Skeleton("made", JOINTS, BONES, flip_pairs=((1, 2), (3, 4), (6, 7)))
POSES = made_poses(200)


def viewer(rig=None, frame="pose", **cameras):
    return Viewer(Cameras(kind="rig" if rig else "random", **cameras), rig, (0,), frame)


def distances(points):
    return np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)


def test_targets_are_the_poses_turned_and_relative_to_the_root():
    view = viewer()(POSES, np.random.default_rng(0))
    np.testing.assert_allclose(view.target[:, 0], 0, atol=1e-12)
    np.testing.assert_allclose(distances(view.target), distances(POSES), atol=1e-9)
    for pose, target in zip(POSES, view.target, strict=True):  # turned, not mirrored
        triple = [np.linalg.det(each[[3, 5, 6]] - each[0]) for each in (pose, target)]
        assert triple[0] == pytest.approx(triple[1], abs=1e-9)


def test_keypoints_are_projections_of_the_targets():
    view = viewer(distance=(3.0, 3.0))(POSES, np.random.default_rng(0))
    depth = view.keypoints[:, 0, :2]  # of the root, whose position the target does not have
    for seen, target in zip(view.keypoints, view.target, strict=True):
        # x = (X + x0) / (Z + z0): linear in the position of the root
        a = np.zeros((16, 3))
        a[:8, 0] = a[8:, 1] = 1
        a[:8, 2], a[8:, 2] = -seen[:, 0], -seen[:, 1]
        b = np.concatenate([seen[:, 0] * target[:, 2] - target[:, 0], seen[:, 1] * target[:, 2] - target[:, 1]])
        root, residual, *_ = np.linalg.lstsq(a, b, rcond=None)
        assert residual < 1e-12
        assert np.linalg.norm(root) == pytest.approx(3.0)
    assert np.abs(depth).max() < 0.3


def test_cameras_stay_upright_and_within_their_pitch():
    view = viewer(pitch=(0.0, 0.0), roll=0.0)(POSES, np.random.default_rng(0))
    up = view.target[:, 5] - view.target[:, 0]  # from pelvis to neck, which is up in the world
    np.testing.assert_allclose(up[:, 1], -0.5, atol=0.02)  # y points down; facing the pose tilts a little
    steep = viewer(pitch=(60.0, 60.0), roll=0.0)(POSES, np.random.default_rng(0))
    leaning = steep.target[:, 5] - steep.target[:, 0]
    assert (leaning[:, 2] < -0.35).all()  # from above, the head is nearer than the pelvis


def test_a_rig_sees_what_its_cameras_project():
    rng = np.random.default_rng(1)
    matrix = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    cameras = tuple(
        Camera(f"c{i}", matrix, [], rotation_matrix([np.pi / 2, 0, 0]) @ rotation_matrix([0, 0, i]), [0, 1, 4 + i])
        for i in range(2)
    )
    view = viewer(Rig(cameras), "camera")(POSES[:50], rng)
    pixels = np.stack([camera.project(POSES[:50]) for camera in cameras])
    seen = view.keypoints[..., :2] * 900 + [640, 360]
    nearest = np.abs(pixels - seen).max(axis=(2, 3)).min(axis=0)
    np.testing.assert_allclose(nearest, 0, atol=1e-9)


def test_unknown_keypoints_stay_unknown():
    poses = POSES.copy()
    poses[:, 7] = np.nan
    view = viewer()(poses, np.random.default_rng(0))
    assert (view.keypoints[:, 7] == 0).all()
    assert np.isnan(view.target[:, 7]).all()
    assert np.isfinite(view.target[:, :7]).all()
    assert (noisy(view.keypoints, Noise(), np.random.default_rng(0))[:, 7] == 0).all()


def test_noise_has_its_spread_and_share_of_missing_keypoints():
    view = viewer()(made_poses(4000), np.random.default_rng(0))
    same = noisy(view.keypoints, Noise(spread=0, outliers=0, missing=0), np.random.default_rng(0))
    np.testing.assert_allclose(same, view.keypoints)
    moved = noisy(view.keypoints, Noise(spread=0.1, outliers=0, missing=0.5), np.random.default_rng(0))
    known = moved[..., 2] > 0
    assert 1 - known.mean() == pytest.approx(0.25, abs=0.01)
    points = view.keypoints[..., :2]
    size = np.sqrt(((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=-1).mean(axis=1))
    error = ((moved[..., :2] - points) / size[:, None, None])[known]
    assert error.std() == pytest.approx(0.1 * np.sqrt(4 / 3), rel=0.03)  # of a deviation from 0 to 0.2


def test_limbs_keep_their_directions_and_both_sides_are_alike():
    scaled = with_lengths(POSES, SKELETON, 0.2, np.random.default_rng(0))
    factors = []
    for a, b in BONES:
        before, after = POSES[:, b] - POSES[:, a], scaled[:, b] - scaled[:, a]
        factor = np.linalg.norm(after, axis=1) / np.linalg.norm(before, axis=1)
        np.testing.assert_allclose(after, factor[:, None] * before, atol=1e-12)
        factors.append(factor)
    np.testing.assert_allclose(factors[0], factors[1])
    np.testing.assert_allclose(factors[5], factors[6])
    assert np.std(factors[4]) == pytest.approx(0.2, abs=0.03)


def test_the_tree_reaches_every_joint_once():
    pairs = spanning_tree(SKELETON)
    assert sorted(child for child, _ in pairs) == list(range(1, 8))
    reached = {0}
    for child, parent in pairs:
        assert parent in reached
        reached.add(child)
    assert spanning_tree(Skeleton("loose", ("a", "b", "c"), ((0, 1),))) == [(1, 0)]


def test_parts_are_missing_together():
    view = viewer()(made_poses(4000), np.random.default_rng(0))
    hidden = without_parts(view.keypoints, [[3, 4], [6]], 0.2, np.random.default_rng(0))
    known = hidden[..., 2] > 0
    np.testing.assert_array_equal(known[:, 3], known[:, 4])
    assert known[:, [0, 1, 2, 5, 7]].all()
    assert 1 - known[:, [3, 6]].mean(axis=0) == pytest.approx([0.2, 0.2], abs=0.02)
    assert (known[:, 3] | known[:, 6]).mean() == pytest.approx(0.96, abs=0.02)  # each is drawn by itself
    np.testing.assert_array_equal(hidden[known], view.keypoints[known])


def test_chains_hang_from_joints_with_three_limbs():
    assert chains(SKELETON) == [(0, [1, 3]), (0, [2, 4]), (5, [6]), (5, [7])]
    coco = load_skeleton("coco17")
    named = {coco.joints[joint]: [coco.joints[each] for each in chain] for joint, chain in chains(coco)}
    assert named["left_shoulder"] == ["left_elbow", "left_wrist"]
    assert named["right_hip"] == ["right_knee", "right_ankle"]
    assert chains(Skeleton("line", ("a", "b", "c"), ((0, 1), (1, 2)))) == []


def test_mixed_poses_have_limbs_of_the_others():
    others = made_poses(200, seed=5)
    whole = mixed(POSES, others, SKELETON, 0.999, np.random.default_rng(0))
    for pose, other in ((POSES, whole), (others, others)):
        for a, b in BONES:
            lengths = [np.linalg.norm(each[:, a] - each[:, b], axis=1) for each in (pose, other)]
            np.testing.assert_allclose(*lengths, atol=1e-9)  # both have one body
    np.testing.assert_array_equal(whole[:, [0, 5]], POSES[:, [0, 5]])
    assert (np.abs(whole[:, 3] - POSES[:, 3]).max(axis=1) > 1e-3).mean() > 0.9
    np.testing.assert_array_equal(mixed(POSES, others, SKELETON, 0.0, np.random.default_rng(0)), POSES)


def test_a_limb_is_turned_with_its_pose():
    """Of a pose and itself, turned about the vertical, the mixture is the pose."""
    turned = POSES[:1] @ rotation_matrix([0, 0, 1.0]).T + np.array([3.0, 2.0, 0.5])
    found = mixed(POSES[:1], turned, SKELETON, 0.999, np.random.default_rng(0))
    np.testing.assert_allclose(found, POSES[:1], atol=1e-9)
