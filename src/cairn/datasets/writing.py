"""Writes labels in a registered format, selected by name or by the suffix of the target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cairn.datasets.formats import FORMATS, Format
from cairn.datasets.labels import SPLITS, Labels
from cairn.errors import OutputError


def form_by_name(path: Path, formats: Sequence[Format] = FORMATS) -> str:
    """Returns the name of the writable format of a target: by its longest known suffix, a folder having none.

    Raises:
        OutputError: No writable format has the suffix.
    """
    endings = {
        suffix: known
        for known in reversed(formats)  # the first of the table wins
        if known.write and ("" in known.suffixes or not path.is_dir())
        for suffix in known.suffixes
    }
    fitting = [suffix for suffix in endings if suffix and path.name.lower().endswith(suffix)]
    plain = "" if path.is_dir() or not path.suffix else None
    match = endings.get(max(fitting, key=len) if fitting else plain)  # type: ignore[arg-type]
    if match is None:
        writable = (f"{known.suffixes[0] or 'a folder'} ({known.name})" for known in formats if known.write)
        raise OutputError(f"cannot determine the format of {path} by its suffix: expected {', '.join(writable)}")
    return match.name


def write_labels(
    labels: Labels,
    path: Path,
    form: str | None = None,
    split: str | None = None,
    formats: Sequence[Format] = FORMATS,
) -> tuple[str, ...]:
    """Writes labels in a registered format.

    Args:
        labels: The labels.
        path: File or folder.
        form: Name of the format; None selects it by the suffix of the path.
        split: Split of a folder that has several (YOLO); None writes each image to its own split, where the labels
            state them, and otherwise to train.
        formats: The registered formats.

    Returns:
        A message for each kind of information that the format cannot hold.

    Raises:
        OutputError: The format is unknown or has no such split, or the target cannot be written.
    """
    form = form or form_by_name(path, formats)
    target = next((known for known in formats if known.name == form), None)
    if target is None or target.write is None:
        writable = ", ".join(known.name for known in formats if known.write)
        raise OutputError(f"labels can be written as {writable}, got {form!r}")
    if split is not None and split not in target.splits:
        splits = f"the splits {', '.join(target.splits)}" if target.splits else "no splits"
        raise OutputError(f"labels in {form} format have {splits}, got {split}")
    heads = not target.heads and any(image.annotation.heads is not None for image in labels)
    lost = [f"head sizes are skipped: {form} has no field for them"] if heads else []
    if split is None and not target.splits and len(labels.splits) > 1:
        lost.append(f"splits are not kept: {form} has no field for them, so all images are in one file")
    return tuple(dict.fromkeys((*lost, *target.write(labels, path, split or ""))))


def written_splits(labels: Labels) -> list[str]:
    """Returns the splits that labels are written in: their own; train for images without one."""
    present = {image.split or "train" for image in labels} or {"train"}
    return [name for name in SPLITS if name in present]
