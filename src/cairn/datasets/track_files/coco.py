"""COCO JSON with a track ID in each annotation, as PoseTrack 2018 and 2021, CVAT and Cairn write it.

The ID is `track`, `track_id` or `instance_id`. An annotation without one is ignored, a crowd is a region to ignore. The
number of a frame is `frame` of its image, otherwise the number that its file name ends with, otherwise `frame_id`,
otherwise its place. The video is `vid_id` or `video_id`, otherwise the folder of the file name. PoseTrack's images have
`is_labeled`, and the corners of regions to ignore in `ignore_regions_x` and `ignore_regions_y`. Cairn's and COCO's
results are a list of annotations, with the images in `NAME.cairn.coco-images.json` beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.containers.json_file import read_json
from cairn.datasets.formats.coco.records import TRACKS
from cairn.datasets.track_files.track_file import FrameKey, Rows, TrackFile, numbers
from cairn.errors import LabelError

IMAGES = "-images.json"
"""End of the name of the list of images beside results."""


def read_coco_tracks(path: Path, content: Any) -> TrackFile:
    """Reads the content of a file, labels or results. Raises LabelError where it has no tracks or is invalid."""
    beside = path.with_name(path.name.removesuffix(".json") + IMAGES)
    if isinstance(content, list):
        listed = read_json(beside) if beside.is_file() else {}
        content = {
            "images": _by_id(content, path),
            **(listed if isinstance(listed, dict) else {}),
            "annotations": content,
        }
    if not isinstance(content, dict):
        raise LabelError(f"{path} must be an object or a list of results, got {type(content).__name__}")
    images, annotations = (_records(content, key, path) for key in ("images", "annotations"))
    keys, base = _keys(images, path)
    joints = _joints(content)
    rows = {keys[i]: _regions(image, path) for i, image in enumerate(images) if _is_labeled(image)}
    key_of = {image["id"]: keys[i] for i, image in enumerate(images) if _is_labeled(image)}
    known, count, tracked = {image["id"] for image in images}, 0, False
    for i, one in enumerate(annotations):
        record = f"{path}: annotation {one.get('id', i)}"
        if one.get("image_id") not in known:
            raise LabelError(f"{record} is of image {one.get('image_id')!r}, which is not listed")
        if one["image_id"] not in key_of:
            continue
        own = rows[key_of[one["image_id"]]]
        if one.get("iscrowd") == 1:
            if one.get("bbox") is not None:
                own.regions.append(numbers(one["bbox"], 4, f"{record}: bbox"))
            continue
        track = next((one[name] for name in TRACKS if type(one.get(name)) is int and one[name] >= 0), None)
        points = _points(one.get("keypoints"), record)
        if track is not None and (one.get("bbox") is not None or (points is not None and (points[:, 2] > 0).any())):
            tracked = True
            count = count or (0 if points is None else len(points))
            own.add(track, one.get("bbox"), points, one.get("area"), record)
    if not tracked:
        raise LabelError(f"{path} has no annotation with a track ID: expected track_id beside bbox or keypoints")
    frames = {key: rows[key].frame(count, f"{path}: frame {key[1]}") for key in sorted(rows)}
    if joints is not None and len(joints) != count:
        joints = () if not count else None
    return TrackFile(path, frames, joints if count else (), base)


def _records(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    records = content.get(key)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise LabelError(f"{path} needs a list of {key}, got {type(records).__name__}")
    if key == "images" and not all(isinstance(record.get("id"), int | str) for record in records):
        raise LabelError(f"{path}: each image needs an id")
    return records


def _by_id(results: Sequence[Any], path: Path) -> list[dict[str, Any]]:
    """The images of results without a list of images: their IDs are the numbers of the frames."""
    ids = {one.get("image_id") for one in results if isinstance(one, dict)}
    if not all(type(each) is int for each in ids):
        raise LabelError(f"{path} needs {path.stem}{IMAGES} beside it, which has the frame of each image ID")
    return [{"id": each, "frame_id": each} for each in sorted(each for each in ids if each is not None)]


def _keys(images: Sequence[dict[str, Any]], path: Path) -> tuple[list[FrameKey], int | None]:
    """Returns the video and number of each image, and the number of a video's first frame where it is known."""
    known = all(type(image.get("frame")) is int for image in images)
    numbered = [_number(image) for image in images]
    if known:
        numbered = [image["frame"] for image in images]
    elif None in numbered:
        numbered = [image.get("frame_id") for image in images]
    if not all(type(number) is int for number in numbered):
        numbered = list(range(len(images)))
    videos = [_video(image) for image in images]
    several = len(set(videos)) > 1
    keys = [(video if several else "", int(i or 0)) for video, i in zip(videos, numbered, strict=True)]
    if len(set(keys)) < len(keys):
        raise LabelError(f"{path} has two images of one frame: {max(keys, key=keys.count)[1]}")
    return keys, 0 if known else None


def _number(image: dict[str, Any]) -> int | None:
    digits = re.findall(r"\d+", PurePosixPath(str(image.get("file_name", ""))).stem)
    return int(digits[-1]) if digits else None


def _video(image: dict[str, Any]) -> str:
    number = next((image[key] for key in ("vid_id", "video_id") if image.get(key) is not None), None)
    return str(PurePosixPath(str(image.get("file_name", ""))).parent) if number is None else str(number)


def _is_labeled(image: dict[str, Any]) -> bool:
    """PoseTrack labels some frames of a video."""
    return image.get("is_labeled", True) is not False


def _regions(image: dict[str, Any], path: Path) -> Rows:
    rows = Rows()
    outlines = [image.get(f"ignore_regions_{axis}") or [] for axis in "xy"]
    if outlines[0] and not isinstance(outlines[0][0], list):  # of one region
        outlines = [[outline] for outline in outlines]
    for x, y in zip(*outlines, strict=False):
        if not len(x) == len(y) > 0:
            raise LabelError(f"{path}: a region to ignore of image {image['id']} has {len(x)} x and {len(y)} y")
        corners = np.array([numbers(x, len(x), f"{path}: x"), numbers(y, len(y), f"{path}: y")])
        rows.regions.append(np.concatenate([corners.min(axis=1), np.ptp(corners, axis=1)]))
    return rows


def _joints(content: dict[str, Any]) -> tuple[str, ...] | None:
    """The names of the keypoints; None where the file has none."""
    categories = content.get("categories")
    for one in categories if isinstance(categories, list) else []:
        names = one.get("keypoints") if isinstance(one, dict) else None
        if isinstance(names, list) and names:
            return tuple(map(str, names))
    return None


def _points(values: Any, record: str) -> NDArray[np.float64] | None:
    if values is None or values == []:
        return None
    count = len(values) if isinstance(values, list) else 0
    if count % 3 or not count:
        raise LabelError(f"{record}: keypoints must be x, y, v of each joint, got {values!r:.60}")
    return numbers(values, count, f"{record}: keypoints").reshape(-1, 3)
