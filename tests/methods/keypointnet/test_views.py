"""Views in object units: places of objects, pairs, turntables, and cameras that cannot be used."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from cairn.errors import CairnError, CameraError, ImageError
from cairn.methods.keypointnet.recipe import Data, ViewSource
from cairn.methods.keypointnet.views import read_views
from cairn.multiview.cameras import write_cameras
from cairn.structures.camera import Camera, Rig, rotation_matrix
from support.made_views import rendered, ring, write_views


def read(folder, size=32, **data):
    return read_views([ViewSource(path=folder)], Data(**data), size)


def changed(folder, change):
    """Writes cameras that `change` made of those of a ring."""
    write_cameras(Rig(tuple(change(camera) for camera in ring())), folder / "cameras.toml")
    return folder


def test_places_of_the_world_are_where_the_object_is_in_the_image(tmp_path):
    views = read(write_views(tmp_path / "views"))
    assert (len(views), views.names) == (24, ("object-0", "object-1", "object-2"))
    assert views.center == pytest.approx([0, 0, 0], abs=0.15)  # where the outlines have their middle
    point = np.array([0.3, -0.5, 0.45])
    for row, camera in enumerate(ring()):
        seen = views.rotations[row] @ (point - views.center) / views.radius + views.translations[row]
        fx, fy, cx, cy = views.intrinsics[row]
        uv = fx * seen[0] / seen[2] + cx, fy * seen[1] / seen[2] + cy
        assert ((np.array(uv) + 1) * 32 - 1) / 2 == pytest.approx(camera.project(point), abs=1e-6)


def test_the_world_may_be_anywhere_and_of_any_unit(tmp_path):
    first = read(write_views(tmp_path / "a"))
    rig = ring()
    moved = [replace(c, translation=1000 * (c.translation - c.rotation @ [3.0, -2.0, 5.0])) for c in rig]
    write_views(tmp_path / "b")
    write_cameras(Rig(tuple(moved)), tmp_path / "b" / "cameras.toml")
    second = read(tmp_path / "b")
    np.testing.assert_allclose(second.translations, first.translations, atol=1e-6)
    assert second.radius == pytest.approx(1000 * first.radius)


def test_another_unit_leaves_the_images_of_the_world(tmp_path):
    views = read(write_views(tmp_path / "views"))
    other = views.in_unit(2.5 * views.radius)
    np.testing.assert_allclose(other.translations * other.radius, views.translations * views.radius)
    assert other.radius == pytest.approx(2.5 * views.radius)


@pytest.mark.parametrize("shape", [(32, 48), (48, 32)])
def test_images_that_are_not_square(tmp_path, shape):
    matrix = np.array([[50, 0, (shape[1] - 1) / 2], [0, 50, (shape[0] - 1) / 2], [0, 0, 1]])
    rig = Rig(tuple(replace(camera, matrix=matrix, size=shape) for camera in ring()))
    views = read(write_views(tmp_path / "views", rig=rig), size=64)
    expected = cv2.resize(rendered(rig[0])[..., 3], None, fx=64 / 48, fy=64 / 48) > 127
    top, left = (64 - expected.shape[0]) // 2, (64 - expected.shape[1]) // 2
    inner = views.masks[0, top : top + expected.shape[0], left : left + expected.shape[1]]
    assert (inner == expected).mean() > 0.98
    assert views.masks[0].sum() == inner.sum()


def test_crops_whose_optical_axis_is_outside(tmp_path):
    turn = rotation_matrix([0, np.radians(25), 0])
    rig = []
    for camera in ring():
        x, y, z = turn @ camera.translation
        matrix = camera.matrix.copy()
        matrix[0, 2] -= matrix[0, 0] * x / z
        rig.append(replace(camera, rotation=turn @ camera.rotation, translation=np.array([x, y, z]), matrix=matrix))
    assert matrix[0, 2] < 0
    views = read(write_views(tmp_path / "views", rig=Rig(tuple(rig))))
    assert views.center == pytest.approx([0, 0, 0], abs=0.15)
    assert np.linalg.norm(views.translations, axis=1) * views.radius == pytest.approx(4.5, abs=0.15)
    write_cameras(Rig(tuple(replace(camera, size=None) for camera in rig)), tmp_path / "views" / "cameras.toml")
    with pytest.raises(CameraError, match=r"camera v00 is at \(-9, 16\) px, outside of .* if the images are crops"):
        read(tmp_path / "views")


def test_pairs_are_of_one_object_within_the_angles(tmp_path):
    views = read(write_views(tmp_path / "views"))
    pairs = views.pairs((5, 50))
    directions = views.rotations[:, 2]
    angles = np.degrees(np.arccos(np.clip((directions[pairs[:, 0]] * directions[pairs[:, 1]]).sum(axis=1), -1, 1)))
    assert (views.objects[pairs[:, 0]] == views.objects[pairs[:, 1]]).all()
    assert angles.min() > 5
    assert angles.max() < 50
    assert len(pairs) == 3 * 8 * 2  # both neighbors, 45 degrees away along the ring
    assert views.of(["object-2"]).pairs((5, 50)).max() < 8


def test_one_object_and_its_own_cameras(tmp_path):
    folder = write_views(tmp_path / "views", 1)
    shutil.move(folder / "cameras.toml", folder / "object-0" / "cameras.toml")
    assert len(read(folder)) == len(read(folder / "object-0")) == 8


def test_a_turntable_needs_no_cameras(tmp_path):
    folder = write_views(tmp_path / "views", rig=ring(12))
    (folder / "cameras.toml").unlink()
    data = {"turntable": 12, "elevation": 25.0, "field_of_view": np.degrees(2 * np.arctan(1 / 3.3))}
    views = read(folder, **data)
    relative = views.rotations[1] @ views.rotations[0].T
    expected = ring(12)[1].rotation @ ring(12)[0].rotation.T
    np.testing.assert_allclose(relative, expected, atol=1e-9)
    with pytest.raises(CameraError, match="has 12 images: expected 36 views of a turntable"):
        read(folder, turntable=36)


def test_a_turntable_that_turns_the_other_way_is_noticed(tmp_path):
    folder = write_views(tmp_path / "views", rig=ring(12))
    (folder / "cameras.toml").unlink()
    for own in folder.glob("object-*"):
        files = sorted(own.glob("*.png"))
        for path in files:
            path.rename(path.with_suffix(".tmp"))
        for path, other in zip(files, reversed(files), strict=True):
            path.with_suffix(".tmp").rename(other)
    with pytest.raises(CameraError, match=r"mirrored.* check the direction of the turntable"):
        read(folder, turntable=12, elevation=25.0, field_of_view=33.7)


def away(camera: Camera):
    flip = np.diag([1.0, -1, -1])  # y up and z backward, as in OpenGL
    return replace(camera, rotation=flip @ camera.rotation, translation=flip @ camera.translation)


def mirrored(camera: Camera):
    flip = np.diag([-1.0, 1, 1])
    return replace(camera, rotation=flip @ camera.rotation @ flip, translation=flip @ camera.translation)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (away, "24 cameras of 24 look away .* z forward"),
        (mirrored, "the cameras are mirrored"),
        (lambda c: replace(c, size=(64, 64)), "object-0/v00.png is 32x32, but camera v00 was calibrated for 64x64"),
        (lambda c: replace(c, matrix=c.matrix * [[9], [9], [1]], size=None), "another image size"),
        (lambda c: replace(c, name=f"cam{c.name}"), "has no camera 'v00' for .*object-0/v00.png; it has camv00, "),
    ],
)
def test_cameras_that_cannot_be_used(tmp_path, change, message):
    with pytest.raises(CameraError, match=message):
        read(changed(write_views(tmp_path / "views"), change))


def test_masks_that_no_object_has(tmp_path):
    folder = write_views(tmp_path / "views", 1)
    for number, path in enumerate(sorted((folder / "object-0").glob("*.png"))):
        image = np.zeros((32, 32, 4), np.uint8)
        image[10:14, 4 + 3 * number : 7 + 3 * number] = 255
        cv2.imwrite(str(path), image)
    with pytest.raises(CameraError, match="the masks do not agree with the cameras: no solid object"):
        read(folder)


def test_the_same_object_twice(tmp_path):
    folder = write_views(tmp_path / "views")
    shutil.rmtree(folder / "object-2")
    shutil.copytree(folder / "object-0", folder / "object-2")
    with pytest.raises(ImageError, match=r"object-0 and .*object-2 have the same images: give each object once"):
        read(folder)


def test_two_cameras_at_one_place(tmp_path):
    folder = write_views(tmp_path / "views")
    first = ring()["v00"]
    for far in (0, 1000):  # also in a world whose origin is far away
        moved = changed(folder, lambda c, t=far: shifted(replace(first, name=c.name) if c.name == "v05" else c, t))
        with pytest.raises(CameraError, match=r"cameras v00 and v05 of the views in .*object-0 are at one place"):
            read(moved)


def shifted(camera, distance):
    return replace(camera, translation=camera.translation - camera.rotation @ [0, distance, 0])


def test_views_that_look_the_same_are_named(tmp_path, caplog):
    folder = write_views(tmp_path / "views")
    image = cv2.imread(str(folder / "object-1" / "v01.png"), cv2.IMREAD_UNCHANGED).astype(int)
    image[..., :3] += np.random.default_rng(0).integers(-1, 2, image[..., :3].shape)
    read(folder)
    assert "look the same" not in caplog.text
    cv2.imwrite(str(folder / "object-1" / "v05.png"), np.clip(image, 0, 255).astype(np.uint8))
    read(folder)
    assert "object-1/v01.png" in caplog.text
    assert "object-1/v05.png look the same, and their cameras differ" in caplog.text


def test_the_same_image_twice(tmp_path):
    folder = write_views(tmp_path / "views")
    shutil.copy(folder / "object-1" / "v01.png", folder / "object-1" / "v05.png")
    with pytest.raises(ImageError, match=r"object-1/v01.png and .*object-1/v05.png are the same image"):
        read(folder)


def test_folders_without_views_or_cameras(tmp_path):
    with pytest.raises(ImageError, match="no folder of views, and no label file, at"):
        read(tmp_path / "none")
    with pytest.raises(ImageError, match="expected a subfolder for each object"):
        read(tmp_path)
    folder = write_views(tmp_path / "views")
    (folder / "cameras.toml").unlink()
    with pytest.raises(CairnError, match=r"no cameras for the views in .*--cameras FILE"):
        read(folder)
