"""What an hourglass learns from: labeled objects with a box inside their image, and nothing else."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import LabelError, RecipeError
from cairn.methods.hourglass import predictor
from cairn.methods.hourglass.training import Recipe, module, training_set
from cairn.structures.poses import Poses
from cairn.training.data.augmentation import NO_AUGMENTATION
from cairn.training.recipe import LabelSource, check_recipe
from support.made_data import THING, made_labels

SMALL = {"input": {"size": 64}, "network": {"features": 8}}


@pytest.fixture
def things(tmp_path):
    return made_labels(tmp_path, 3, people=2)


def with_box(labels, box):
    """The first object of the second image has this box."""
    first, second, *others = labels.images
    boxes = second.annotation.boxes.copy()
    boxes[0] = box
    return replace(labels, images=(first, replace(second, annotation=replace(second.annotation, boxes=boxes)), *others))


def samples_of(labels, **values):
    return training_set(Recipe(**SMALL, **values), THING, [(labels, LabelSource(labels="x"))])


def test_every_labeled_object_is_a_sample_and_a_flat_one_is_said_to_be_none(things, caplog):
    with caplog.at_level(logging.INFO, "cairn"):
        assert len(samples_of(things)) == 6
        assert not caplog.messages
        assert len(samples_of(with_box(things, (30, 30, 0, 20)))) == 5
    assert caplog.messages == ["1 labeled instances are skipped: their bounding boxes have no area"]


def test_a_box_outside_its_image_is_one_line_before_anything_is_learned(things):
    outside = with_box(things, (500, 10, 20, 20))
    for refuse in (lambda: samples_of(outside), lambda: module(Recipe(**SMALL), THING, outside)):
        with pytest.raises(LabelError, match=r"1\.png: box 0 \(500, 10, 20, 20\) lies outside") as error:
            refuse()
        assert "\n" not in str(error.value)


def test_one_crop_that_ends_in_one_cell_is_refused(things):
    with pytest.raises(RecipeError, match=r"increase run\.batch_size or input\.size"):
        samples_of(things, run={"batch_size": 1})
    assert len(samples_of(things, run={"batch_size": 2})) == 6


def test_a_joint_outside_the_crop_has_an_empty_map_and_one_that_is_not_labeled_no_weight(things):
    image = things.images[0]
    keypoints, visibility = image.annotation.keypoints.copy(), image.annotation.visibility.copy()
    keypoints[0, 1], (keypoints[0, 2], visibility[0, 2]) = (5000, 5000), (np.nan, 0)
    changed = replace(image, annotation=replace(image.annotation, keypoints=keypoints, visibility=visibility))
    plain = {"rotation": 0, "scale": (1, 1), "shift": 0, "flip": 0}
    item = samples_of(replace(things, images=(changed,)), augmentation=plain)[0]
    assert item["weights"].tolist() == [1, 1, 0]
    assert [bool(each.any()) for each in item["heatmaps"]] == [True, False, False]


def test_a_whole_image_is_learned_as_it_is_shown_to_the_model(tmp_path):
    labels = made_labels(tmp_path, 2)
    tables = {
        "task": "single_instance",
        "input": {"size": 64},
        "network": {"features": 8},
        "augmentation": NO_AUGMENTATION.model_dump(),
    }
    recipe = check_recipe(Recipe, tables)
    samples = training_set(recipe, labels.skeleton, [(labels, LabelSource(labels=tmp_path / "labels.json"))])
    shown = []

    class Looking:
        spec = module(recipe, labels.skeleton, labels).spec()

        def __call__(self, images):
            shown.append(images[0])
            return {"heatmaps": samples[index]["heatmaps"][None]}

    for index, image in enumerate(labels):
        poses = predictor(Looking())(image.path)
        assert np.array_equal(shown[index].astype(np.uint8), samples[index]["image"])
        assert np.abs(poses.keypoints - image.annotation.keypoints).max() < 0.5


def test_whole_images_have_one_object(tmp_path):
    labels = made_labels(tmp_path, 2, people=2)
    recipe = check_recipe(Recipe, {"task": "single_instance"})
    with pytest.raises(LabelError, match="has 2 labeled instances, but task single_instance expects one"):
        training_set(recipe, labels.skeleton, [(labels, LabelSource(labels=tmp_path / "labels.json"))])


def test_of_two_that_have_every_joint_near_enough_the_nearer_is_the_better(tmp_path):
    labels = made_labels(tmp_path / "set", 4)
    learning = module(check_recipe(Recipe, {"task": "single_instance", "network": {"features": 8}}), THING, labels)

    def figures(pixels):
        found = [Poses(p.annotation.keypoints + pixels, np.ones((1, 3)), np.ones(1), THING) for p in labels]
        return learning.measure([replace(poses, keypoints=poses.keypoints.astype(np.float32)) for poses in found])

    near, nearer = figures(0.7), figures(0.1)
    assert near["PCK"] == nearer["PCK"] == 100
    assert near[learning.monitor] < nearer[learning.monitor]
