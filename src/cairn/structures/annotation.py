"""The annotated instances of one image."""

from cairn.structures.poses import Annotation

__all__ = ["Annotation"]
