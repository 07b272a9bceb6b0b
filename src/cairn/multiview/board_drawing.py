"""Draws a board true to scale, as a PDF of filled rectangles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cairn.errors import CameraError
from cairn.files import atomic_write
from cairn.multiview.boards import Board

POINTS = 72 / 25.4
"""Units of a PDF in a millimeter."""

PAGES = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "A2": (420.0, 594.0), "A1": (594.0, 841.0), "A0": (841.0, 1189.0)}
"""(width, height) in millimeters."""

MARGIN, CAPTION = 10.0, 12.0
"""Around the board, and below it for the caption, in millimeters."""

Rectangle = tuple[float, float, float, float]


def draw_board(board: Board, path: str | Path) -> str:
    """Writes a board as a PDF, to print at 100 %, and returns the name of its page, such as A4.

    The page is the smallest of A4 to A0 that holds the board; for a larger board it has the size of the board.

    Raises:
        CameraError: The path has another suffix.
        OutputError: The file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".pdf":
        raise CameraError(f"cannot draw a board to {path}: expected a .pdf file")
    width, height = (1000 * side for side in extent(board))
    name, (page_width, page_height) = _page(width + 2 * MARGIN, height + 2 * MARGIN + CAPTION)
    left, top = (page_width - width) / 2, (page_height - CAPTION - height) / 2
    boxes = [(left + 1000 * x, top + 1000 * y, 1000 * w, 1000 * h) for x, y, w, h in black(board)]
    ink, paper = ("1 g", "0 g") if board.inverted else ("0 g", "1 g")
    square = 1000 * board.square
    around = (left - square / 2, top - square / 2, width + square, height + square) if board.inverted else None
    content = [paper, _box(*around, page_height)] if around else []
    content += [ink, *(_box(*box, page_height) for box in boxes), "0 g"]
    ruler = top + height + (square / 2 if around else 0) + 3
    content.append(_box(left, ruler, 50, 0.5, page_height))
    text = f"{board}, printed at 100 %: this line is 50 mm long, a square {square:g} mm"
    content.append(f"BT /F 8 Tf {left * POINTS:.4f} {(page_height - ruler - 4.5) * POINTS:.4f} Td ({text}) Tj ET")
    with atomic_write(path) as partial:
        partial.write_bytes(_pdf("\n".join(content), page_width, page_height))
    return name


def extent(board: Board) -> tuple[float, float]:
    """Returns (width, height) of the squares of a board in meters."""
    more = 0 if board.kind == "charuco" else 1
    return (board.columns + more) * board.square, (board.rows + more) * board.square


def black(board: Board) -> Iterator[Rectangle]:
    """Yields the black rectangles (x, y, width, height) of a board as it is printed, in meters from its top left."""
    width, _ = extent(board)
    for x, y, w, h in _black(board):
        yield (width - x - w if board.mirrored else x), y, w, h


def _black(board: Board) -> Iterator[Rectangle]:
    s = board.square
    if board.kind == "checkerboard":
        yield from (
            (c * s, r * s, s, s) for r in range(board.rows + 1) for c in range(board.columns + 1) if (r + c) % 2 == 0
        )
        return
    charuco = board.charuco()
    markers = {
        int(i): np.asarray(p, float) for i, p in zip(charuco.getIds().ravel(), charuco.getObjPoints(), strict=True)
    }
    taken = {tuple(np.floor(p.mean(axis=0)[:2] / s).astype(int)[::-1].tolist()) for p in markers.values()}
    yield from ((c * s, r * s, s, s) for r in range(board.rows) for c in range(board.columns) if (r, c) not in taken)
    dictionary = charuco.getDictionary()
    cells = dictionary.markerSize + 2
    cell = s * board.marker / cells
    for number, points in markers.items():
        x, y = points[:, 0].min(), points[:, 1].min()
        bits = dictionary.generateImageMarker(number, cells, borderBits=1) == 0
        for row, line in enumerate(bits):  # runs of black cells: no seams between them
            edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
            for start, end in edges.reshape(-1, 2):
                yield x + start * cell, y + row * cell, (end - start) * cell, cell


def _page(width: float, height: float) -> tuple[str, tuple[float, float]]:
    for name, (short, long) in PAGES.items():
        if width <= short and height <= long:
            return name, (short, long)
        if width <= long and height <= short:
            return f"{name} landscape", (long, short)
    return f"{width:.0f} x {height:.0f} mm", (width, height)


def _box(x: float, y: float, width: float, height: float, page: float) -> str:
    """A filled rectangle; PDF has y up from the bottom of the page."""
    numbers = (x, page - y - height, width, height)
    return " ".join(f"{POINTS * number:.4f}" for number in numbers) + " re f"


def _pdf(content: str, width: float, height: float) -> bytes:
    objects = [
        "<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width * POINTS:.4f} {height * POINTS:.4f}] /Contents 4 0 R "
        "/Resources << /Font << /F 5 0 R >> >> >>",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    text, offsets = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    text += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    text += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{text.index('xref')}\n%%EOF\n"
    return text.encode("ascii")
