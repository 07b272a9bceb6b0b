"""Laws of the choice: by the labels and the machine alone, and never over what was said by hand."""

import math
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
    MINUTES,
    STARTED_EPOCHS,
    STARTED_STEPS,
    Choice,
    LabelFacts,
    Machine,
    Pace,
    choose_length,
    choose_shared,
    measure_labels,
    started_epochs,
)
from cairn.training.recipe import check_recipe

STICK = Skeleton("stick", ("left_end", "right_end"), ((0, 1),), flip_pairs=((0, 1),))
LAPTOP = Machine(cores=2, memory=8000)

facts_of = st.builds(
    LabelFacts,
    images=st.integers(1, 10**6),
    objects=st.integers(1, 10**6),
    most=st.integers(1, 50),
    joints=st.integers(1, 200),
    limbs=st.integers(0, 200),
    pairs=st.integers(0, 100),
    image=st.floats(16, 20000),
    side=st.floats(1, 20000),
    large=st.floats(1, 20000),
    aligned=st.floats(0, 1),
)
machines = st.builds(
    Machine, cores=st.integers(1, 256), memory=st.integers(100, 10**6), gpu=st.none() | st.integers(1000, 10**6)
)
SOME = LabelFacts(
    images=200, objects=300, most=2, joints=4, limbs=3, pairs=1, image=400, side=100, large=120, aligned=0.9
)


def sticks(angles, length=50.0, per_image=1):
    """Labels of sticks that point one way each, so many in each image."""
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
def test_whatever_is_chosen_makes_a_recipe(facts, machine):
    for choose, kind in ((openpose.choose, OpenPoseRecipe), (hourglass.choose, HourglassRecipe)):
        choice = choose(facts, machine)
        check_recipe(kind, choice.tables)
        chosen = set()
        for key, value in choice.tables.items():
            chosen |= {f"{key}.{name}" for name in value} if isinstance(value, dict) else {key}
        assert set(choice.reasons) == chosen  # nothing is chosen in silence


@given(st.integers(1, 10**6), st.integers(1, 10**5), st.floats(1e-5, 10), st.floats(1e-5, 10))
def test_a_run_takes_its_time_unless_that_is_too_short_or_too_long_to_learn(samples, validated, sample, validation):
    run = choose_length(samples, validated, Pace(sample, validation)).tables["run"]
    epochs, every = run["epochs"], run["validate_every"]
    assert EPOCHS[0] <= epochs <= EPOCHS[1]
    assert 1 <= math.ceil(epochs / every) <= 20
    if epochs > EPOCHS[0]:
        assert epochs * samples * sample + 20 * validated * validation <= 60 * MINUTES * 1.001
    if epochs < EPOCHS[1]:
        assert (epochs + 1) * samples * sample + 20 * validated * validation > 60 * MINUTES * 0.999


def test_labels_are_measured_as_they_were_made():
    facts = measure_labels(sticks([0.0] * 6, length=50, per_image=3))
    assert (facts.images, facts.objects, facts.most, facts.joints, facts.pairs) == (2, 6, 3, 2, 1)
    assert facts.image == 300
    assert facts.side == facts.large == pytest.approx(52)


def test_objects_that_lie_any_way_round_are_turned_any_way_round():
    around = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    some, upright = measure_labels(sticks(around)), measure_labels(sticks(np.linspace(-0.3, 0.3, 12)))
    assert some.aligned == pytest.approx(0, abs=1e-6)
    assert upright.aligned == pytest.approx(np.cos(np.linspace(-0.3, 0.3, 12)).mean(), abs=1e-6)
    assert choose_shared(some, LAPTOP).tables["augmentation"]["rotation"] == 180
    assert "augmentation" not in choose_shared(upright, LAPTOP).tables


def test_joints_without_left_and_right_are_not_mirrored():
    assert choose_shared(replace(SOME, pairs=0), LAPTOP).tables["augmentation"]["flip"] == 0
    assert "augmentation" not in choose_shared(SOME, LAPTOP).tables


def test_small_objects_are_shown_larger_as_far_as_the_machine_allows():
    for choose, name in ((openpose.choose, "inference_size"), (hourglass.choose, "size")):
        sides = [choose(replace(SOME, side=side, large=side), LAPTOP).tables["input"][name] for side in (300, 80, 10)]
        assert sides == sorted(sides)
        assert sides[0] < sides[-1]
        gpu = replace(LAPTOP, gpu=80000)
        assert choose(replace(SOME, side=10, large=10), gpu).tables["input"][name] > sides[-1]


def test_what_is_said_by_hand_counts_and_needs_no_reason():
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


def test_weights_that_have_learned_before_need_fewer_epochs():
    least, most = STARTED_EPOCHS
    assert least < EPOCHS[0]
    assert most < EPOCHS[1]
    assert choose_length(1000, 10, Pace(1.0, 0.01)).tables["run"]["epochs"] == EPOCHS[0]
    for pace, epochs in ((Pace(1.0, 0.01), least), (Pace(1e-4, 0.01), most)):
        choice = choose_length(1000, 10, pace, epochs=started_epochs(1000, 8))
        assert choice.tables["run"]["epochs"] == epochs
        assert "epochs learn little" in choice.reasons["run.epochs"]
    between = Pace(0.03, 0.01)
    assert choose_length(1000, 10, between, epochs=started_epochs(1000, 8)) == choose_length(1000, 10, between)


@given(st.integers(1, 10**6), st.integers(1, 512))
def test_a_handful_of_images_is_seen_often_enough_to_be_learned(samples, batch):
    least, most = started_epochs(samples, batch)
    steps = most * math.ceil(samples / batch)
    assert least < most <= EPOCHS[1]
    assert steps >= min(STARTED_STEPS, EPOCHS[1] * math.ceil(samples / batch))
    assert most == STARTED_EPOCHS[1] or steps < STARTED_STEPS + math.ceil(samples / batch)
