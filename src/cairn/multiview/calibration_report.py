"""The report of a calibration as one HTML page that opens offline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cairn.multiview.axes import up_axis
from cairn.multiview.calibration import Calibrated
from cairn.multiview.observations import Sightings
from cairn.structures.camera import Camera, Rig
from cairn.visualization.page import heading, image, page, paragraph, table
from cairn.visualization.scene3d import LineSet, PointSet, scene

COLORS = ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (23, 190, 207))
WORST = 4
"""Images that are shown with the largest errors."""

MAX_SHOWN = 60
"""Boards in the 3D view."""

ImageReader = Callable[[str, Sequence[int]], list[NDArray[np.uint8] | None]]
"""Returns images of a camera, RGB, by the rows of its sightings."""


def report(result: Calibrated, summary: Sequence[str], read_images: ImageReader | None = None) -> str:
    """Returns the page.

    Args:
        result: The calibration.
        summary: Lines above all else: what was calibrated, and warnings.
        read_images: Reads images for the worst frames; None leaves these out.
    """
    sections = [*(paragraph(line) for line in summary), _cameras(result), heading("Cameras and boards in 3D")]
    sections += [_scene(result), heading("Boards that cameras see together"), _pairs(result), heading("Coverage")]
    sections.append(
        paragraph(
            "Corners of the board in each image. Intrinsics are only good where there are corners, also near edges."
        )
    )
    sections += [_coverage(each, color) for each, color in zip(result.sightings, _colors(result.rig), strict=True)]
    if read_images is not None:
        sections += [heading("Largest errors"), *_worst(result, read_images)]
    return page("Calibration", sections)


def camera_rows(result: Calibrated) -> list[tuple[str, ...]]:
    """Returns one row for each camera: name, boards, coverage, RMS of intrinsics and in the rig, focal length."""
    rows: list[tuple[str, ...]] = []
    for index, camera in enumerate(result.rig):
        seen, own = result.sightings[index], result.intrinsics[index]
        rows.append(
            (
                camera.name,
                f"{len(seen)} of {seen.total}",
                f"{100 * seen.coverage:.0f} %",
                "given" if own.rms is None else f"{own.rms:.2f} px",
                f"{result.fit.rms_by_camera[index]:.2f} px",
                f"{camera.matrix[0, 0]:.0f} px",
            )
        )
    return rows


CAMERA_HEAD = ("camera", "boards", "coverage", "intrinsics RMS", "rig RMS", "focal length")


def _cameras(result: Calibrated) -> str:
    return table(camera_rows(result), CAMERA_HEAD)


def _pairs(result: Calibrated) -> str:
    names = result.rig.names
    rows = []
    for pair in result.pairs:
        one, other = (result.rig.cameras[i] for i in pair.cameras)
        distance = np.linalg.norm(one.center - other.center)
        error = "" if np.isnan(pair.error) else f"{pair.error:.1f} px"
        rows.append(
            (
                " - ".join(names[i] for i in pair.cameras),
                f"{pair.boards}",
                f"{pair.corners}",
                error,
                f"{distance:.3f} m",
            )
        )
    return table(rows, ("pair", "boards", "corners", "median error before adjustment", "distance"))


def _scene(result: Calibrated) -> str:
    spread = np.stack([camera.center for camera in result.rig])
    size = 0.15 * max(float(np.linalg.norm(spread - spread.mean(axis=0), axis=1).max()), 1e-3)
    items: list[PointSet | LineSet] = []
    for camera, color in zip(result.rig, _colors(result.rig), strict=True):
        items.append(LineSet(camera.name, frustum(camera, size), color))
    items.append(PointSet("centers", spread, (40, 40, 40), 6, result.rig.names))
    boards = result.fit.boards[:: max(1, len(result.fit.boards) // MAX_SHOWN)]
    rows, columns = result.board.shape
    grid = result.board.points.reshape(rows, columns, 3)
    corners = np.stack([grid[0, 0], grid[0, -1], grid[-1, -1], grid[-1, 0]])
    placed = np.einsum("bij,kj->bki", boards[:, :3, :3], corners) + boards[:, None, :3, 3]
    edges = np.stack([placed, np.roll(placed, -1, axis=1)], axis=2).reshape(-1, 2, 3)
    items.append(LineSet("boards", edges, (150, 150, 150)))
    return scene(items, up=up_axis(result.rig), caption="Meters.")  # type: ignore[arg-type]


def frustum(camera: Camera, depth: float) -> NDArray[np.float64]:
    """Returns the edges (8, 2, 3) of what a camera sees up to a depth, in the world."""
    height, width = camera.size or (1000, 1000)
    pixels = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)
    flat = (pixels - camera.matrix[:2, 2]) / np.diag(camera.matrix)[:2]
    ends = (np.column_stack([flat, np.ones(4)]) * depth - camera.translation) @ camera.rotation
    around = np.stack([ends, np.roll(ends, -1, axis=0)], axis=1)
    return np.concatenate([np.stack([np.broadcast_to(camera.center, (4, 3)), ends], axis=1), around])


def _coverage(seen: Sightings, color: tuple[int, int, int]) -> str:
    """Points of all corners as SVG."""
    height, width = seen.size
    points = seen.corners[seen.seen]
    points = points[:: max(1, len(points) // 3000)]
    radius = 0.004 * max(width, height)
    dots = "".join(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}"/>' for x, y in points)
    fill = f"rgb({','.join(map(str, color))})"
    return (
        f"<figure style='display:inline-block;margin:.5rem'><svg viewBox='0 0 {width} {height}' width='300' "
        f"style='border:1px solid #aaa' fill='{fill}' fill-opacity='.5'>{dots}</svg>"
        f"{paragraph(f'{seen.name}: {100 * seen.coverage:.0f} %')}</figure>"
    )


def _worst(result: Calibrated, read_images: ImageReader) -> list[str]:
    import cv2

    fit, seen = result.fit, result.fit.observations
    scores = []
    for index, each in enumerate(result.sightings):
        for row, moment in enumerate(each.moments):
            mine = (seen.camera == index) & (seen.moments[seen.board] == moment)
            if mine.any():
                scores.append((float(np.sqrt(np.mean(fit.errors[mine] ** 2))), index, row, mine))
    sections = []
    for error, index, row, mine in sorted(scores, key=lambda entry: -entry[0])[:WORST]:
        each = result.sightings[index]
        (shown,) = read_images(each.name, [row])
        if shown is None:
            continue
        shown = shown.copy()
        board = fit.boards[seen.board[np.flatnonzero(mine)[0]]]
        expected = result.rig.cameras[index].project(result.board.points @ board[:3, :3].T + board[:3, 3])
        radius = max(2, shown.shape[1] // 250)
        for corner, (x, y) in enumerate(each.corners[row]):
            if np.isfinite([x, y]).all():
                cv2.circle(shown, (round(x), round(y)), radius, (0, 200, 0), -1)
                if np.isfinite(expected[corner]).all():
                    end = round(float(expected[corner][0])), round(float(expected[corner][1]))
                    cv2.line(shown, (round(x), round(y)), end, (255, 0, 0), max(1, radius // 2))
        scale = min(1.0, 900 / shown.shape[1])
        small = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small[..., ::-1])[1].tobytes()
        text = f"{each.name}, {each.images[row]}: RMS {error:.1f} pixels; green: detected, red: expected by the rig."
        sections += [paragraph(text), image(data, "jpeg", f"{each.name}, {each.images[row]}")]
    return sections


def _colors(rig: Rig) -> list[tuple[int, int, int]]:
    return [COLORS[i % len(COLORS)] for i in range(len(rig))]
