import json

import numpy as np
import pytest

from cairn.errors import CloudError
from cairn.pointclouds.io.poses import read_pairs
from cairn.pointclouds.rigid import inverse
from support.clouds import random_motion

A, B = random_motion(1), random_motion(2)


def read(tmp_path, content):
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "pairs").write_text(text)
    return read_pairs(tmp_path / "pairs")


def test_pairs_with_their_transform_and_with_poses(tmp_path):
    (pair,) = read(tmp_path, {"pairs": [{"a": "a.ply", "b": "sub/b.ply", "transform": A.tolist()}]})
    assert (pair.first, pair.second) == (tmp_path / "a.ply", tmp_path / "sub/b.ply")
    np.testing.assert_allclose(pair.transform, A)
    poses = {"a": A.tolist(), "b": B.tolist(), "c": np.eye(4).tolist()}
    for content in ({"poses": poses}, {"poses": poses, "pairs": [["a", "b"], {"a": "a", "b": "c"}]}):
        pairs = read(tmp_path, content)
        np.testing.assert_allclose(pairs[0].transform, inverse(B) @ A)
        np.testing.assert_allclose(pairs[1].transform, A)


def test_quaternions_of_stanford_are_inverse(tmp_path):
    half = np.radians(15)
    text = f"camera 0 0 0 0 0 0 1\nbmesh a.ply 1 2 3 0 0 {2 * np.sin(half)} {2 * np.cos(half)}\n"
    text += "bmesh b.ply 0 0 0 0 0 0 1\n"
    (pair,) = read(tmp_path, text)
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    np.testing.assert_allclose(pair.transform[:3, :3], [[c, s, 0], [-s, c, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(pair.transform[:3, 3], [1, 2, 3])


MIRROR = np.diag([1.0, 1, -1, 1]).tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON with pairs"),
        ("[]", "expected {"),
        ({"pairs": []}, "it has none"),
        ({"pairs": [3]}, "expected pair 1"),
        ({"pairs": [{"a": "x"}]}, "expected pair 1"),
        ({"pairs": [["a", "b"]]}, "a has no pose"),
        ({"pairs": [{"a": "a", "b": "b", "transform": [[1]]}]}, "expected a rigid 4x4 matrix"),
        ({"pairs": [{"a": "a", "b": "b", "transform": (2 * np.eye(4)).tolist()}]}, "expected a rigid 4x4 matrix"),
        ({"pairs": [{"a": "a", "b": "b", "transform": MIRROR}]}, "mirroring"),
        ({"poses": [1]}, "expected poses as a mapping"),
        ("bmesh a.ply 1 2 3\n", "expected bmesh FILE"),
        ("bmesh a.ply 1 2 3 0 0 0 0\n", "expected bmesh FILE"),
    ],
)
def test_wrong_files_are_one_line(tmp_path, content, message):
    with pytest.raises(CloudError, match=message) as raised:
        read(tmp_path, content)
    assert "\n" not in str(raised.value)
