"""Reads COCO keypoint files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.formats.category import skeleton_from_category
from cairn.datasets.formats.coco.annotations import MakeError, Record, is_int, read_annotations
from cairn.datasets.image_files import locate_images
from cairn.datasets.labels import LabeledImage, Labels
from cairn.datasets.problems import Problems
from cairn.errors import LabelError, SkeletonError
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Skeleton

GROUPS = ("video", "video_id", "vid_id", "video_name", "sequence", "subject", "subject_id")
"""Fields of an image that name the video or the subject that it belongs to."""

FRAMES = ("frame", "frame_id", "frame_index", "frame_idx")
"""Fields of an image that hold its frame number."""


def read_coco(
    labels: Path,
    images: Path | None = None,
    skeleton: Skeleton | None = None,
    missing_ok: bool = False,
    problems: Problems | None = None,
) -> Labels:
    """Reads the annotations of a COCO keypoint file.

    Keypoints with v = 0 become NaN. A missing bounding box is computed from the keypoints, a missing area as
    `AREA_PER_BOX` of the box. A joint that no instance of the file has is not among the labeled joints. The track ID
    of an instance is read from `track`, `track_id` or `instance_id` where that is a number of at least 0; the video,
    subject and frame of an image are read from the fields GROUPS and FRAMES.

    Args:
        labels: The file.
        images: Folder of the images; None searches where tools put them (see `image_files`).
        skeleton: Skeleton to map the labels to, matched by joint name. None takes a built-in skeleton where names
            and order are the same, otherwise the skeleton of the file's category.
        missing_ok: Whether a listed image may be missing, for callers that check the images themselves.
        problems: Collects skipped records; None raises at the first.

    Raises:
        LabelError: A field is missing, of the wrong type or contradictory. Names the file and the record.
    """
    labels, problems = Path(labels), problems or Problems()
    content = _read_json(labels)

    def error(reason: str) -> LabelError:
        return LabelError(f"{labels}: {reason}")

    categories, own = _keypoint_categories(content["categories"], error)
    records = _image_records(content["images"], error, problems)
    names = [record["file_name"] for record in records]
    paths = locate_images(names, labels, images, problems, missing_ok, [f"image {record['id']}" for record in records])
    entries = [(record, path) for record, path in zip(records, paths, strict=True) if path is not None]
    ids = [record["id"] for record, _ in entries]
    skipped = {row["id"] for row in content["images"] if isinstance(row, dict) and is_int(row.get("id"))} - set(ids)
    everything, image_of = read_annotations(
        content["annotations"], categories, (ids, skipped), len(own), error, problems
    )
    if not everything.labeled.any():
        raise error("no instance has a labeled joint: every v is 0")

    order = np.argsort(image_of, kind="stable")
    cuts = np.searchsorted(image_of[order], np.arange(len(entries) + 1))
    everything = everything[order]
    result = Labels(
        skeleton=own,
        images=tuple(
            LabeledImage(record["id"], path, _size(record), everything[start:end], *_groups_and_frame(record, path))
            for (record, path), start, end in zip(entries, cuts[:-1], cuts[1:], strict=True)
        ),
        labeled_joints=np.any(everything.visibility > 0, axis=0),
    )
    if skeleton is None:
        return result
    try:
        return result.mapped(skeleton)
    except LabelError as reason:
        raise error(str(reason)) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if text.strip() else None
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not valid JSON: it is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not valid JSON: {error}") from None
    if content is None:
        raise LabelError(f"{path} is empty")
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise LabelError(f"{path} is not in COCO format: expected an object with a list {key!r}")
    result: dict[str, Any] = content
    return result


def _keypoint_categories(categories: list[Any], error: MakeError) -> tuple[dict[int, bool], Skeleton]:
    """Which category ids have keypoints, and the skeleton that those share."""
    skeletons: dict[int, Skeleton] = {}
    has_keypoints: dict[int, bool] = {}
    for i, category in enumerate(categories):
        if not isinstance(category, dict) or not is_int(category.get("id")):
            raise error(f"categories[{i}] needs an integer id")
        if category["id"] in has_keypoints:
            raise error(f"category id {category['id']} occurs twice")
        names = category.get("keypoints")
        # CVAT writes a list for each category, coco-annotator only where it is not empty.
        has_keypoints[category["id"]] = bool(names)
        if not names:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise error(f"category {category['id']}: keypoints must be a list of joint names, got {names!r:.80}")
        try:
            skeletons[category["id"]] = skeleton_from_category(category)
        except SkeletonError as reason:
            raise error(f"category {category['id']}: {reason}") from None
    if not skeletons:
        raise error("no category has keypoints: expected a list of joint names under categories[0].keypoints")
    first = next(iter(skeletons.values()))
    for number, other in skeletons.items():
        if other.joints != first.joints:
            raise error(
                f"categories have different keypoints ({first.name} {len(first)}, {other.name} {len(other)}, "
                f"id {number}): keep one category in each file"
            )
    return has_keypoints, first


def _image_records(records: list[Any], error: MakeError, problems: Problems) -> list[Record]:
    """The valid image records."""
    valid: list[Record] = []
    ids: set[int] = set()
    for i, record in enumerate(records):
        with problems:
            if not isinstance(record, dict) or not is_int(record.get("id")):
                raise error(f"images[{i}] needs an integer id")
            number, name = record["id"], record.get("file_name")
            if number in ids:
                raise error(f"image id {number} occurs twice")
            ids.add(number)
            if not isinstance(name, str) or not name:
                raise error(f"image {number} needs a file_name, got {name!r:.80}")
            if not all(is_int(record.get(side)) and record[side] > 0 for side in ("height", "width")):
                got = f"{record.get('width')!r:.40} and {record.get('height')!r:.40}"
                raise error(f"image {number} needs a width and a height in pixels, got {got}")
            valid.append(record)
    if not valid:
        raise error("it lists no images")
    return valid


def _size(record: Record) -> Size:
    return record["height"], record["width"]


def _groups_and_frame(record: Record, path: Path) -> tuple[tuple[str, ...], int | None]:
    """The groups of an image, and its frame number."""
    values = {key.removesuffix("_id").removesuffix("_name"): record.get(key) for key in GROUPS if key in record}
    groups = tuple(f"{key} {value}" for key, value in values.items() if isinstance(value, str) or is_int(value))
    frame = next((record[key] for key in FRAMES if is_int(record.get(key))), None)
    if frame is not None and not groups:  # frames of a video without a name: the folder identifies it
        groups = (f"frames in {path.parent}",)
    return groups, frame
