"""Cairn's own tracks: `clip.cairn.jsonl` of `cairn detect --track`, and the .jsonl of `cairn.track`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.track_files.track_file import Rows, TrackFile, numbers
from cairn.errors import LabelError


def read_cairn_lines(path: Path) -> TrackFile:
    """Reads a line for each frame. Raises LabelError where a line is invalid, or no instance has a track ID."""
    joints: tuple[str, ...] = ()
    lines: dict[int, tuple[str, list[Any]]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        record = f"{path}: line {number}"
        try:
            content = json.loads(line)
        except ValueError:
            raise LabelError(f"{record} is not valid JSON") from None
        people = content.get("people", content.get("poses")) if isinstance(content, dict) else None
        frame = content.get("frame") if isinstance(content, dict) else None
        if type(frame) is not int or not isinstance(people, list) or not all(map(_has_keypoints, people)):
            raise LabelError(f"{record} must have a frame, and people with keypoints by name")
        if frame in lines:
            raise LabelError(f"{record} has frame {frame} again")
        lines[frame] = record, people
        joints = joints or tuple(name for one in people[:1] for name in one["keypoints"])
    frames, tracked = {}, False
    for frame, (record, people) in sorted(lines.items()):
        rows = Rows()
        for one in people:
            points = np.zeros((len(joints), 3))
            for name, values in one["keypoints"].items():
                if name not in joints:
                    raise LabelError(f"{record}: {name!r:.60} is no keypoint of the lines before it")
                if values is not None:
                    points[joints.index(name)] = numbers(values, 3, f"{record}: {name}")
            if type(one.get("id")) is int and (points[:, 2] > 0).any():
                tracked = True
                rows.add(one["id"], None, points, None, record)
        frames["", frame] = rows.frame(len(joints), record)
    if not tracked:
        raise LabelError(f"{path} has no track ID: write it with cairn detect --track")
    return TrackFile(path, frames, joints, base=0)


def _has_keypoints(person: Any) -> bool:
    return isinstance(person, dict) and isinstance(person.get("keypoints"), dict)
