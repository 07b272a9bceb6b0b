"""A strict reader of .trc files, written from the documentation of the format."""

from pathlib import Path

import numpy as np
import pytest


def read_trc(path: Path) -> tuple[dict[str, str], list[str], np.ndarray, np.ndarray]:
    """Reads a .trc as OpenSim does: a fixed header, labels, an empty line, and rows of the same number of cells."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0].split("\t")[:3] == ["PathFileType", "4", "(X/Y/Z)"]
    keys, values = lines[1].split("\t"), lines[2].split("\t")
    assert keys == [
        *("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"),
        *("OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
    ]
    assert len(keys) == len(values)
    header = dict(zip(keys, values, strict=True))
    assert header["Units"] in ("m", "mm", "cm")
    count, frames = int(header["NumMarkers"]), int(header["NumFrames"])
    labels = [label for label in lines[3].split("\t") if label]
    assert labels[:2] == ["Frame#", "Time"]
    assert len(labels) == count + 2
    assert lines[3].split("\t")[2::3] == labels[2:]  # each above its X
    axes = [cell for cell in lines[4].split("\t") if cell]
    assert axes == [f"{axis}{i}" for i in range(1, count + 1) for axis in "XYZ"]
    assert lines[5] == ""
    rows = [line.split("\t") for line in lines[6:] if line]
    assert len(rows) == frames
    assert all(len(row) == 2 + 3 * count for row in rows)
    start, rate = int(header["OrigDataStartFrame"]), float(header["DataRate"])
    for i, row in enumerate(rows):
        assert int(row[0]) == start + i
        assert float(row[1]) == pytest.approx(i / rate, abs=1e-6)
    points = np.array([[float(cell) for cell in row[2:]] for row in rows]).reshape(frames, count, 3)
    return header, labels[2:], np.array([float(row[1]) for row in rows]), points
