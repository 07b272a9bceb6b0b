import numpy as np
import pytest

from cairn.pointclouds.fpfh import fpfh
from cairn.pointclouds.normals import face_normals, oriented, pca_normals, with_normals
from cairn.structures.cloud import Cloud
from support.clouds import FACES, bumpy_sphere, random_motion

SPHERE = np.random.default_rng(0).normal(size=(1500, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)


def test_normals_of_a_sphere_point_outward():
    cloud = with_normals(Cloud(SPHERE + np.array([5, 0, 0])))
    assert np.einsum("ij,ij->i", cloud.normals, SPHERE).min() > 0.97


def test_a_scan_from_one_side_with_loose_pieces_faces_one_side():
    half = SPHERE[(SPHERE[:, 2] > 0.2) & (np.abs(SPHERE[:, 0]) > 0.15)]  # two pieces
    concave = half * [1, 1, -1]
    normals = with_normals(Cloud(concave)).normals
    assert abs(np.sign(normals[:, 2]).mean()) > 0.99


def test_normals_point_toward_a_viewpoint():
    view = np.array([0, 0, 9.0])
    normals = with_normals(Cloud(SPHERE), viewpoint=view).normals
    assert (np.einsum("ij,ij->i", normals, view - SPHERE) >= 0).all()


def test_signs_do_not_depend_on_the_given_ones():
    raw = pca_normals(SPHERE, 0.25)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], len(raw))
    np.testing.assert_allclose(oriented(SPHERE, raw), oriented(SPHERE, raw * signs[:, None]), atol=1e-12)


def test_normals_of_faces():
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [9, 9, 9.0]])
    np.testing.assert_allclose(face_normals(square, FACES), [[0, 0, 1]] * 4 + [[0, 0, 0]])
    own = Cloud(square, normals=np.tile([1.0, 0, 0], (5, 1)), faces=FACES)
    assert with_normals(own) is own


def test_features_do_not_change_with_the_motion_or_the_order():
    points = bumpy_sphere(800)
    normals = with_normals(Cloud(points)).normals
    features = fpfh(points, normals, 0.3)
    motion, order = random_motion(), np.random.default_rng(0).permutation(800)
    moved = fpfh((points @ motion[:3, :3].T + motion[:3, 3])[order], (normals @ motion[:3, :3].T)[order], 0.3)
    same = np.abs(moved - features[order]).max(axis=1) < 1e-6
    assert same.mean() > 0.97  # a value at the border of two bins may change its bin by rounding
    np.testing.assert_allclose(features.reshape(800, 3, 11).sum(axis=2), 100)
    np.testing.assert_allclose(fpfh(1000 * points, normals, 300), features, atol=1e-6)


def test_features_distinguish_a_plane_from_a_sphere():
    plane = np.column_stack([np.random.default_rng(0).uniform(-1, 1, (600, 2)), np.zeros(600)])
    flat = fpfh(plane, np.tile([0, 0, 1.0], (600, 1)), 0.3)
    assert flat[:, 5].min() == pytest.approx(100)  # alpha is 0: all in the middle bin
    assert np.abs(flat.mean(axis=0) - fpfh(SPHERE, SPHERE, 0.3).mean(axis=0)).sum() > 50
