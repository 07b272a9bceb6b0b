"""`cairn.calibrate`: intrinsics and poses of cameras from a board that they see."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.board_cameras import BoardCameras
from cairn.api.progress import Progress
from cairn.api.settings import optional_path
from cairn.arguments import checked
from cairn.errors import CameraError, OutputError
from cairn.extras import require
from cairn.structures.camera import Rig

if TYPE_CHECKING:
    from cairn.multiview.calibration import Calibrated, Options
    from cairn.multiview.observations import Sightings

log = logging.getLogger(__name__)

REPORT = "calibration.html"

LOW_COVERAGE = 0.3
"""Share of the image that the board covers below which intrinsics are weak."""

SQUARE_TOLERANCE = 0.02
"""Relative difference of the measured from the stated side of a square that is worth a warning."""


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Rig):
    """The rig that `cairn.calibrate` returns, with how well it fits.

    Attributes:
        cameras: The cameras.
        board: Text of the board, which may have been found out.
        rms: Root mean square of the reprojection error in pixels without outliers; NaN where there are intrinsics only.
        square: Median distance in meters of neighboring corners that were triangulated; NaN without poses.
        rows: A row for each camera: name, boards, coverage, RMS of its intrinsics and in the rig, focal length.
        warnings: What to look at.
        files: The files that were written.
        details: All that was measured; None where there are intrinsics only.
    """

    board: str = ""
    rms: float = float("nan")
    square: float = float("nan")
    rows: tuple[tuple[str, ...], ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    details: Any = field(default=None)


@checked
def calibrate(
    sources: str | Path | Sequence[str | Path] | None = None,
    *,
    board: str | Path = "auto",
    out: str | Path | None = None,
    sync: str | Path | None = None,
    intrinsics: str | Path | None = None,
    only_intrinsics: bool = False,
    points: str | Path | None = None,
    refine: bool = False,
    fisheye: bool = False,
    floor: int | None = None,
    every: int | None = None,
    to: str | None = None,
    report: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Calibration:
    """Calibrates cameras: their intrinsics, their distortion, and where they are.

    Example:
        rig = cairn.calibrate("videos/", board="charuco:5x4:54mm")
        rig.project([[0, 0, 1]])

    Args:
        sources: A folder with one video, or one folder of images, for each camera; or these as a list.
        board: Text of the board, such as charuco:5x4:54mm or checkerboard:4x7:60mm; caliscope's charuco.toml; or
            auto:54mm, which finds out all but the side of a square.
        out: File of the cameras. Default: nothing is written.
        sync: File of offsets that `cairn sync` writes, or timestamps of caliscope. Default: timestamps.csv in the
            folder of the videos, otherwise equal frame numbers are the same moment.
        intrinsics: File of cameras whose intrinsics are kept. Default: they are calibrated, too.
        only_intrinsics: Whether only intrinsics are calibrated, from images that need not be of the same moments.
        points: Points of the scene with their pixels (.csv with camera, x, y, z, u, v), from which the poses are
            calibrated instead of the board.
        refine: Whether intrinsics are refined together with the poses.
        fisheye: Whether the lenses are fisheye lenses.
        floor: Frame in which the board lies on the floor: it becomes the origin, with z up. Default: the first camera
            is the world.
        every: Searches each so many-th frame. Default: so that at most 1500 frames of a video are searched.
        to: Format of the file, of `cairn.multiview.cameras`. Default: by its name.
        report: Whether calibration.html is written beside the cameras.
        overwrite: Whether existing files are overwritten.
        progress: Called with the task, the number of frames searched, and their total.

    Returns:
        The rig, with its errors.

    Raises:
        CameraError: The board is not seen, the cameras do not see it together, or no rig fits.
        ImageError: There is no video or image.
        OutputError: A file exists, or cannot be written.
        MissingExtra: scipy is not installed.
    """
    require("scipy", extra="multiview", purpose="calibration of several cameras")
    if sources is None or not sources:
        raise CameraError("nothing to calibrate: name a folder of videos or of images, or one for each camera")
    target = optional_path(out)
    written = _targets(target, to, report, overwrite)
    if every is not None and every < 1:
        raise CameraError(f"every must be at least 1, got {every}")
    if floor is not None and (only_intrinsics or points is not None):
        raise CameraError("floor is for poses from a board: leave it out")
    recorded = BoardCameras([sources] if isinstance(sources, str | Path) else list(sources), progress, every)
    options = _options(fisheye, intrinsics, refine, floor)
    if points is not None:
        result = _from_points(recorded, str(board), Path(points), options)
    elif only_intrinsics:
        result = _intrinsics(recorded, str(board), options)
    else:
        result = _rig(recorded, str(board), optional_path(sync), options)
    for line in result.warnings:
        log.warning("%s", line)
    if target is None:
        return result
    return _write(result, target, to, written, recorded)


def draw_board(board: str | Path, path: str | Path, overwrite: bool = False) -> str:
    """Writes a board as a PDF that is true to scale, and returns the name of its page, such as A4.

    Args:
        board: Text of the board, or caliscope's charuco.toml.
        path: The file.
        overwrite: Whether an existing file is overwritten.

    Raises:
        CameraError: The text describes no board.
        OutputError: The file exists, or cannot be written.
    """
    from cairn.multiview.board_drawing import draw_board as draw
    from cairn.multiview.boards import parse_board

    parsed = parse_board(board)
    if Path(path).exists() and not overwrite:
        raise OutputError(f"{path} already exists: pass --overwrite, or give another file")
    return draw(parsed, path)


def _rig(recorded: BoardCameras, text: str, sync: Path | None, options: Options) -> Calibration:
    """Calibrates intrinsics and poses from boards."""
    from cairn.multiview.calibration import calibrate_rig

    if len(recorded.cameras) < 2:
        raise CameraError(
            f"a rig has at least two cameras, got {recorded.cameras[0].name} alone: pass --only-intrinsics for its "
            "intrinsics"
        )
    board = recorded.board(text)
    sightings = recorded.synchronized(*recorded.sightings(board), recorded.sync_file(sync))
    result = calibrate_rig(sightings, board, options)
    return _calibration(recorded, result)


def _intrinsics(recorded: BoardCameras, text: str, options: Options) -> Calibration:
    """Calibrates intrinsics alone."""
    from cairn.multiview.calibration import intrinsics_of

    board = recorded.board(text)
    sightings, _ = recorded.sightings(board)
    found = [intrinsics_of(each, board, options) for each in sightings]
    rows = tuple(
        (
            each.name,
            f"{len(each)} of {each.total}",
            f"{100 * each.coverage:.0f} %",
            "given" if own.rms is None else f"{own.rms:.2f} px",
            "",
            f"{own.camera.matrix[0, 0]:.0f} px",
        )
        for each, own in zip(sightings, found, strict=True)
    )
    cameras = tuple(each.camera for each in found)
    return Calibration(cameras, str(board), rows=rows, warnings=tuple(recorded.notes + _weak(sightings, options)))


def _from_points(recorded: BoardCameras, text: str, path: Path, options: Options) -> Calibration:
    """Calibrates intrinsics from boards, unless they are given, and poses from points of the scene."""
    from cairn.multiview.scene_points import read_scene_points, rig_from_points

    points = read_scene_points(path, [camera.name for camera in recorded.cameras])
    if options.given:
        if missing := [camera.name for camera in recorded.cameras if camera.name not in options.given]:
            raise CameraError(f"the given intrinsics have no camera {', '.join(missing)}")
        known, rows = [options.given[camera.name] for camera in recorded.cameras], tuple[tuple[str, ...], ...]()
    else:
        first = _intrinsics(recorded, text, options)
        known, rows = list(first.cameras), first.rows
    rig, errors = rig_from_points(known, points)
    rms = float((sum(error**2 for error in errors) / len(errors)) ** 0.5)
    table = rows or tuple((name, "", "", "given", "", "") for name in rig.names)
    table = tuple((*row[:4], f"{error:.2f} px", row[5]) for row, error in zip(table, errors, strict=True))
    return Calibration(rig.cameras, text, rms, rows=table, warnings=tuple(recorded.notes))


def _calibration(recorded: BoardCameras, result: Calibrated) -> Calibration:
    from cairn.multiview.calibration_report import camera_rows

    fit = result.fit
    warnings = recorded.notes + _weak(
        [each for each, own in zip(result.sightings, result.intrinsics, strict=True) if own.rms is not None], None
    )
    if abs(fit.square / result.board.square - 1) > SQUARE_TOLERANCE:
        warnings.append(
            f"squares measure {1000 * fit.square:.2f} mm and not {1000 * result.board.square:g} mm: the "
            "calibration is inaccurate; record the board nearer, in more places, and with sharp images"
        )
    return Calibration(
        result.rig.cameras,
        str(result.board),
        fit.rms,
        fit.square,
        tuple(camera_rows(result)),
        tuple(warnings),
        details=result,
    )


def _weak(sightings: Sequence[Sightings], options: Options | None) -> list[str]:
    """A warning for cameras of which the board covers little of the image."""
    weak = [each for each in sightings if each.coverage < LOW_COVERAGE and not (options and options.given)]
    if not weak:
        return []
    listed = ", ".join(f"{each.name} {100 * each.coverage:.0f} %" for each in weak)
    return [
        f"the board covers little of the image ({listed}), so these intrinsics are uncertain: hold it nearer and "
        "toward the edges, or calibrate intrinsics from a recording of their own (--only-intrinsics) and pass them as "
        "--intrinsics"
    ]


def _options(fisheye: bool, intrinsics: str | Path | None, refine: bool, floor: int | None) -> Options:
    from cairn.multiview.calibration import Options
    from cairn.multiview.cameras import read_intrinsics

    given = {} if intrinsics is None else read_intrinsics(intrinsics)
    if given and fisheye:
        raise CameraError("given intrinsics state themselves whether a camera is a fisheye camera: leave fisheye out")
    return Options(fisheye, given, refine, floor)


def _targets(target: Path | None, to: str | None, report: bool, overwrite: bool) -> tuple[Path, ...]:
    """The files to write, checked before the work."""
    from cairn.multiview.cameras.writing import format_of

    if target is None:
        return ()
    kind = format_of(target, to)
    files = [target / "intri.yml" if "" in kind.suffixes else target]
    if report:
        files.append(target.with_name(REPORT))
    for file in files:
        if file.exists() and not overwrite:
            raise OutputError(f"{file} already exists: pass --overwrite, or give another file with --out")
    return tuple(files)


def _write(
    result: Calibration, target: Path, to: str | None, files: tuple[Path, ...], recorded: BoardCameras
) -> Calibration:
    from dataclasses import replace

    from cairn.files import atomic_write
    from cairn.multiview.cameras import write_cameras

    if result.details is not None and len(files) > 1:
        from cairn.multiview.calibration_report import report

        summary = [
            f"{len(result)} cameras, board {result.board}, RMS {result.rms:.2f} pixels, squares "
            f"{1000 * result.square:.2f} mm.",
            *result.warnings,
        ]
        text = report(result.details, summary, recorded.reader(result.details.sightings))
        with atomic_write(files[1]) as partial:
            partial.write_text(text, encoding="utf-8")
    else:
        files = files[:1]
    write_cameras(Rig(result.cameras), target, to)
    return replace(result, files=files)
