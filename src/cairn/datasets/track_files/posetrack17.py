"""PoseTrack 2017 JSON: one file for each video, in the layout of MPII's annotations.

`annolist` has an entry for each frame: `image` with its name, and `annorect` with the people. Each person has a
`track_id` and `annopoints`, whose points have `id`, `x` and `y`; every value is a list of one. The box is that of the
head, so that of the keypoints is taken. A frame without people is not labeled, and `ignore_regions` have polygons. The
layout is that of the official evaluation (https://github.com/leonid-pishchulin/poseval).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.datasets.formats.video_frames import last_number
from cairn.datasets.track_files.track_file import FrameKey, Rows, TrackFile, numbers
from cairn.errors import LabelError

JOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "nose",
    "head_top",
)
"""The keypoints by their IDs."""


def is_posetrack17(content: Any) -> bool:
    """Returns whether the content of a JSON file has this layout."""
    return isinstance(content, dict) and isinstance(content.get("annolist"), list)


def read_posetrack17(path: Path, content: dict[str, Any]) -> TrackFile:
    """Reads the content of a file. Raises LabelError where it has no tracks or is invalid."""
    rows: dict[FrameKey, Rows] = {}
    for i, entry in enumerate(content["annolist"]):
        record = f"{path}: frame {i + 1}"
        name = _first(_first(entry, "image", record), "name", record) if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise LabelError(f"{record} needs the name of its image: expected annolist[{i}].image[0].name")
        number = last_number(name)
        key = "", i if number is None else number
        if key in rows:
            raise LabelError(f"{path} has two images of one frame: {key[1]}")
        people = entry.get("annorect") or []
        if not people or _first(entry, "is_labeled", record, 1) == 0:
            continue
        rows[key] = _people(people, record)
        rows[key].regions = [_box(points, record) for points in _regions(entry, record)]
    if not any(each.ids for each in rows.values()):
        raise LabelError(f"{path} has no person with a track ID: expected track_id beside annopoints")
    frames = {key: rows[key].frame(len(JOINTS), f"{path}: frame {key[1]}") for key in sorted(rows)}
    return TrackFile(path, frames, JOINTS)


def _people(people: Any, record: str) -> Rows:
    """Returns the people of a frame that have a track ID and a keypoint."""
    rows = Rows()
    if not isinstance(people, list) or not all(isinstance(one, dict) for one in people):
        raise LabelError(f"{record}: annorect must be a list of people")
    for one in people:
        points = np.zeros((len(JOINTS), 3))
        for point in _points(one.get("annopoints"), record):
            joint = _first(point, "id", record)
            if type(joint) is not int or not 0 <= joint < len(JOINTS):
                raise LabelError(f"{record}: the id of a point must be 0 to {len(JOINTS) - 1}, got {joint!r:.60}")
            points[joint] = [*_place(point, record), 2]
        track = _first(one, "track_id", record, None)
        if type(track) is int and track >= 0 and points[:, 2].any():
            rows.add(track, None, points, None, record)
    return rows


def _regions(entry: dict[str, Any], record: str) -> list[list[Any]]:
    regions = entry.get("ignore_regions") or []
    return [points for each in regions if (points := _points([each], record))]


def _points(outline: Any, record: str) -> list[Any]:
    """Returns the points of `[{"point": [...]}]`, none where there are none."""
    if not outline:
        return []
    first = outline[0] if isinstance(outline, list) else None
    points = first.get("point", []) if isinstance(first, dict) else first
    if not isinstance(points, list) or not all(isinstance(each, dict) for each in points):
        raise LabelError(f"{record} needs a list of points, got {outline!r:.60}")
    return points


def _box(points: list[Any], record: str) -> NDArray[np.float64]:
    corners = np.array([_place(point, record) for point in points])
    return np.concatenate([corners.min(axis=0), np.ptp(corners, axis=0)])


def _place(point: dict[str, Any], record: str) -> NDArray[np.float64]:
    return numbers([_first(point, axis, record) for axis in "xy"], 2, f"{record}: x and y of a point")


def _first(record: dict[str, Any], key: str, where: str, default: Any = ...) -> Any:
    """Returns the value of a field, which is a list of one; an empty or absent one is the default."""
    value = record.get(key) if isinstance(record, dict) else None
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None:
        if default is ...:
            raise LabelError(f"{where} has no {key}")
        return default
    return value
