"""Cairn's JSON of tracks in 3D, with the cameras.

    {
      "format": "cairn-3d", "version": 1, "units": "m", "up": "z", "rate": 60, "start": 0,
      "skeleton": {"name": "coco17", "joints": ["nose", ...], "limbs": [["nose", "left_eye"], ...]},
      "cameras": {"cam1": {"K": [[...]], "R": [[...]], "t": [...], "dist": [...], "size": [width, height]}},
      "frames": [
        {"frame": 0, "seconds": 0.0, "people": [
          {"id": 1, "keypoints": {"nose": [x, y, z, confidence], "left_eye": null},
           "errors": {"nose": 3.2}, "views": {"nose": 4}, "interpolated": ["left_ear"]}]}
      ]
    }

Keypoints are in meters in the world of the cameras, whose axis `up` points up; a keypoint that is not known is null.
`errors` are reprojection errors in pixels, `views` numbers of cameras. `read_cameras` reads the cameras of the file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import LabelError
from cairn.multiview.axes import Y_UP
from cairn.structures.camera import UNITS, Rig
from cairn.structures.poses3d import Trajectories
from cairn.structures.skeleton import Skeleton

FORMAT = "cairn-3d"
VERSION = 1
MAX_FRAMES = 10**7
MAX_CELLS = 2 * 10**9  # keypoints that fit the memory


def write_json(tracks: Trajectories, rig: Rig | None, up: str, path: Path) -> None:
    """Writes a file, a line for each frame. Without cameras, the keypoints are lifted from one view."""
    skeleton = tracks.skeleton
    about = {
        "format": FORMAT,
        "version": VERSION,
        "units": "m",
        "up": up,
        "rate": tracks.rate,
        "start": tracks.start,
        "skeleton": skeleton.to_dict(),
        "cameras": {
            camera.name: {
                "K": camera.matrix.tolist(),
                "R": camera.rotation.tolist(),
                "t": camera.translation.tolist(),
                "dist": camera.distortion.tolist(),
                **({} if camera.size is None else {"size": list(camera.size[::-1])}),
                **({"fisheye": True} if camera.fisheye else {}),
            }
            for camera in rig or ()
        },
    }
    head = ",\n".join(f' "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in about.items())
    frames = ",\n".join(f"  {json.dumps(_frame(tracks, i), ensure_ascii=False)}" for i in range(len(tracks)))
    path.write_text(f'{{\n{head},\n "frames": [\n{frames}\n ]\n}}\n', encoding="utf-8")


def is_tracks(path: Path) -> bool:
    """Returns whether a file is one of tracks in 3D, by its start."""
    try:
        with path.open("rb") as file:
            return f'"{FORMAT}"'.encode() in file.read(200)
    except OSError:
        return False


def read_tracks(path: str | Path) -> Trajectories:
    """Reads tracks in 3D, in meters.

    Raises:
        LabelError: As `read_tracks_and_up`.
    """
    return read_tracks_and_up(path)[0]


def read_tracks_and_up(path: str | Path) -> tuple[Trajectories, str]:
    """Reads tracks in 3D, in meters, and the axis of their world that points up.

    Raises:
        LabelError: The file cannot be read, is another one, or a value is impossible. Names the frame.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise LabelError(f'{path} has no tracks in 3D: expected "format": "{FORMAT}"')
    if content.get("version") != VERSION:
        raise LabelError(f"{path} has version {content.get('version')!r}: this version of Cairn reads {VERSION}")
    if content.get("units") not in UNITS:
        raise LabelError(f"{path} needs units m, cm or mm, got {content.get('units')!r:.40}")
    rate, frames = content.get("rate"), content.get("frames")
    if (
        not isinstance(rate, int | float)
        or isinstance(rate, bool)
        or not 0 < rate < math.inf
        or not isinstance(frames, list)
        or not frames
    ):
        raise LabelError(f"{path} needs a positive rate and a list of frames")
    if not isinstance(content.get("skeleton"), dict):
        raise LabelError(f"{path} needs a skeleton")
    up = content.get("up", "z")
    if up not in Y_UP:
        raise LabelError(f"{path} needs up, one of {', '.join(Y_UP)}, got {up!r:.40}")
    skeleton = Skeleton.from_dict(content["skeleton"])
    return _tracks(frames, skeleton, float(rate), UNITS[content["units"]], path), up


