"""The labels of a project: every version of them in a log, and the current ones as COCO.

`history.jsonl` has one line for each saved version of the labels of an image. A version is saved once its line is on
the disk; `labels.json` (COCO) is written from it afterwards, and again at the next start where a crash came between
the two. A version names the one that it follows, so that two browser tabs cannot overwrite each other's labels.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cairn.datasets.formats.category import category_from_skeleton
from cairn.files import atomic_write
from cairn.server.append_log import AppendLog
from cairn.server.problems import Problem
from cairn.structures.annotation import AREA_PER_BOX
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

HISTORY, COCO = "history.jsonl", "labels.json"

MARGIN = 0.1
"""Margin of the bounding box of keypoints, as a share of its longer side."""

MAX_INSTANCES = 500
"""Instances of one image."""

Visibility = Literal[0, 1, 2]
"""COCO's v: 0 is not labeled, 1 is occluded, 2 is visible."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class LabeledInstance(BaseModel):
    """An instance.

    Attributes:
        keypoints: K lists of x, y and v, in the order of the skeleton, pixels.
        box: x, y, width and height, pixels; None for the bounding box of the keypoints.
    """

    model_config = ConfigDict(extra="forbid")

    keypoints: list[tuple[Finite, Finite, Visibility]]
    box: tuple[Finite, Finite, Finite, Finite] | None = None


class ImageLabels(BaseModel):
    """The labels of an image.

    Attributes:
        revision: Number of the version, from 1; 0 before the first one. In a request, the version that it follows.
        labeled: Whether the image is finished, and trained on.
        instances: Its instances.
        time: When it was saved; set by the server.
    """

    model_config = ConfigDict(extra="forbid")

    revision: Annotated[int, Field(ge=0)] = 0
    labeled: bool = False
    instances: Annotated[list[LabeledInstance], Field(max_length=MAX_INSTANCES)] = []
    time: str = ""


