"""Laws of a discovery: what it minimizes reaches every weight, and landmarks come to follow the image."""

import importlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cairn.errors import RecipeError
from cairn.media.images import read_image
from cairn.methods.landmarks import losses
from cairn.methods.landmarks.recipe import Input, Recipe
from cairn.methods.landmarks.training import (
    LandmarksModule,
    module,
    read_data,
    recolored,
    repeated,
    summary,
    training_set,
)
from cairn.structures.geometry import crop
from cairn.training.data.loading import stack
from cairn.training.engine.loop import _fits, write_recipe
from cairn.training.engine.processes import Processes
from cairn.training.recipe import check_recipe
from support.made_figures import SMALL, made_figures

training = importlib.import_module("cairn.methods.landmarks.training")


def recipe_for(folder: Path, **values: object) -> Recipe:
    data = {"train": [{"labels": str(folder / "images"), "repeat": 12}]}
    return check_recipe(Recipe, {"method": "landmarks", **SMALL, "data": data, **values})


def with_module(recipe: Recipe, run: Path) -> tuple[LandmarksModule, dict[str, torch.Tensor]]:
    """An untrained module and a batch."""
    run.mkdir(exist_ok=True)
    skeleton, sources, val = read_data(recipe, run)
    torch.manual_seed(recipe.seed)
    samples = training_set(recipe, skeleton, sources)
    return module(recipe, skeleton, val), stack([samples[i] for i in range(6)])


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "set"
    made_figures(folder, 30)
    return folder


LOSSES = [{"alignment": a, "diversity": d} for a in ("probabilities", "points") for d in ("patches", "pairs")]


@pytest.mark.parametrize("settings", LOSSES)
@pytest.mark.parametrize("kind", ["hourglass", "paper", "dilated"])
def test_a_gradient_reaches_every_weight(figures: Path, tmp_path: Path, settings: dict, kind: str) -> None:
    recipe = recipe_for(figures, loss=settings, network=SMALL["network"] | {"kind": kind})
    learner, batch = with_module(recipe, tmp_path)
    sum(learner.losses(batch).values()).backward()
    *_, last = [name for name, _ in learner.network.named_parameters()]
    for name, weights in learner.network.named_parameters():
        if name == last:  # what is added to a whole map the softmax takes away
            assert weights.grad.abs().max() < 1e-6
        else:
            assert weights.grad.abs().max() > 1e-7, name


@pytest.mark.parametrize("settings", LOSSES)
def test_the_loss_is_of_the_kinds_that_the_recipe_names(figures: Path, tmp_path: Path, settings: dict) -> None:
    """In units of half of what the network sees, whatever share of the image that is."""
    recipe = recipe_for(figures, loss={**settings, "weight": 0.3, "patch": 2})
    learner, batch = with_module(recipe, tmp_path)
    pair = learner.pairs(batch["image"].float(), batch["first"], batch["second"])
    p, q = losses.probabilities(torch.randn(2, 6, 5, 12, 12)).unbind()
    got = learner.losses_of(p, q, pair)
    places = learner.detector.places
    if settings["alignment"] == "probabilities":
        alignment = losses.align_probabilities(p, q, places / 0.75, pair.moved / 0.75)
    else:
        alignment = losses.align_points(p.flatten(2) @ places, pair.g(q.flatten(2) @ places)) / 0.75**2
    if settings["diversity"] == "patches":
        diversity = (losses.diversity(p, 2) + losses.diversity(q, 2)) / 2
    else:
        diversity = sum(losses.diversity_pairwise(losses.patch_sums(maps, 2)) for maps in (p, q)) / 2
    assert got["alignment"].item() == pytest.approx(alignment.item(), rel=1e-5)
    assert got["diversity"].item() == pytest.approx(0.3 * diversity.item(), rel=1e-5)


