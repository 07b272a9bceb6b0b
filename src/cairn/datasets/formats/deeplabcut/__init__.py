"""DeepLabCut's labels: CollectedData_SCORER.csv (or .h5) in each labeled-data/VIDEO, and the project's config.yaml.

    scorer,,,me,me,me,me
    individuals,,,mouse1,mouse1,mouse2,mouse2
    bodyparts,,,snout,snout,snout,snout
    coords,,,x,y,x,y
    labeled-data,video,img001.png,10.5,20.25,,

Only projects with several animals have the line `individuals`. Older files have the path in one column. Predictions
have a third column for each body part, `likelihood`, and frame numbers instead of paths.
"""

from __future__ import annotations

from pathlib import Path

from cairn.datasets.containers.hdf5 import ANALYSIS, LABELS, root_keys
from cairn.datasets.containers.text_file import first_bytes
from cairn.datasets.containers.yaml_file import has_key
from cairn.datasets.formats.deeplabcut.reading import read_deeplabcut
from cairn.datasets.formats.deeplabcut.writing import write_deeplabcut
from cairn.datasets.formats.format import Format

__all__ = ["FORMAT", "read_deeplabcut", "write_deeplabcut"]


def _sniff(path: Path) -> bool:
    if (path / "labeled-data").is_dir() or first_bytes(path).startswith((b"scorer,", b"scorer;", b"scorer\t")):
        return True
    keys = root_keys(path)
    if keys is not None:
        return not (keys >= LABELS or keys >= ANALYSIS)  # those are SLEAP's
    return has_key(path, "bodyparts")


FORMAT = Format(
    "deeplabcut",
    "DeepLabCut's CollectedData or predictions (.csv, .h5) or its project",
    (".dlc", ""),
    _sniff,
    read_deeplabcut,
    write_deeplabcut,
)
