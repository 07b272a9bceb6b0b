"""Laws: a board is what its text says; what is drawn is detected, whatever its kind."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.errors import CairnError, CameraError
from cairn.multiview.board_detection import BoardDetector, handedness
from cairn.multiview.board_drawing import black, draw_board, extent
from cairn.multiview.board_search import search
from cairn.multiview.boards import Board, parse_board
from support.made_boards import made_boards, made_rig, render

BOARDS = [
    "charuco:5x4:54mm",
    "charuco:4x5:54mm:5X5_100",
    "charuco:6x4:45mm:legacy",
    "charuco:5x7:40mm:5X5_1000:inverted",
    "charuco:5x4:54mm:mirrored",
    "charuco:5x4:70mm:49mm:5X5_250:inverted:mirrored",
    "checkerboard:4x7:40mm",
    "checkerboard:5x6:40mm:inverted",
]


@pytest.mark.parametrize("text", BOARDS)
def test_text_round_trip(text: str) -> None:
    board = parse_board(text)
    assert parse_board(str(board)) == board


def test_rows_come_first_and_corners_are_inner_ones() -> None:
    board = parse_board("charuco:5x4:54mm")
    assert (board.rows, board.columns, board.shape) == (5, 4, (4, 3))
    np.testing.assert_allclose(board.points[[0, 1, 3]], [[0.054, 0.054, 0], [0.108, 0.054, 0], [0.054, 0.108, 0]])
    opencv = board.charuco().getChessboardCorners()
    np.testing.assert_allclose(board.points, opencv, atol=1e-7)
    assert parse_board("checkerboard:4x7:60mm").shape == (4, 7)


def test_neighbors_are_one_square_apart() -> None:
    for text in BOARDS:
        board = parse_board(text)
        one, other = board.points[board.neighbors].transpose(1, 0, 2)
        np.testing.assert_allclose(np.linalg.norm(one - other, axis=1), board.square)
        rows, columns = board.shape
        assert len(board.neighbors) == rows * (columns - 1) + columns * (rows - 1)


def test_caliscope_file(tmp_path: Path) -> None:
    path = tmp_path / "charuco.toml"
    path.write_text(
        'columns = 4\nrows = 5\nboard_height = 11.0\nboard_width = 8.5\ndictionary = "DICT_4X4_1000"\nunits = "inch"\n'
        "aruco_scale = 0.7\nsquare_size_override_cm = 5.4\ninverted = true\n"
    )
    assert parse_board(path) == Board("charuco", 5, 4, 0.054, "4X4_1000", 0.7, inverted=True)
    path.write_text(path.read_text().replace("square_size_override_cm = 5.4\n", ""))
    assert parse_board(path).square == pytest.approx(min(11 / 5, 8.5 / 4) * 0.0254)
    path.write_text("columns = 4")
    with pytest.raises(CameraError, match="describes no board"):
        parse_board(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("charuco:5x4:54", "with its unit"),
        ("charuco:5x4:54m", "implausible"),
        ("checkerboard:4x7:60m", "implausible"),
        ("charuco:5x4:0.01mm", "implausible"),
        ("charuco:5x4:5 kg", "with its unit"),
        ("charuco:5x4", "expected a board such as"),
        ("charuco", "expected a board such as"),
        ("circles:5x4:54mm", "expected a board such as"),
        ("charuco:5:54mm", "ROWSxCOLUMNS"),
        ("charuco:2x4:54mm", "3 to 100 rows"),
        ("charuco:5x4:54mm:9X9_50", "unknown dictionary"),
        ("charuco:50x50:5mm:APRILTAG_16H5", "needs 1250"),
        ("charuco:5x4:54mm:60mm", "smaller than squares"),
        ("checkerboard:5x4:54mm:legacy", "is unknown"),
    ],
)
def test_wrong_texts(text: str, reason: str) -> None:
    with pytest.raises(CairnError, match=reason):
        parse_board(text)


@pytest.mark.parametrize("text", BOARDS)
def test_what_is_drawn_is_detected(text: str) -> None:
    """Corners of a rendered board are where the camera projects them, also those of mirrored and inverted boards."""
    board, camera = parse_board(text), made_rig(1)[0]
    camera = replace(camera, distortion=np.zeros(5))
    detector = BoardDetector(board)
    for pose in made_boards(board, 4):
        found = detector(render(camera, board, pose))
        assert found is not None
        expected = camera.project(board.points @ pose[:3, :3].T + pose[:3, 3])
        seen = np.isfinite(found).all(axis=1)
        assert seen.sum() >= 6
        assert np.abs(found - expected)[seen].max() < 1.5
        assert handedness(found, board) == 1


@pytest.mark.parametrize("text", ["charuco:5x4:54mm", "charuco:4x6:40mm:legacy"])
def test_a_mirrored_image_is_no_board(text: str) -> None:
    board, camera = parse_board(text), made_rig(1)[0]
    image = render(camera, board, made_boards(board, 1)[0])
    assert BoardDetector(board)(image[:, ::-1]) is None
    found = BoardDetector(replace(board, mirrored=True))(image[:, ::-1])
    assert found is not None
    assert handedness(found, board) == -1


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [("charuco:5x4:54mm", False), ("charuco:5x7:40mm:5X5_1000:inverted", False), ("charuco:6x4:45mm:legacy", True)],
)
def test_search_finds_out_the_board(text: str, mirrored: bool) -> None:
    board, camera = parse_board(text), made_rig(1)[0]
    images = [render(camera, board, pose)[..., 0] for pose in made_boards(board, 3)]
    images = [np.ascontiguousarray(image[:, ::-1]) if mirrored else image for image in images]
    finding = search(images, board.square)
    found = finding.board
    assert found is not None
    assert (found.rows, found.columns, found.inverted, found.legacy, found.mirrored) == (
        *(board.rows, board.columns),
        *(board.inverted, board.legacy, mirrored),
    )
    assert found.dictionary[:3] == board.dictionary[:3]
    assert finding.seen >= 2


def test_search_finds_checkerboards_and_nothing() -> None:
    board, camera = parse_board("checkerboard:4x7:40mm"), made_rig(1)[0]
    found = search([render(camera, board, pose)[..., 0] for pose in made_boards(board, 2)], 0.04).board
    assert found == board
    gray = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))
    assert search([gray], 0.04).board is None


@pytest.mark.parametrize("text", BOARDS)
def test_pdf_is_true_to_scale(tmp_path: Path, text: str) -> None:
    """The rectangles of the page, in points of 1/72 inch, are those of the board, in millimeters."""
    board = parse_board(text)
    name = draw_board(board, tmp_path / "board.pdf")
    content = (tmp_path / "board.pdf").read_bytes().decode("ascii")
    assert content.startswith("%PDF-1.4")
    boxes = [tuple(map(float, each)) for each in re.findall(r"([\d.-]+) ([\d.-]+) ([\d.-]+) ([\d.-]+) re f", content)]
    squares = np.array([(w, h) for _, _, w, h in boxes]) * 25.4 / 72
    side = 1000 * board.square
    assert (np.abs(squares - side).max(axis=1) < 1e-3).sum() >= board.rows * board.columns // 2 - 1
    drawn = list(black(board))
    assert len(boxes) == len(drawn) + 1 + board.inverted
    width, height = extent(board)
    page = [float(each) * 25.4 / 72 for each in re.search(r"MediaBox \[0 0 ([\d.]+) ([\d.]+)", content).groups()]
    assert page[0] >= 1000 * width
    assert page[1] >= 1000 * height
    assert name.startswith("A")
    start = int(content.split("startxref\n")[1].split("\n")[0])
    assert content[start:].startswith("xref")
    with pytest.raises(CairnError, match=r"expected a \.pdf"):
        draw_board(board, tmp_path / "board.png")
