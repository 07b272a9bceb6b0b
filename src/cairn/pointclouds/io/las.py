"""LAS and LAZ of laser scanning, read by laspy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CloudError
from cairn.extras import require
from cairn.pointclouds.io.content import Content, check_count

MAGIC = b"LASF"


def read_las(path: Path) -> Content:
    """Reads a LAS or LAZ file.

    Raises:
        CloudError: The file is damaged or ends too early.
        MissingExtra: laspy is not installed.
    """
    require("laspy", extra="las", purpose=f"{path.name} (LAS)")
    import laspy

    try:
        with laspy.open(path) as reader:
            count = reader.header.point_count
            check_count(path, count)
            if reader.header.are_points_compressed:
                require("lazrs", extra="las", purpose=f"{path.name} (LAZ)")
            points = reader.read()
            columns: dict[str, NDArray[Any]] = {name: np.asarray(getattr(points, name)) for name in "xyz"}
            names = set(points.point_format.dimension_names)
            columns |= {name: np.asarray(points[name]) for name in ("red", "green", "blue") if name in names}
    except CloudError:
        raise
    except Exception as error:  # laspy and its decompressor raise many types
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CloudError(f"{path} is truncated or damaged: {first}") from None
    if len(columns["x"]) < count:
        raise CloudError(f"{path} is truncated: expected {count:,} points, got {len(columns['x']):,}")
    return Content(columns)
