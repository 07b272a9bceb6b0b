"""`cairn keypoints`: keypoints of point clouds and meshes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def keypoints(
    source: Annotated[
        list[Path], typer.Argument(help="Point clouds or meshes: PLY, PCD, OBJ, OFF, STL, LAS, xyz, csv, npy, npz.")
    ],
    method: Annotated[
        str | None, typer.Option(help="Method: iss or usip. [that of the model, otherwise iss]", show_default=False)
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Trained model, by its name or its file, for methods that have one.", show_default=False),
    ] = None,
    salient_radius: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="ISS: radius of the neighborhood whose shape is measured, in multiples of the resolution (6), in a "
            "unit (2mm), or as the coordinates are stored (2units). [6]",
            show_default=False,
        ),
    ] = None,
    nms_radius: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="Radius in which a keypoint is the best one, likewise. [4; of USIP that of the model]",
            show_default=False,
        ),
    ] = None,
    gamma_21: Annotated[
        float | None,
        typer.Option(
            "--gamma-21", help="ISS: largest ratio of the second to the first eigenvalue. [0.975]", show_default=False
        ),
    ] = None,
    gamma_32: Annotated[
        float | None,
        typer.Option(
            "--gamma-32", help="ISS: largest ratio of the third to the second eigenvalue. [0.975]", show_default=False
        ),
    ] = None,
    min_neighbors: Annotated[
        int | None, typer.Option(help="ISS: smallest number of points within the radii. [5]", show_default=False)
    ] = None,
    weighted: Annotated[
        bool, typer.Option("--weighted", help="ISS: weight neighbors by their density, as in the paper.")
    ] = False,
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="USIP: distance between the nodes of the cloud, the scale of its keypoints, likewise. "
            "[that of the model]",
            show_default=False,
        ),
    ] = None,
    max_sigma: Annotated[
        float | None,
        typer.Option(
            help="USIP: maximum uncertainty of a keypoint, in multiples of the spacing. [that of the model]",
            show_default=False,
        ),
    ] = None,
    snap: Annotated[
        bool, typer.Option("--snap", help="USIP: move keypoints to the nearest point of the cloud.")
    ] = False,
    num_keypoints: Annotated[
        int | None, typer.Option(help="Maximum number of keypoints, the best ones. [all]", show_default=False)
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of the coordinates: um, mm, cm, m, km, in or ft. [as the file states]", show_default=False
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Number of threads; 0 for all cores.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the files. [the current one]", show_default=False)] = None,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="FORMATS", help="Formats: ply, csv, json, mrk (3D Slicer), fcsv. [json]", show_default=False
        ),
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Write a page with the cloud and the keypoints in 3D, which opens offline.")
    ] = False,
    png: Annotated[bool, typer.Option("--png", help="Write an image of the cloud and the keypoints.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")] = False,
) -> None:
    """Detect keypoints of point clouds and meshes.

    Writes NAME.keypoints.json, and prints the resolution, the radii and the number of keypoints.

    cairn keypoints scan.ply

    cairn keypoints scan.ply --salient-radius 2mm --nms-radius 1mm --unit m --write csv,mrk --html
    """
    from cairn.api.keypoints import formats_of, output_files
    from cairn.api.keypoints import keypoints as run
    from cairn.cli.logs import show_log
    from cairn.cli.progress import bars
    from cairn.wording import counted

    show_log()
    formats = formats_of("json" if write is None else write)
    with bars() as progress:
        results = run(
            source,
            method=method,
            model=model,
            salient_radius=salient_radius,
            nms_radius=nms_radius,
            gamma_21=gamma_21,
            gamma_32=gamma_32,
            min_neighbors=min_neighbors,
            weighted=weighted,
            spacing=spacing,
            max_sigma=max_sigma,
            snap=snap,
            num_keypoints=num_keypoints,
            unit=unit,
            threads=threads,
            out=out,
            write=formats,
            html=html,
            png=png,
            overwrite=overwrite,
            progress=progress if len(source) > 1 else None,
        )
    for path, found in zip(source, results if isinstance(results, list) else [results], strict=True):
        files = ", ".join(map(str, output_files(path, out, formats, html, png).values()))
        count = counted(len(found), "keypoint")
        print(f"{path}: {count} of {counted(len(found.cloud), 'point')}; {found.summary} -> {files}")
        if not len(found):
            print(f"{path}: no keypoints: it is flat or too sparse for these radii", file=sys.stderr)
