"""What several tests share: paths, made data, fake networks."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Folder of the checkout."""

DATA = ROOT / ".data"
"""Folder of the shared data sets, where they are unpacked."""
