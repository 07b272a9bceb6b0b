"""`cairn calibrate`: options of `cairn.api.calibrate.calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Folder with one video, or one folder of images, for each camera; or these one by one.",
            show_default=False,
        ),
    ] = None,
    board: Annotated[
        str,
        typer.Option(
            help="Board: charuco:ROWSxCOLUMNS:SIDE of a square, then dictionary, inverted, legacy, mirrored; "
            "checkerboard:ROWSxCOLUMNS:SIDE of inner corners; a charuco.toml; or auto:SIDE.",
        ),
    ] = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            help="File of the cameras; or a folder for EasyMocap's intri.yml and extri.yml. [cameras.toml]",
            show_default=False,
        ),
    ] = None,
    sync: Annotated[
        Path | None,
        typer.Option(
            help="Offsets of cairn sync, or timestamps.csv of caliscope. [timestamps.csv beside the videos]",
            show_default=False,
        ),
    ] = None,
    intrinsics: Annotated[
        Path | None,
        typer.Option(help="File of cameras whose intrinsics are kept. [calibrated, too]", show_default=False),
    ] = None,
    only_intrinsics: Annotated[
        bool, typer.Option("--only-intrinsics", help="Intrinsics alone, from images that need not be synchronous.")
    ] = False,
    points: Annotated[
        Path | None,
        typer.Option(
            help="Poses from points of the scene: .csv with camera, x, y, z in meters, u, v in pixels.",
            show_default=False,
        ),
    ] = None,
    refine: Annotated[bool, typer.Option("--refine", help="Intrinsics refined together with the poses.")] = False,
    fisheye: Annotated[bool, typer.Option("--fisheye", help="Fisheye lenses.")] = False,
    floor: Annotated[
        int | None,
        typer.Option(
            help="Frame in which the board lies on the floor: the origin, z up. [first camera]", show_default=False
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="Interval of the frames that are searched. [at most 1500 of a video]", show_default=False),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help="Format: cairn, anipose, pose2sim, caliscope, qualisys, easymocap, opencv, json. [by name]",
            show_default=False,
        ),
    ] = None,
    convert: Annotated[
        Path | None,
        typer.Option(help="Converts a file of cameras to --out instead of calibrating.", show_default=False),
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="With --convert: unit of lengths in the file: m, cm or mm.", show_default=False)
    ] = None,
    draw_board: Annotated[
        Path | None, typer.Option(help="Writes the board as a PDF, true to scale, instead.", show_default=False)
    ] = None,
    report: Annotated[bool, typer.Option(help="Report calibration.html beside the cameras.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")] = False,
) -> None:
    """Calibrate cameras from videos or images of a printed board.

    Writes cameras.toml, which cairn triangulate reads, and the report calibration.html.

    cairn calibrate --draw-board board.pdf --board charuco:7x5:30mm

    cairn calibrate videos/ --board charuco:7x5:30mm

    cairn calibrate --convert Calib.qca.txt --out cameras.toml
    """
    from cairn.cli.logs import API, show_log
    from cairn.errors import CameraError

    show_log(API)
    out = Path("cameras.toml") if out is None else out
    if draw_board is not None:
        from cairn.api.calibrate import draw_board as draw

        name = draw(board, draw_board, overwrite)
        print(f"{draw_board}: {name}; print it at 100 % and measure the line below the board")
        return
    if convert is not None:
        _convert(convert, out, to, unit, overwrite)
        return
    if unit is not None:
        raise CameraError("--unit is for --convert: the unit of a board is part of --board")
    from cairn.api.calibrate import calibrate as run
    from cairn.cli.progress import bars

    with bars() as progress:
        result = run(
            sources,
            board=board,
            out=out,
            sync=sync,
            intrinsics=intrinsics,
            only_intrinsics=only_intrinsics,
            points=points,
            refine=refine,
            fisheye=fisheye,
            floor=floor,
            every=every,
            to=to,
            report=report,
            overwrite=overwrite,
            progress=progress,
        )
    from cairn.cli.tables import console, print_line, print_table
    from cairn.multiview.calibration_report import CAMERA_HEAD

    target = console()
    print_table(target, result.rows, CAMERA_HEAD)
    if result.rms == result.rms:
        squares = f", squares {1000 * result.square:.2f} mm" if result.square == result.square else ""
        print_line(target, f"{len(result)} cameras, RMS {result.rms:.2f} px{squares}, board {result.board}")
    print(f"meters -> {', '.join(map(str, result.files))}")


def _convert(source: Path, out: Path, to: str | None, unit: str | None, overwrite: bool) -> None:
    from cairn.errors import OutputError
    from cairn.multiview.cameras import read_cameras, write_cameras

    rig = read_cameras(source, unit)
    if out.is_file() and not overwrite:
        raise OutputError(f"{out} already exists: pass --overwrite, or give another file with --out")
    write_cameras(rig, out, to)
    print(f"{len(rig)} cameras: {', '.join(rig.names)} -> {out}")
