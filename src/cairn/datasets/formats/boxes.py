"""Files of bounding boxes, for models that run on one instance per crop.

    {"photo.jpg": [[x, y, width, height], ...], "folder/other.jpg": [...]}

or, for a single image, only the list. In pixels; x and y are those of the top left corner.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import LabelError


@dataclass(frozen=True, eq=False)
class Boxes:
    """Bounding boxes by image.

    Attributes:
        path: The file.
        named: File name -> (P, 4) x, y, width, height; the name "" stands for the only image.
    """

    path: Path
    named: dict[str, NDArray[np.float64]]

    def of(self, images: Sequence[Path]) -> list[NDArray[np.float64]]:
        """Returns the boxes of each image, whose path equals a name or ends with it; the longest name wins.

        Raises:
            LabelError: The file has no entry for an image, or is a list and there are several images.
        """
        if "" in self.named and len(images) != 1:
            raise LabelError(
                f"{self.path} is a list of boxes for one image, but there are {len(images)} images: "
                'expected {"file name": [[x, y, width, height], ...], ...}'
            )
        return [self.named[self._name(image)] for image in images]

    def _name(self, image: Path) -> str:
        if "" in self.named:
            return ""
        parts = image.parts
        for start in range(len(parts)):
            if (name := Path(*parts[start:]).as_posix()) in self.named:
                return name
        raise LabelError(f"{self.path} has no boxes for {image}: it names {', '.join(list(self.named)[:3])} ...")


def read_boxes(path: str | Path) -> Boxes:
    """Reads a file of bounding boxes.

    Raises:
        LabelError: The file cannot be read, or has another structure.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LabelError(f"cannot read boxes {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
        raise LabelError(f"{path} is not valid JSON: {error}") from None
    if isinstance(content, list):
        return Boxes(path, {"": _rows(content, f"{path}")})
    if not isinstance(content, dict) or not content:
        raise LabelError(f'{path} must be {{"file name": [[x, y, width, height], ...], ...}} or a list of boxes')
    return Boxes(path, {Path(name).as_posix(): _rows(rows, f"{path}, {name}") for name, rows in content.items()})


def _rows(rows: Any, where: str) -> NDArray[np.float64]:
    """A list of lists as (P, 4)."""
    for i, row in enumerate(rows if isinstance(rows, list) else [rows]):
        numbers = row if isinstance(row, list) else []
        if len(numbers) != 4 or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in numbers):
            raise LabelError(f"{where}: box {i} must be [x, y, width, height], got {json.dumps(row)[:60]}")
    return np.array(rows, dtype=np.float64).reshape(-1, 4)
