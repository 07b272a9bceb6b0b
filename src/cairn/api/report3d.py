"""The report of `cairn.evaluate` on tracks in 3D."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.files import atomic_write, ensure_unused_names

if TYPE_CHECKING:
    from cairn.evaluation.poses3d import Result3D

METRICS_FILE = "metrics.json"


@dataclass(frozen=True, eq=False, repr=False)
class Report3D:
    """Metrics of tracks in 3D.

    Attributes:
        name: Name of the tracks.
        labels: The ground truth, as given.
        result: The metrics, by joint and by limb.
        folder: Folder that it was saved to; None where it was not.
    """

    name: str
    labels: str
    result: Result3D
    folder: Path | None = None

    @property
    def metrics(self) -> Mapping[str, float]:
        """Name -> value; lengths in millimeters, shares in percent."""
        return self.result.metrics

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the report."""
        return () if self.folder is None else (self.folder / METRICS_FILE,)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items())
        return f"Report3D({self.name}: {shown})"

    def save(self, folder: str | Path) -> Report3D:
        """Writes metrics.json into a folder, and returns the report with it.

        Raises:
            OutputError: The folder has a report, or cannot be written to.
        """
        folder = ensure_unused_names(folder, [METRICS_FILE])
        result = self.result
        content = {
            "tracks": self.name,
            "labels": self.labels,
            "units": {"lengths": "mm", "shares": "%"},
            "metrics": dict(result.metrics),
            "instances": result.instances,
            "found": result.found,
            "joints": dict(result.joints),
            "limbs": {
                name: dict(zip(("PCP", "PCP strict", "length spread"), row, strict=True))
                for name, row in result.limbs.items()
            },
        }
        with atomic_write(folder / METRICS_FILE) as partial:
            partial.write_text(json.dumps(_plain(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return replace(self, folder=folder)


def evaluate_3d(tracks: str | Path, labels: str | Path, out: str | Path | None) -> Report3D:
    """Measures a file of tracks in 3D.

    Args:
        tracks: File of `cairn triangulate`.
        labels: Ground truth of the same format.
        out: Folder to write the report into; None writes none.

    Raises:
        LabelError: A file cannot be read, or they do not fit.
    """
    import logging

    from cairn.evaluation.poses3d import evaluate_tracks
    from cairn.multiview.results import read_tracks

    result = evaluate_tracks(read_tracks(tracks), read_tracks(labels))
    for line in result.warnings:
        logging.getLogger("cairn.api.evaluate").warning("%s", line)
    report = Report3D(Path(tracks).stem, str(labels), result)
    return report if out is None else report.save(out)


def _plain(value: object) -> object:
    """The value with None for numbers that are not known."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and value != value else value