def _frame(tracks: Trajectories, index: int) -> dict[str, Any]:
    number = tracks.start + index
    people = []
    for person in np.flatnonzero(tracks.known[index].any(axis=-1)).tolist():
        at = (index, person)
        entry: dict[str, Any] = {"id": int(tracks.ids[person]), "keypoints": {}}
        known = tracks.known[at].tolist()
        for joint, there, point, confidence in zip(
            tracks.skeleton.joints, known, tracks.keypoints[at].tolist(), tracks.confidence[at].tolist(), strict=True
        ):
            place = [round(value, 6) for value in point]
            entry["keypoints"][joint] = [*place, round(confidence, 4)] if there else None
        names = [joint for joint, there in zip(tracks.skeleton.joints, known, strict=True) if there]
        if tracks.errors is not None:
            errors = tracks.errors[at][tracks.known[at]].tolist()
            entry["errors"] = {n: round(e, 2) for n, e in zip(names, errors, strict=True) if math.isfinite(e)}
        if tracks.views is not None:
            views = tracks.views[at][tracks.known[at]].tolist()
            entry["views"] = {n: v for n, v in zip(names, views, strict=True) if v}
        if tracks.interpolated is not None and tracks.interpolated[at].any():
            entry["interpolated"] = [tracks.skeleton.joints[i] for i in np.flatnonzero(tracks.interpolated[at])]
        people.append(entry)
    return {"frame": number, "seconds": round(number / tracks.rate, 6), "people": people}


def _tracks(frames: list[Any], skeleton: Skeleton, rate: float, scale: float, path: Path) -> Trajectories:
    numbers: list[int] = []
    ids: dict[int, int] = {}
    rows: list[tuple[int, int, dict[str, Any], str]] = []
    for i, frame in enumerate(frames):
        number = frame.get("frame") if isinstance(frame, dict) else None
        if type(number) is not int or not 0 <= number < MAX_FRAMES or number in numbers[-1:]:
            raise LabelError(f"{path}: frame {i} of the list needs its own number, got {number!r:.40}")
        numbers.append(number)
        people = frame.get("people")
        if not isinstance(people, list):
            raise LabelError(f"{path}: frame {number} needs a list of people")
        present: set[int] = set()
        for person in people:
            own = person.get("id") if isinstance(person, dict) else None
            if type(own) is not int or own in present or not isinstance(person.get("keypoints"), dict):
                raise LabelError(f"{path}: frame {number} needs people with their own id and keypoints by name")
            present.add(own)
            rows.append((number, ids.setdefault(own, len(ids)), person, f"{path}: frame {number}, id {own}"))
    start = min(numbers)
    shape = (max(numbers) - start + 1, len(ids), len(skeleton))
    if math.prod(shape) > MAX_CELLS or len(set(numbers)) < len(numbers):
        raise LabelError(f"{path}: frame numbers must be different and close together, got {start} to {max(numbers)}")
    points, confidence = np.full((*shape, 3), np.nan), np.zeros(shape, np.float32)
    errors, views = np.full(shape, np.nan, np.float32), np.zeros(shape, np.int64)
    interpolated = np.zeros(shape, bool)
    for number, column, person, record in rows:
        at = (number - start, column)
        for joint, values in person["keypoints"].items():
            if values is None:
                continue
            index = _joint(skeleton, joint, record)
            if not _is_point(values):
                raise LabelError(f"{record}: {joint} must be x, y, z and confidence, or null, got {values!r:.60}")
            points[(*at, index)] = [scale * value for value in values[:3]]
            confidence[(*at, index)] = values[3] if len(values) > 3 else 1
        for key, target in (("errors", errors), ("views", views)):
            own = person.get(key)
            for joint, value in own.items() if isinstance(own, dict) else ():
                if type(value) in (int, float) and math.isfinite(value):
                    target[(*at, _joint(skeleton, joint, record))] = value
        marked = person.get("interpolated")
        for joint in marked if isinstance(marked, list) else ():
            interpolated[(*at, _joint(skeleton, joint, record))] = True
    numbers_of_ids = np.array(list(ids), np.int64)
    marks = interpolated if interpolated.any() else None
    return Trajectories(points, confidence, skeleton, numbers_of_ids, rate, errors, views, marks, start)


def _joint(skeleton: Skeleton, joint: Any, record: str) -> int:
    if joint not in skeleton.joints:
        raise LabelError(f"{record}: {joint!r:.60} is no joint of its skeleton")
    return skeleton.joints.index(joint)


def _is_point(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) in (3, 4)
        and all(type(value) in (int, float) and abs(value) < 1e9 for value in values)
        and (len(values) == 3 or 0 <= values[3] <= 1)
    )
