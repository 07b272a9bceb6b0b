"""Drawn copies of images and clips."""

from __future__ import annotations

from pathlib import Path

from cairn.media.images import write_image
from cairn.media.names import ImageName
from cairn.media.video import VideoWriter, write_video
from cairn.results.spanning import SpanningWriter
from cairn.results.writer import Detections


class Drawings(SpanningWriter[VideoWriter]):
    """Writes a drawn copy of each image, and one drawn video, or images, for each clip.

    Attributes:
        folder: The output folder.
        format: One of `cairn.results.DRAWING_FORMATS`, for clips.
        threads: Number of CPU cores for encoding video; 0 is all.
    """

    def __init__(self, folder: Path, format: str, threads: int) -> None:
        super().__init__()
        self.folder = folder
        self.format = format
        self.threads = threads

    def paths(self, name: ImageName) -> tuple[Path]:
        """Returns the file that the drawing of an image or frame goes into."""
        if name.clip and self.format != "jpg":
            return (name.beside_clip(self.folder, f".cairn.{self.format}"),)
        return (name.beside(self.folder, ".cairn.jpg"),)

    def write(self, detections: Detections) -> None:
        """Writes the next drawing, where there is one. Raises OutputError."""
        if detections.drawn is None:
            return
        if detections.name.clip and self.format != "jpg":
            super().write(detections)
        else:
            self.end_clip()
            write_image(*self.paths(detections.name), detections.drawn)

    def _opened(self, detections: Detections) -> VideoWriter:
        return write_video(
            *self.paths(detections.name), detections.size, detections.rate, self.threads, detections.pixel_aspect
        )

    def _add(self, file: VideoWriter, detections: Detections) -> None:
        if detections.drawn is not None:
            file.write(detections.drawn, detections.name.seconds)
