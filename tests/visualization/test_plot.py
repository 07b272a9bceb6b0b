"""A plot is the drawing of `draw`, as an array, as a file and as PNG bytes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import CairnError, OutputError
from cairn.media.images import decode_image, read_image, write_image
from cairn.visualization.overlay import draw
from support.fake_poses import random_poses

IMAGE = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
POSES = replace(random_poses(3, 2), image=IMAGE)


def test_a_plot_equals_the_result_of_draw() -> None:
    before = IMAGE.copy()
    assert np.array_equal(POSES.plot().image, draw(IMAGE, POSES))
    assert np.array_equal(POSES.plot(threshold=0.5, by="object").image, draw(IMAGE, POSES, 0.5, "object"))
    assert np.array_equal(IMAGE, before)


def test_a_plot_on_another_image(tmp_path: Path) -> None:
    other = 255 - IMAGE
    write_image(tmp_path / "other.png", other)
    for image in (other, tmp_path / "other.png", str(tmp_path / "other.png")):
        assert np.array_equal(replace(POSES, image=None).plot(image).image, draw(other, POSES))


def test_png_bytes_are_the_plot() -> None:
    for png in (POSES._repr_png_(), POSES.plot()._repr_png_()):
        assert png is not None
        assert np.array_equal(decode_image(png), POSES.plot().image)


def test_saved_plots_are_read_back(tmp_path: Path) -> None:
    POSES.plot().save(tmp_path / "plot.png")
    POSES.save(tmp_path / "poses.PNG")
    for name in ("plot.png", "poses.PNG"):
        assert np.array_equal(read_image(tmp_path / name), POSES.plot().image)
    with pytest.raises(OutputError, match="the suffix must be one of"):
        POSES.plot().save(tmp_path / "plot.txt")
    with pytest.raises(CairnError, match="by limb or by object"):
        POSES.plot(by="joint")  # type: ignore[arg-type]


def test_a_plot_s_repr_is_its_size() -> None:
    assert repr(POSES.plot()) == "Plot(120x100 pixels)"
