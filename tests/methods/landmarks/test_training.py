"""Laws of a discovery: gradients reach every weight, and training makes landmarks follow the image."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from cairn.errors import RecipeError
from cairn.media.images import read_image
from cairn.methods.landmarks import losses
from cairn.methods.landmarks.model import central
from cairn.methods.landmarks.pairs import PairMaker
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
from cairn.methods.landmarks.warp import random_parameters
from cairn.structures.geometry import crop
from cairn.training.data.loading import stack
from cairn.training.engine.loop import _fits, write_recipe
from cairn.training.engine.processes import Processes
from cairn.training.recipe_tables import check_recipe, read_recipe
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
        if name == last:  # softmax is invariant to a constant
            assert weights.grad.abs().max() < 1e-6
        else:
            assert weights.grad.abs().max() > 1e-7, name


PAPER = {
    "input": {"context": False},
    "warps": {"apart": 0, "growth": 1.0},
    "loss": {"log": False, "each": False, "in_view": False, "final": 1.0},
}
"""The paper's method, without what keeps landmarks from drifting."""

LONG = {
    "input": {"context": True},
    "warps": {"apart": 0.2},
    "loss": {"weight": 0.3, "log": True, "in_view": True, "final": 0.2},
}
"""What keeps landmarks from drifting."""


@pytest.mark.parametrize(("log", "each"), [(False, False), (True, False), (True, True), (False, True)])
@pytest.mark.parametrize("settings", LOSSES)
def test_the_recipe_selects_the_loss(figures: Path, tmp_path: Path, settings: dict, log: bool, each: bool) -> None:
    """In half sides of the input, whatever share of the image it covers."""
    loss = {**settings, "weight": 0.3, "patch": 2, "log": log, "each": each, "in_view": False}
    recipe = recipe_for(figures, loss=loss)
    learner, batch = with_module(recipe, tmp_path)
    pair = learner.pairs(batch["image"].float(), batch["first"], batch["second"])
    p, q = losses.probabilities(torch.randn(2, 6, 5, 12, 12)).unbind()
    got = learner.losses_of(p, q, pair)
    places = learner.detector.places
    if settings["alignment"] == "probabilities":
        terms = losses.align_probabilities(p, q, places / 0.75, pair.moved / 0.75)
    else:
        terms = losses.align_points(p.flatten(2) @ places, pair.g(q.flatten(2) @ places)) / 0.75**2
    if settings["diversity"] == "patches":
        diversity = (losses.diversity(p, 2) + losses.diversity(q, 2)) / 2
    else:
        diversity = sum(losses.diversity_pairwise(losses.patch_sums(maps, 2)) for maps in (p, q)) / 2
    pooled = terms.mean().log() if log else terms.mean()
    alignment = terms.mean(0).log().mean() if log and each else pooled
    assert got["alignment"].item() == pytest.approx(alignment.item(), rel=1e-5)
    assert got["diversity"].item() == pytest.approx(0.3 * diversity.item(), rel=1e-5)
    for late in (0.0, 0.25):
        expected = pooled + late * (alignment - pooled)
        assert learner.losses_of(p, q, pair, late=late)["alignment"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_settings_of_the_paper_give_its_loss_exactly(figures: Path, tmp_path: Path) -> None:
    """Equations 6 and 8 on the padded middle of the image, bit for bit, from the same random numbers."""
    paper = {name: SMALL[name] | PAPER[name] for name in PAPER}
    recipe = recipe_for(figures, **paper)
    learner, batch = with_module(recipe, tmp_path)
    rng = np.random.default_rng(0)
    view = np.zeros((64, 64, 3), np.uint8)
    sample = training_set(recipe, learner.skeleton, read_data(recipe, tmp_path)[1]).samples[0]
    arrays = training.Encoder(recipe)(view, sample, rng)
    again = np.random.default_rng(0)
    training.random_view(recipe.augmentation, again, (31.5, 31.5), 64, (64, 64))
    for name, half in (("first", 0.003), ("second", 0.004)):
        assert np.array_equal(arrays[name], random_parameters(recipe.warps.spread(half), again))
    terms = learner.losses(batch)
    pair = PairMaker(48, 12, 0.75)(batch["image"].float(), batch["first"], batch["second"])
    views = recolored(torch.stack([pair.x, pair.warped], dim=1), batch["colors"]).transpose(0, 1).flatten(0, 1)
    maps = learner.network(views.contiguous(memory_format=torch.channels_last))
    p, q = maps.flatten(2).softmax(2).view_as(maps).chunk(2)
    u, gv = learner.detector.places, pair.moved
    p_, q_ = p.flatten(2), q.flatten(2)
    squares = p_ @ u.square().sum(-1) + (q_ @ gv.square().sum(-1, keepdim=True)).squeeze(-1)
    alignment = (squares - 2 * ((p_ @ u) * (q_ @ gv)).sum(-1)).mean() / 0.75**2
    assert torch.equal(terms["alignment"], alignment)
    assert torch.equal(terms["diversity"], recipe.loss.weight * losses.diversity(torch.cat([p, q]), 2))


@pytest.mark.parametrize(("final", "shares"), [(0.2, [1, 1, 0.6, 0.2, 0.2]), (1.0, [1, 1, 1, 1, 1])])
def test_the_weight_of_diversity_falls(figures: Path, tmp_path: Path, final: float, shares: list[float]) -> None:
    learner, batch = with_module(recipe_for(figures, loss=SMALL["loss"] | {"final": final}), tmp_path)
    full = learner.losses(batch)
    for step, share in zip((0, 300, 550, 800, 1000), shares, strict=True):
        learner._trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=1000, max_epochs=2)
        learner.on_train_batch_start(batch, 0)
        terms = learner.losses(batch)
        assert terms["diversity"].item() == pytest.approx(share * full["diversity"].item(), rel=1e-4)
        assert terms["alignment"].item() == pytest.approx(full["alignment"].item(), rel=1e-4)


