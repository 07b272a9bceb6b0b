"""Labels as a table, in CSV or Parquet: a row for each joint of each object, for spreadsheets and data frames.

    image,width,height,video,subject,frame,object,track,crowd,box_x,box_y,box_width,box_height,area,joint,x,y,v

`object` counts in each image from 0; v is COCO's. What is missing is empty; an image without objects has one row
with nothing after `frame`. The skeleton is in the Parquet file itself, and beside the CSV in NAME.skeleton.toml.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import described
from cairn.datasets.formats.coco import decimals, name_in, shared_by
from cairn.datasets.formats.people import Listed, Person, gather, placed
from cairn.datasets.formats.skeleton_file import read_skeleton, skeleton_beside
from cairn.datasets.labels import Labels
from cairn.datasets.problems import Faults
from cairn.errors import LabelError, MissingExtra, SkeletonError
from cairn.files import atomic_write
from cairn.structures.skeleton import Skeleton

TEXTS = ("image", "video", "subject", "joint")
WHOLE = ("width", "height", "frame", "object", "track", "crowd", "v")
COLUMNS = (
    *("image", "width", "height", "video", "subject", "frame", "object", "track", "crowd"),
    *("box_x", "box_y", "box_width", "box_height", "area", "joint", "x", "y", "v"),
)
NEEDED = ("image", "object", "joint", "x", "y", "v")

Row = Mapping[str, Any]


def write_csv(labels: Labels, path: Path) -> None:
    """Raises OutputError."""
    with atomic_write(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rows(labels, path))


def write_parquet(labels: Labels, path: Path) -> None:
    """Raises OutputError, and MissingExtra without pyarrow."""
    pyarrow, parquet = _pyarrow()
    kinds = {name: pyarrow.string() if name in TEXTS else pyarrow.float64() for name in COLUMNS}
    kinds |= {name: pyarrow.int64() for name in WHOLE}
    rows = list(_rows(labels, path))
    columns = {name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in kinds.items()}
    table = pyarrow.table(columns, metadata={"cairn.structures.skeleton": json.dumps(labels.skeleton.to_dict())})
    with atomic_write(path) as beside:
        parquet.write_table(table, beside)


def read_table(
    path: Path, images: Path | None = None, names: Skeleton | None = None, faults: Faults | None = None
) -> Labels:
    """What `write_csv` and `write_parquet` wrote, or a table with at least the columns image, object, joint, x, y, v.

    names  the skeleton, where the table has none and none lies beside it
    Raises LabelError with file and row where anything is missing or contradictory, MissingExtra without pyarrow.
    """
    faults = faults or Faults()
    columnar = _is_parquet(path)
    rows, own = _parquet_rows(path) if columnar else _csv_rows(path)
    skeleton = _skeleton(path, rows, own, names)
    listed: dict[str, Listed] = {}
    objects: dict[tuple[str, int], list[tuple[int, Row]]] = {}
    for number, row in enumerate(rows, start=1 if columnar else 2):
        with faults:
            image = row["image"]
            if not isinstance(image, str) or not image:
                raise LabelError(f"{path}: row {number} names no image")
            if image not in listed:
                listed[image] = _listed(row, f"{path}: row {number}")
            which = _whole(row, "object", f"{path}: row {number}")
            if which is not None:
                objects.setdefault((image, which), []).append((number, row))
    people = []
    for (image, _), joints in objects.items():
        with faults:
            people.append(_person(image, joints, skeleton, path))
    return gather(people, skeleton, path, images, listed=listed.values(), faults=faults)


def _rows(labels: Labels, path: Path) -> Iterator[dict[str, Any]]:
    folder = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    for image in labels:
        height, width = image.size
        shared = {"image": name_in(folder, image.path), "width": width, "height": height, **shared_by(image)}
        rows = image.annotation
        if not len(rows):
            yield shared
        for i in range(len(rows)):
            x, y, w, h, area = decimals(np.append(rows.boxes[i], rows.areas[i]))
            track = -1 if rows.tracks is None else int(rows.tracks[i])
            known = {"object": i, "track": track if track >= 0 else None, "crowd": int(rows.crowd[i])}
            box = {"box_x": x, "box_y": y, "box_width": w, "box_height": h, "area": area}
            for joint, point, v in zip(
                labels.skeleton.joints, rows.keypoints[i], rows.visibility[i].tolist(), strict=True
            ):
                place = dict(zip("xy", decimals(point), strict=True)) if v else {}
                yield {**shared, **known, **box, "joint": joint, **place, "v": v}


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None


def _csv_rows(path: Path) -> tuple[list[Row], None]:
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        rows = list(reader)
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is no UTF-8 text") from None
    except csv.Error as error:
        raise LabelError(f"{path} is no CSV that can be read: {error}") from None
    _check_columns(path, reader.fieldnames or [])
    return [_typed(row, f"{path}: row {number}") for number, row in enumerate(rows, start=2)], None


def _typed(row: Mapping[str, str | None], record: str) -> Row:
    """Texts, numbers, and None for nothing; what is no number becomes NaN, which nothing takes."""
    values: dict[str, Any] = dict.fromkeys(COLUMNS)
    for name in COLUMNS:
        text = row.get(name)
        if text:
            values[name] = text if name in TEXTS else _number(text)
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _parquet_rows(path: Path) -> tuple[list[Row], Skeleton | None]:
    pyarrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
        metadata = (table.schema.metadata or {}).get(b"cairn.structures.skeleton")
        own = Skeleton.from_dict(json.loads(metadata)) if metadata else None
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror or 'damaged, or no Parquet file'}") from None
    except (pyarrow.ArrowException, ValueError, SkeletonError) as error:
        raise LabelError(f"{path} is damaged, or no Parquet file ({type(error).__name__})") from None
    _check_columns(path, table.column_names)
    return [{name: _plain(name, row.get(name)) for name in COLUMNS} for row in table.to_pylist()], own


def _plain(name: str, value: Any) -> Any:
    """As `_typed` makes them of texts."""
    if value is None or isinstance(value, str if name in TEXTS else int | float):
        return value
    return str(value) if name in TEXTS else float("nan")


def _check_columns(path: Path, names: Any) -> None:
    if missing := [name for name in NEEDED if name not in names]:
        raise LabelError(f"{path} has no column {missing[0]!r}: expected at least {', '.join(NEEDED)}")


def _listed(row: Row, record: str) -> Listed:
    height, width, frame = (_whole(row, key, record) for key in ("height", "width", "frame"))
    if (height is None) != (width is None) or (height or 1) < 1 or (width or 1) < 1:
        raise LabelError(f"{record}: width and height must be pixels, got {row['width']} and {row['height']}")
    kin = tuple(f"{key} {row[key]}" for key in ("video", "subject") if row[key] is not None)
    return Listed(row["image"], (height, width) if height and width else None, kin, frame)


def _person(image: str, joints: list[tuple[int, Row]], skeleton: Skeleton, path: Path) -> Person:
    points = np.full((len(skeleton), 2), np.nan)
    hidden = np.zeros(len(skeleton), bool)
    seen: set[str] = set()
    for number, row in joints:
        record, joint = f"{path}: row {number}", row["joint"]
        if joint not in skeleton.joints:
            raise LabelError(f"{record}: joint {joint!r} is not among {', '.join(skeleton.joints[:20])}")
        if joint in seen:
            raise LabelError(f"{record}: {joint} of object {row['object']:g} in {image} stands twice")
        seen.add(joint)
        if row["v"] not in (0, 1, 2):
            raise LabelError(f"{record}: v must be 0 (not labeled), 1 (hidden) or 2 (visible), got {row['v']}")
        if row["v"]:
            if row["x"] is None or row["y"] is None or row["x"] != row["x"] or row["y"] != row["y"]:
                raise LabelError(f"{record}: x and y must be numbers where v is not 0, got {row['x']} and {row['y']}")
            (points[skeleton.index(joint)],) = placed(np.array([[row["x"], row["y"]]]), record)
            hidden[skeleton.index(joint)] = row["v"] == 1
    number, first = joints[0]
    record = f"{path}: row {number}"
    box = [first[name] for name in ("box_x", "box_y", "box_width", "box_height")]
    given = all(value is not None for value in box)
    if given and (not np.isfinite(box).all() or min(box[2:]) < 0):
        raise LabelError(f"{record}: the box must be x, y, width and height, got {box}")
    area, track = first["area"], _whole(first, "track", record)
    if area is not None and not (area >= 0 and np.isfinite(area)):
        raise LabelError(f"{record}: area must be a number of square pixels, got {area}")
    return Person(
        image,
        points,
        hidden,
        tuple(box) if given else None,  # type: ignore[arg-type]
        area=area,
        track=-1 if track is None else track,
        crowd=bool(first["crowd"]),
    )


def _whole(row: Row, key: str, record: str) -> int | None:
    value = row[key]
    if value is None:
        return None
    if value != value or not float(value).is_integer() or value < 0:
        raise LabelError(f"{record}: {key} must be a whole number, got {value}")
    return int(value)


def _skeleton(path: Path, rows: list[Row], own: Skeleton | None, names: Skeleton | None) -> Skeleton:
    """The table's, that beside it, the given one, or what follows from the names in order of appearance."""
    joints = list(dict.fromkeys(row["joint"] for row in rows if row["joint"] is not None))
    if not joints:
        raise LabelError(f"{path} {'has no labeled joint' if rows else 'is empty: it has a header and no rows'}")
    beside = skeleton_beside(path)
    found = own or (read_skeleton(beside) if beside.is_file() else names)
    if found is not None and set(joints) <= set(found.joints):
        return found
    return described("object", joints)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    return pyarrow, parquet
