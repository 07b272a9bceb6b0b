"""Calibration boards: ChArUco boards and checkerboards, and the text that describes one.

A board lies in the plane z = 0 of its own frame, with x to the right and y down as printed, in meters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cairn.errors import CameraError
from cairn.multiview.cameras.toml_text import read_toml

EXAMPLE = "charuco:5x4:54mm or checkerboard:4x7:60mm"
AUTO = "auto"

MARKER_SHARE = 0.75
"""Default side of a marker over that of a square."""

POOLS = (50, 100, 250, 1000)
"""Sizes of the nested dictionaries of one family."""

MIN_SQUARE, MAX_SQUARE = 1e-4, 1.0
"""Sides of a square in meters beyond which the unit is wrong."""

LENGTH = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(mm|cm|m|in)")
METERS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "in": 0.0254}

Kind = Literal["charuco", "checkerboard"]


@dataclass(frozen=True)
class Board:
    """A calibration board.

    Attributes:
        kind: ChArUco board or checkerboard.
        rows: Rows of squares of a ChArUco board; rows of inner corners of a checkerboard.
        columns: Columns, as the rows.
        square: Side of a square in meters.
        dictionary: Name of the ArUco dictionary, such as 4X4_50.
        marker: Side of a marker over that of a square.
        inverted: Whether it is printed white on black.
        legacy: Whether it has the pattern of OpenCV before 4.6, where a board with an even number of rows starts with
            a marker.
        mirrored: Whether it is printed mirrored.

    Raises:
        CameraError: The board is impossible.
    """

    kind: Kind
    rows: int
    columns: int
    square: float
    dictionary: str = "4X4_50"
    marker: float = MARKER_SHARE
    inverted: bool = False
    legacy: bool = False
    mirrored: bool = False

    def __post_init__(self) -> None:
        smallest = 3 if self.kind == "charuco" else 2
        if min(self.rows, self.columns) < smallest or max(self.rows, self.columns) > 100:
            what = "squares" if self.kind == "charuco" else "inner corners"
            raise CameraError(
                f"a board has {smallest} to 100 rows and columns of {what}, got {self.rows}x{self.columns}"
            )
        if not MIN_SQUARE <= self.square <= MAX_SQUARE:
            raise CameraError(
                f"a board with squares of {self.square:g} m is implausible: state the side of a square with its unit, "
                f"such as {EXAMPLE}"
            )
        if not 0.1 < self.marker < 1:
            raise CameraError(f"markers are smaller than squares, got {self.marker:g} of a square")

    def __str__(self) -> str:
        parts = [self.kind, f"{self.rows}x{self.columns}", f"{1000 * self.square:g}mm"]
        if self.kind == "charuco":
            parts.append(self.dictionary)
            if self.marker != MARKER_SHARE:
                parts.append(f"{1000 * self.square * self.marker:g}mm")
        parts += [name for name in ("inverted", "legacy", "mirrored") if getattr(self, name)]
        return ":".join(parts)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of inner corners."""
        less = 1 if self.kind == "charuco" else 0
        return self.rows - less, self.columns - less

    @property
    def points(self) -> NDArray[np.float64]:
        """(K, 3): the inner corners in the frame of the board, row by row, meters."""
        rows, columns = self.shape
        y, x = np.mgrid[1 : rows + 1, 1 : columns + 1].reshape(2, -1) * self.square
        return np.column_stack([-x if self.mirrored else x, y, np.zeros(len(x))])

    @property
    def neighbors(self) -> NDArray[np.int64]:
        """(M, 2): pairs of corners that are one square apart."""
        index = np.arange(self.shape[0] * self.shape[1]).reshape(self.shape)
        sides = [np.column_stack([index[:, :-1].ravel(), index[:, 1:].ravel()])]
        sides.append(np.column_stack([index[:-1].ravel(), index[1:].ravel()]))
        return np.concatenate(sides).astype(np.int64)

    @property
    def turnable(self) -> bool:
        """Whether it looks the same turned by 180 degrees, so that cameras cannot agree on its corners."""
        rows, columns = self.shape
        return self.kind == "checkerboard" and ((rows + columns) % 2 == 0 or rows == columns)

    def charuco(self) -> Any:
        """Returns OpenCV's board, with the smallest dictionary of its family that has enough markers."""
        import cv2

        count = self.rows * self.columns // 2
        board = cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.square, self.square * self.marker, dictionary_of(self.dictionary, count)
        )
        board.setLegacyPattern(self.legacy)
        return board


