"""2D keypoints of a recording: the poses of every frame of one camera, from results and labels in any format.

Unlike `Labels`, a recording needs no images, keeps the confidence of every keypoint, and has an entry for every frame.
"""

from __future__ import annotations

from cairn.datasets.recordings.reading import read_recording
from cairn.datasets.recordings.recording import Recording

__all__ = ["Recording", "read_recording"]
