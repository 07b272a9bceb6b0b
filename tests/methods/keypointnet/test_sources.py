"""Where views come from: label files, objects of one name, and turntables."""

import json
import shutil

import numpy as np
import pytest

from cairn.errors import CameraError, ImageError, LabelError
from cairn.methods.keypointnet.pairs import read_data
from cairn.methods.keypointnet.recipe import Data, Recipe, ViewSource
from cairn.methods.keypointnet.sources import cameras_of, objects_of, turntable
from cairn.methods.keypointnet.views import read_views
from support.made_views import ring, write_views


def coco(names, path, size=(32, 32)):
    """Writes a COCO file of images alone."""
    height, width = size
    images = [{"id": i, "file_name": name, "width": width, "height": height} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


def names(objects, views=8):
    return [f"object-{i}/{camera.name}.png" for i in range(objects) for camera in list(ring())[:views]]


def test_labels_of_all_images_are_the_folder(tmp_path):
    folder = write_views(tmp_path / "views")
    labels = coco(names(3)[::-1], tmp_path / "labels.json")
    found = read_views([ViewSource(path=labels, images=folder)], Data(), 32)
    expected = read_views([ViewSource(path=folder)], Data(), 32)
    assert found.names == expected.names
    for name in ("images", "masks", "objects", "rotations", "translations", "intrinsics"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_labels_choose_views_and_cameras_lie_where_the_user_says(tmp_path):
    folder = write_views(tmp_path / "views")
    labels = coco([*names(1), "object-2/v03.png", "object-2/v05.png"], folder / "labels.json")
    beside = objects_of(ViewSource(path=labels), Data())
    assert [(each.folder.name, [path.stem for path in each.paths]) for each in beside] == [
        ("object-0", [camera.name for camera in ring()]),
        ("object-2", ["v03", "v05"]),
    ]
    assert beside[1].rig.names == ("v03", "v05")
    shutil.move(folder / "cameras.toml", tmp_path / "rig.toml")
    with pytest.raises(CameraError, match=r"no cameras for the views in .*object-0: give --cameras FILE"):
        objects_of(ViewSource(path=labels), Data())
    given = objects_of(ViewSource(path=labels, cameras=tmp_path / "rig.toml"), Data())
    np.testing.assert_allclose(given[1].rig["v05"].rotation, ring()["v05"].rotation, atol=1e-9)
    data = Data(train=(ViewSource(path=labels, cameras=tmp_path / "rig.toml"),))
    assert len(cameras_of(data)) == 10
    assert cameras_of(data)[(folder / "object-2" / "v03.png").resolve()].name == "v03"


def test_labels_of_one_folder_are_one_object_and_of_a_turntable_need_all_views(tmp_path):
    folder = write_views(tmp_path / "views", 1)
    labels = coco([camera.name + ".png" for camera in ring()], tmp_path / "labels.json")
    source = ViewSource(path=labels, images=folder / "object-0", cameras=folder / "cameras.toml")
    assert [(each.folder.name, len(each.paths)) for each in objects_of(source, Data())] == [("object-0", 8)]
    few = coco(names(1, 6), tmp_path / "few.json")
    with pytest.raises(CameraError, match="object-0 has 6 images: expected 8 views of a turntable"):
        objects_of(ViewSource(path=few, images=folder), Data(turntable=8))


def test_labels_that_cannot_be_used(tmp_path):
    folder = write_views(tmp_path / "views")
    (folder / "object-0" / "v07.png").rename(folder / "object-0" / "w00.png")
    missing = coco(["object-0/v00.png", "object-0/w00.png"], tmp_path / "missing.json")
    with pytest.raises(CameraError, match=r"has no camera 'w00' for .*object-0/w00.png"):
        objects_of(ViewSource(path=missing, images=folder), Data())
    gone = coco(names(4, 7), tmp_path / "gone.json")
    with pytest.raises(LabelError, match=r"7 names are ambiguous, the first is image 21, object-3/v00\.png"):
        objects_of(ViewSource(path=gone, images=folder), Data())
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(LabelError, match=r"bad\.json"):
        objects_of(ViewSource(path=tmp_path / "bad.json"), Data())
    with pytest.raises(ImageError, match="no folder of views, and no label file, at"):
        objects_of(ViewSource(path=tmp_path / "none.json"), Data())


def test_objects_of_one_name_in_two_folders_are_two(tmp_path):
    folders = [write_views(tmp_path / name, 2) for name in ("monday", "friday")]
    for folder, other in zip(folders, ("object-1", "object-0"), strict=True):
        shutil.rmtree(folder / other)
    (folders[1] / "object-1").rename(folders[1] / "object-0")
    views = read_views([ViewSource(path=folder) for folder in folders], Data(), 32)
    assert views.names == ("monday/object-0", "friday/object-0")
    assert [len(views.of([name])) for name in views.names] == [8, 8]


def test_held_out_folders_are_measured_in_the_unit_of_the_training_views(tmp_path):
    train, val = write_views(tmp_path / "train", 1), write_views(tmp_path / "val", 3)
    shutil.rmtree(val / "object-0")  # leaves larger objects
    data = {"train": [{"path": train}], "val": [{"path": val}]}
    pairs = read_data(Recipe.model_validate({"data": data, "input": {"size": 32}}))
    assert pairs.val.radius == pairs.train.radius
    np.testing.assert_allclose(np.linalg.norm(pairs.val.translations, axis=1) * pairs.train.radius, 4.5, atol=0.1)


def test_a_turntable_looks_at_the_origin():
    rig = turntable([f"{i}" for i in range(8)], (40, 60), Data(elevation=30))
    np.testing.assert_allclose(rig.project([0, 0, 0]), [[29.5, 19.5]] * 8, atol=1e-9)
    np.testing.assert_allclose([camera.center[2] for camera in rig], 4 * np.sin(np.radians(30)))
