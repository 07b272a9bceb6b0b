"""Class maps: targets, loss, network, and what one class costs."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from cairn.datasets.classes import in_classes
from cairn.datasets.labels import Labels
from cairn.methods.openpose.model import Stages
from cairn.methods.openpose.network import build_network, network_of
from cairn.methods.openpose.recipe import Loss, NetworkSettings, Recipe
from cairn.methods.openpose.training import Encoder, OpenPoseModule, class_targets, stage_losses, training_set
from cairn.ops.heatmaps import GAUSSIAN_CUT
from cairn.training.data.augmentation import NO_AUGMENTATION
from cairn.training.data.loading import Sample, stack
from cairn.training.recipe import LabelSource
from support.made_classes import CLASSES, SHAPE, class_labels

SMALL = {"widths": [8, 8, 8], "depths": [1, 1], "features": 8}
RECIPE = Recipe.model_validate({"input": {"size": 64, "inference_size": 64}, "network": SMALL})


def empty(classes: tuple[str, ...]) -> Labels:
    return Labels(SHAPE, (), np.ones(3, bool), classes)


def test_targets_are_the_maximum_over_the_keypoints_of_a_class():
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 14, (6, 4, 2))
    points[0, 1] = np.nan
    classes, sigma = np.array([0, 2, 0, 1, 2, -1]), 0.9
    maps, known = class_targets(points, classes, 4, (10, 12), sigma)
    assert maps.shape == (4, 10, 12)
    for y, x in np.ndindex(10, 12):
        for index in (0, 1, 2, 3, -1):
            distances = ((points[classes == index].reshape(-1, 2) - (x, y)) ** 2).sum(axis=1)
            value = max([np.exp(-d / (2 * sigma**2)) for d in distances if not np.isnan(d)], default=0)
            value = value if value >= GAUSSIAN_CUT else 0
            if index < 0:
                assert known[y, x] == (value == 0)
            else:
                assert maps[index, y, x] == pytest.approx(value, abs=1e-6)
    assert not maps[3].any()


def test_class_maps_move_with_the_image(tmp_path):
    labels = class_labels(tmp_path, 4)
    recipe = RECIPE.model_copy(update={"augmentation": NO_AUGMENTATION.model_copy(update={"flip": 1.0})})
    for image in labels:
        arrays = Encoder(recipe, SHAPE, 2)(
            np.zeros((64, 64, 3), np.uint8), Sample(image, np.ones(3, bool)), np.random.default_rng(0)
        )
        # A cell belongs to the nearest keypoint, so that the maximum over classes is that over joints.
        assert np.allclose(arrays["classes"].max(axis=0), arrays["heatmaps"].max(axis=0))
        present = set(image.annotation.classes.tolist())
        assert [bool(maps.any()) for maps in arrays["classes"]] == [kind in present for kind in (0, 1)]


def test_cells_are_supervised_where_the_class_is_known(tmp_path):
    (image,) = class_labels(tmp_path, 1)
    recipe = RECIPE.model_copy(update={"augmentation": NO_AUGMENTATION})

    def encoded(image, known=(True, True, True)):
        return Encoder(recipe, SHAPE, 2)(
            np.zeros((64, 64, 3), np.uint8), Sample(image, np.array(known)), np.random.default_rng(0)
        )

    assert encoded(image)["known_classes"].all()
    arrays = encoded(image, (True, False, True))  # the unlabeled joint may be anywhere else
    assert np.array_equal(arrays["known_classes"], arrays["classes"].any(axis=0))
    unknown = replace(image, annotation=replace(image.annotation, classes=np.array([-1, image.annotation.classes[1]])))
    arrays = encoded(unknown)
    at_keypoints, masked = arrays["heatmaps"].any(axis=0), ~arrays["known_classes"]
    assert masked[at_keypoints & ~arrays["classes"].any(axis=0)].all()
    assert masked.any()
    assert not masked[~at_keypoints].any()


@pytest.mark.parametrize("kind", ["squared", "weighted"])
def test_unknown_cells_have_no_loss(kind, tmp_path):
    labels = class_labels(tmp_path, 2)
    set_ = training_set(RECIPE, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])
    batch = stack([set_[0], set_[1]])
    batch["known_classes"][:, :4] = False
    maps = torch.zeros(2, 2, 8, 8, requires_grad=True)
    stages = Stages((batch["heatmaps"] * 0,), (batch["pafs"] * 0,), maps)
    loss = stage_losses(stages, batch, Loss(kind=kind))["classes"]
    loss.backward()
    assert loss > 0
    assert not maps.grad[:, :, :4].any()
    assert maps.grad[:, :, 4:].any()


def test_one_class_costs_nothing(tmp_path):
    """Same parameters, targets, losses and outputs as without classes."""
    module, classed = OpenPoseModule(RECIPE, SHAPE, empty(())), OpenPoseModule(RECIPE, SHAPE, empty(CLASSES))
    assert module.spec().outputs == ("heatmaps", "pafs")
    assert module.spec().classes == ()
    names = set(dict(module.network.named_parameters()))
    more = set(dict(classed.network.named_parameters())) - names
    assert more
    assert all(name.startswith("class_head.") for name in more)
    assert set(module.channels()) == {name for name in classed.channels() if not name.startswith("class_head.")}
    labels = in_classes(class_labels(tmp_path, 1), ())
    batch = stack([training_set(RECIPE, SHAPE, [(labels, LabelSource(labels=tmp_path / "labels.json"))])[0]])
    assert set(batch) == {"image", "heatmaps", "pafs", "mask", "known_joints", "known_limbs"}
    assert set(module.losses(batch)) == {"heatmaps", "pafs"}
    assert len(module.export_module()(batch["image"].float())) == 2


@pytest.mark.parametrize("kind", ["light", "paper", "cvpr"])
def test_every_kind_of_network_takes_a_class_head(kind):
    tables = {"light": SMALL, "paper": {"kind": "paper", "paf_stages": 1, "heatmap_stages": 1},
              "cvpr": {"kind": "cvpr", "paf_stages": 1}}[kind]  # fmt: skip
    settings = NetworkSettings.model_validate(tables | {"backbone": "light"})
    torch.manual_seed(0)
    plain = build_network(settings, SHAPE)
    torch.manual_seed(0)
    classed = build_network(settings, SHAPE, 5).eval()
    state = classed.state_dict()
    assert all(torch.equal(state[name], value) for name, value in plain.state_dict().items())
    assert network_of(state, len(SHAPE)) == network_of(plain.state_dict(), len(SHAPE))
    stages = classed(torch.zeros(1, 3, 64, 96))
    assert stages.classes.shape == (1, 5, 8, 12)
    assert plain.eval()(torch.zeros(1, 3, 64, 64)).classes is None


def test_exported_class_maps_are_from_0_to_1():
    module = OpenPoseModule(RECIPE, SHAPE, empty(("a", "b", "c"))).eval()
    heatmaps, _, classes = module.export_module()(torch.rand(1, 3, 64, 64) * 255)
    assert module.spec().outputs == ("heatmaps", "pafs", "classes")
    assert classes.shape == (1, 3, 8, 8)
    assert 0 <= classes.min() <= classes.max() < 0.2  # empty at first, as the heatmaps
    assert heatmaps.max() < 0.2
