"""`cairn sync`: options of `cairn.api.sync.sync`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sync(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="2D keypoints of each camera, in any format that Cairn reads; or CAMERA=PATH.",
            show_default=False,
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="File of offsets. [offsets.toml]", show_default=False)] = None,
    cameras: Annotated[
        str | None,
        typer.Option(help="Calibrated cameras, which name the inputs. [the names of the files]", show_default=False),
    ] = None,
    timestamps: Annotated[
        Path | None, typer.Option(help="Timestamps of caliscope instead of speeds.", show_default=False)
    ] = None,
    joints: Annotated[
        str | None,
        typer.Option(help="Joints to compare, such as left_wrist,right_wrist. [all]", show_default=False),
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="Skeleton of the keypoints, where the files name none.", show_default=False)
    ] = None,
    max_offset: Annotated[
        int | None,
        typer.Option(help="Largest offset in frames. [half of the shortest recording]", show_default=False),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second. [that of the inputs]", show_default=False)
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite an existing file.")] = False,
) -> None:
    """Find the time offsets between cameras from the motion of keypoints.

    Compares vertical speeds, and refuses weak or ambiguous correlations. Writes offsets.toml, which cairn triangulate
    (--offsets) and cairn calibrate (--sync) read.

    cairn sync cam1_json/ cam2_json/ cam3_json/

    cairn sync cam1.cairn.jsonl cam2.cairn.jsonl --joints left_wrist,right_wrist --max-offset 300
    """
    from cairn.api.sync import sync as run
    from cairn.cli.logs import API, show_log
    from cairn.cli.tables import console, print_table

    show_log(API)
    found = run(
        inputs,
        out=Path("offsets.toml") if out is None else out,
        cameras=cameras,
        timestamps=timestamps,
        joints=joints,
        skeleton=skeleton,
        max_offset=max_offset,
        rate=rate,
        overwrite=overwrite,
    )
    rows = [
        (
            name,
            f"{value:+.2f}",
            f"{value / found.rate:+.3f} s",
            f"{found.correlation[name]:.2f}" if name in found.correlation else "",
        )
        for name, value in found.items()
    ]
    print_table(console(), rows, ("camera", "offset in frames", "seconds", "correlation"))
    print(f"{len(found)} cameras -> {found.file}")
