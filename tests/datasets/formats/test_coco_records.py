"""Records that are read as columns, one by one, with the fast JSON library and without it end in the same labels, notes
and messages, whatever their values are."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.datasets.formats.coco import reading, records
from cairn.datasets.formats.coco.json_file import read_object
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError
from cairn.structures.outline import Polygons

ODD = [None, True, 0, -1, 1.5, 2, 10**400, 1e300, float("nan"), float("inf"), "", "2", "\udcff", [], [[]], {}, {"a": 1}]
RING = [1, 1, 5.5, 1, 5, 5]
POINTS = [10, 12, 2, 0, 0, 0, 20.25, 22, 1]

numbers = st.sampled_from([*POINTS, 0, 0, 3, 0.4, -2])
points = st.one_of(st.just(POINTS), st.just([0] * 9), st.lists(numbers, min_size=9, max_size=9))
outlines = st.sampled_from(
    [[], [RING], [RING, RING], [RING[:4]], [[1e39] * 6], {"counts": [2390, 10], "size": [40, 60]}, {"counts": "x"}, 7]
)
rows = st.fixed_dictionaries(
    {
        "id": st.integers(1, 10**6),
        "image_id": st.sampled_from([1, 2]),
        "category_id": st.sampled_from([1, 1, 1, 2]),
        "keypoints": points,
        "bbox": st.sampled_from([[10, 12, 10, 10.5], [0, 0, 0, 0], [1, 2, 3, 4]]),
        "area": st.sampled_from([0, 7, 99.5]),
        "iscrowd": st.sampled_from([0, 0, 0, 1]),
    },
    optional={"segmentation": outlines},
)


@st.composite
def odd_rows(draw: st.DrawFn) -> Any:
    """A row with another value under a key, without a key, with a further one, or no object at all."""
    row = draw(rows)
    key = draw(st.sampled_from([*row, *records.OTHERS, "num_keypoints"]))
    change = draw(st.sampled_from(["value", "value", "number", "missing", "row"]))
    value = draw(st.sampled_from(ODD))
    if change == "row":
        return value
    if change == "missing":
        row.pop(key, None)
    elif change == "number" and key in ("keypoints", "bbox"):
        row[key] = list(row[key])
        row[key][draw(st.integers(0, len(row[key]) - 1))] = value
    else:
        row[key] = value
    return row


def columns(labels: Labels) -> list[Any]:
    """All that was read, as values that can be compared."""
    found: list[Any] = [labels.skeleton.joints, labels.labeled_joints.tolist(), labels.classes]
    for image in labels:
        values = dict(vars(image.annotation))
        for outline in [] if values["outlines"] is None else values.pop("outlines"):
            parts = [] if outline is None else vars_of(outline)
            found.append(parts)
        shown = {key: value if value is None else (value.dtype, value.tolist()) for key, value in values.items()}
        found += [image.id, image.path, image.size, image.groups, repr(shown)]
    return found


def vars_of(outline: Any) -> Any:
    return outline.rings if isinstance(outline, Polygons) else (outline.counts.tolist(), outline.size)


def read(path: Path, chunk: int, skip: bool) -> Any:
    problems = Problems(skip=skip, log_notes=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "read_object", partial(read_object, chunk=chunk))
        try:
            labels = reading.read_coco(path, missing_ok=True, problems=problems)
        except LabelError as error:
            return str(error), problems.skipped, problems.notes
    return columns(labels), problems.skipped, problems.notes


def ways(path: Path, skip: bool) -> list[Any]:
    """What reading ends in: as one list, in chunks, without the fast library, and record by record."""
    ends = [read(path, chunk, skip) for chunk in (1 << 20, 700)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "msgspec", None)
        ends.append(read(path, 700, skip))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_table", lambda *_: None)
        ends += [read(path, chunk, skip) for chunk in (1 << 20, 700)]
    return ends


def content(annotations: list[Any], images: list[Any] | None = None, name: str = "moth") -> dict[str, Any]:
    joints = ["head", "left", "right"]
    return {
        "images": images or [{"id": i, "file_name": f"{i}.png", "width": 60, "height": 40} for i in (1, 2)],
        "categories": [{"id": 1, "name": name, "keypoints": joints}, {"id": 2, "name": "cage"}],
        "annotations": annotations,
    }


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(rows, rows, rows, odd_rows()), min_size=1, max_size=12), st.booleans())
def test_the_ways_of_reading_agree(tmp_path_factory: pytest.TempPathFactory, annotations: Any, skip: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "labels.json"
    path.write_text(json.dumps(content(annotations)))
    first, *others = ways(path, skip)
    for other in others:
        assert other == first


@pytest.mark.parametrize(
    "change", [{"id": "1"}, {"id": None}, {"id": 2}, {"file_name": ""}, {"height": "40"}, {"x": 1}]
)
def test_odd_image_records_are_read_alike(tmp_path: Path, change: dict[str, Any]) -> None:
    path, images = tmp_path / "labels.json", content([])["images"]
    images[0] |= change
    row = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": POINTS, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0}
    path.write_text(json.dumps(content([row, row | {"id": 2, "image_id": 2}], images)))
    first, *others = ways(path, True)
    assert others == [first] * len(others)


def test_usual_records_become_tables() -> None:
    row = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": POINTS, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0}
    blank = row | {"keypoints": [0] * 9, "segmentation": [RING]}
    crowd = row | {"iscrowd": 1, "segmentation": [RING]}
    rows = [row, row | {"segmentation": [RING]}, blank | {"num_keypoints": 0}, crowd]
    (table,) = records.reduced(rows, lambda value: value)
    assert isinstance(table, records.Table)
    (one_by_one,) = records.reduced([*rows, {}], lambda value: value)
    assert isinstance(one_by_one, list)
    for record, expected in zip(table, one_by_one[:-1], strict=True):
        assert record._replace(region=None) == expected._replace(region=None)
    for found in (table, one_by_one[:-1]):
        assert [isinstance(record.region, Polygons) for record in found] == [False, False, True, True]
    np.testing.assert_array_equal(np.frombuffer(table.regions[3].rings[0], "<f4"), RING)
