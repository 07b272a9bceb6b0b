"""The door out: labels in a form by name."""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.formats.coco import write_coco
from cairn.datasets.formats.table import write_csv, write_parquet
from cairn.datasets.formats.yolo import PARTS
from cairn.datasets.formats.yolo_writer import write_yolo
from cairn.datasets.labels import Labels
from cairn.errors import OutputError

FORMS = {".json": "coco", ".csv": "csv", ".parquet": "parquet", "": "yolo"}
"""By the suffix of what is written; a folder has none."""


def form_by_name(path: Path) -> str:
    """Raises OutputError for an unknown suffix."""
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix not in FORMS:
        raise OutputError(
            f"cannot tell what {path} is to be: expected .json (COCO), .csv, .parquet, or a folder (YOLO)"
        )
    return FORMS[suffix]


def write_labels(labels: Labels, path: Path, form: str | None = None, part: str | None = None) -> tuple[str, ...]:
    """Writes coco, yolo, csv or parquet; None goes by the name. What the form has no room for is returned in words.

    part  of a YOLO folder: train, val or test; None is train
    Raises OutputError where it cannot be written.
    """
    form = form or form_by_name(path)
    if part is not None and (form != "yolo" or part not in PARTS):
        raise OutputError(f"only a YOLO folder has parts, {', '.join(PARTS)}: got {part} of {form}")
    heads = any(image.annotation.heads is not None for image in labels)
    lost: tuple[str, ...] = ("sizes of heads are left out, for which there is no room",) if heads else ()
    match form:
        case "coco":
            write_coco(labels, path)
        case "csv":
            write_csv(labels, path)
        case "parquet":
            write_parquet(labels, path)
        case "yolo":
            lost += write_yolo(labels, path, part or "train")
        case _:
            raise OutputError(f"labels are written as {', '.join(FORMS.values())}, got {form!r}")
    return lost
