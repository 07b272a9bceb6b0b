"""Our own JSON: one file for each picture, or one line for each; joints go by name.

    {
      "format": "cairn", "version": 1,
      "picture": "photo.jpg", "width": 640, "height": 480,
      "model": "person",
      "skeleton": {"name": "coco17", "joints": ["nose", ...], "limbs": [["nose", "left_eye"], ...]},
      "people": [
        {"score": 0.871, "box": [x, y, width, height], "keypoints": {"nose": [x, y, confidence], "left_eye": null}}
      ]
    }

Coordinates are pixels of the picture as it is shown (Exif orientation applied); integers are pixel centres.
A joint that was not found is null.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from cairn.errors import OutputError
from cairn.geometry import Size
from cairn.output import whole_file
from cairn.poses import Poses
from cairn.writers import PictureName, Writer

FORMAT_VERSION = 1


class JsonWriter(Writer):
    """`photo.cairn.json` for each photo."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder
        self.model = model

    def write(self, picture: PictureName, size: Size, poses: Poses) -> None:
        with whole_file(picture.beside(self.folder, ".cairn.json")) as beside:
            text = _in_lines(to_json(picture, size, poses, self.model))
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")  # JSON's escapes for names in no UTF-8


class JsonLinesWriter(Writer):
    """One line for each picture, written to a stream as soon as it is known."""

    def __init__(self, stream: TextIO, model: str) -> None:
        self.stream = stream
        self.model = model

    def write(self, picture: PictureName, size: Size, poses: Poses) -> None:
        try:
            print(json.dumps(to_json(picture, size, poses, self.model)), file=self.stream, flush=True)
        except BrokenPipeError:  # the reader has seen enough
            raise
        except OSError as error:
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from None


def to_json(picture: PictureName, size: Size, poses: Poses, model: str) -> dict[str, Any]:
    """The form above, as plain values."""
    skeleton = poses.skeleton
    people = []
    for keypoints, confidence, box, score in zip(
        poses.keypoints.tolist(), poses.confidence.tolist(), poses.boxes.tolist(), poses.scores.tolist(), strict=True
    ):
        named = {
            joint: [round(x, 2), round(y, 2), round(c, 4)] if c > 0 else None
            for joint, (x, y), c in zip(skeleton.joints, keypoints, confidence, strict=True)
        }
        box = [round(side, 2) for side in box] if any(named.values()) else None
        people.append({"score": round(score, 4), "box": box, "keypoints": named})
    return {
        "format": "cairn",
        "version": FORMAT_VERSION,
        "picture": picture.path.as_posix(),
        "width": size[1],
        "height": size[0],
        "model": model,
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joints),
            "limbs": [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs],
        },
        "people": people,
    }


def _in_lines(form: dict[str, Any]) -> str:
    """A line for each key and for each person: neither one long line nor one for each coordinate."""
    people = ",".join(f"\n  {json.dumps(person, ensure_ascii=False)}" for person in form["people"])
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in form.items()][:-1]
    return "{\n" + ",\n".join([*lines, f' "people": [{people}]']) + "\n}\n"
