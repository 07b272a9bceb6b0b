"""300-W's .pts files."""

from pathlib import Path

import numpy as np
import pytest

from cairn.datasets.formats import ReadOptions
from cairn.datasets.problems import Problems
from cairn.datasets.reading import read_labels
from cairn.errors import LabelError
from cairn.structures.skeleton import Skeleton, load_skeleton
from support.made_labels import draw_images

POINTS = np.round(np.random.default_rng(5).uniform(1, 40, (68, 2)), 3)


def text(points: np.ndarray = POINTS, count: int | None = None) -> str:
    rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in points)
    return f"version: 1\nn_points:  {len(points) if count is None else count}\n{{\n{rows}\n}}\n"


def test_pixels_count_from_one(tmp_path: Path) -> None:
    draw_images(tmp_path, ("face 1.png", "b.png", "other.png"))
    (tmp_path / "face 1.pts").write_text(text())
    (tmp_path / "b.pts").write_text(text(POINTS[::-1]))
    one = read_labels(tmp_path / "face 1.pts")
    assert one.skeleton is load_skeleton("face68")
    np.testing.assert_allclose(one.images[0].annotation.keypoints[0], POINTS - 1, rtol=1e-6)
    both = read_labels(tmp_path)
    assert [image.path.name for image in both] == ["b.png", "face 1.png"]


def test_other_numbers_of_points_take_the_given_names(tmp_path: Path) -> None:
    draw_images(tmp_path, ("a.png",))
    (tmp_path / "a.pts").write_text(text(POINTS[:2]))
    assert read_labels(tmp_path / "a.pts").skeleton.joints == ("point_0", "point_1")
    assert read_labels(tmp_path / "a.pts", ReadOptions(skeleton=Skeleton("leaf", ("stem", "tip")))).skeleton.joints == (
        "stem",
        "tip",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (text(count=67), "n_points is 67, but there are 68"),
        (text()[:-3], "truncated"),
        (text().replace(f"{POINTS[3, 0]:.3f}", "nan"), "finite"),
        (text().replace(f"{POINTS[3, 0]:.3f}", "inf"), "joint 4 is at .*finite"),
        (text().replace(f"{POINTS[3, 0]:.3f}", "a"), "two numbers"),
        (text(POINTS[:5]), "5 points, where a.pts has 68"),
    ],
)
def test_an_invalid_file_is_a_one_line_error_or_skipped(tmp_path: Path, content: str, message: str) -> None:
    draw_images(tmp_path, ("a.png", "b.png"))
    (tmp_path / "a.pts").write_text(text())
    (tmp_path / "b.pts").write_text(content)
    with pytest.raises(LabelError, match=rf"b\.pts.*{message}") as caught:
        read_labels(tmp_path)
    assert "\n" not in str(caught.value)
    problems = Problems(skip=True)
    assert len(read_labels(tmp_path, ReadOptions(problems=problems))) == 1
    assert len(problems.skipped) == 1


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text(text())
    with pytest.raises(LabelError, match=r"a\.pts: no image a\.jpg"):
        read_labels(tmp_path / "a.pts")
