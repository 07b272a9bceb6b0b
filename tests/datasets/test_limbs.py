"""What is guessed of a skeleton: the least spanning tree, against brute force, and where each part comes from."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.formats.skeleton_file import read_skeleton, write_skeleton
from cairn.datasets.limbs import joint_distances, skeleton_origins, spanning_tree, infer_limbs
from cairn.structures.skeleton import Skeleton, load_skeleton, skeleton_names
from support.made_labels import make_labels

SQUARES = st.integers(2, 5).flatmap(
    lambda k: st.lists(st.one_of(st.integers(1, 50), st.just(np.inf)), min_size=k * k, max_size=k * k)
)


def groups(count: int, limbs: list[tuple[int, int]]) -> int:
    """How many there are, counted by following limbs."""
    linked = np.eye(count, dtype=int)
    for a, b in limbs:
        linked[a, b] = linked[b, a] = 1
    return len({tuple(row) for row in (np.linalg.matrix_power(linked, count) > 0).tolist()})


@given(SQUARES)
def test_the_tree_joins_what_can_be_joined_at_the_least_cost(values: list[float]) -> None:
    count = int(len(values) ** 0.5)
    apart = np.array(values, float).reshape(count, count)
    apart = np.minimum(apart, apart.T)
    found = list(spanning_tree(apart))
    every = [(a, b) for a, b in combinations(range(count), 2) if np.isfinite(apart[a, b])]
    least = groups(count, every)
    assert groups(count, found) == least
    assert len(found) == count - least
    trees = [tree for tree in combinations(every, count - least) if groups(count, list(tree)) == least]
    cost = min(sum(apart[a, b] for a, b in tree) for tree in trees)
    assert sum(apart[a, b] for a, b in found) == pytest.approx(cost)


def test_limbs_are_guessed_only_where_there_are_none(tmp_path: Path) -> None:
    labels = make_labels(tmp_path)
    assert infer_limbs(labels) is labels
    from dataclasses import replace

    bare = replace(labels, skeleton=replace(labels.skeleton, limbs=(), redundant=()))
    assert len(infer_limbs(bare).skeleton.limbs) == 4


def test_distances_do_not_grow_with_the_object(tmp_path: Path) -> None:
    from dataclasses import replace

    labels = make_labels(tmp_path)
    table = joint_distances(labels)
    first, *rest = labels.images
    first.annotation.keypoints[:] *= 8
    np.testing.assert_allclose(joint_distances(replace(labels, images=(first, *rest))), table, rtol=1e-5)
    np.testing.assert_allclose(table, table.T)


def test_origins_say_what_was_guessed() -> None:
    bug = Skeleton("bug", ("nose", "antL", "antR"), ((0, 1),), (), ((1, 2),), (0.026, 0.05, 0.3))
    limbs, flips, sigmas = skeleton_origins(bug, limbs_given=False)
    assert "GUESSED" in limbs
    assert "left and right" in flips
    assert sigmas == "sigmas: COCO's for nose; 0.05 for the other 1, measured by nobody; given for 1"
    limbs, flips, _ = skeleton_origins(Skeleton("bug", ("a", "b")), limbs_given=True)
    assert (limbs, flips) == ("limbs: given", "flip pairs: none: no name says left or right")
    assert skeleton_origins(Skeleton("bug", ("a", "b"), flip_pairs=((0, 1),)), True)[1] == "flip pairs: given"


@pytest.mark.parametrize("name", skeleton_names())
def test_a_skeleton_is_read_as_it_is_written(tmp_path: Path, name: str) -> None:
    write_skeleton(load_skeleton(name), tmp_path / "x.toml", ("a note",))
    again = read_skeleton(tmp_path / "x.toml")
    assert again.to_dict() == load_skeleton(name).to_dict()


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
def test_any_names_survive_the_file(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("s") / "x.toml"
    odd = Skeleton('o\'dd "1"', tuple(names), tuple((0, i) for i in range(1, len(names))))
    write_skeleton(odd, path)
    read_skeleton.__globals__["load_skeleton"].cache_clear()
    assert read_skeleton(path) == odd
