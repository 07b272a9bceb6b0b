"""The table of `csv_table` as a Parquet file, with typed columns."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from cairn.errors import MissingExtra
from cairn.files import atomic_write
from cairn.results.csv_table import COLUMNS
from cairn.results.writer import Detections, Writer
from cairn.structures.conversions import with_class

ROWS = 1 << 16
"""Rows that are collected in memory before they are written."""


class ParquetWriter(Writer):
    """Writes `cairn.parquet`; missing values are null. Raises MissingExtra without pyarrow."""

    def __init__(self, folder: Path, classes: tuple[str, ...] = ()) -> None:
        try:
            import pyarrow
        except ImportError:
            raise MissingExtra("pyarrow", "parquet", purpose="the format parquet") from None
        self.folder = folder
        types = (
            *(pyarrow.string(), pyarrow.int64(), pyarrow.float64(), pyarrow.int32(), pyarrow.int64()),
            *([pyarrow.string()] if classes else []),
            *(pyarrow.float32(), pyarrow.string(), pyarrow.float32(), pyarrow.float32(), pyarrow.float32()),
        )
        self.classes = classes
        self._schema = pyarrow.schema(list(zip(with_class(COLUMNS, classes), types, strict=True)))
        self._batches: list[Any] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        from pyarrow.parquet import ParquetWriter as Table

        with ExitStack() as opening:
            beside = opening.enter_context(atomic_write(self.folder / "cairn.parquet"))
            self._table = opening.enter_context(Table(beside, self._schema))
            self._open = opening.pop_all()
        return self

    def write(self, detections: Detections) -> None:
        """Adds a row for each keypoint."""
        import pyarrow

        name, poses = detections.name, detections.poses
        people, joints = len(poses), len(poses.skeleton)
        rows = people * joints
        ids = np.full(people, -1) if poses.ids is None else poses.ids
        not_detected = ~poses.detected.ravel()
        # A file name need not be valid UTF-8, but the table must be.
        image = name.path.as_posix().encode(errors="backslashreplace").decode()
        columns = (
            [image] * rows,
            [name.frame] * rows,
            [name.seconds] * rows,
            np.repeat(np.arange(people), joints),
            pyarrow.array(np.repeat(ids, joints), mask=np.repeat(ids < 0, joints)),
            *([[pose.class_name for pose in poses for _ in range(joints)]] if self.classes else []),
            np.repeat(poses.scores, joints),
            list(poses.skeleton.joints) * people,
            pyarrow.array(poses.keypoints[..., 0].ravel(), mask=not_detected),
            pyarrow.array(poses.keypoints[..., 1].ravel(), mask=not_detected),
            poses.confidence.ravel(),
        )
        arrays = [
            pyarrow.array(column, kind) if not isinstance(column, pyarrow.Array) else column.cast(kind)
            for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._batches.append(pyarrow.record_batch(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._batches) >= ROWS:
            self._flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._open.__exit__(kind, error, trace)
            return
        with self._open:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self._table.write_table(pyarrow.Table.from_batches(self._batches, self._schema).combine_chunks())
        self._batches.clear()
