"""A record of the labels that a run began with: metrics of different labels must not be mixed when it resumes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from shlex import quote
from typing import Any

import numpy as np

from cairn.datasets.labels import LabeledImage, Labels
from cairn.errors import LabelError
from cairn.files import atomic_write
from cairn.training.data.sources import Sources
from cairn.training.run_folder import RunFolder

DECIMALS = 2
"""Decimals of coordinates that count: less is rounding of a file format."""

log = logging.getLogger(__name__)


def record_of(images: Iterable[LabeledImage]) -> dict[str, Any]:
    """Returns the number of images and instances, and a digest of their names, keypoints, boxes and classes.

    The order and the folder of the images do not matter: a data set may be moved.
    """
    images = list(images)
    digests = sorted(_digest(image) for image in images)
    instances = sum(len(image.annotation) for image in images)
    return {"images": len(images), "instances": instances, "digest": hashlib.sha256(b"".join(digests)).hexdigest()}


def check_unchanged(sources: Sources, val: Labels, folder: RunFolder, resume: bool) -> None:
    """Writes the record of a new run; compares that of a resumed run with its labels.

    Args:
        sources: Training labels.
        val: Validation labels.
        folder: The folder of the run.
        resume: Whether the run is resumed.

    Raises:
        LabelError: The labels are not those that the run began with.
        OutputError: The record cannot be written.
    """
    now = {"train": record_of(image for labels, _ in sources for image in labels), "val": record_of(val)}
    if resume:
        before = _read(folder)
        for name, title in (("train", "training"), ("val", "validation")):
            if before is not None and before[name] != now[name]:
                raise LabelError(
                    f"{folder.path}: the labels are not those that the run began with: {_counts(now[name], title)}, "
                    f"{_difference(before[name], now[name])}; restore them, or start a new run with "
                    f"--from {quote(str(folder.path))}"
                )
        if before is not None:
            return
        log.info("the run has no record of its labels: changes since it began cannot be noticed")
    with atomic_write(folder.data) as beside:
        beside.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")


def _digest(image: LabeledImage) -> bytes:
    """The digest of one image and its instances."""
    rows = image.annotation
    digest = hashlib.blake2b(image.path.name.encode("utf-8", "surrogateescape"), digest_size=16)
    for values in (rows.keypoints, rows.boxes):
        digest.update((np.round(values.astype(np.float64), DECIMALS) + 0.0).tobytes())  # no negative zero
    for whole in (rows.visibility, rows.crowd, rows.classes):
        digest.update(b"" if whole is None else whole.tobytes())
    return digest.digest()


def _read(folder: RunFolder) -> dict[str, Any] | None:
    """The record in a run folder; None in runs of versions before it."""
    try:
        content = json.loads(folder.data.read_text(encoding="utf-8"))
        return {name: dict(content[name]) for name in ("train", "val")}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise LabelError(f"{folder.data} is damaged: delete it to resume without comparing the labels") from None


def _counts(record: dict[str, Any], title: str) -> str:
    return f"{record['images']} {title} images with {record['instances']} instances"


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    if all(before.get(key) == now[key] for key in ("images", "instances")):
        return "as many as before, with other names, keypoints or boxes"
    return f"before {before.get('images')} with {before.get('instances')}"