class LabelStore:
    """Reads and saves the labels of the images of one project.

    Args:
        folder: Folder of the project.
        skeleton: Skeleton of all instances.

    Raises:
        LabelError: A line of the log is damaged.
    """

    def __init__(self, folder: Path, skeleton: Skeleton) -> None:
        self.coco_path = folder / COCO
        self.skeleton = skeleton
        self._log = AppendLog(folder / HISTORY)
        self._lock = threading.Lock()
        self._latest = {row["image"]: ImageLabels.model_validate(row["labels"]) for row in self._log.rows()}

    def get(self, image: int) -> ImageLabels:
        """Returns the current labels of an image."""
        return self._latest.get(image, ImageLabels())

    def history(self, image: int) -> list[ImageLabels]:
        """Returns all versions of the labels of an image, the last one first."""
        return [ImageLabels.model_validate(row["labels"]) for row in self._log.rows() if row["image"] == image][::-1]

    def save(self, image: int, labels: ImageLabels, size: Size) -> ImageLabels:
        """Saves a version of the labels of an image, and returns it.

        Args:
            image: ID of the image.
            labels: The labels, with the revision that they follow.
            size: (height, width) of the image in pixels.

        Raises:
            Problem: The labels follow another version than the current one (409), or do not fit the image (422).
        """
        self._check(labels, size)
        with self._lock:
            current = self.get(image)
            if _same(labels, current) and labels.revision == current.revision - 1:
                return current  # sent again, because the answer was lost
            if labels.revision != current.revision:
                raise Problem(
                    409,
                    f"the labels were changed elsewhere: they are at version {current.revision}, and these follow "
                    f"version {labels.revision}",
                    current=current.model_dump(),
                )
            now = datetime.now(UTC).isoformat(timespec="seconds")
            saved = labels.model_copy(update={"revision": current.revision + 1, "time": now})
            self._log.append({"image": image, "labels": saved.model_dump()})
            self._latest[image] = saved
            return saved

    def save_all(self, labels: Mapping[int, ImageLabels], sizes: Mapping[int, Size]) -> None:
        """Saves the first version of the labels of several images, all or none.

        Args:
            labels: ID -> the labels of an image that has none yet.
            sizes: ID -> (height, width) of the image in pixels.

        Raises:
            Problem: An image has labels (409), or they do not fit it (422).
        """
        for image, each in labels.items():
            self._check(each, sizes[image])
        with self._lock:
            if taken := [image for image in labels if self.get(image).revision]:
                raise Problem(409, f"image {taken[0]} was labeled meanwhile: try again")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            saved = {i: each.model_copy(update={"revision": 1, "time": now}) for i, each in labels.items()}
            self._log.extend({"image": i, "labels": each.model_dump()} for i, each in saved.items())
            self._latest.update(saved)

    def write_coco(self, images: Mapping[int, Mapping[str, Any]]) -> None:
        """Writes `labels.json` from the current labels.

        Args:
            images: ID -> the record of an image: file_name, width, height and groups.
        """
        with self._lock, atomic_write(self.coco_path) as beside:
            beside.write_text(json.dumps(self.coco(images)), encoding="utf-8")

    def coco(self, images: Mapping[int, Mapping[str, Any]], finished: bool = False) -> dict[str, Any]:
        """Returns a COCO file of the images that have labels.

        Args:
            images: ID -> the record of an image.
            finished: Whether images whose labels are not finished are skipped.
        """
        kept: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, labels in sorted(self._latest.items()):
            record = images.get(number)
            if record is None or not labels.revision or (finished and not labels.labeled):
                continue
            kept.append({"id": number, **record, "labeled": labels.labeled, "revision": labels.revision})
            size = record["height"], record["width"]
            for instance in labels.instances:
                if (row := _annotation(instance, size)) is not None:
                    annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1, **row})
        return {"images": kept, "annotations": annotations, "categories": [category_from_skeleton(self.skeleton)]}

    def counts(self) -> tuple[int, int]:
        """Returns the number of images whose labels are finished, and of those that have labels."""
        labels = list(self._latest.values())
        return sum(each.labeled for each in labels), len(labels)

    def _check(self, labels: ImageLabels, size: Size) -> None:
        height, width = size
        for i, instance in enumerate(labels.instances, start=1):
            if len(instance.keypoints) != len(self.skeleton):
                raise Problem(
                    422,
                    f"instance {i} has {len(instance.keypoints)} keypoints: expected the {len(self.skeleton)} of "
                    f"skeleton {self.skeleton.name}",
                )
            for joint, (x, y, v) in zip(self.skeleton.joints, instance.keypoints, strict=True):
                if v and not (-0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5):
                    raise Problem(
                        422, f"{joint} of instance {i} is at {x:g}, {y:g}, outside of the image of {width}x{height}"
                    )
            if instance.box is not None and not (instance.box[2] > 0 and instance.box[3] > 0):
                raise Problem(422, f"the box of instance {i} is {instance.box[2]:g}x{instance.box[3]:g} pixels")


def _same(one: ImageLabels, other: ImageLabels) -> bool:
    return one.labeled == other.labeled and one.instances == other.instances


def _annotation(instance: LabeledInstance, size: Size) -> dict[str, Any] | None:
    """Returns the record of an instance; None where it has neither a keypoint nor a box."""
    points = [(x, y) for x, y, v in instance.keypoints if v]
    box = instance.box or (_box_of(points, size) if points else None)
    if box is None:
        return None
    flat = [value for x, y, v in instance.keypoints for value in ((round(x, 2), round(y, 2), v) if v else (0, 0, 0))]
    return {
        "keypoints": flat,
        "num_keypoints": len(points),
        "bbox": [round(value, 2) for value in box],
        "area": round(box[2] * box[3] * AREA_PER_BOX, 2),
        "iscrowd": 0,
    }


def _box_of(points: list[tuple[float, float]], size: Size) -> tuple[float, float, float, float]:
    """Returns the bounding box of keypoints with a margin, within the image."""
    height, width = size
    xs, ys = [x for x, _ in points], [y for _, y in points]
    margin = max(1.0, MARGIN * max(max(xs) - min(xs), max(ys) - min(ys)))
    left, top = max(0.0, min(xs) - margin), max(0.0, min(ys) - margin)
    right, bottom = min(float(width), max(xs) + margin), min(float(height), max(ys) + margin)
    return left, top, max(1.0, right - left), max(1.0, bottom - top)
