"""The commands of the pages on papers run as written, on small directories as the data sets ship."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from paper_sets import SETS
from support.snippets import snippets

torch = pytest.importorskip("torch", reason="training needs torch, which is in the train extra")
pytest.importorskip("scipy", reason="writing .mat files needs scipy, which is in the train extra")
pytest.importorskip("h5py", reason="writing .h5 files needs h5py, which is in the io extra")

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/papers"
RECIPES = sorted((ROOT / "recipes/papers").glob("*.toml"))

DATA = {
    "hourglass": {"mpii": "mpii", "flic": "FLIC"},
    "openpose": {"coco": "coco"},
    "landmarks": {"celeba": "CelebA", "aflw": "AFLW", "cats": "cats"},
}
"""Page -> data set -> its folder in the recipes."""

SMALL = {
    "hourglass": "--epochs 3 --set run.validate_every=1 --set optimizer.patience=1 --set input.size=64 "
    "--set network.stacks=2 --set network.features=8",
    "openpose": "--epochs 1 --set input.size=64 --set input.inference_size=64",
    "landmarks": "--epochs 1 --set run.batch_size=4 --set input.size=32",
}
"""Page -> settings that make its networks small, with as many stages and losses as the paper's."""


def test_every_recipe_has_its_commands_on_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES.glob("*.md"))
    assert RECIPES
    for recipe in RECIPES:
        assert f"recipes/papers/{recipe.name}" in text


@pytest.mark.parametrize("page", DATA)
def test_the_commands_of_a_page_end_in_a_report(page: str, shell: Callable[[str], str], tmp_path: Path) -> None:
    for name, folder in DATA[page].items():
        SETS[name](tmp_path / folder, 12)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    if page == "openpose":
        _save_vgg(tmp_path / "vgg19-dcbb9e9d.pth")
    runs: set[str] = set()
    for snippet in snippets((PAGES / f"{page}.md").read_text()):
        if snippet.language != "bash" or snippet.skipped:
            continue
        for line in snippet.code.splitlines():
            trains = line.startswith(("cairn train ", "cairn discover "))
            warns = line.startswith("cairn check ")  # of so few images
            shell(f"{line} {SMALL[page]}" if trains else f"{line} || test $? = 1" if warns else line)
            runs |= {line.split("/papers/")[1].split(".toml")[0]} if trains else set()
    for name in runs:
        report = [f"evaluation-{name}/metrics.json", f"runs/{name}/taught.onnx"]
        assert (tmp_path / f"runs/{name}/model.onnx").is_file()
        assert any((tmp_path / path).is_file() for path in report)
    assert runs == {recipe.stem for recipe in RECIPES if recipe.stem.startswith(page)}


def _save_vgg(path: Path) -> None:
    """A file of torchvision's VGG-19 with random weights, as far as OpenPose takes it."""
    channels = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256),
                16: (256, 256), 19: (256, 512), 21: (512, 512)}  # fmt: skip
    state = {}
    for layer, (inputs, outputs) in channels.items():
        state[f"features.{layer}.weight"] = torch.randn(outputs, inputs, 3, 3) * (2 / (9 * inputs)) ** 0.5
        state[f"features.{layer}.bias"] = torch.zeros(outputs)
    torch.save(state, path)
