"""Landmarks in files: `.mrk.json` and `.fcsv` of 3D Slicer, CSV, and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.files import atomic_write
from cairn.pointclouds.io.markups import markups_json, read_fcsv, read_markups, write_fcsv
from cairn.structures.cloud import Landmarks

FORMATS = ("mrk", "fcsv", "csv", "json")
"""Formats that landmarks are written in."""

COLUMNS = {("x", "y", "z"): None, ("l", "p", "s"): "LPS", ("r", "a", "s"): "RAS"}
"""Names of coordinates in tables; those of 3D Slicer state the coordinate system."""

NAMES = ("name", "label", "landmark", "id")


def read_landmarks(path: str | Path) -> Landmarks:
    """Reads landmarks: `.mrk.json`, `.fcsv`, CSV or JSON, recognized by the content.

    Raises:
        CloudError: The file is missing, of another format, or damaged.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CloudError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CloudError(f"{path}: expected landmarks (.mrk.json, .fcsv, CSV or JSON), got binary data") from None
    if not text.strip():
        raise CloudError(f"{path}: expected landmarks, got an empty file")
    if text.lstrip()[0] in "{[":
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            place = f": {error.msg} in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise CloudError(f"{path} is truncated or no JSON{place}") from None
        return read_markups(path, content) if _is_markups(content) else _read_json(path, content)
    if re.match(r"#\s*Markups", text):
        return read_fcsv(path, text)
    return _read_csv(path, text)


def write_landmarks(path: str | Path, landmarks: Landmarks, format: str | None = None) -> None:
    """Writes landmarks.

    Args:
        path: The file.
        landmarks: The landmarks. Files of 3D Slicer always state a coordinate system: of landmarks without one it is
            LPS, as Slicer assumes for meshes without one.
        format: One of `FORMATS`. Default: that of the file's suffix.

    Raises:
        CloudError: The format is unknown.
        OutputError: The file cannot be written.
    """
    path = Path(path)
    chosen = format or ("mrk" if path.name.endswith(".mrk.json") else path.suffix[1:].lower())
    writers = {"mrk": markups_json, "fcsv": write_fcsv, "csv": _csv, "json": _json}
    if chosen not in writers:
        raise CloudError(f"{path}: expected a landmark file .mrk.json, .fcsv, .csv or .json")
    text = writers[chosen](landmarks)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _is_markups(content: Any) -> bool:
    return isinstance(content, Mapping) and "markups" in content


def _read_json(path: Path, content: Any) -> Landmarks:
    """Reads {"landmarks": [{"name", "position"}, ...]}, {name: [x, y, z], ...} or [[x, y, z], ...]."""
    system, unit, entries = None, None, content
    key = next((key for key in ("landmarks", "keypoints") if isinstance(content, Mapping) and key in content), None)
    if key is not None:
        system, unit, entries = content.get("coordinate_system"), content.get("unit"), content[key]
    if isinstance(entries, Mapping):
        entries = [{"name": name, "position": position} for name, position in entries.items()]
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise CloudError(f"{path}: expected landmarks with a name and a position each")
    names, points = [], []
    for number, entry in enumerate(entries, start=1):
        named = entry if isinstance(entry, Mapping) else {"position": entry}
        names.append(str(next((named[key] for key in NAMES if key in named), number)))
        points.append(position_of(path, names[-1], named.get("position", named.get("xyz"))))
    return Landmarks(tuple(names), np.array(points).reshape(-1, 3), _text(system), _text(unit), str(path))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def position_of(path: Path, name: str, position: Any) -> list[float]:
    """Returns the position of a landmark, NaN for null.

    Raises:
        CloudError: It is not three numbers.
    """
    if position is None:
        return [np.nan] * 3
    numbers = isinstance(position, Sequence) and all(
        each is None or (isinstance(each, int | float) and not isinstance(each, bool)) for each in position
    )
    if not numbers or len(position) != 3:
        raise CloudError(f"{path}: expected x, y and z of landmark {name}, got {position!s:.60}")
    return [np.nan if each is None else float(each) for each in position]


def _read_csv(path: Path, text: str) -> Landmarks:
    """Reads a table with a name and three coordinates in each row; the columns have names, or are in that order."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise CloudError(f"{path}: expected landmarks, but it has none")
    delimiter = next((each for each in ";\t," if each in lines[0]), " ")
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    rows = [[cell for cell in row if cell] if delimiter == " " else row for row in rows]
    head = [re.sub(r"\W.*$", "", cell.lower()) for cell in rows[0]]
    named = next((columns for columns in COLUMNS if set(columns) <= set(head)), None)
    if named is not None:
        places = [head.index(column) for column in named]
        label = next((head.index(name) for name in NAMES if name in head), None)
        rows = rows[1:]
    elif len(rows[0]) in (3, 4):
        label, places = (0, [1, 2, 3]) if len(rows[0]) == 4 else (None, [0, 1, 2])
    else:
        raise CloudError(f"{path}: expected columns name, x, y and z; got {', '.join(rows[0])[:100]}")
    names, points = [], []
    for number, row in enumerate(rows, start=1):
        if len(row) <= max([*places, label or 0]):
            raise CloudError(f"{path}: row {number} has {len(row)} values, expected a name, x, y and z")
        names.append(str(number) if label is None else row[label])
        points.append(_coordinates(path, names[-1], [row[place] for place in places], delimiter))
    unit = next(
        (found[1] for cell in text.splitlines()[0].split(delimiter) if (found := re.search(r"\[(\w+)\]", cell))), None
    )
    return Landmarks(tuple(names), np.array(points).reshape(-1, 3), COLUMNS[named] if named else None, unit, str(path))


def _coordinates(path: Path, name: str, cells: Sequence[str], delimiter: str) -> list[float]:
    if not any(cells) or all(cell.lower() in ("", "na", "nan") for cell in cells):
        return [np.nan] * 3
    try:
        return [float(cell if delimiter == "," else cell.replace(",", ".")) for cell in cells]
    except ValueError:
        raise CloudError(f"{path}: expected x, y and z of landmark {name}, got {', '.join(cells)[:60]}") from None


def _csv(landmarks: Landmarks) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    columns = next(names for names, system in COLUMNS.items() if system == landmarks.coordinate_system)
    writer.writerow(["name", *(f"{column} [{landmarks.unit}]" if landmarks.unit else column for column in columns)])
    for name, point in zip(landmarks.names, landmarks.points, strict=True):
        writer.writerow([name, *(repr(float(value)) if np.isfinite(value) else "" for value in point)])
    return target.getvalue()


def _json(landmarks: Landmarks) -> str:
    entries = [
        {"name": name, "position": point.tolist() if np.isfinite(point).all() else None}
        for name, point in zip(landmarks.names, landmarks.points, strict=True)
    ]
    content = {"coordinate_system": landmarks.coordinate_system, "unit": landmarks.unit, "landmarks": entries}
    return json.dumps(content, indent=1)


def as_landmarks(points: NDArray[np.float64], names: Sequence[str] = ()) -> Landmarks:
    """Returns points (L, 3) as landmarks; without names they are numbered from 1."""
    return Landmarks(tuple(names or map(str, range(1, len(points) + 1))), points)
