import numpy as np
import pytest

from cairn.datasets.motion_capture import read_motion_capture
from cairn.errors import LabelError
from support.made_motion import JOINTS, made_poses, write_motion


def test_recordings_come_one_by_one(tmp_path):
    recordings = read_motion_capture(write_motion(tmp_path / "walk.npz", fps=50.0))
    assert [len(each) for each in recordings] == [60, 60, 60]
    np.testing.assert_allclose(recordings[1].keypoints[:, 0], made_poses(180)[60:120])
    first = recordings[0]
    assert (first.rate, first.skeleton.name, first.skeleton.joints) == (50, "walk", JOINTS)
    assert first.skeleton.flip_pairs == ((1, 2), (3, 4), (6, 7))


@pytest.mark.parametrize(
    ("up", "axes"), [("+y", lambda p: p[..., [1, 2, 0]]), ("-y", lambda p: p[..., [1, 2, 0]] * [1, -1, -1])]
)
def test_z_points_up_and_meters_are_the_unit(tmp_path, up, axes):
    poses = made_poses(180)
    path = write_motion(tmp_path / "walk.npz", xyz=1000 * axes(poses), up=up, units="mm")
    np.testing.assert_allclose(read_motion_capture(path)[0].keypoints[:, 0], poses[:60], atol=1e-12)


def test_missing_keypoints_are_unknown(tmp_path):
    poses = made_poses(180)
    poses[3, 2] = np.nan
    recording = read_motion_capture(write_motion(tmp_path / "walk.npz", xyz=poses))[0]
    assert not recording.known[3, 0, 2]
    assert recording.known.sum() == recording.known.size - 1
    assert recording.confidence[3, 0, 2] == 0


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"xyz": None}, "no array 'xyz'"),
        ({"joint_names": None}, "no array 'joint_names'"),
        ({"xyz": np.zeros((180, 7, 3))}, r"expected xyz of shape \(F, 8, 3\), got float64 \(180, 7, 3\)"),
        ({"xyz": np.full((180, 8, 3), "a")}, "expected xyz of shape"),
        ({"seq_len": np.array([10, 20])}, "add up to 30, but xyz has 180"),
        ({"seq_len": np.array([190, -10])}, "seq_len"),
        ({"units": "inch"}, "expected units of m, cm, mm"),
        ({"up": "w"}, "up of"),
        ({"bones": np.array([[0, 9]])}, "bones"),
        ({"fps": 0.0}, "rate"),
    ],
)
def test_arrays_that_contradict_one_another_are_refused(tmp_path, arrays, message):
    with pytest.raises(LabelError, match=message):
        read_motion_capture(write_motion(tmp_path / "walk.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "walk.npz"
    path.write_bytes(content)
    with pytest.raises(LabelError, match=r"neither poses3d\.json nor an \.npz file"):
        read_motion_capture(path)
    with pytest.raises(LabelError, match="no file"):
        read_motion_capture(tmp_path / "absent.npz")


def test_truncated_and_pickled_files_are_refused(tmp_path):
    path = write_motion(tmp_path / "walk.npz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(LabelError, match=r"neither poses3d\.json nor an \.npz file"):
        read_motion_capture(path)
    np.savez(path, xyz=np.array([object()]), joint_names=np.array(JOINTS))
    with pytest.raises(LabelError, match=r"neither poses3d\.json nor an \.npz file"):
        read_motion_capture(path)
