"""MPII Human Pose in the forms that it and its ports ship: `annotations` (.mat, .json), `pose_hg` (.h5, also of FLIC).

`ground_truth` is the published file that PCKh is measured by; `crops` and `others` are what both forms share.
"""

from cairn.datasets.formats.mpii.annotations import FORMAT
from cairn.datasets.formats.mpii.pose_hg import FORMAT as POSE_HG

__all__ = ["FORMAT", "POSE_HG"]
