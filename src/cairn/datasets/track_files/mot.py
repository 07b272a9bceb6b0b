"""MOTChallenge text: `frame,id,left,top,width,height,confidence,class,visibility` in each line, frames from 1.

Results end with `confidence,-1,-1,-1`. In ground truth a confidence of 0 marks what does not count. Classes are those
of MOT16: 1 is a pedestrian, the only one that counts; predictions that match one of `DISTRACTORS` do not count either
way.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from cairn.datasets.containers.text_file import read_text
from cairn.datasets.track_files.track_file import Rows, TrackFile
from cairn.errors import LabelError

PEDESTRIAN = 1
DISTRACTORS = (2, 7, 8, 12)  # person on a vehicle, static person, distractor, reflection


def read_mot(path: Path) -> TrackFile:
    """Reads a file of MOT text. Raises LabelError where a line is invalid."""
    rows: dict[int, Rows] = defaultdict(Rows)
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        record = f"{path}: line {number}"
        cells = line.split(",") if "," in line else line.split()
        try:
            values = [float(cell) for cell in cells]
        except ValueError:
            values = []
        if len(values) < 6 or not all(map(math.isfinite, values)):
            raise LabelError(f"{record} must be frame,id,left,top,width,height,..., got {line[:60]!r}")
        frame, track = values[:2]
        if frame != int(frame) or frame < 1 or track != int(track):
            raise LabelError(f"{record} must start with a frame, from 1, and a track ID, got {line[:40]!r}")
        counts = len(values) < 7 or values[6] != 0
        kind = int(values[7]) if len(values) > 7 and values[7] > 0 else PEDESTRIAN
        own = rows[int(frame) - 1]
        if kind in DISTRACTORS:
            one = Rows()
            one.add(0, values[2:6], None, None, record)
            own.distractors += one.boxes
        elif counts and kind == PEDESTRIAN and track >= 0:
            own.add(int(track), values[2:6], None, None, record)
    if not rows:
        raise LabelError(f"{path} has no line of MOT text")
    frames = {("", i): rows[i].frame(0, f"{path}: frame {i + 1}") for i in sorted(rows)}
    return TrackFile(path, frames, base=0)
