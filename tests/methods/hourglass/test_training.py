"""Training data of an hourglass: labeled instances with a bounding box inside their image."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from cairn.errors import LabelError, RecipeError
from cairn.methods.hourglass import predictor
from cairn.methods.hourglass.training import Recipe, module, training_set
from cairn.structures.poses import Poses
from cairn.training.data.augmentation import NO_AUGMENTATION
from cairn.training.recipe import LabelSource
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels

SMALL = {"input": {"size": 64}, "network": {"features": 8}}


@pytest.fixture
def things(tmp_path):
    return made_labels(tmp_path, 3, people=2)


def with_box(labels, box):
    """The first instance of the second image has this bounding box."""
    first, second, *others = labels.images
    boxes = second.annotation.boxes.copy()
    boxes[0] = box
    return replace(labels, images=(first, replace(second, annotation=replace(second.annotation, boxes=boxes)), *others))


def samples_of(labels, **values):
    return training_set(Recipe(**SMALL, **values), THING, [(labels, LabelSource(labels="x"))])


def test_every_labeled_instance_is_a_sample_and_one_without_area_is_skipped_with_a_message(things, caplog):
    with caplog.at_level(logging.INFO, "cairn"):
        assert len(samples_of(things)) == 6
        assert not caplog.messages
        assert len(samples_of(with_box(things, (30, 30, 0, 20)))) == 5
    assert caplog.messages == ["1 labeled instances are skipped: their bounding boxes have no area"]


def test_a_bounding_box_outside_its_image_raises_label_error_before_training(things):
    outside = with_box(things, (500, 10, 20, 20))
    for refuse in (lambda: samples_of(outside), lambda: module(Recipe(**SMALL), THING, outside)):
        with pytest.raises(LabelError, match=r"1\.png: box 0 \(500, 10, 20, 20\) lies outside") as error:
            refuse()
        assert "\n" not in str(error.value)


def test_a_batch_of_one_crop_that_ends_in_one_cell_raises_recipe_error(things):
    with pytest.raises(RecipeError, match=r"increase run\.batch_size or input\.size"):
        samples_of(things, run={"batch_size": 1})
    assert len(samples_of(things, run={"batch_size": 2})) == 6


def test_a_joint_outside_the_crop_has_an_empty_heatmap_and_an_unlabeled_one_has_no_weight(things):
    image = things.images[0]
    keypoints, visibility = image.annotation.keypoints.copy(), image.annotation.visibility.copy()
    keypoints[0, 1], (keypoints[0, 2], visibility[0, 2]) = (5000, 5000), (np.nan, 0)
    changed = replace(image, annotation=replace(image.annotation, keypoints=keypoints, visibility=visibility))
    plain = {"rotation": 0, "scale": (1, 1), "shift": 0, "flip": 0}
    item = samples_of(replace(things, images=(changed,)), augmentation=plain)[0]
    assert item["weights"].tolist() == [1, 1, 0]
    assert [bool(each.any()) for each in item["heatmaps"]] == [True, False, False]


def test_training_on_whole_images_has_the_input_of_inference(tmp_path):
    labels = made_labels(tmp_path, 2)
    tables = {
        "task": "single_instance",
        "input": {"size": 64},
        "network": {"features": 8},
        "augmentation": NO_AUGMENTATION.model_dump(),
    }
    recipe = check_recipe(Recipe, tables)
    samples = training_set(recipe, labels.skeleton, [(labels, LabelSource(labels=tmp_path / "labels.json"))])
    inputs = []

    class Recorder:
        spec = module(recipe, labels.skeleton, labels).spec()

        def __call__(self, images):
            inputs.append(images[0])
            return {"heatmaps": samples[index]["heatmaps"][None]}

    for index, image in enumerate(labels):
        poses = predictor(Recorder())(image.path)
        assert np.array_equal(inputs[index].astype(np.uint8), samples[index]["image"])
        assert np.abs(poses.keypoints - image.annotation.keypoints).max() < 0.5


def test_several_instances_in_a_whole_image_raise_label_error(tmp_path):
    labels = made_labels(tmp_path, 2, people=2)
    recipe = check_recipe(Recipe, {"task": "single_instance"})
    with pytest.raises(LabelError, match="has 2 labeled instances, but task single_instance expects one"):
        training_set(recipe, labels.skeleton, [(labels, LabelSource(labels=tmp_path / "labels.json"))])


def test_the_monitor_prefers_the_smaller_error_at_equal_pck(tmp_path):
    labels = made_labels(tmp_path / "set", 4)
    trained = module(check_recipe(Recipe, {"task": "single_instance", "network": {"features": 8}}), THING, labels)

    def metrics(pixels):
        detected = [Poses(p.annotation.keypoints + pixels, np.ones((1, 3)), np.ones(1), THING) for p in labels]
        return trained.measure([replace(poses, keypoints=poses.keypoints.astype(np.float32)) for poses in detected])

    near, nearer = metrics(0.7), metrics(0.1)
    assert near["PCK"] == nearer["PCK"] == 100
    assert near[trained.monitor] < nearer[trained.monitor]
