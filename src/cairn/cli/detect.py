"""`cairn detect`: keypoints in images and videos. Its options; what they set going is in `detection`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.api.finders import CROPS, WHOLE, finder, resolution
from cairn.api.outputs import DRAWN_AS, FORMS, SEVERAL, Drawings, forms_of, results, writers
from cairn.cli.progress import progress, summary
from cairn.errors import CairnError, ImageError

if TYPE_CHECKING:
    from cairn.media.sources import Source


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Images, videos, folders, globs in quotes, lists (.txt), numbered images (frame_%05d.png), or the "
            "number of a camera.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help=f"An embedded model, or the path of an exported .onnx file. [{WHOLE}; with --boxes {CROPS}]",
            show_default=False,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(help='One object in each box: {"photo.jpg": [[x, y, width, height]]}.', show_default=False),
    ] = None,
    refine: Annotated[
        bool, typer.Option("--refine", help=f"Signatures at each object found once more, with {CROPS}: slower, better.")
    ] = False,
    refine_with: Annotated[
        str | None, typer.Option(help="The same with another model of one object.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for results. [one image or video: here; several: {SEVERAL}]", show_default=False),
    ] = None,
    write: Annotated[
        str | None, typer.Option(help=f"What to write, of {','.join(FORMS)}. [json]", show_default=False)
    ] = None,
    draw: Annotated[
        bool | None,
        typer.Option(
            "--draw/--no-draw", help="Draw skeletons on copies. [one image or video: yes]", show_default=False
        ),
    ] = None,
    draw_as: Annotated[
        str | None,
        typer.Option(help=f"How videos are drawn, of {','.join(DRAWN_AS)}. [{DRAWN_AS[0]}]", show_default=False),
    ] = None,
    track: Annotated[bool, typer.Option("--track", help="Follow the objects of a video: each keeps a number.")] = False,
    smooth: Annotated[
        float | None,
        typer.Option(min=0, help="With --track: how strongly to smooth the keypoints; 1 is usual.", show_default=False),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(help="With -: one line of JSON an image on stdout, and files only as asked.", show_default=False),
    ] = None,
    keypoint_scale: Annotated[
        int, typer.Option(help="With --write openpose: 0 pixels, 3 from 0 to 1, 4 from -1 to 1.")
    ] = 0,
    part_candidates: Annotated[
        bool, typer.Option("--part-candidates", help="With --write openpose: every peak of every joint's map too.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(min=32, help="Longest side shown to the network. [the model's]", show_default=False)
    ] = None,
    net_resolution: Annotated[
        str | None,
        typer.Option(
            help="WxH shown to the network, in place of --size; -1 follows the image: -1x368.", show_default=False
        ),
    ] = None,
    scales: Annotated[
        int | None,
        typer.Option(min=1, help="Show each image so often, smaller each time; average. [the model's]"),
    ] = None,
    scale_gap: Annotated[float, typer.Option(help="How much smaller: 1, 1 - gap, 1 - 2 gap, ...")] = 0.25,
    hands: Annotated[
        str | None, typer.Option(help="A model of one hand: look at both hands of everybody.", show_default=False)
    ] = None,
    face: Annotated[
        str | None, typer.Option(help="A model of one face: look at everybody's.", show_default=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 is all.")] = 0,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out keypoints less sure than this.")] = 0.0,
    draw_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Draw no keypoints less sure than this. [the model's]", show_default=False),
    ] = None,
    draw_colors: Annotated[
        str, typer.Option(help="What colors tell in drawings: limb, or object (with --track: who it is).")
    ] = "limb",
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, max=1000, help="Frames per second of numbered images. [25]", show_default=False),
    ] = None,
) -> None:
    """Find keypoints in images and videos.

    One image: writes photo.cairn.jpg and photo.cairn.json here; one video: clip.cairn.mp4 and clip.cairn.jsonl.
    Several: writes a JSON file each into cairn-results, in the folders that they came from. Exit status: 0 all
    read, 1 some could not be read, or not to the end, 2 nothing could.
    """
    from cairn.api.detection import Plan, run, shared_out
    from cairn.files import ensure_writable_folder
    from cairn.media.sources import find_sources
    from cairn.media.video.frames import USUAL_RATE
    from cairn.tracking.tracker import Tracker

    if json not in (None, "-"):
        raise CairnError(f"--json takes -, for stdout, got {json!r}; for files use --write json")
    forms = forms_of(write, to_stdout=json is not None)
    if draw_colors not in ("limb", "object"):
        raise CairnError(f"--draw-colors is limb or object, got {draw_colors!r}")
    found = find_sources(sources)
    alone = found[0] if len(found) == len(sources) == 1 and found[0].name.path == Path(sources[0]) else None
    drawing = (alone is not None and json is None) if draw is None else draw
    folder = out or Path("." if alone else SEVERAL)
    if not (forms or drawing or json):
        raise CairnError("nothing would be written: give --write, --draw or --json -")
    if not drawing and (draw_as is not None or draw_threshold is not None or draw_colors != "limb"):
        raise CairnError("--draw-as, --draw-threshold and --draw-colors are of drawings: give --draw too")
    if (keypoint_scale or part_candidates) and "openpose" not in forms:
        raise CairnError("--keypoint-scale and --part-candidates are of --write openpose")
    if smooth is not None and not track:
        raise CairnError("--smooth follows objects from frame to frame: give --track too")
    still = next((source for source in found if not source.is_clip), None)
    if track and still:
        raise CairnError(
            f"--track is for videos, cameras and numbered images (frame_%05d.png): {still.name.path} stands alone"
        )
    clip = next((source for source in found if source.is_clip), None)
    if boxes and clip:
        raise CairnError(f"--boxes is for images: {clip.name.path} has frames")
    if draw_as is not None and not clip:
        raise CairnError("--draw-as is of videos: images are drawn as .jpg")
    if fps is not None and not any(source.kind == "sequence" for source in found):
        raise CairnError("--fps is of numbered images (frame_%05d.png), and there are none")
    drawn_as = _drawn_as(draw_as)
    if lacks := _lacks(found, drawn_as if drawing else None):
        print(f"cairn: PyAV is not installed (pip install 'cairn[video]'): {lacks}", file=sys.stderr)

    images = [source.name.path for source in found if not source.is_clip]
    refining = CROPS if refine and refine_with is None else refine_with
    shown = resolution(size, net_resolution, scales, scale_gap)
    several = clip is not None or len(found) > 1
    parallel, of_network = shared_out(threads) if several else (1, threads)
    finds = finder(images, model, boxes, refining, of_network, shown, hands, face)
    keep_maps = part_candidates or "maps" in forms
    if keep_maps and not finds.has_maps:
        raise CairnError(
            f"--write maps and --part-candidates are for models of whole images alone; {finds.spec.name} is none"
        )
    candidates = float(finds.spec.decode.get("peak_threshold", 0.05)) if part_candidates else None
    plan = Plan(
        finder=finds,
        writers=writers(forms, folder, images, finds.spec.name, json is not None, keypoint_scale, candidates),
        threshold=threshold,
        tracker=(lambda: Tracker(smooth=smooth or 0)) if track else None,
        drawings=Drawings(folder, drawn_as, threads) if drawing else None,
        draw_by="object" if draw_colors == "object" else "limb",
        draw_from=finds.spec.draw_threshold if draw_threshold is None else draw_threshold,
        keep_maps=keep_maps,
        threads=threads,
        parallel=parallel,
        rate=fps or USUAL_RATE,
    )
    if forms or drawing:
        ensure_writable_folder(folder)
    if threads:
        import cv2

        cv2.setNumThreads(threads)

    # A single file has one fault at the most: where nothing came before it, it is the error itself.
    later = alone is not None and alone.kind != "sequence"
    started = time.perf_counter()
    with ExitStack() as until_done:
        say, advance = until_done.enter_context(progress(len(found) > 1 or clip is not None, json is not None))
        for writer in plan.writers:
            until_done.enter_context(writer)
        if plan.drawings:
            until_done.enter_context(plan.drawings)
        done = run(found, plan, lambda fault: None if later else say(f"cairn: {fault}"), advance)
        read = done.images + done.frames
        if not read and done.faults:
            if later:
                raise done.faults[0]
            raise ImageError("nothing could be read")
        if later and done.faults:
            say(f"cairn: {done.faults[0]}")
    where = results(folder, forms, alone.name if alone else None, clip is not None, drawn_as if drawing else None)
    line = summary(
        images=done.images,
        frames=done.frames,
        people=done.people,
        identities=len(done.identities) if track else None,
        seconds=(time.perf_counter() - started) / max(read + len(done.faults), 1),
        problems=done.faults,
        results=where,
    )
    print(line + (", interrupted" if done.stopped else ""), file=sys.stderr)
    if done.stopped is not None:
        raise typer.Exit(128 + done.stopped)
    if done.faults:
        raise typer.Exit(1)


def _drawn_as(asked: str | None) -> str:
    """What clips are drawn as: without PyAV what OpenCV can write. Raises CairnError for what is none of `DRAWN_AS`."""
    if asked is not None and asked not in DRAWN_AS:
        raise CairnError(f"--draw-as knows {','.join(DRAWN_AS)}, got {asked}")
    from cairn.media.video import has_pyav

    return asked or (DRAWN_AS[0] if has_pyav() else "webm")


def _lacks(found: Sequence[Source], drawn_as: str | None) -> str:
    """What of these sources and drawings OpenCV does worse than PyAV, where that is not installed."""
    from cairn.media.video import has_pyav

    if has_pyav():
        return ""
    lacks = []
    if drawn_as == "webm" and any(source.is_clip for source in found):
        lacks.append("the video is drawn as WebM at a constant frame rate")
    if any(source.kind == "video" for source in found):
        lacks.append("a damaged or truncated video is not noticed")
    return ", and ".join(lacks)