def test_landmarks_come_to_follow_what_images_show(figures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(figures)
    learner, _ = with_module(recipe, tmp_path / "run")
    before = learner.measure([])
    assert before == learner.measure([])  # the same warps every time
    skeleton, sources, _ = read_data(recipe, tmp_path / "run")
    assert _fits(learner, training_set(recipe, skeleton, sources), tmp_path / "run", False, Processes())
    after = learner.measure([])
    assert before["still"] == 100
    assert after["equivariance"] < 0.6 * before["equivariance"]
    assert after["still"] <= 40
    assert after["collapsed"] < before["collapsed"]
    assert after["score"] > before["score"]
    assert len(list((tmp_path / "run" / "sheets").glob("*.png"))) == 2
    assert "do not follow" in summary(tmp_path / "run")


def test_frames_are_what_the_predictor_shows_the_network(figures: Path, tmp_path: Path) -> None:
    learner, _ = with_module(recipe_for(figures), tmp_path)
    shown = []

    class Watching:
        spec = learner.spec()

        def __call__(self, images: np.ndarray) -> dict:
            shown.append(images[0])
            return {"keypoints": np.zeros((1, 5, 2), np.float32), "confidence": np.ones((1, 5), np.float32)}

    poses = [learner.predict(Watching(), index) for index in range(3)]
    assert np.array_equal(learner.frames[:3].numpy(), shown)
    assert all(pose.skeleton.joints[0] == "landmark_0" for pose in poses)


def test_a_sample_is_a_frame_with_warps_and_colors_that_its_seed_draws(figures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(figures)
    skeleton, sources, _ = read_data(recipe, tmp_path)
    samples = training_set(recipe, skeleton, sources)
    assert len(samples) == 12 * len(sources[0][0])
    one, again, other = samples[0], samples[0], samples[1]
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["first"], other["first"])
    assert not np.array_equal(one["first"], one["second"])
    assert not np.array_equal(one["colors"][0], one["colors"][1])
    image = read_image(sources[0][0].images[0].path)
    height, width = image.shape[:2]
    square = crop(((width - 1) / 2, (height - 1) / 2), max(height, width), (64, 64)).warp(image, (64, 64))
    assert np.array_equal(one["image"], square.transpose(2, 0, 1))


def test_colors_change_as_opencv_changes_them() -> None:
    rng = np.random.default_rng(0)
    views = rng.uniform(0, 255, (2, 2, 3, 5, 4)).astype(np.float32)
    colors = rng.normal(0, 1, (2, 2, 3, 4)).astype(np.float32)
    got = recolored(torch.from_numpy(views), torch.from_numpy(colors)).numpy()
    for b, v in np.ndindex(2, 2):
        expected = cv2.transform(np.ascontiguousarray(views[b, v].transpose(1, 2, 0)), colors[b, v])
        assert np.allclose(got[b, v].transpose(1, 2, 0), np.clip(expected, 0, 255), atol=1e-3)


@pytest.mark.parametrize(("size", "middle", "frame"), [(96, 0.75, 128), (48, 0.75, 64), (32, 1, 32), (80, 0.8, 100)])
def test_the_frame_is_the_input_and_what_lies_around_it(size: int, middle: float, frame: int) -> None:
    assert Input(size=size, middle=middle).frame == frame


ROOM = {"input": {"size": 96}, "loss": {"patch": 3}}
FOUR_LEVELS = {"widths": [8, 8, 8, 8]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": {"landmarks": 1}}, r"network\.landmarks: .* greater than or equal to 2, got 1"),
        (
            ROOM | {"network": {"landmarks": 65}},
            "65 landmarks have no room in maps of 24 x 24 cells, patches of 3: at most 64",
        ),
        ({"input": {"size": 72}, "network": FOUR_LEVELS}, "input.size must be a multiple of 32 for this network"),
        ({"input": {"size": 32}, "network": FOUR_LEVELS}, "a multiple of 32 for this network, and at least 64"),
        ({"input": {"size": 73}, "network": {"kind": "paper"}}, "must be a multiple of 2 for this network"),
        (
            {"input": {"size": 14}, "network": {"kind": "dilated"}},
            "a multiple of 2 for this network, and at least 16",
        ),
        ({"input": {"middle": 0.2}}, r"input\.middle"),
        ({"loss": {"gamma": 10}}, r"there is no setting loss\.gamma"),
    ],
)
def test_what_cannot_be_is_one_line(values: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        check_recipe(Recipe, {"method": "landmarks", **values})
    assert "\n" not in str(error.value)


def test_as_many_landmarks_as_there_is_room_for_are_taken() -> None:
    assert check_recipe(Recipe, {"method": "landmarks", **ROOM, "network": {"landmarks": 64}}).cells == 24


@pytest.mark.parametrize(
    ("size", "network"),
    [(64, FOUR_LEVELS), (16, {"widths": [8, 8]}), (16, {"kind": "paper"}), (16, {"kind": "dilated"})],
)
def test_the_smallest_input_that_is_taken_can_be_looked_at(size: int, network: dict) -> None:
    tables = {"method": "landmarks", "input": {"size": size}, "network": network, "loss": {"patch": 1}}
    recipe = check_recipe(Recipe, tables)
    with torch.no_grad():
        maps = recipe.network.build().eval()(torch.zeros(1, 3, size, size))
    assert maps.shape == (1, 10, recipe.cells, recipe.cells)


@pytest.mark.parametrize(("least", "times"), [(1500, 50), (10, 1), (100, 3)])
def test_a_small_folder_is_gone_through_several_times(figures: Path, least: int, times: int) -> None:
    data = {"train": [{"labels": str(figures / "images"), "repeat": 2}]}
    [source] = repeated(check_recipe(Recipe, {"method": "landmarks", "data": data}), least)
    assert source["repeat"] == 2 * times


def test_the_recipe_that_is_written_is_read_again(figures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(figures)
    write_recipe(recipe, tmp_path)
    from cairn.training.recipe import read_recipe

    assert check_recipe(Recipe, read_recipe(tmp_path / "recipe.toml")) == recipe
