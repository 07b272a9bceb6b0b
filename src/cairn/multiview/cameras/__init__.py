"""Files of calibrated cameras, one module per file format, registered in one table.

A format is a module with `FORMAT`, a `Format`, and one entry in `FORMATS`.
"""

from __future__ import annotations

from cairn.multiview.cameras.reading import FORMATS, read_cameras, read_intrinsics
from cairn.multiview.cameras.writing import write_cameras

__all__ = ["FORMATS", "read_cameras", "read_intrinsics", "write_cameras"]
