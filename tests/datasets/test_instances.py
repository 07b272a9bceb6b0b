"""The table of all instances has those of every image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.datasets.instances import Instances
from cairn.structures.annotation import Annotation


def annotation_of(values: list[int]) -> Annotation:
    points = np.repeat(np.array(values, np.float32)[:, None, None], 3, axis=1).repeat(2, axis=2)
    count = len(values)
    sizes = np.ones(count, np.float32)
    return Annotation(points, np.full((count, 3), 2, np.uint8), np.ones((count, 4), np.float32), sizes, sizes < 0)


@given(st.lists(st.lists(st.integers(0, 99), max_size=3), max_size=6), st.integers(0, 9))
def test_every_instance_is_found_by_its_image_and_row(values: list[list[int]], seed: int) -> None:
    annotations = [annotation_of(row) for row in values]
    table = Instances.of(annotations, 3)
    assert len(table) == len(table.annotation) == sum(map(len, values))
    assert table.annotation.keypoints.shape == (len(table), 3, 2)
    part = table[np.random.default_rng(seed).permutation(len(table))[:4]]
    for whole in (table, part):
        for i in range(len(whole)):
            assert values[whole.images[i]][whole.rows[i]] == whole.annotation.keypoints[i, 0, 0]
