"""Targets of visibility: cell by cell, and labels that have none."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.errors import LabelError
from cairn.ops.heatmaps import render_gaussians
from cairn.structures.annotation import Annotation
from cairn.training.data.visibility import check_occlusion, visible_cells
from support.made_classes import class_labels


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_cell_is_as_visible_as_the_nearest_keypoint_of_its_joint(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 12, (4, 3, 2)).astype(np.float32)
    visibility = rng.integers(0, 3, (4, 3)).astype(np.uint8)
    points[visibility == 0] = np.nan
    annotation = Annotation(points, visibility, np.zeros((4, 4), np.float32), np.ones(4), np.zeros(4, bool))
    heatmaps = render_gaussians(points, (10, 12), 1.0)
    target = visible_cells(points, annotation, heatmaps, 1.0)
    for k, y, x in zip(*np.nonzero(heatmaps > 0.05), strict=True):
        distances = np.nan_to_num(((points[:, k] - (x, y)) ** 2).sum(axis=1), nan=np.inf)
        assert target[k, y, x] == (visibility[distances.argmin(), k] == 2)
    assert not target[heatmaps == 0].any()


def test_labels_without_occluded_or_visible_keypoints_are_one_line(tmp_path):
    labels = class_labels(tmp_path, 2)
    with pytest.raises(LabelError, match=r"needs training labels with occluded .* and none is occluded"):
        check_occlusion([labels])

    def with_v(value):
        images = []
        for image in labels:
            visibility = image.annotation.visibility.copy()
            visibility[0] = value
            images.append(replace(image, annotation=replace(image.annotation, visibility=visibility)))
        return replace(labels, images=tuple(images))

    check_occlusion([labels, with_v(1)])
    nothing = replace(labels, images=tuple(
        replace(i, annotation=replace(i.annotation, visibility=np.ones_like(i.annotation.visibility))) for i in labels
    ))  # fmt: skip
    with pytest.raises(LabelError, match="none is visible"):
        check_occlusion([nothing])
