"""The tables of `csv_table` as Parquet files, with typed columns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import MissingExtra
from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.csv_table import COLUMNS
from cairn.results.spanning import SpanningWriter, table_path
from cairn.results.writer import Detections
from cairn.structures.conversions import with_class

ROWS = 1 << 16
"""Rows that are collected in memory before they are written."""


class ParquetWriter(SpanningWriter["KeypointTable"]):
    """Writes `clip.cairn.parquet` for each clip and `cairn.parquet` for all images outside clips.

    Missing values are null. Raises MissingExtra without pyarrow.

    Args:
        folder: The output folder.
        single: Whether the run is of one image, whose name the table gets: `photo.cairn.parquet`.
        empty: Whether an image without detections has a row, in which only the image, frame and seconds are known.
        classes: Names of the classes of the model; empty for one class.
    """

    def __init__(self, folder: Path, single: bool = False, empty: bool = False, classes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.folder = folder
        self.single = single
        self.empty = empty
        self.classes = classes
        self._schema = keypoint_schema(classes)

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the table that the results of an image go into."""
        return (table_path(self.folder, name, ".cairn.parquet", self.single),)

    @contextmanager
    def _opened(self, detections: Detections) -> Iterator[KeypointTable]:
        from pyarrow.parquet import ParquetWriter as Rows

        with atomic_write(*self.paths(detections.name)) as beside, Rows(beside, self._schema) as rows:
            table = KeypointTable(rows, self._schema, self.empty, bool(self.classes))
            yield table
            table.flush()

    def _add(self, file: KeypointTable, detections: Detections) -> None:
        file.add(detections)


def keypoint_schema(classes: tuple[str, ...]) -> Any:
    """Returns the columns of the table, as a schema of pyarrow.

    Args:
        classes: Names of the classes of the model; empty for one class.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow", "parquet", purpose="the format parquet") from None
    types = (
        *(pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.int32(), pyarrow.int64()),
        *([pyarrow.string()] if classes else []),
        *(pyarrow.float32(), pyarrow.string(), pyarrow.float32(), pyarrow.float32(), pyarrow.float32()),
    )
    return pyarrow.schema(list(zip(with_class(COLUMNS, classes), types, strict=True)))


class KeypointTable:
    """An open table with a row for each keypoint; rows are collected and written in groups.

    Args:
        rows: Writer of pyarrow.
        schema: The columns, of `keypoint_schema`.
        empty: Whether an image without detections has a row.
        classes: Whether there is a column of the class.
    """

    def __init__(self, rows: Any, schema: Any, empty: bool, classes: bool) -> None:
        self._rows = rows
        self._schema = schema
        self._empty = empty
        self._classes = classes
        self._batches: list[Any] = []

    def add(self, detections: Detections) -> None:
        """Adds a row for each keypoint."""
        import pyarrow

        name, poses = detections.name, detections.poses
        people, joints = len(poses), len(poses.skeleton)
        rows = people * joints
        ids = np.full(people, -1) if poses.ids is None else poses.ids
        not_detected = ~poses.detected.ravel()
        # A file name need not be valid UTF-8, but the table must be.
        image = (name.text.encode(errors="backslashreplace").decode(), name.frame, name.seconds)
        if self._empty and not people:
            self._add([[value] for value in image] + [[None]] * (len(self._schema.types) - len(image)))
        # Columns of the image, of the instance and of the keypoint.
        self._add(
            [
                *([value] * rows for value in image),
                np.repeat(np.arange(people), joints),
                pyarrow.array(np.repeat(ids, joints), mask=np.repeat(ids < 0, joints)),
                *([[pose.class_name for pose in poses for _ in range(joints)]] if self._classes else []),
                np.repeat(poses.scores, joints),
                list(poses.skeleton.joints) * people,
                pyarrow.array(poses.keypoints[..., 0].ravel(), mask=not_detected),
                pyarrow.array(poses.keypoints[..., 1].ravel(), mask=not_detected),
                poses.confidence.ravel(),
            ]
        )

    def _add(self, columns: list[Any]) -> None:
        """Adds rows, as one array or list for each column."""
        import pyarrow

        arrays = [
            pyarrow.array(column, kind) if not isinstance(column, pyarrow.Array) else column.cast(kind)
            for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._batches.append(pyarrow.record_batch(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._batches) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes the collected rows."""
        import pyarrow

        self._rows.write_table(pyarrow.Table.from_batches(self._batches, self._schema).combine_chunks())
        self._batches.clear()
