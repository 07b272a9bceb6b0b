"""`cairn triangulate`: options of `cairn.api.triangulate.triangulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cairn.multiview.reconstruction import Reconstruction

WORST = 3  # keypoints that are listed


def triangulate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="One for each camera: 2D keypoints in any format that Cairn reads, a video, or a folder of images; "
            "matched to the cameras by name, or CAMERA=PATH. Or one folder that holds them.",
            show_default=False,
        ),
    ],
    cameras: Annotated[
        str,
        typer.Option(
            help="Calibrated cameras: cameras.toml of cairn calibrate, or a file of Anipose, FreeMoCap, Pose2Sim, "
            "caliscope, Qualisys, OpenCV or EasyMocap.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Output folder. [a new one: triangulation]", show_default=False)
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(help="Output formats, of json,trc,c3d,csv,parquet,html. [json,trc,html]", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option(help="Model for videos and images: bundled, .onnx file, or run.")] = "person",
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Skeleton of the keypoints, where the files name none: coco17, body25, body25b, ... or a .toml file.",
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(help="Unit of lengths in the file of the cameras: m, cm or mm. [as stated]", show_default=False),
    ] = None,
    offsets: Annotated[
        str | None,
        typer.Option(help="Frames by which cameras started later: cam2=3,cam3=-1, or a file. [0]", show_default=False),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second. [that of the inputs]", show_default=False)
    ] = None,
    min_confidence: Annotated[float, typer.Option(help="Minimum confidence of a detected keypoint.")] = 0.2,
    max_error: Annotated[
        float | None,
        typer.Option(
            help="Reprojection error in pixels above which cameras are dropped. [1% of the image diagonal]",
            show_default=False,
        ),
    ] = None,
    min_views: Annotated[int, typer.Option(help="Minimum number of cameras of a keypoint.")] = 2,
    people: Annotated[int | None, typer.Option(help="Number of instances to keep. [all]", show_default=False)] = None,
    gap: Annotated[float, typer.Option(help="Seconds for which an instance may be lost and keeps its track ID.")] = 1.0,
    fill: Annotated[float, typer.Option(help="Seconds up to which gaps of a keypoint are interpolated.")] = 0.0,
    smooth: Annotated[float, typer.Option(help="Strength of smoothing over time; 1 is typical.")] = 0.0,
    limbs: Annotated[bool, typer.Option("--limbs", help="Limbs of constant length.")] = False,
    draw: Annotated[
        bool, typer.Option("--draw", help="A video of each camera with the reprojected keypoints.")
    ] = False,
    videos: Annotated[
        list[str] | None,
        typer.Option(help="Video to draw on, where the inputs are keypoints; repeatable.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(help="Device to run on: auto, cpu, cuda, cuda:1, ...")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Number of threads; 0 for all cores.")] = 0,
) -> None:
    """Triangulate keypoints in 3D from several calibrated cameras.

    Matches the people or animals of all cameras, locates their keypoints in meters and tracks them. Writes
    poses3d.json, poses3d.trc for OpenSim (one for each person) and poses3d.html, a 3D view.

    cairn triangulate cam1.mp4 cam2.mp4 cam3.mp4 --cameras cameras.toml

    cairn triangulate cam1_json/ cam2_json/ --cameras Calib.toml --smooth 1 --write trc,c3d,csv
    """
    from cairn.api.triangulate import triangulate as run
    from cairn.cli.logs import API, show_log
    from cairn.cli.progress import bars
    from cairn.files import ensure_writable_folder, unused_folder

    show_log(API)
    if out is None:
        ensure_writable_folder(Path())  # an error now, not after the last frame
    folder = unused_folder("triangulation") if out is None else out
    with bars() as progress:
        result = run(
            inputs,
            cameras,
            out=folder,
            write=write,
            model=model,
            skeleton=skeleton,
            unit=unit,
            offsets=offsets,
            rate=rate,
            min_confidence=min_confidence,
            max_error=max_error,
            min_views=min_views,
            people=people,
            gap=gap,
            fill=fill,
            smooth=smooth,
            limbs=limbs,
            draw=draw,
            videos=videos,
            device=device,
            threads=threads,
            progress=progress,
        )
    _print(result)
    print(f"meters, {result.up} up (.trc: Y up; .c3d: millimeters) -> {folder}")


def _print(result: Reconstruction) -> None:
    """Prints the number of instances and frames, and the errors by camera."""
    from cairn.cli.tables import console, print_line, print_table
    from cairn.wording import counted

    tracks, target = result.trajectories, console()
    known = 100 * tracks.known.mean() if tracks.known.size else 0
    print_line(
        target,
        f"{counted(len(tracks.ids), 'instance')} of {tracks.skeleton.name} in {counted(len(tracks), 'frame')} at "
        f"{tracks.rate:g} Hz, {known:.0f}% of keypoints known",
    )
    used = result.used.reshape(len(result.rig), -1).sum(axis=1)
    seen = (result.observations.confidence > 0).reshape(len(result.rig), -1).sum(axis=1)
    rows = [
        (name, f"{error:.1f} px", f"{100 * count / max(total, 1):.0f}%")
        for (name, error), count, total in zip(result.camera_errors().items(), used, seen, strict=True)
    ]
    rows.append(("all", f"{result.error:.1f} px", f"{100 * used.sum() / max(seen.sum(), 1):.0f}%"))
    print_table(target, rows, ("camera", "reprojection error (median)", "keypoints used"))
    errors = sorted(result.keypoint_errors().items(), key=lambda entry: -(entry[1] if entry[1] == entry[1] else 0))
    worst = ", ".join(f"{joint} {error:.1f} px" for joint, error in errors[:WORST])
    print_line(target, f"highest by keypoint: {worst}")
