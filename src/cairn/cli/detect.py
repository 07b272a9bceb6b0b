"""`cairn detect`: options of `cairn.api.detect.detect`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cairn.api.detect_dataset import ENGINES, SHARD_SIZE
from cairn.api.outputs import MAX_DECIMALS, RESULTS_FOLDER
from cairn.cli.dataset import run_in_shards
from cairn.cli.model_options import Refine, RefineWith
from cairn.cli.progress import ProgressBar, summary
from cairn.cli.stopping import graceful_stop
from cairn.errors import CairnError
from cairn.results import DRAWING_FORMATS, FORMATS


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos, folders, quoted globs, lists (.txt), numbered images (frame_%05d.png), webcam "
            "numbers, or addresses (rtsp://, rtmp://, http://); or MPII's annotations (.mat), for its test images.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Bundled model, exported .onnx file, or run folder. [person; with --boxes person-single]",
            show_default=False,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            help='JSON file of bounding boxes, one instance each: {"photo.jpg": [[x, y, width, height]]}; or the word '
            "motion: what moves in each frame of a static camera.",
            show_default=False,
        ),
    ] = None,
    refine: Refine = None,
    refine_with: RefineWith = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help=f"Output folder. [one image or video: the current one; several: {RESULTS_FOLDER}]", show_default=False
        ),
    ] = None,
    write: Annotated[
        str | None, typer.Option(help=f"Output formats, of {','.join(FORMATS)}. [json]", show_default=False)
    ] = None,
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--no-draw", help="Overlays on copies. [one image or video: yes]", show_default=False),
    ] = None,
    draw_as: Annotated[
        str | None,
        typer.Option(
            help=f"Format of drawn videos, of {','.join(DRAWING_FORMATS)}. [{DRAWING_FORMATS[0]}]", show_default=False
        ),
    ] = None,
    track: Annotated[bool, typer.Option("--track", help="Track IDs in videos.")] = False,
    smooth: Annotated[
        float | None,
        typer.Option(min=0, help="Strength of temporal smoothing, with --track; 1 is typical.", show_default=False),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(help="JSON Lines on stdout (-), one line per image; files only with --write.", show_default=False),
    ] = None,
    keypoint_scale: Annotated[
        int, typer.Option(help="Keypoint scale of --write openpose: 0 pixels, 3 from 0 to 1, 4 from -1 to 1.")
    ] = 0,
    part_candidates: Annotated[
        bool, typer.Option("--part-candidates", help="All heatmap peaks in --write openpose.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results of other sources in the output folder.")
    ] = False,
    decimals: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MAX_DECIMALS,
            help="Decimals of coordinates in --write json, csv and openpose. [2; openpose: 4]",
            show_default=False,
        ),
    ] = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="A row for each image without detections in --write csv and parquet.")
    ] = False,
    image_ids: Annotated[
        Path | None,
        typer.Option(help="COCO label file with the image IDs for --write coco. [numbers]", show_default=False),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Longest side of the network input. [the model's]", show_default=False)
    ] = None,
    net_resolution: Annotated[
        str | None,
        typer.Option(
            help="Network input resolution WxH, instead of --size; -1 follows the aspect ratio: -1x368.",
            show_default=False,
        ),
    ] = None,
    scales: Annotated[
        int | None,
        typer.Option(min=1, help="Number of test-time scales to average. [the model's]", show_default=False),
    ] = None,
    scale_gap: Annotated[
        float, typer.Option(help="Difference between two test-time scales: 1, 1 - gap, 1 - 2 gap, ...")
    ] = 0.25,
    hands: Annotated[
        str | None, typer.Option(help="Model of one hand, for both hands of each person.", show_default=False)
    ] = None,
    face: Annotated[
        str | None, typer.Option(help="Model of one face, for the face of each person.", show_default=False)
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device: auto, cpu, cuda, cuda:1, tensorrt, directml, coreml or openvino.")
    ] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="Number of CPU cores; 0 is all.")] = 0,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", "--threshold", min=0, max=1, help="Minimum keypoint confidence to keep."),
    ] = 0.0,
    draw_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Minimum keypoint confidence to draw. [the model's]", show_default=False),
    ] = None,
    draw_colors: Annotated[
        str, typer.Option(help="Colors of overlays: by limb, or by object (with --track: by track ID).")
    ] = "limb",
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Frames per second of numbered images. [25]", show_default=False),
    ] = None,
    lift: Annotated[
        str | None,
        typer.Option(
            help="Model that lifts the poses to 3D, such as person-lift; videos need --track.", show_default=False
        ),
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(
            help="Calibrated camera, with --lift: a file of cameras, with :NAME where it has several.",
            show_default=False,
        ),
    ] = None,
    reconnect: Annotated[
        int, typer.Option(min=0, help="Number of attempts to open a stream or webcam again that broke off.")
    ] = 0,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Results in shards of Parquet; a run that was ended goes on where it was."),
    ] = False,
    retry_faults: Annotated[
        bool, typer.Option("--retry-faults", help="Shards with faults again, with --resume.")
    ] = False,
    shard_size: Annotated[
        int | None,
        typer.Option(min=1, help=f"Number of images of a shard. [{SHARD_SIZE}]", show_default=False),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Column of images of Parquet tables, in shards. [by type and name]", show_default=False),
    ] = None,
    engine: Annotated[str, typer.Option(help=f"Who runs the model, in shards: {' or '.join(ENGINES)}.")] = ENGINES[0],
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster, or auto, with --engine ray. [a new one on this machine]", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of workers, with --engine ray. [one for each core, or GPU]", show_default=False
        ),
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of GPUs, which the workers share evenly, with --engine ray.", show_default=False
        ),
    ] = None,
) -> None:
    """Detect keypoints in images and videos.

    One image: writes photo.cairn.jpg and photo.cairn.json; one video: clip.cairn.mp4 and clip.cairn.jsonl. Several:
    writes one JSON file each to cairn-results, in the same subfolders. Results of other sources are not replaced. With
    --resume or --engine ray: writes one table of Parquet in shards, for any number of images. Exit status: 0 all were
    read and written, 1 some were not, or not to the end, 2 none were.
    """
    from cairn.api.detect import detect as run_detect
    from cairn.api.detection import Hooks
    from cairn.api.load import resolution

    shards = {"retry-faults": retry_faults, "shard-size": shard_size, "column": column}
    cluster = {"address": address, "workers": workers, "gpus": gpus}
    if resume or engine != ENGINES[0]:
        others = {
            "boxes": boxes, "draw": draw, "draw-as": draw_as, "json": json, "keypoint-scale": keypoint_scale,
            "part-candidates": part_candidates, "decimals": decimals, "image-ids": image_ids, "lift": lift,
            "draw-threshold": draw_threshold, "camera": camera, "reconnect": reconnect,
        }  # fmt: skip
        if given := next((name for name, value in others.items() if value), None):
            raise CairnError(f"--{given} is not for results in shards: omit it, or --resume and --engine")
        if write not in (None, "parquet"):
            raise CairnError(f"results in shards are of the format parquet, got --write {write}")
        run_in_shards(
            sources,
            out or Path(RESULTS_FOLDER),
            model=model or "person",
            refine=refine if refine_with is None else refine_with,
            hands=hands,
            face=face,
            size=resolution(size, net_resolution, scales, scale_gap),
            device=device,
            threads=threads,
            min_confidence=min_confidence,
            track=track,
            smooth=smooth,
            fps=fps,
            empty=empty,
            overwrite=overwrite,
            resume=resume,
            retry_faults=retry_faults,
            shard_size=shard_size or SHARD_SIZE,
            column=column,
            engine=engine,
            **cluster,
        )
        return
    if given := next((name for name, value in {**shards, **cluster}.items() if value), None):
        needed = "--engine ray" if given in cluster else "--resume"
        raise CairnError(f"--{given} is for results in shards: add {needed}, or omit it")
    if json not in (None, "-"):
        raise CairnError(f"--json takes -, for stdout, got {json!r}; for files use --write json")
    with graceful_stop() as stop, ProgressBar("detecting", not (json and sys.stdout.isatty())) as progress:
        run = run_detect(
            sources,
            model=model,
            boxes=boxes,
            refine=refine if refine_with is None else refine_with,
            hands=hands,
            face=face,
            out=out,
            write=write,
            draw=draw,
            draw_as=draw_as,
            draw_threshold=draw_threshold,
            draw_colors=draw_colors,
            track=track,
            smooth=smooth,
            min_confidence=min_confidence,
            size=resolution(size, net_resolution, scales, scale_gap),
            device=device,
            threads=threads,
            fps=fps,
            reconnect=reconnect,
            keypoint_scale=keypoint_scale,
            part_candidates=part_candidates,
            overwrite=overwrite,
            decimals=decimals,
            empty=empty,
            image_ids=image_ids,
            lines=sys.stdout if json else None,
            lift=lift,
            camera=camera,
            hooks=Hooks(lambda line: progress.notice(f"cairn: {line}"), progress.advance, stop),
        )
    print(summary(run), file=sys.stderr)
    if stop.number is not None:
        raise typer.Exit(128 + stop.number)
    if run.errors:
        raise typer.Exit(1)
