"""Cairn finds keypoints: of people out of the box, of your own objects from your labels."""

__version__ = "0.1.0"