def dictionary_of(name: str, count: int) -> Any:
    """Returns an ArUco dictionary; of nested ones the smallest with as many markers, which corrects errors best.

    Raises:
        CameraError: There is no such dictionary, or it has too few markers.
    """
    import cv2

    family, _, pool = name.rpartition("_")
    names = [f"{family}_{size}" for size in POOLS] if pool.isdigit() and int(pool) in POOLS else [name]
    for each in names:
        if (number := getattr(cv2.aruco, f"DICT_{each}", None)) is None:
            raise CameraError(f"unknown dictionary {name!r}: expected such as 4X4_50, 5X5_100, APRILTAG_36H11")
        dictionary = cv2.aruco.getPredefinedDictionary(number)
        if len(dictionary.bytesList) >= count:
            return dictionary
    raise CameraError(f"the dictionary {name} has {len(dictionary.bytesList)} markers, and the board needs {count}")


def parse_board(text: str | Path) -> Board:
    """Returns the board that a text describes, or caliscope's charuco.toml.

    The text is KIND:ROWSxCOLUMNS:SIDE, such as `charuco:5x4:54mm` (rows and columns of squares) or
    `checkerboard:4x7:60mm` (rows and columns of inner corners). For ChArUco, further parts in any order are the
    dictionary (`5X5_100`), the side of a marker (`40mm`), `inverted`, `legacy` and `mirrored`.

    Raises:
        CameraError: The text describes no board.
    """
    if str(text).endswith(".toml"):
        return _caliscope(Path(text))
    kind, *parts = str(text).split(":")
    if kind not in ("charuco", "checkerboard") or len(parts) < 2:
        raise CameraError(f"expected a board such as {EXAMPLE}, a charuco.toml, or auto:54mm, got {str(text)!r:.80}")
    size = re.fullmatch(r"(\d{1,3})[xX](\d{1,3})", parts[0])
    if size is None:
        raise CameraError(f"board {text}: expected ROWSxCOLUMNS such as 5x4, got {parts[0]!r}")
    board = Board(
        "charuco" if kind == "charuco" else "checkerboard",
        int(size[1]),
        int(size[2]),
        length_of(parts[1], f"board {text}: the side of a square"),
    )
    for part in parts[2:]:
        board = _with(board, part, f"board {text}")
    if board.kind == "charuco":
        dictionary_of(board.dictionary, board.rows * board.columns // 2)
    return board


def length_of(text: str, name: str) -> float:
    """Returns a length in meters from its text, such as 54mm.

    Raises:
        CameraError: It is no length with a unit.
    """
    match = LENGTH.fullmatch(text.strip().lower())
    if match is None:
        raise CameraError(f"{name}: expected a length with its unit, such as 54mm, 5.4cm or 0.054m, got {text!r:.40}")
    return float(match[1]) * METERS[match[2]]


def _with(board: Board, part: str, name: str) -> Board:
    lower = part.lower()
    if lower in ("inverted", "mirrored") or (lower == "legacy" and board.kind == "charuco"):
        return replace(board, **{lower: True})  # type: ignore[arg-type]
    if board.kind == "charuco" and LENGTH.fullmatch(lower):
        return replace(board, marker=length_of(lower, name) / board.square)
    if board.kind == "charuco":
        return replace(board, dictionary=part.upper().removeprefix("DICT_"))
    raise CameraError(f"{name}: {part!r} is unknown: a checkerboard may be inverted or mirrored")


def _caliscope(path: Path) -> Board:
    values = read_toml(path)
    try:
        rows, columns = int(values["rows"]), int(values["columns"])
        side = values.get("square_size_override_cm")
        unit = METERS["in" if values.get("units") == "inch" else "cm"]
        if not side:
            side = 100 * unit * min(values["board_height"] / rows, values["board_width"] / columns)
        return Board(
            "charuco",
            rows,
            columns,
            round(float(side) / 100, 9),
            str(values["dictionary"]).removeprefix("DICT_"),
            float(values.get("aruco_scale", MARKER_SHARE)),
            values.get("inverted") is True,
            values.get("legacy_pattern") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CameraError(f"{path} describes no board: {error!s} is missing or no number") from None
