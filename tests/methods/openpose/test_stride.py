"""Heatmaps and PAFs of stride 4: targets, network, inference and fine-tuning agree on the size of a cell."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cairn.datasets.labels import LabeledImage
from cairn.errors import RecipeError
from cairn.methods.openpose.network import build_network, network_of
from cairn.methods.openpose.recipe import TARGETS, Recipe
from cairn.methods.openpose.training import Encoder, values_of
from cairn.ops.heatmaps import find_peaks
from cairn.structures.annotation import Annotation
from cairn.structures.geometry import field_to_image
from cairn.structures.skeleton import load_skeleton
from cairn.training.checkpoints.pretrained import Start
from cairn.training.data.augmentation import NO_AUGMENTATION
from cairn.training.data.loading import Sample
from cairn.training.recipe_tables import check_recipe

COCO = load_skeleton("coco17")
INPUT = {"size": 128, "inference_size": 128}


def recipe(stride: int, **tables: object) -> Recipe:
    network = {"stride": stride, "features": 16}
    return check_recipe(Recipe, {"network": network, "input": INPUT, **tables}).model_copy(
        update={"augmentation": NO_AUGMENTATION}
    )


@pytest.mark.parametrize("stride", [4, 8])
def test_targets_are_at_the_keypoints(stride: int) -> None:
    rng = np.random.default_rng(stride)
    keypoints = rng.uniform(20, 108, (1, 17, 2)).astype(np.float32)
    box = np.array([[-0.5, -0.5, 128, 128]], np.float32)  # around the center of the image
    annotation = Annotation(
        keypoints, np.full((1, 17), 2, np.uint8), box, np.array([9e3], np.float32), np.zeros(1, bool)
    )
    image = LabeledImage(1, Path("a.png"), (128, 128), annotation)
    encoded = Encoder(recipe(stride), COCO)(np.zeros((128, 128, 3), np.uint8), Sample(image, np.ones(17, bool)), rng)
    cells = 128 // stride
    assert encoded["heatmaps"].shape == (17, cells, cells)
    assert encoded["pafs"].shape == (2 * len(COCO.limbs), cells, cells)
    assert encoded["mask"].shape == (cells, cells)
    peaks = find_peaks(encoded["heatmaps"], 0.5)
    assert list(peaks.joints) == list(range(17))
    assert np.abs(field_to_image(peaks.positions, stride) - keypoints[0]).max() < 0.1 * stride


@pytest.mark.parametrize("stride", [4, 8])
def test_the_network_has_this_stride_and_its_recipe_is_found_again(stride: int) -> None:
    settings = recipe(stride).network
    network = build_network(settings, COCO).eval()
    with torch.no_grad():
        stages = network(torch.zeros(1, 3, 64, 96))
    assert stages.heatmaps[-1].shape == (1, 17, 64 // stride, 96 // stride)
    found = network_of(network.state_dict(), 17)
    again = check_recipe(Recipe, {"network": {**found, "stride": stride}, "input": INPUT}).network
    assert again == settings


def test_the_default_sizes_of_targets_are_those_of_the_stride() -> None:
    assert recipe(8).targets.model_dump() == TARGETS[8] == Recipe().targets.model_dump()
    assert recipe(4).targets.model_dump() == TARGETS[4]
    own = recipe(4, targets={"sigma": 3.0}).targets
    assert (own.sigma, own.width) == (3.0, TARGETS[4]["width"])


def test_only_light_stages_have_stride_4() -> None:
    with pytest.raises(RecipeError, match='stride applies to kind = "light" only'):
        check_recipe(Recipe, {"network": {"kind": "paper", "stride": 4}})
    with pytest.raises(RecipeError, match=r"network\.stride"):
        check_recipe(Recipe, {"network": {"stride": 5}})


@pytest.mark.parametrize(("stride", "expected"), [(4, {"network.stride": 4}), (8, {}), (None, {})])
def test_fine_tuning_keeps_the_stride(stride: int | None, expected: dict[str, int]) -> None:
    assert values_of(Start("x", "openpose", COCO, {}, stride=stride)) == expected
