"""Our own JSON: one file for each image, or one line for each, as for the frames of a clip; joints go by name.

    {
      "format": "cairn", "version": 1,
      "image": "photo.jpg", "width": 640, "height": 480,
      "model": "person",
      "skeleton": {"name": "coco17", "joints": ["nose", ...], "limbs": [["nose", "left_eye"], ...]},
      "people": [
        {"score": 0.871, "box": [x, y, width, height], "keypoints": {"nose": [x, y, confidence], "left_eye": null}}
      ]
    }

Coordinates are pixels of the image as it is shown (Exif orientation applied); integers are pixel centers.
A joint that was not found is null. A frame of a clip has "frame", its number from 0, and "seconds" after "image";
a person whose identity is followed has "id" before "score".
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, TextIO

from cairn.errors import OutputError
from cairn.files import atomic_write
from cairn.results import Detections, Writer

FORMAT_VERSION = 1


class JsonWriter(Writer):
    """`photo.cairn.json` for each photo; `clip.cairn.jsonl` for each clip, a line for each frame."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder = folder
        self.model = model
        self._clip: PurePath | None = None
        self._open = ExitStack()

    def write(self, found: Detections) -> None:
        if found.name.clip != self._clip:
            self._close()
            self._clip = found.name.clip
            if self._clip:
                self._lines = self._opened(found.name.beside_clip(self.folder, ".cairn.jsonl"))
        if self._clip:
            self._lines.write(json.dumps(to_json(found, self.model)) + "\n")
            return
        with atomic_write(found.name.beside(self.folder, ".cairn.json")) as beside:
            text = _in_lines(to_json(found, self.model))
            beside.write_text(text, encoding="utf-8", errors="backslashreplace")  # JSON's escapes for names in no UTF-8

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _opened(self, path: Path) -> TextIO:
        with ExitStack() as opening:
            file = opening.enter_context(opening.enter_context(atomic_write(path)).open("w", encoding="utf-8"))
            self._open = opening.pop_all()
        return file

    def _close(self) -> None:
        """The clip before has ended."""
        self._open.close()
        self._open = ExitStack()


class JsonLinesWriter(Writer):
    """One line for each image, written to a stream as soon as it is known."""

    def __init__(self, stream: TextIO, model: str) -> None:
        self.stream = stream
        self.model = model

    def write(self, found: Detections) -> None:
        try:
            print(json.dumps(to_json(found, self.model)), file=self.stream, flush=True)
        except BrokenPipeError:  # the reader has seen enough
            raise
        except OSError as error:
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from None


def to_json(found: Detections, model: str) -> dict[str, Any]:
    """The form above, as plain values."""
    name, poses, skeleton = found.name, found.poses, found.poses.skeleton
    ids = [{}] * len(poses) if poses.ids is None else [{"id": _known(number)} for number in poses.ids.tolist()]
    timed = {} if name.frame is None else {"frame": name.frame, "seconds": name.seconds}
    people = []
    for identity, keypoints, confidence, box, score in zip(
        ids,
        poses.keypoints.tolist(),
        poses.confidence.tolist(),
        poses.boxes.tolist(),
        poses.scores.tolist(),
        strict=True,
    ):
        named = {
            joint: [round(x, 2), round(y, 2), round(c, 4)] if c > 0 else None
            for joint, (x, y), c in zip(skeleton.joints, keypoints, confidence, strict=True)
        }
        box = [round(side, 2) for side in box] if any(named.values()) else None
        people.append({**identity, "score": round(score, 4), "box": box, "keypoints": named})
    return {
        "format": "cairn",
        "version": FORMAT_VERSION,
        "image": name.path.as_posix(),
        **timed,
        "width": found.size[1],
        "height": found.size[0],
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


def _known(identity: int) -> int | None:
    return identity if identity >= 0 else None