@pytest.mark.parametrize(("epochs", "late"), [(3, [0, 0, 0]), (5, [0, 0, 2 / 3]), (12, [0, 1, 1]), (48, [1, 1, 1])])
def test_what_takes_effect_late_does_so_after_three_epochs(
    figures: Path, tmp_path: Path, epochs: int, late: list[float]
) -> None:
    learner, batch = with_module(recipe_for(figures), tmp_path)
    for step, expected in zip((250, 500, 1000), late, strict=True):
        learner._trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=1000, max_epochs=epochs)
        learner.on_train_batch_start(batch, 0)
        assert learner.late == pytest.approx(expected)


def test_later_the_views_differ_by_more_rotation_and_scale(figures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(figures, warps={"growth": 3.0})
    learner, batch = with_module(recipe, tmp_path)
    warps, seen = batch["second"], []
    pairs = learner.pairs.forward
    learner.pairs.forward = lambda images, first, second: seen.append(second) or pairs(images, first, second)
    for learner.late in (0.0, 0.5, 1.0):
        learner.losses(batch)
    straight = torch.eye(2)
    assert torch.equal(seen[0], warps)
    for second, factor in zip(seen[1:], (2, 3), strict=True):
        assert torch.allclose(second[:, :2] - straight, factor * (warps[:, :2] - straight), atol=1e-6)
        assert torch.equal(second[:, 2:], warps[:, 2:])  # the shift and the bends
    assert torch.equal(batch["second"], warps)


def test_alignment_ignores_landmarks_that_leave_a_view(figures: Path, tmp_path: Path) -> None:
    """A landmark at the edge, which the other view cannot contain, has no gradient; one in the middle has."""
    recipe = recipe_for(figures, loss=SMALL["loss"] | {"in_view": True, "log": False})
    learner, _ = with_module(recipe, tmp_path)
    shift = torch.zeros(2, 103, 2)
    shift[:, :2] = torch.eye(2)
    shift[:, 2] = torch.tensor([0.3, 0.0])
    pair = learner.pairs(torch.rand(2, 3, 64, 64) * 255, shift - shift * (torch.arange(103) == 2)[:, None], shift)
    scores = torch.full((2, 2, 5, 12, 12), -20.0)
    scores[..., 0, 6, 0] = 20.0  # at the left edge of both views
    scores[..., 1:, 6, 6] = 20.0
    scores.requires_grad_()
    p, q = losses.probabilities(scores.flatten(0, 1)).unflatten(0, (2, 2)).unbind()
    loss = learner.losses_of(p, q, pair)["alignment"]
    assert loss.item() == pytest.approx((0.3 / 0.75) ** 2, rel=1e-3)
    [gradient] = torch.autograd.grad(loss, p, retain_graph=False)
    assert not gradient[:, 0].any()
    assert gradient[:, 1:].any()


def test_the_default_is_the_loss_and_input_of_the_paper() -> None:
    assert check_recipe(Recipe, {"method": "landmarks", **PAPER}) == check_recipe(Recipe, {"method": "landmarks"})


def test_the_recipe_of_long_runs_is_valid_and_turns_everything_on() -> None:
    recipe = check_recipe(Recipe, read_recipe(Path(__file__).parents[3] / "recipes" / "landmarks-long.toml"))
    assert recipe.context == 12
    assert recipe.warps.apart > 0
    assert recipe.loss.log
    assert recipe.loss.in_view
    assert recipe.loss.final < 1


@pytest.mark.parametrize(
    ("size", "middle", "network", "context"),
    [
        (72, 0.75, {}, 12),
        (96, 0.75, {}, 16),
        (48, 0.75, {"widths": [16, 24, 32]}, 8),
        (80, 0.8, {"kind": "paper"}, 10),
        (32, 1, {}, 0),
    ],
)
def test_context_is_the_rest_of_the_image(size: int, middle: float, network: dict, context: int) -> None:
    tables = {"method": "landmarks", "input": {"size": size, "middle": middle, "context": True}, "network": network}
    recipe = check_recipe(Recipe, tables | {"loss": {"patch": 1}})
    assert recipe.context == context
    assert size + 2 * recipe.context <= recipe.input.frame
    without = tables | {"input": tables["input"] | {"context": False}, "loss": {"patch": 1}}
    assert not check_recipe(Recipe, without).context
    scores = recipe.network.build().eval()(torch.zeros(1, 3, *[size + 2 * context] * 2))
    assert central(scores, recipe.cells).shape[2:] == (recipe.cells, recipe.cells)


@pytest.mark.parametrize("values", [{}, LONG])
def test_training_makes_landmarks_follow_the_image(figures: Path, tmp_path: Path, values: dict) -> None:
    recipe = recipe_for(figures, **{name: SMALL[name] | values[name] for name in values})
    learner, _ = with_module(recipe, tmp_path / "run")
    before = learner.measure([])
    assert before == learner.measure([])  # the same warps every time
    skeleton, sources, _ = read_data(recipe, tmp_path / "run")
    assert _fits(learner, training_set(recipe, skeleton, sources), tmp_path / "run", False, Processes(), {})
    after = learner.measure([])
    assert before["still"] == 100
    assert after["equivariance"] < 0.6 * before["equivariance"]
    assert after["still"] <= 40
    assert after["collapsed"] < before["collapsed"]
    assert after["score"] > before["score"]
    assert len(list((tmp_path / "run" / "sheets").glob("*.png"))) == 2
    assert "do not follow" in summary(tmp_path / "run")


def test_frames_match_the_input_of_the_predictor(figures: Path, tmp_path: Path) -> None:
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


def test_a_sample_is_determined_by_its_seed(figures: Path, tmp_path: Path) -> None:
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


def test_recoloring_matches_opencv() -> None:
    rng = np.random.default_rng(0)
    views = rng.uniform(0, 255, (2, 2, 3, 5, 4)).astype(np.float32)
    colors = rng.normal(0, 1, (2, 2, 3, 4)).astype(np.float32)
    got = recolored(torch.from_numpy(views), torch.from_numpy(colors)).numpy()
    for b, v in np.ndindex(2, 2):
        expected = cv2.transform(np.ascontiguousarray(views[b, v].transpose(1, 2, 0)), colors[b, v])
        assert np.allclose(got[b, v].transpose(1, 2, 0), np.clip(expected, 0, 255), atol=1e-3)


@pytest.mark.parametrize(("size", "middle", "frame"), [(96, 0.75, 128), (48, 0.75, 64), (32, 1, 32), (80, 0.8, 100)])
def test_the_frame_extends_the_input_on_all_sides(size: int, middle: float, frame: int) -> None:
    assert Input(size=size, middle=middle).frame == frame


ROOM = {"input": {"size": 96}, "loss": {"patch": 3}}
FOUR_LEVELS = {"widths": [8, 8, 8, 8]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"network": {"landmarks": 1}}, r"network\.landmarks: .* greater than or equal to 2, got 1"),
        (
            ROOM | {"network": {"landmarks": 65}},
            "65 landmarks do not fit into maps of 24 x 24 cells, patches of 3: the maximum is 64",
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
def test_invalid_recipes_raise_one_line(values: dict, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        check_recipe(Recipe, {"method": "landmarks", **values})
    assert "\n" not in str(error.value)


EIGHTEEN = {"input": {"size": 72}, "loss": {"patch": 0}}
"""Maps of 18 cells, and patches by the number of landmarks."""


@pytest.mark.parametrize(("landmarks", "patch"), [(2, 9), (10, 4), (30, 2), (50, 2), (81, 2)])
def test_few_landmarks_get_large_patches(landmarks: int, patch: int) -> None:
    """The largest with two patches for each landmark, and at least two cells."""
    recipe = check_recipe(Recipe, {"method": "landmarks", **EIGHTEEN, "network": {"landmarks": landmarks}})
    assert (recipe.cells, recipe.patch) == (18, patch)
    assert patch == 2 or (-(-18 // patch)) ** 2 >= 2 * landmarks
    with_patch = {"method": "landmarks", "network": {"landmarks": 9}, "loss": {"patch": 5}}
    assert check_recipe(Recipe, with_patch).patch == 5


def test_more_landmarks_than_patches_of_two_cells_raise() -> None:
    with pytest.raises(RecipeError, match="82 landmarks do not fit into maps of 18 x 18 cells, patches of 2"):
        check_recipe(Recipe, {"method": "landmarks", **EIGHTEEN, "network": {"landmarks": 82}})


def test_the_maximum_number_of_landmarks_is_accepted() -> None:
    assert check_recipe(Recipe, {"method": "landmarks", **ROOM, "network": {"landmarks": 64}}).cells == 24


@pytest.mark.parametrize(
    ("size", "network"),
    [(64, FOUR_LEVELS), (16, {"widths": [8, 8]}), (16, {"kind": "paper"}), (16, {"kind": "dilated"})],
)
def test_the_network_runs_on_the_minimum_input_size(size: int, network: dict) -> None:
    tables = {"method": "landmarks", "input": {"size": size}, "network": network, "loss": {"patch": 1}}
    recipe = check_recipe(Recipe, tables)
    with torch.no_grad():
        maps = recipe.network.build().eval()(torch.zeros(1, 3, size, size))
    assert maps.shape == (1, 10, recipe.cells, recipe.cells)


@pytest.mark.parametrize(("least", "times"), [(1500, 50), (10, 1), (100, 3)])
def test_small_folders_are_repeated_within_an_epoch(figures: Path, least: int, times: int) -> None:
    data = {"train": [{"labels": str(figures / "images"), "repeat": 2}]}
    [source] = repeated(check_recipe(Recipe, {"method": "landmarks", "data": data}), least)
    assert source["repeat"] == 2 * times


def test_a_written_recipe_reads_back(figures: Path, tmp_path: Path) -> None:
    recipe = recipe_for(figures)
    write_recipe(recipe, tmp_path)
    assert check_recipe(Recipe, read_recipe(tmp_path / "recipe.toml")) == recipe
