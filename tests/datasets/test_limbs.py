"""Inferred limbs: the minimum spanning tree against brute force, and the reported origins."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.formats.skeleton_file import read_skeleton, write_skeleton
from cairn.datasets.limbs import infer_limbs, joint_distances, skeleton_origins, spanning_tree
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names
from support.made_labels import make_labels

SQUARES = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.one_of(st.integers(1, 50), st.just(np.inf)), min_size=k * k, max_size=k * k)
)


def components(count: int, limbs: list[tuple[int, int]]) -> int:
    """The number of connected components, by following limbs."""
    linked = np.eye(count, dtype=int)
    for a, b in limbs:
        linked[a, b] = linked[b, a] = 1
    return len({tuple(row) for row in (np.linalg.matrix_power(linked, count) > 0).tolist()})


@given(SQUARES)
def test_the_spanning_tree_connects_at_minimum_cost(values: list[float]) -> None:
    count = int(len(values) ** 0.5)
    distances = np.array(values, float).reshape(count, count)
    distances = np.minimum(distances, distances.T)
    tree = list(spanning_tree(distances))
    every = [(a, b) for a, b in combinations(range(count), 2) if np.isfinite(distances[a, b])]
    minimum = components(count, every)
    assert components(count, tree) == minimum
    assert len(tree) == count - minimum
    trees = [other for other in combinations(every, count - minimum) if components(count, list(other)) == minimum]
    cost = min(sum(distances[a, b] for a, b in other) for other in trees)
    assert sum(distances[a, b] for a, b in tree) == pytest.approx(cost)


def test_limbs_are_inferred_only_if_there_are_none(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    assert infer_limbs(labels) is labels
    bare = replace(labels, skeleton=replace(labels.skeleton, limbs=(), redundant=()))
    assert len(infer_limbs(bare).skeleton.limbs) == 4


def test_distances_are_relative_to_the_instance(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    table = joint_distances(labels)
    first, *rest = labels.images
    first.annotation.keypoints[:] *= 8
    np.testing.assert_allclose(joint_distances(replace(labels, images=(first, *rest))), table, rtol=1e-5)
    np.testing.assert_allclose(table, table.T)


def test_origins_report_what_is_inferred() -> None:
    bug = Skeleton("bug", ("nose", "antL", "antR"), ((0, 1),), (), ((1, 2),), (0.026, 0.05, 0.3))
    limbs, flips, sigmas = skeleton_origins(bug, limbs_given=False)
    assert "INFERRED" in limbs
    assert "left and right" in flips
    assert sigmas == "sigmas: COCO's for nose; default 0.05 for the other 1, not measured; given for 1"
    limbs, flips, _ = skeleton_origins(Skeleton("bug", ("a", "b")), limbs_given=True)
    assert (limbs, flips) == ("limbs: given", "flip pairs: none: no name contains left or right")
    assert skeleton_origins(Skeleton("bug", ("a", "b"), flip_pairs=((0, 1),)), True)[1] == "flip pairs: given"


@pytest.mark.parametrize("name", skeleton_names())
def test_a_skeleton_file_round_trips(tmp_path: Path, name: str) -> None:
    write_skeleton(load_skeleton(name), tmp_path / "x.toml", ("a note",))
    again = read_skeleton(tmp_path / "x.toml")
    assert again.to_dict() == load_skeleton(name).to_dict()


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
def test_any_joint_names_round_trip(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("s") / "x.toml"
    odd = Skeleton('o\'dd "1"', tuple(names), tuple((0, i) for i in range(1, len(names))))
    write_skeleton(odd, path)
    read_skeleton.__globals__["load_skeleton"].cache_clear()
    assert read_skeleton(path) == odd
