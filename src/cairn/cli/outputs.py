"""Where results go, and in which forms: names become writers here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.errors import CairnError

if TYPE_CHECKING:
    from cairn.writers import PictureName, Writer

SEVERAL = "cairn-results"
"""Where the results of several pictures go when nothing else is said."""


def writers(
    forms: Sequence[str], folder: Path, pictures: Sequence[PictureName], model: str, to_stdout: bool
) -> list[Writer]:
    """Names become writers, not yet opened. Raises CairnError for a name that is none."""
    from cairn.writers.cairn_json import JsonLinesWriter, JsonWriter
    from cairn.writers.coco import CocoWriter, image_ids
    from cairn.writers.csv_table import CsvWriter
    from cairn.writers.openpose import OpenPoseWriter

    table: dict[str, Callable[[], Writer]] = {
        "json": lambda: JsonWriter(folder, model),
        "coco": lambda: CocoWriter(folder, image_ids(picture.path for picture in pictures)),
        "openpose": lambda: OpenPoseWriter(folder),
        "csv": lambda: CsvWriter(folder),
    }
    if unknown := [form for form in forms if form not in table]:
        raise CairnError(f"--write knows {','.join(table)}, got {','.join(unknown)}")
    asked = [table[form]() for form in dict.fromkeys(forms)]
    return [*asked, JsonLinesWriter(sys.stdout, model)] if to_stdout else asked
