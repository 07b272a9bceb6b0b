"""Files of tracks: what `cairn evaluate --tracking` compares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cairn.datasets.containers.json_file import read_json
from cairn.datasets.track_files.cairn_lines import read_cairn_lines
from cairn.datasets.track_files.coco import read_coco_tracks
from cairn.datasets.track_files.mot import read_mot
from cairn.datasets.track_files.posetrack17 import is_posetrack17, read_posetrack17
from cairn.datasets.track_files.track_file import TrackFile
from cairn.errors import LabelError


def read_json_tracks(path: Path) -> TrackFile:
    """Reads COCO, PoseTrack 2018 and 2021, or PoseTrack 2017. Raises LabelError as `read_track_file` does."""
    content = read_json(path)
    return read_posetrack17(path, content) if is_posetrack17(content) else read_coco_tracks(path, content)


FORMATS: dict[str, Callable[[Path], TrackFile]] = {
    ".jsonl": read_cairn_lines,
    ".json": read_json_tracks,
    ".txt": read_mot,
}
"""Suffix -> reader."""


def is_track_file(path: Path) -> bool:
    """Returns whether a path is a file with the suffix of a file of tracks."""
    return path.suffix.lower() in FORMATS and path.is_file()


def read_track_file(path: Path) -> TrackFile:
    """Reads a file of tracks: Cairn's .jsonl, COCO or PoseTrack .json, MOT .txt.

    Raises:
        LabelError: The file is missing, invalid or of another format, or has no tracks.
    """
    if path.suffix.lower() not in FORMATS:
        raise LabelError(f"{path} is no file of tracks: expected .jsonl of Cairn, COCO or PoseTrack .json, or MOT .txt")
    if not path.is_file():
        raise LabelError(f"cannot read tracks {path}: no such file")
    return FORMATS[path.suffix.lower()](path)
