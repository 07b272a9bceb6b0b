"""Track IDs of a stream: a tracker for each, fed with the finished JSON of its frames."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from cairn.errors import SkeletonError
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton, load_skeleton
from cairn.tracking.tracker import Tracker


class StreamTracks:
    """Adds the "id" of each person to the frames of one stream, in order."""

    def __init__(self) -> None:
        self._tracker = Tracker()

    def with_ids(self, frame: bytes) -> str:
        """Returns the JSON of a frame with the track IDs; null for a person without a track."""
        content = json.loads(frame)
        ids = self._tracker(_poses(content), content["seconds"]).ids
        numbers = [] if ids is None else ids.tolist()
        content["people"] = [
            {"id": number if number >= 0 else None, **person}
            for number, person in zip(numbers, content["people"], strict=True)
        ]
        return json.dumps(content)


def _poses(content: dict[str, Any]) -> Poses:
    """Returns the poses of a frame, of one class."""
    names, people = content["skeleton"]["joints"], content["people"]
    rows = [[person["keypoints"][name] or (np.nan, np.nan, 0.0) for name in names] for person in people]
    values = np.array(rows, np.float32).reshape(len(people), len(names), 3)
    scores = np.array([person["score"] for person in people], np.float32)
    return Poses(values[..., :2], values[..., 2], scores, _skeleton(content["skeleton"]["name"], tuple(names)))


@cache
def _skeleton(name: str, joints: tuple[str, ...]) -> Skeleton:
    """Returns the known skeleton, whose sigmas weigh the association; else one of these joints."""
    with suppress(SkeletonError):
        known = load_skeleton(name)
        if known.joints == joints:
            return known
    return Skeleton(name, joints)
