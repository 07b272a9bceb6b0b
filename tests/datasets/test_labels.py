from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats.instances import Instance, ListedImage, collect
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton

SKELETON = Skeleton("animal", ("nose", "tail"))


def instance(name: Path, category: int = 0) -> Instance:
    return Instance(str(name), np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros(2, bool), category=category)


def test_labels_keep_the_splits_of_their_images(tmp_path: Path) -> None:
    images = {tmp_path / f"{name}.png": name for name in ("val", "train", "extra")}
    for path in images:
        path.touch()
    listed = [ListedImage(str(path), (8, 8), split=None if name == "extra" else name) for path, name in images.items()]
    labels = collect(map(instance, images), SKELETON, tmp_path / "labels", None, listed)
    assert labels.splits == ("train", "val")
    (image,) = labels.of_split("val")
    assert image.path.name == "val.png"
    assert not labels.of_split("test").images


def test_labels_keep_the_classes_of_their_instances(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    listed = [ListedImage(str(path), (8, 8))]
    both = [instance(path), instance(path, category=1)]
    labels = collect(both, SKELETON, tmp_path / "labels", None, listed, classes=("cat", "dog"))
    (image,) = labels.mapped(Skeleton("tail", ("tail",)))
    assert labels.classes == ("cat", "dog")
    assert image.annotation.classes is not None
    assert image.annotation.classes.tolist() == [0, 1]
    assert image.annotation[1:].classes == 1
    one = collect(both, SKELETON, tmp_path / "labels", None, listed, classes=("cat",))
    assert one.classes == ()
    assert one.images[0].annotation.classes is None


def test_one_class_is_selected_and_all_images_stay(tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        path.touch()
    listed = [ListedImage(str(path), (8, 8)) for path in paths]
    instances = [instance(paths[0]), instance(paths[0], 1), instance(paths[1], 1)]
    labels = collect(instances, SKELETON, tmp_path / "labels", None, listed, classes=("cat", "dog"))
    cats = labels.of_class("cat")
    assert [len(image.annotation) for image in cats] == [1, 0]
    assert cats.classes == ()
    with pytest.raises(LabelError, match="no category 'cow': expected one of cat, dog"):
        labels.of_class("cow")
