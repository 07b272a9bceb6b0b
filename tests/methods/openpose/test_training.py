"""Laws of targets and loss, against the paper's definitions written out."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.errors import RecipeError, SkeletonError
from cairn.methods.openpose import decode
from cairn.methods.openpose.model import Stages
from cairn.methods.openpose.training import (
    Encoder,
    LastStage,
    Loss,
    OpenPoseModule,
    Recipe,
    stage_losses,
    supervised_cells,
    training_set,
)
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import Affine, field_affine, field_to_image
from cairn.structures.skeleton import Skeleton
from cairn.training.data.augmentation import Augmentation, moved, random_view
from cairn.training.data.loading import Sample, stack
from cairn.training.recipe import LabelSource
from cairn.training.recipe_tables import check_recipe
from support.made_data import THING, made_labels

PLAIN = Augmentation(rotation=0, scale=(1, 1), shift=0, flip=0, color=0, gray=0)


def maps(rng, batch=2, joints=3, limbs=2, cells=6):
    shape = (batch, joints, cells, cells), (batch, 2 * limbs, cells, cells)
    return {
        "heatmaps": torch.tensor(rng.random(shape[0])),
        "pafs": torch.tensor(rng.normal(size=shape[1])),
        "mask": torch.tensor(rng.random((batch, cells, cells)) < 0.7),
        "known_joints": torch.tensor(rng.random((batch, joints)) < 0.7),
        "known_limbs": torch.tensor(np.repeat(rng.random((batch, limbs)) < 0.7, 2, axis=1)),
    }


def predictions(rng, stages=2, batch=2, joints=3, limbs=2, cells=6):
    return Stages(
        tuple(torch.tensor(rng.normal(size=(batch, joints, cells, cells)), requires_grad=True) for _ in range(stages)),
        tuple(torch.tensor(rng.normal(size=(batch, 2 * limbs, cells, cells))) for _ in range(stages)),
    )


def test_the_squared_loss_is_the_sum_of_equations_4_to_6():
    rng = np.random.default_rng(0)
    batch, stages = maps(rng), predictions(rng)
    losses = stage_losses(stages, batch, Loss(kind="squared", paf=3))
    for name, predicted, known, weight in (
        ("heatmaps", stages.heatmaps, "known_joints", 1),
        ("pafs", stages.pafs, "known_limbs", 3),
    ):
        total = 0.0
        for stage in predicted:
            for b, c, y, x in np.ndindex(*stage.shape):
                w = float(batch["mask"][b, y, x]) * float(batch[known][b, c])
                total += weight * w * float(stage[b, c, y, x].detach() - batch[name][b, c, y, x]) ** 2 / len(stage)
        assert float(losses[name]) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("kind", ["squared", "weighted"])
def test_unknown_joints_and_masked_cells_have_no_gradient(kind):
    rng = np.random.default_rng(1)
    batch, stages = maps(rng), predictions(rng)
    sum(stage_losses(stages, batch, Loss(kind=kind)).values()).backward()
    for stage in stages.heatmaps:
        counted = batch["mask"][:, None] & batch["known_joints"][:, :, None, None]
        assert (stage.grad[~counted.expand_as(stage)] == 0).all()
        assert (stage.grad[counted.expand_as(stage)] != 0).all()


def test_the_weighted_loss_is_minimal_at_the_ground_truth():
    rng = np.random.default_rng(2)
    batch = maps(rng)
    ground_truth = Stages((torch.logit(batch["heatmaps"]).requires_grad_(),), (batch["pafs"].clone().requires_grad_(),))
    sum(stage_losses(ground_truth, batch, Loss(kind="weighted")).values()).backward()
    assert ground_truth.heatmaps[0].grad.abs().max() < 1e-5
    assert ground_truth.pafs[0].grad.abs().max() < 1e-5


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_mask_is_false_where_a_crowd_is_and_no_labeled_person(seed):
    rng = np.random.default_rng(seed)
    people = 4
    visibility = np.zeros((people, 3), np.uint8)
    visibility[:2] = 2
    boxes = np.concatenate([rng.uniform(0, 60, (people, 2)), rng.uniform(5, 60, (people, 2))], axis=1)
    annotation = Annotation(
        np.zeros((people, 3, 2), np.float32),
        visibility,
        boxes.astype(np.float32),
        np.ones(people, np.float32),
        np.array([False, True, True, False]),
    )
    affine = Affine.rotation(rng.uniform(-40, 40)).then(Affine.translation(*rng.uniform(-20, 20, 2)))
    mask = supervised_cells(annotation, affine.then(field_affine(8).inverse()), (12, 10))
    back = affine.inverse()
    for y, x in np.ndindex(12, 10):
        px, py = back.apply(field_to_image(np.array([x, y], np.float32), 8))
        inside = [bx <= px <= bx + bw and by <= py <= by + bh for bx, by, bw, bh in boxes.astype(np.float32)]
        assert mask[y, x] == (inside[0] or not any(inside[1:]))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_targets_decode_to_the_keypoints_in_the_crop(things, seed):
    recipe = Recipe(input={"size": 128, "inference_size": 96}, augmentation=Augmentation(scale=(0.8, 1.2), rotation=30))
    sample = Sample(things.images[0], things.labeled_joints)
    image = np.zeros((96, 96, 3), np.uint8)
    rng = np.random.default_rng(seed)
    arrays = Encoder(recipe, THING)(image, sample, rng)
    # The same random draws give the positions of the keypoints.
    rng = np.random.default_rng(seed)
    annotation = sample.image.annotation
    rng.choice(np.arange(len(annotation)))
    x, y, w, h = annotation.boxes[0] if len(annotation) == 1 else pytest.fail("one thing an image")
    view = random_view(recipe.augmentation, rng, (float(x + w / 2), float(y + h / 2)), 128, (128, 128))
    expected = moved(annotation, view, THING).keypoints[0]
    if not ((expected > 8) & (expected < 119)).all():
        return
    poses = decode(arrays["heatmaps"], arrays["pafs"], THING)
    assert len(poses) == 1
    assert np.abs(field_to_image(poses.keypoints[0], 8) - expected).max() < 0.1 * 8


def test_limbs_of_unknown_joints_are_unknown(things):
    known = np.array([True, False, True])
    arrays = Encoder(Recipe(input={"size": 64}), THING)(
        np.zeros((96, 96, 3), np.uint8), Sample(things.images[0], known), np.random.default_rng(0)
    )
    assert arrays["known_joints"].tolist() == known.tolist()
    assert arrays["known_limbs"].tolist() == [False, False, True, True]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("kind", ["squared", "weighted"])
def test_targets_and_losses_are_not_in_double_precision(things, kind, background):
    recipe = Recipe(input={"size": 64}, network={"background": background}, loss={"kind": kind})
    batch = stack([training_set(recipe, THING, [(things, LabelSource(labels="x"))])[0]])
    assert batch["known_joints"].dtype == batch["known_limbs"].dtype == batch["mask"].dtype == torch.bool
    channels = batch["heatmaps"].shape[1]
    assert channels == 3 + background
    losses = stage_losses(Stages((batch["heatmaps"] * 0,), (batch["pafs"] * 0,)), batch, recipe.loss)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}


def test_a_skeleton_without_limbs_raises_skeleton_error(things):
    with pytest.raises(SkeletonError, match="openpose connects joints along limbs, and skeleton dots has none"):
        OpenPoseModule(Recipe(), Skeleton("dots", ("a", "b")), things)


def test_a_deeper_network_needs_sides_that_are_larger_multiples(things):
    recipe = Recipe(
        input={"size": 128, "inference_size": 128}, network={"widths": [8] * 5, "depths": [1] * 4, "features": 8}
    )
    module = OpenPoseModule(recipe, THING, things)
    assert module.spec().input.multiple == 64
    maps, fields = module.export_module()(torch.zeros(1, 3, 64, 128))
    assert (maps.shape, fields.shape) == ((1, 3, 8, 16), (1, 4, 8, 16))
    with pytest.raises(RecipeError, match="multiple of 64, got 96"):
        check_recipe(Recipe, {"input": {"size": 96}, "network": {"widths": [8] * 5, "depths": [1] * 4}})


def test_the_training_set_can_be_pickled_for_worker_processes(things):
    data = training_set(Recipe(input={"size": 64}), THING, [(things, LabelSource(labels="x"))])
    here, there = data[2], pickle.loads(pickle.dumps(data))[2]
    assert all(np.array_equal(here[name], there[name]) for name in here)


def test_an_unlabeled_joint_is_absent_or_unknown_by_the_source(things):
    annotation = things.images[0].annotation
    annotation.visibility[0, 1] = 0
    try:
        for unlabeled, expected in (("absent", [True] * 3), ("unknown", [True, False, True])):
            source = LabelSource(labels="x", unlabeled=unlabeled)
            data = training_set(Recipe(run={"cache": 0}), THING, [(things, source)])
            assert data.samples[0].known.tolist() == expected
    finally:
        annotation.visibility[0, 1] = 2


@pytest.mark.parametrize("kind", ["squared", "weighted"])
def test_the_exported_network_is_the_last_stage_from_0_to_1(things, kind):
    recipe = Recipe(
        network={"widths": [8, 8, 8, 8], "depths": [1, 1, 1], "features": 8, "heatmap_stages": 2}, loss={"kind": kind}
    )
    module = OpenPoseModule(recipe, THING, things).eval()
    image = torch.rand(1, 3, 64, 96) * 255
    stages, (heatmaps, pafs) = module.network(image), module.export_module()(image)
    assert isinstance(module.export_module(), LastStage)
    assert torch.equal(pafs, stages.pafs[-1])
    assert torch.equal(heatmaps, stages.heatmaps[-1].sigmoid() if kind == "weighted" else stages.heatmaps[-1])


def test_a_few_steps_on_one_batch_reduce_the_loss(things):
    recipe = Recipe(input={"size": 64, "inference_size": 96}, augmentation=PLAIN, network={"features": 16})
    data = training_set(recipe, THING, [(things, LabelSource(labels="x"))])
    batch = stack([data[i] for i in range(4)])
    module = OpenPoseModule(recipe, THING, things)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    values = []
    for _ in range(12):
        loss = sum(module.losses(batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss))
    assert values[-1] < 0.5 * values[0]


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    return made_labels(tmp_path_factory.mktemp("things") / "set", 4)
