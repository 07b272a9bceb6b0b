"""`cairn detect`: keypoints in pictures, folders and globs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.cli.finders import CROPS, WHOLE, finders
from cairn.cli.outputs import SEVERAL, writers
from cairn.cli.progress import progress
from cairn.errors import CairnError, ImageError, LabelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.poses import Poses
    from cairn.writers import PictureName


def detect(
    sources: Annotated[list[str], typer.Argument(help="Pictures, folders, or globs in quotes.", show_default=False)],
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
        bool, typer.Option("--refine", help=f"Look at each object found once more, with {CROPS}: slower, better.")
    ] = False,
    refine_with: Annotated[
        str | None, typer.Option(help="The same with another model of one object.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Folder for results. [one picture: here; several: {SEVERAL}]", show_default=False),
    ] = None,
    write: Annotated[
        str | None, typer.Option(help="What to write, of json,coco,openpose,csv. [json]", show_default=False)
    ] = None,
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--no-draw", help="Draw skeletons on copies. [one picture: yes]", show_default=False),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(help="With -: one line of JSON a picture on stdout, and files only as asked.", show_default=False),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Longest side shown to the network. [the model's]", show_default=False)
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Cores to use; 0 is all.")] = 0,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Leave out keypoints less sure than this.")] = 0.0,
    draw_threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Draw no keypoints less sure than this. [the model's]", show_default=False),
    ] = None,
) -> None:
    """Find keypoints in pictures.

    One picture: writes photo.cairn.jpg and photo.cairn.json here. Several: writes a JSON file each into
    cairn-results, in the folders that they came from. Exit status: 0 all read, 1 some could not be read,
    2 nothing could.
    """
    from cairn.cli.sources import find_pictures
    from cairn.image import read_image, write_image
    from cairn.output import writable_folder
    from cairn.render import draw as draw_poses

    if json not in (None, "-"):
        raise CairnError(f"--json takes -, for stdout, got {json!r}; for files use --write json")
    pictures = find_pictures(sources)
    single = len(sources) == 1 and pictures[0].path == Path(sources[0])
    drawn = (single and json is None) if draw is None else draw
    folder = out or Path("." if single else SEVERAL)
    forms = [form for form in (write or "").split(",") if form] if write is not None or json else ["json"]
    if not (forms or drawn or json):
        raise CairnError("nothing would be written: give --write, --draw or --json -")
    refining = refine_with or (CROPS if refine else None)
    spec, find_in = finders(pictures, model, boxes, refining, threads, size)
    results = writers(forms, folder, pictures, spec.name, to_stdout=json is not None)
    drawn_from = spec.draw_threshold if draw_threshold is None else draw_threshold
    if forms or drawn:
        writable_folder(folder)
    if threads:
        import cv2

        cv2.setNumThreads(threads)

    people = failed = 0
    started = time.perf_counter()
    with ExitStack() as until_done:
        say, advance = until_done.enter_context(progress(len(pictures), json is not None))
        for writer in results:
            until_done.enter_context(writer)
        for picture, find in zip(pictures, find_in, strict=False):
            try:
                image = read_image(picture.path)
                poses = _found(picture, image, find).above(threshold)
            except (ImageError, LabelError) as error:
                if single:
                    raise
                failed += 1
                say(f"cairn: {error}")
            else:
                people += len(poses)
                for writer in results:
                    writer.write(picture, image.shape[:2], poses)
                if drawn:
                    write_image(picture.beside(folder, ".cairn.jpg"), draw_poses(image, poses, drawn_from))
            advance()
        if failed == len(pictures):
            raise ImageError(f"none of the {failed} pictures could be read")
    seconds = (time.perf_counter() - started) / len(pictures)
    where = _results(folder, forms, pictures[0] if single else None, drawn)
    print(_summary(len(pictures), people, seconds, failed, where), file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _found(picture: PictureName, image: NDArray[np.uint8], find: Callable[..., Poses]) -> Poses:
    """What is wrong with a picture or its boxes is said with the picture's name."""
    try:
        return find(image)
    except (ImageError, LabelError) as error:
        raise type(error)(f"{picture.path}: {error}") from None


def _results(folder: Path, forms: Sequence[str], picture: PictureName | None, drawn: bool) -> str:
    """Where the user finds what was written; the files themselves where they are few."""
    if not (forms or drawn):
        return ""
    if picture is None or not set(forms) <= {"json"}:
        return str(folder)
    endings = [".cairn.jpg"] * drawn + [".cairn.json"] * len(forms)
    return " and ".join(str(picture.beside(folder, ending)) for ending in endings)


def _summary(pictures: int, people: int, seconds: float, failed: int, results: str) -> str:
    def count(number: int, one: str, more: str) -> str:
        return f"{number} {one if number == 1 else more}"

    parts = [count(pictures - failed, "picture", "pictures"), count(people, "person", "people")]
    parts.append(f"{1000 * seconds:.0f} ms a picture")
    if failed:
        parts.append(f"{failed} could not be read")
    return ", ".join(parts) + (f" -> {results}" if results else "")
