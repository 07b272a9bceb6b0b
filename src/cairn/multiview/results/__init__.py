"""Files of tracks in 3D, one module per format, registered in one table.

Keypoints are written in meters in the world of the cameras, except where a format has its own convention: .trc has Y
up, .c3d has millimeters. Units and axes are in every file.
"""

from __future__ import annotations

from cairn.multiview.results.json_file import read_tracks
from cairn.multiview.results.writing import FORMATS, FileFormat, result_names, write_results

__all__ = ["FORMATS", "FileFormat", "read_tracks", "result_names", "write_results"]
