"""Cairn's JSON format: one file per image, one line per frame of a clip.

    {
      "format": "cairn", "version": 1,
      "image": "photo.jpg", "width": 640, "height": 480,
      "model": "person",
      "skeleton": {"name": "coco17", "joints": ["nose", ...], "limbs": [["nose", "left_eye"], ...]},
      "people": [
        {"score": 0.871, "box": [x, y, width, height], "keypoints": {"nose": [x, y, confidence], "left_eye": null}}
      ]
    }

Coordinates are pixels of the image with its EXIF orientation applied; integers are pixel centers. A keypoint that was
not detected is null. A frame of a clip has "frame", its number from 0, and "seconds" after "image". With tracking, a
person has the track "id" before "score"; it is null for a person without a track. A model with several classes has
their names as "classes" after "skeleton", and each person the name of its "class" before "score". A model that predicts
visibility adds to each person "visibility", name -> probability that the keypoint is not occluded, or null.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.media.names import ImageName
from cairn.results.spanning import SpanningWriter
from cairn.results.writer import Detections, Writer, rounding
from cairn.structures.conversions import VISIBILITY, named_visibility

FORMAT_VERSION = 1


class JsonWriter(SpanningWriter[TextIO]):
    """Writes `photo.cairn.json` for each photo, and `clip.cairn.jsonl` with a line per frame for each clip."""

    def __init__(self, folder: Path, model: str, decimals: int | None = None) -> None:
        super().__init__()
        self.folder = folder
        self.model = model
        self.decimals = decimals

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the file of a photo or clip."""
        if name.clip:
            return (name.beside_clip(self.folder, ".cairn.jsonl"),)
        return (name.beside(self.folder, ".cairn.json"),)

    def write(self, detections: Detections) -> None:
        """Writes the file of a photo, or the next line of a clip. Raises OutputError."""
        if detections.name.clip:
            super().write(detections)
            return
        self.end_clip()
        with atomic_write(*self.paths(detections.name)) as beside:
            text = _in_lines(to_json(detections, self.model, self.decimals))
            # A file name need not be valid UTF-8; JSON then has it escaped.
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")

    @contextmanager
    def _opened(self, detections: Detections) -> Iterator[TextIO]:
        with atomic_write(*self.paths(detections.name)) as beside, beside.open("w", encoding="utf-8") as file:
            yield file

    def _add(self, file: TextIO, detections: Detections) -> None:
        file.write(json.dumps(to_json(detections, self.model, self.decimals)) + "\n")


class JsonLinesWriter(Writer):
    """Writes one line per image to a stream, flushed at once."""

    def __init__(self, stream: TextIO, model: str, decimals: int | None = None) -> None:
        self.stream = stream
        self.model = model
        self.decimals = decimals

    def write(self, detections: Detections) -> None:
        """Writes one line. Raises OutputError if the stream cannot be written to."""
        try:
            print(json.dumps(to_json(detections, self.model, self.decimals)), file=self.stream, flush=True)
        except BrokenPipeError:  # the reader has closed the pipe
            raise
        except OSError as error:
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from None


def to_json(detections: Detections, model: str, decimals: int | None = None) -> dict[str, Any]:
    """Returns the content of a file as plain values.

    Args:
        detections: The results for one image.
        model: Name of the model.
        decimals: Decimals of coordinates; None is 2. Scores have at least 4.
    """
    of_pixels, of_scores = rounding(decimals, 2)
    name, poses, skeleton = detections.name, detections.poses, detections.poses.skeleton
    ids = [{}] * len(poses) if poses.ids is None else [{"id": _id_or_none(number)} for number in poses.ids.tolist()]
    timed = {} if name.frame is None else {"frame": name.frame, "seconds": name.seconds}
    classes = [{} if pose.class_name is None else {"class": pose.class_name} for pose in poses]
    visible = [{} if pose.visibility is None else {VISIBILITY: named_visibility(pose, of_scores)} for pose in poses]
    people = []
    for id_entry, class_entry, visible_entry, keypoints, confidence, box, score in zip(
        ids,
        classes,
        visible,
        poses.keypoints.tolist(),
        poses.confidence.tolist(),
        poses.boxes.tolist(),
        poses.scores.tolist(),
        strict=True,
    ):
        keypoints_by_name = {
            joint: [round(x, of_pixels), round(y, of_pixels), round(c, of_scores)] if c > 0 else None
            for joint, (x, y), c in zip(skeleton.joints, keypoints, confidence, strict=True)
        }
        box = [round(side, of_pixels) for side in box] if any(keypoints_by_name.values()) else None
        own = {**id_entry, **class_entry, "score": round(score, of_scores)}
        people.append({**own, "box": box, "keypoints": keypoints_by_name, **visible_entry})
    return {
        "format": "cairn",
        "version": FORMAT_VERSION,
        "image": name.text,
        **timed,
        "width": detections.size[1],
        "height": detections.size[0],
        "model": model,
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joints),
            "limbs": [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs],
        },
        **({"classes": list(poses.class_names)} if poses.class_names else {}),
        "people": people,
    }


def _in_lines(content: dict[str, Any]) -> str:
    """One line per key and per person, which is shorter than indented JSON and readable."""
    people = ",".join(f"\n  {json.dumps(person, ensure_ascii=False)}" for person in content["people"])
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()][:-1]
    return "{\n" + ",\n".join([*lines, f' "people": [{people}]']) + "\n}\n"


def _id_or_none(track_id: int) -> int | None:
    return track_id if track_id >= 0 else None
