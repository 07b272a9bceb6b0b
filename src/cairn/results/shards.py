"""Shards: the table of `cairn.results.parquet` in many files, one for each part of a large data set.

    results/cairn.parquet/part-00000000.parquet
    results/cairn.parquet/part-00000001.parquet

The folder is one table: pandas, polars, DuckDB and Spark read it whole. The rows are ordered by source, within each
shard and from shard to shard. A shard is complete or absent. Its metadata has what a run needs to go on: which items
the shard has, and what could not be read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.results.parquet import KeypointTable, keypoint_schema

SHARDS = "cairn.parquet"
"""The folder of shards in the output folder: the name that the table has as one file."""

METADATA_KEY = b"cairn.shard"

NAME = re.compile(r"part-(\d{8,})\.parquet")


@dataclass
class ShardRecord:
    """What a shard has.

    Attributes:
        first: Place of its first item, as JSON has it.
        last: Place of its last item.
        items: Hashes of the items, in order; see `item_hash`.
        images: Number of images that are not part of a clip.
        frames: Number of frames of clips, damaged ones included.
        damaged: Number of damaged frames.
        people: Number of detected instances.
        faults: What could not be read, or not to its end: path and reason.
        seconds: Time that the shard took.
        processor_seconds: Processor time that the shard took, of all threads of its process.
    """

    first: list[Any] = field(default_factory=list)
    last: list[Any] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    images: int = 0
    frames: int = 0
    damaged: int = 0
    people: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def to_json(self) -> str:
        """Returns the record as JSON."""
        return json.dumps({**asdict(self), "items": base64.b64encode(_packed(self.items).tobytes()).decode()})

    @classmethod
    def from_json(cls, text: str | bytes) -> ShardRecord:
        """Returns the record in a file. Raises ValueError or TypeError for another text."""
        values = json.loads(text)
        items = np.frombuffer(base64.b64decode(values.pop("items")), np.uint64).tolist()
        faults = [(place, reason) for place, reason in values.pop("faults")]
        return cls(items=items, faults=faults, **values)


def _packed(items: Sequence[int]) -> NDArray[np.uint64]:
    return np.array(items, np.uint64)


def item_hash(text: str) -> int:
    """Returns a hash of 8 bytes of what identifies an item."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def shard_path(folder: Path, number: int) -> Path:
    """Returns the file of a shard in an output folder."""
    return folder / SHARDS / f"part-{number:08d}.parquet"


def shard_numbers(folder: Path) -> list[int]:
    """Returns the numbers of the shards in an output folder, in order."""
    try:
        names = [NAME.fullmatch(path.name) for path in (folder / SHARDS).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OutputError(f"cannot read the folder {folder / SHARDS}: {error.strerror or error}") from None
    return sorted(int(name[1]) for name in names if name)


def read_record(path: Path) -> ShardRecord | None:
    """Returns the record of a shard; None where the file is damaged or not a shard."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            return ShardRecord.from_json((file.metadata.metadata or {})[METADATA_KEY])
    except (OSError, KeyError, ValueError, TypeError, pyarrow.ArrowException):
        return None


@contextmanager
def open_shard(
    folder: Path, number: int, record: ShardRecord, classes: tuple[str, ...], empty: bool
) -> Iterator[KeypointTable]:
    """Yields a shard to add rows to. It is there, with the record as it is then, when the block ends without an error.

    Args:
        folder: The output folder.
        number: Number of the shard.
        record: Written at the end.
        classes: Names of the classes of the model; empty for one class.
        empty: Whether an image without detections has a row.

    Raises:
        OutputError: The file cannot be written.
    """
    from pyarrow.parquet import ParquetWriter

    schema = keypoint_schema(classes)
    with atomic_write(shard_path(folder, number)) as beside, ParquetWriter(beside, schema) as rows:
        table = KeypointTable(rows, schema, empty, bool(classes))
        yield table
        table.flush()
        rows.add_key_value_metadata({METADATA_KEY.decode(): record.to_json()})
