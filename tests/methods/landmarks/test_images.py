"""Images of a discovery: from a folder or a label file, and the held-out split."""

import logging
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import CairnError, ImageError, LabelError, RecipeError
from cairn.media.images import write_image
from cairn.methods.landmarks.images import (
    HELD_OUT,
    MIN_IMAGES,
    check_images,
    landmark_skeleton,
    paths_of,
    read_data,
    without_labels,
)
from cairn.methods.landmarks.recipe import Recipe
from cairn.training.recipe import LabelSource
from support.made_figures import draw_figure, made_figures

TWO = landmark_skeleton(2)


def write_figures(folder: Path, count: int, height: int = 24, width: int = 24) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:03}.png" for i in range(count)]
    rng = np.random.default_rng(0)
    for path in paths:
        write_image(path, draw_figure(rng, height, width)[0])
    return paths


def recipe_of(*sources: Path, **values: object) -> Recipe:
    train = [{"labels": str(source)} for source in sources]
    return Recipe.model_validate({"network": {"landmarks": 2}, "data": {"train": train}, **values})


def test_folder_images_are_sorted_by_name_with_subfolders(tmp_path: Path) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden.png", ".git/d.png", "b.cairn.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / name, image)
    (tmp_path / "notes.txt").write_text("none")
    found = paths_of(LabelSource(labels=tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.JPG", "b.png", "sub/c.png"]


def test_a_label_file_gives_its_images(tmp_path: Path) -> None:
    labels = made_figures(tmp_path, 3)
    found = paths_of(LabelSource(labels=tmp_path / "labels.json"))
    assert found == [image.path for image in labels]
    learned = without_labels(found, TWO)
    assert learned.skeleton == TWO
    assert not any(len(image.annotation) for image in learned)
    assert [image.size for image in learned] == [(64, 64)] * 3


def test_empty_and_missing_folders_raise_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no image in the folder"):
        paths_of(LabelSource(labels=tmp_path))
    with pytest.raises(CairnError, match="none: No such file"):
        paths_of(LabelSource(labels=tmp_path / "none"))


def test_held_out_images_are_stored_and_not_trained_on(tmp_path: Path) -> None:
    paths = write_figures(tmp_path / "a", 30) + write_figures(tmp_path / "b", 10)
    recipe = recipe_of(tmp_path / "a", tmp_path / "b")
    skeleton, sources, val = read_data(recipe, tmp_path)
    held, learned = ({image.path for labels in sets for image in labels} for sets in ([val], [s for s, _ in sources]))
    assert held | learned == set(paths)
    assert not held & learned
    assert len(held) == min(HELD_OUT[0], 40 // 4)
    assert [len({p.path for p in labels} & held) for labels, _ in sources] == [0, 0]
    assert skeleton.joints == ("landmark_0", "landmark_1")
    again = read_data(recipe.model_copy(update={"seed": 5}), tmp_path)[2]
    assert {image.path for image in again} == held
    (tmp_path / "split.json").unlink()
    other = read_data(recipe.model_copy(update={"seed": 5}), tmp_path)[2]
    assert {image.path for image in other} != held
    (tmp_path / "split.json").write_text("[1]")
    with pytest.raises(LabelError, match=r"split\.json is damaged"):
        read_data(recipe, tmp_path)


def test_validation_images_can_be_given(tmp_path: Path) -> None:
    write_figures(tmp_path / "a", MIN_IMAGES)
    aside = write_figures(tmp_path / "b", 3)
    data = {"train": [{"labels": str(tmp_path / "a")}], "val": [{"labels": str(tmp_path / "b")}]}
    _, [(learned, _)], val = read_data(Recipe.model_validate({"network": {"landmarks": 2}, "data": data}), tmp_path)
    assert [image.path for image in val] == aside
    assert len(learned) == MIN_IMAGES
    assert not (tmp_path / "split.json").exists()


def test_too_few_or_too_small_images_raise(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a discovery needs images"):
        read_data(Recipe(), tmp_path)
    write_figures(tmp_path / "a", MIN_IMAGES - 1)
    with pytest.raises(ImageError, match="at least 10 images, got 9"):
        read_data(recipe_of(tmp_path / "a"), tmp_path)
    small = write_figures(tmp_path / "b", MIN_IMAGES + 1, 15, 40)
    with pytest.raises(ImageError, match=rf"{small[0].name} is 40 x 15 pixels: each side must be at least 16"):
        read_data(recipe_of(tmp_path / "b"), tmp_path)


@pytest.mark.parametrize("color", [0, 200])
def test_mostly_uniform_images_raise(tmp_path: Path, color: int) -> None:
    paths = write_figures(tmp_path, 5)
    for i in range(5, 11):
        write_image(tmp_path / f"{i:03}.png", np.full((24, 24, 3), color, np.uint8))
    images = without_labels(paths_of(LabelSource(labels=tmp_path)), TWO).images
    with pytest.raises(ImageError, match=r"6 of 11 sampled images are of one color, such as .*005\.png"):
        check_images(images)
    check_images(images[: 2 * len(paths)])  # half may be


def test_widely_different_sizes_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_figures(tmp_path / "a", 2, 20, 24)
    write_figures(tmp_path / "b", 1, 20, 97)
    paths = [path for name in "ab" for path in paths_of(LabelSource(labels=tmp_path / name))]
    with caplog.at_level(logging.INFO, "cairn"):
        check_images(without_labels(paths[:2], TWO).images)
        assert not caplog.messages
        check_images(without_labels(paths, TWO).images)
    assert caplog.messages == ["images are from 24 to 97 pixels wide or high; all are resized to one size"]
