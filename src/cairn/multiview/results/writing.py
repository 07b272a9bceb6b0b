"""Writes results in several formats into one folder, each file completely or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.errors import OutputError
from cairn.extras import require
from cairn.files import atomic_write, ensure_unused_names
from cairn.multiview.reconstruction import Reconstruction
from cairn.multiview.results.c3d import write_c3d
from cairn.multiview.results.json_file import write_json
from cairn.multiview.results.player import write_player
from cairn.multiview.results.table import write_csv, write_parquet
from cairn.multiview.results.trc import write_trc

STEM = "poses3d"
"""Name of the files without suffix."""


@dataclass(frozen=True)
class FileFormat:
    """A file format of tracks in 3D.

    Attributes:
        suffix: Suffix of its files.
        write: Writes a file with all tracks; None where a file holds one.
        write_one: Writes a file with the track in a row; None where a file holds all.
        needs: Package that it needs and the extra that installs it; None for none.
    """

    suffix: str
    write: Callable[[Reconstruction, Path], None] | None = None
    write_one: Callable[[Reconstruction, int, Path, str], None] | None = None
    needs: tuple[str, str] | None = None


FORMATS: dict[str, FileFormat] = {
    "json": FileFormat(".json", lambda r, path: write_json(r.trajectories, r.rig, r.up, path)),
    "trc": FileFormat(".trc", None, lambda r, row, path, name: write_trc(r.trajectories.person(row), r.up, path, name)),
    "c3d": FileFormat(
        ".c3d",
        None,
        lambda r, row, path, name: write_c3d(r.trajectories.person(row), r.up, path, name),
        ("ezc3d", "multiview"),
    ),
    "csv": FileFormat(".csv", lambda r, path: write_csv(r.trajectories, r.up, path)),
    "parquet": FileFormat(
        ".parquet", lambda r, path: write_parquet(r.trajectories, r.up, path), needs=("pyarrow", "parquet")
    ),
    "html": FileFormat(".html", lambda r, path: write_player(r, path)),
}
"""Name -> format."""


def check_formats(names: Sequence[str]) -> None:
    """Checks names of formats, and that their packages are installed.

    Raises:
        OutputError: A format is unknown.
        MissingExtra: A package is missing.
    """
    for name in names:
        if name not in FORMATS:
            raise OutputError(f"write: expected formats of {','.join(FORMATS)}, got {name!r}")
        if (needs := FORMATS[name].needs) is not None:
            require(needs[0], extra=needs[1], purpose=f"the format {name}")


def result_names(names: Sequence[str], ids: Sequence[int]) -> dict[str, list[str]]:
    """Returns the names of the files of each format: one for each track, where a file holds one track."""
    files = {}
    for name in names:
        each = FORMATS[name]
        several = each.write_one is not None and len(ids) > 1
        files[name] = [f"{STEM}-{i}{each.suffix}" for i in ids] if several else [f"{STEM}{each.suffix}"]
    return files


def write_results(result: Reconstruction, folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Writes the files, and returns their paths.

    Args:
        result: The tracks.
        folder: The folder, which is created.
        names: Names of formats.

    Raises:
        OutputError: A format is unknown, a file of that name exists, or it cannot be written.
        MissingExtra: A package is missing.
    """
    check_formats(names)
    files = result_names(names, result.trajectories.ids.tolist())
    ensure_unused_names(folder, [file for own in files.values() for file in own])
    written = []
    for name, own in files.items():
        each = FORMATS[name]
        for row, file in enumerate(own):
            path = folder / file
            with atomic_write(path) as partial:
                if each.write is not None:
                    each.write(result, partial)
                elif each.write_one is not None and len(result.trajectories.ids):
                    each.write_one(result, row, partial, file)
            written.append(path)
    return tuple(written)
