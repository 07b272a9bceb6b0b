"""What the cameras of a calibration see of a board."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.progress import Progress
from cairn.errors import CameraError
from cairn.wording import counted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.multiview.board_reading import CameraSource
    from cairn.multiview.boards import Board
    from cairn.multiview.observations import Sightings

TIMESTAMPS = "timestamps.csv"

MAX_SEARCHED = 1500
"""Frames of a video that are searched unless `every` is given."""

SAMPLES = 12
"""Images that a search for the board takes from all cameras together, and at least `MIN_SAMPLES` from each."""
MIN_SAMPLES = 3


class BoardCameras:
    """Videos or images of a board, of each camera.

    Attributes:
        cameras: Where the images of each camera are.
        notes: What the user did not state, such as the board, a line each.
    """

    def __init__(self, sources: Sequence[str | Path], progress: Progress | None, every: int | None) -> None:
        from cairn.multiview.board_reading import camera_sources

        self.progress, self.every = progress, every
        self.cameras: list[CameraSource] = camera_sources(sources)
        self.notes: list[str] = []

    def board(self, text: str) -> Board:
        """Returns the board of a text, found out in some images where the text says auto. Raises CameraError."""
        from cairn.multiview.boards import AUTO, length_of, parse_board

        if text.split(":")[0] != AUTO:
            return parse_board(text)
        _, _, side = text.partition(":")
        length = length_of(side, f"board {text}: the side of a square") if side else None
        finding = self._search(length or 0.05)
        if finding.board is None:
            raise CameraError(f"no board is seen in {counted(finding.images, 'image')} (tried: {finding.tried})")
        seen = f"seen in {finding.seen} of {finding.images} images"
        if length is None:
            parts = str(finding.board).split(":")
            parts[2] = "54mm"
            raise CameraError(
                f"the board is {finding.board.kind} with {finding.board.rows} rows and {finding.board.columns} columns "
                f"({seen}), and images do not show how long a square is: measure it, and pass it as in --board "
                f"{':'.join(parts)}"
            )
        self.notes.append(f"board: {finding.board} ({seen})")
        found: Board = finding.board
        return found

    def _search(self, side: float) -> Any:
        from cairn.multiview.board_reading import samples
        from cairn.multiview.board_search import search

        each = max(MIN_SAMPLES, SAMPLES // len(self.cameras))
        return search(samples(self.cameras, each), side)

    def sightings(self, board: Board) -> tuple[list[Sightings], list[float]]:
        """Returns what each camera sees of a board, and its rate. Raises CameraError where none sees it."""
        from cairn.multiview.board_detection import BoardDetector
        from cairn.multiview.board_reading import find_boards

        detector = BoardDetector(board)
        sightings, rates = [], []
        for camera in self.cameras:
            found, rate = find_boards(camera, detector, self._every(camera), self._reporter(camera.name))
            sightings.append(found)
            rates.append(rate)
        if not any(len(each) for each in sightings):
            total = sum(each.total for each in sightings)
            where = f"any of {counted(total, 'image')} of {counted(len(sightings), 'camera')}"
            finding = self._search(board.square)
            if finding.board is None or str(finding.board) == str(board):
                raise CameraError(
                    f"the board {board} is not seen in {where}; nor is any other (tried: {finding.tried}): is it "
                    "sharp, flat and whole in the images?"
                )
            raise CameraError(
                f"the board {board} is not seen in {where}; the images show {finding.board} ({finding.seen} of "
                f"{finding.images} images): pass --board {finding.board}"
            )
        return sightings, rates

    def _every(self, camera: CameraSource) -> int:
        if self.every is not None or not camera.is_clip:
            return self.every or 1
        return self._interval

    @cached_property
    def _interval(self) -> int:
        """The interval of the frames that are searched, by the longest video."""
        counts = []
        for each in self.cameras:
            if each.is_clip:
                frame = next(each.frames(), None)
                counts.append(0 if frame is None else frame.count or 0)
        return max(1, -(-max(counts, default=0) // MAX_SEARCHED))

    def _reporter(self, name: str) -> Any:
        report = self.progress
        return None if report is None else lambda done, total: report(f"searching {name}", done, total)

    def sync_file(self, sync: Path | None) -> Path | None:
        """Returns the file of offsets or timestamps: the given one, or that beside the videos."""
        if sync is not None or not all(camera.is_clip for camera in self.cameras):
            return sync
        folders = {camera.path.parent for camera in self.cameras}
        beside = folders.pop() / TIMESTAMPS
        if folders or not beside.is_file():
            return None
        self.notes.append(f"moments: {beside}")
        return beside

    def synchronized(self, sightings: list[Sightings], rates: list[float], sync: Path | None) -> list[Sightings]:
        """Returns sightings with their moments. Raises CameraError."""
        from cairn.multiview.board_reading import check_synchronous, with_moments
        from cairn.multiview.synchronization import moments_from_file

        if sync is not None:
            if not all(camera.is_clip for camera in self.cameras):
                raise CameraError("a file of offsets or timestamps is for videos: images of one moment have one number")
            names, totals = [each.name for each in sightings], [each.total for each in sightings]
            moments = moments_from_file(sync, names, totals)
            return [with_moments(each, own) for each, own in zip(sightings, moments, strict=True)]
        if all(camera.is_clip for camera in self.cameras):
            check_synchronous(sightings, rates)
        return sightings

    def reader(self, sightings: Sequence[Sightings]) -> Any:
        """Returns a function that reads images of a camera by the rows of its sightings."""

        def read(name: str, rows: Sequence[int]) -> list[NDArray[np.uint8] | None]:
            camera = next(each for each in self.cameras if each.name == name)
            seen = next(each for each in sightings if each.name == name)
            wanted = {seen.images[row] for row in rows}
            found: dict[str, NDArray[np.uint8] | None] = {}
            for index, frame in enumerate(camera.frames()):
                label = f"frame {index}" if camera.is_clip else frame.name.path.name
                if label in wanted:
                    found[label] = frame.image
                if len(found) == len(wanted):
                    break
            return [found.get(seen.images[row]) for row in rows]

        return read
