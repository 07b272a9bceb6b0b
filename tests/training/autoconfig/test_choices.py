"""Selected values follow from the labels and the machine, have reasons, and never replace values of the user."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cairn.methods.hourglass.autoconfig as hourglass
import cairn.methods.openpose.autoconfig as openpose
from cairn.datasets.labels import LabeledImage, Labels
from cairn.methods.hourglass.training import Recipe as HourglassRecipe
from cairn.methods.openpose.training import Recipe as OpenPoseRecipe
from cairn.structures.annotation import Annotation
from cairn.structures.skeleton import Skeleton
from cairn.training.autoconfig.choices import (
    EPOCHS,
    FINE_TUNE_EPOCHS,
    FINE_TUNE_STEPS,
    MINUTES,
    VALIDATIONS,
    Choice,
    LabelFacts,
    Machine,
    Pace,
    choose_length,
    choose_shared,
    fine_tune_epochs,
    measure_labels,
)
from cairn.training.recipe_tables import check_recipe

STICK = Skeleton("stick", ("left_end", "right_end"), ((0, 1),), flip_pairs=((0, 1),))
LAPTOP = Machine(cores=2, memory=8000)

facts_of = st.builds(
    LabelFacts,
    images=st.integers(1, 10**6),
    instances=st.integers(1, 10**6),
    max_instances=st.integers(1, 50),
    keypoints=st.integers(1, 200),
    limbs=st.integers(0, 200),
    flip_pairs=st.integers(0, 100),
    image_side=st.floats(16, 20000),
    instance_side=st.floats(1, 20000),
    large_instance_side=st.floats(1, 20000),
    alignment=st.floats(0, 1),
)
machines = st.builds(
    Machine, cores=st.integers(1, 256), memory=st.integers(100, 10**6), gpu=st.none() | st.integers(1000, 10**6)
)
SOME = LabelFacts(
    images=200,
    instances=300,
    max_instances=2,
    keypoints=4,
    limbs=3,
    flip_pairs=1,
    image_side=400,
    instance_side=100,
    large_instance_side=120,
    alignment=0.9,
)


def sticks(angles, length=50.0, per_image=1):
    """Labels of sticks with given orientations in radians, `per_image` in each image."""
    images = []
    for i in range(0, len(angles), per_image):
        turns = np.array(angles[i : i + per_image])
        ends = length / 2 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        keypoints = np.stack([100 - ends, 100 + ends], axis=1).astype(np.float32)
        low, high = keypoints.min(axis=1) - 1, keypoints.max(axis=1) + 1
        annotation = Annotation(
            keypoints,
            np.full(keypoints.shape[:2], 2, np.uint8),
            np.concatenate([low, high - low], axis=1),
            (high - low).prod(axis=1),
            np.zeros(len(keypoints), bool),
        )
        images.append(LabeledImage(i + 1, None, (200, 300), annotation))
    return Labels(STICK, tuple(images), np.ones(2, bool))


@given(facts_of, machines)
def test_selected_values_make_a_valid_recipe_and_have_reasons(facts, machine):
    for choose, kind in ((openpose.choose, OpenPoseRecipe), (hourglass.choose, HourglassRecipe)):
        choice = choose(facts, machine)
        check_recipe(kind, choice.tables)
        selected = set()
        for key, value in choice.tables.items():
            selected |= {f"{key}.{name}" for name in value} if isinstance(value, dict) else {key}
        assert set(choice.reasons) == selected


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.floats(1e-5, 10), st.floats(1e-5, 10))
def test_a_run_takes_the_target_time_within_its_minimum_and_maximum_of_epochs(samples, validated, sample, validation):
    run = choose_length(samples, validated, Pace(sample, validation)).tables["run"]
    epochs, every = run["epochs"], run["validate_every"]
    assert EPOCHS[0] <= epochs <= EPOCHS[1]
    assert 1 <= math.ceil(epochs / every) <= VALIDATIONS
    if epochs > EPOCHS[0]:
        assert epochs * samples * sample + VALIDATIONS * validated * validation <= 60 * MINUTES * 1.001
    if epochs < EPOCHS[1]:
        assert (epochs + 1) * samples * sample + VALIDATIONS * validated * validation > 60 * MINUTES * 0.999


def test_measured_facts_equal_those_of_the_generated_labels():
    facts = measure_labels(sticks([0.0] * 6, length=50, per_image=3))
    assert (facts.images, facts.instances, facts.max_instances, facts.keypoints, facts.flip_pairs) == (2, 6, 3, 2, 1)
    assert facts.image_side == 300
    assert facts.instance_side == facts.large_instance_side == pytest.approx(52)


def test_instances_of_all_orientations_are_rotated_to_all_orientations():
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    some, upright = measure_labels(sticks(around)), measure_labels(sticks(np.linspace(-0.3, 0.3, 12)))
    assert some.alignment == pytest.approx(0, abs=1e-6)
    assert upright.alignment == pytest.approx(np.cos(np.linspace(-0.3, 0.3, 12)).mean(), abs=1e-6)
    assert choose_shared(some, LAPTOP).tables["augmentation"]["rotation"] == 180
    assert "augmentation" not in choose_shared(upright, LAPTOP).tables


def test_small_inputs_of_instances_of_all_orientations_are_turned():
    turned = replace(SOME, alignment=0.1)
    assert hourglass.choose(replace(turned, instance_side=300), LAPTOP).tables["turns"]
    assert "turns" not in hourglass.choose(replace(turned, instance_side=30), LAPTOP).tables
    assert "turns" not in hourglass.choose(replace(SOME, instance_side=300), LAPTOP).tables


def test_skeletons_without_left_right_pairs_are_not_flipped():
    assert choose_shared(replace(SOME, flip_pairs=0), LAPTOP).tables["augmentation"]["flip"] == 0
    assert "augmentation" not in choose_shared(SOME, LAPTOP).tables


def test_small_instances_get_a_larger_input_up_to_the_limit_of_the_machine():
    for choose, name in ((openpose.choose, "inference_size"), (hourglass.choose, "size")):
        sides = [
            choose(replace(SOME, instance_side=side, large_instance_side=side), LAPTOP).tables["input"][name]
            for side in (300, 80, 10)
        ]
        assert sides == sorted(sides)
        assert sides[0] < sides[-1]
        gpu = replace(LAPTOP, gpu=80000)
        assert choose(replace(SOME, instance_side=10, large_instance_side=10), gpu).tables["input"][name] > sides[-1]


def test_few_images_of_one_small_instance_are_trained_at_the_resolution_of_a_gpu():
    tiny = replace(SOME, max_instances=1, instance_side=10)
    gpu = replace(LAPTOP, gpu=80000)
    few, many = (replace(tiny, images=hourglass.FEW_IMAGES + more) for more in (0, 1))
    sizes = [hourglass.choose(each, LAPTOP).tables["input"]["size"] for each in (few, many)]
    assert sizes == [hourglass.MAX_SIZE, hourglass.SLOW_MAX_SIZE]
    assert hourglass.choose(many, gpu).tables["input"]["size"] == hourglass.MAX_SIZE


@given(facts_of, machines)
def test_a_refiner_needs_no_higher_resolution_and_no_crop_beyond_the_image(facts, machine):
    alone, refined = (openpose.choose(facts, machine, refined).tables["input"] for refined in (False, True))
    check_recipe(OpenPoseRecipe, {"input": refined})
    assert refined["size"] <= max(refined["inference_size"], alone["size"])
    assert refined["size"] <= refined["inference_size"]
    assert refined["inference_size"] <= alone["inference_size"]


def test_values_of_the_user_win_and_have_no_reason():
    choice = (
        Choice()
        .with_value("method", "openpose", "a")
        .with_value("run.batch_size", 8, "b")
        .with_value("run.cache", 5, "c")
    )
    over = choice.under({"run": {"batch_size": 64}, "seed": 3})
    assert over.tables == {"method": "openpose", "seed": 3, "run": {"batch_size": 64, "cache": 5}}
    assert over.reasons == {"method": "a", "run.cache": "c"}
    assert choice.tables["run"]["batch_size"] == 8


def test_fine_tuning_takes_fewer_epochs():
    minimum, maximum = FINE_TUNE_EPOCHS
    assert minimum < EPOCHS[0]
    assert maximum < EPOCHS[1]
    assert choose_length(1000, 10, Pace(1.0, 0.01)).tables["run"]["epochs"] == EPOCHS[0]
    for pace, epochs in ((Pace(1.0, 0.01), minimum), (Pace(1e-4, 0.01), maximum)):
        choice = choose_length(1000, 10, pace, epochs=fine_tune_epochs(1000, 8))
        assert choice.tables["run"]["epochs"] == epochs
        assert re.search("epochs (train too|improve) little", choice.reasons["run.epochs"])
    between = Pace(0.03, 0.01)
    assert choose_length(1000, 10, between, epochs=fine_tune_epochs(1000, 8)) == choose_length(1000, 10, between)


@given(st.integers(1, 10**6), st.integers(1, 512))
def test_small_sets_are_fine_tuned_for_enough_steps(samples, batch):
    minimum, maximum = fine_tune_epochs(samples, batch)
    steps = maximum * math.ceil(samples / batch)
    assert minimum < maximum <= EPOCHS[1]
    assert steps >= min(FINE_TUNE_STEPS, EPOCHS[1] * math.ceil(samples / batch))
    assert maximum == FINE_TUNE_EPOCHS[1] or steps < FINE_TUNE_STEPS + math.ceil(samples / batch)
