"""`cairn register`: the motion of one point cloud onto another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(
    source: Annotated[Path, typer.Argument(help="Point cloud or mesh that moves.")],
    target: Annotated[Path, typer.Argument(help="Point cloud or mesh that stays.")],
    method: Annotated[
        str | None,
        typer.Option(help="Method of the keypoints: iss or usip. [iss with dense keypoints]", show_default=False),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Trained model of the keypoints.", show_default=False)] = None,
    voxel: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="Edge of the voxels that the clouds are thinned to, in multiples of the resolution (2.5), in a unit "
            "(2mm), or as the coordinates are stored (2units). [2.5, more for large clouds]",
            show_default=False,
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="Unit of the coordinates: um, mm, cm, m, km, in or ft. [as the files state]", show_default=False
        ),
    ] = None,
    min_overlap: Annotated[
        float, typer.Option(help="Smallest share of the smaller cloud that must overlap the other.")
    ] = 0.2,
    out: Annotated[Path | None, typer.Option(help="Folder of the files. [the current one]", show_default=False)] = None,
    html: Annotated[bool, typer.Option("--html", help="Write a page with both clouds in 3D, which opens offline.")] = (
        False
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite existing files.")] = False,
) -> None:
    """Register two point clouds that overlap.

    Writes SOURCE-to-TARGET.json and the 4x4 matrix as SOURCE-to-TARGET.txt: p_target = R p_source + t.

    cairn register scan1.ply scan2.ply
    """
    from cairn.api.register import register as run
    from cairn.api.register import registration_files
    from cairn.cli.logs import show_log

    show_log()
    folder = out or Path()
    found = run(
        source,
        target,
        method=method,
        model=model,
        voxel=voxel,
        unit=unit,
        min_overlap=min_overlap,
        out=folder,
        html=html,
        overwrite=overwrite,
    )
    files = registration_files(source, target, folder, html)
    print(f"{found.summary} -> {', '.join(map(str, files.values()))}")
