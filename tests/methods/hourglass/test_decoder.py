import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import ModelError
from cairn.methods.hourglass import decode
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.skeleton import Skeleton

PAIR = Skeleton("pair", ("left_end", "right_end"), flip_pairs=((0, 1),))
HEIGHT, WIDTH = 16, 20

# Far enough inside for the three cells of the parabola.
COORDINATES = st.tuples(st.floats(2, WIDTH - 3), st.floats(2, HEIGHT - 3))


@pytest.mark.parametrize(("refinement", "tolerance"), [("none", 0.5), ("quarter", 0.25), ("log-parabola", 0.05)])
@given(st.lists(COORDINATES, min_size=2, max_size=2))
def test_a_rendered_joint_is_decoded_at_its_position(
    refinement: str, tolerance: float, points: list[tuple[float, float]]
) -> None:
    keypoints = np.array([points])
    poses = decode(render_gaussians(keypoints, (HEIGHT, WIDTH), 1.0), PAIR, refinement)
    assert np.abs(poses.keypoints - keypoints).max() <= tolerance + 1e-3
    assert len(poses) == 1


@given(st.integers(0, 2**32 - 1))
def test_confidence_is_the_highest_cell_clipped_to_0_and_1_and_the_score_is_the_mean(seed: int) -> None:
    heatmaps = np.random.default_rng(seed).normal(0, 1, (2, 5, 6)).astype(np.float32)
    poses = decode(heatmaps, PAIR)
    assert np.array_equal(poses.confidence[0], np.clip(heatmaps.max(axis=(1, 2)), 0, 1))
    assert poses.scores[0] == pytest.approx(poses.confidence.mean())


def test_a_heatmap_nowhere_above_zero_has_no_joint() -> None:
    heatmaps = np.zeros((2, 5, 6), np.float32)
    heatmaps[0] -= 1
    heatmaps[1, 2, 3] = 0.5
    poses = decode(heatmaps, PAIR)
    assert np.isnan(poses.keypoints[0, 0]).all()
    assert poses.confidence[0].tolist() == [0, 0.5]
    assert poses.keypoints[0, 1].tolist() == [3, 2]


def test_maps_of_another_skeleton_and_unknown_refinements_are_one_line_errors() -> None:
    for heatmaps, refinement, words in (
        (np.zeros((3, 4, 4)), "quarter", r"\(2, h, w\) for skeleton pair, got \(3, 4, 4\)"),
        (np.zeros((1, 2, 4, 4)), "quarter", "got"),
        (np.zeros((2, 4, 4)), "cubic", "log-parabola, quarter or none, got 'cubic'"),
    ):
        with pytest.raises(ModelError, match=words) as caught:
            decode(heatmaps, PAIR, refinement)
        assert "\n" not in str(caught.value)


def test_decoding_needs_no_torch() -> None:
    script = "import sys, cairn.methods.hourglass; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0
