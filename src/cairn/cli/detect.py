"""`cairn detect`: keypoints in pictures, folders and globs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cairn.errors import CairnError, ImageError

if TYPE_CHECKING:
    from cairn.writers import PictureName, Writer

SEVERAL = "cairn-results"
"""Where the results of several pictures go when nothing else is said."""


def detect(
    sources: Annotated[list[str], typer.Argument(help="Pictures, folders, or globs in quotes.", show_default=False)],
    model: Annotated[str, typer.Option(help="An embedded model, or the path of an exported .onnx file.")] = "person",
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
) -> None:
    """Find keypoints in pictures.

    One picture: writes photo.cairn.jpg and photo.cairn.json here. Several: writes a JSON file each into
    cairn-results, in the folders that they came from. Exit status: 0 all read, 1 some could not be read,
    2 nothing could.
    """
    from cairn.cli.sources import find_pictures
    from cairn.image import read_image, write_image
    from cairn.load import load
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
    predictor = load(model, threads=threads, size=size)
    writers = _writers(forms, folder, pictures, predictor.spec.name, to_stdout=json is not None)
    if forms or drawn:
        writable_folder(folder)
    if threads:
        import cv2

        cv2.setNumThreads(threads)

    people = failed = 0
    started = time.perf_counter()
    with ExitStack() as until_done:
        say, advance = until_done.enter_context(_progress(len(pictures), json is not None))
        for writer in writers:
            until_done.enter_context(writer)
        for picture in pictures:
            try:
                image = read_image(picture.path)
            except ImageError as error:
                if single:
                    raise
                failed += 1
                say(f"cairn: {error}")
            else:
                poses = predictor(image).above(threshold)
                people += len(poses)
                for writer in writers:
                    writer.write(picture, image.shape[:2], poses)
                if drawn:
                    write_image(picture.beside(folder, ".cairn.jpg"), draw_poses(image, poses))
            advance()
        if failed == len(pictures):
            raise ImageError(f"none of the {failed} pictures could be read")
    seconds = (time.perf_counter() - started) / len(pictures)
    results = _results(folder, forms, pictures[0] if single else None, drawn)
    print(_summary(len(pictures), people, seconds, failed, results), file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def _writers(
    forms: Sequence[str], folder: Path, pictures: Sequence[PictureName], model: str, to_stdout: bool
) -> list[Writer]:
    """Names become writers, not yet opened. Raises CairnError for a name that is none."""
    from cairn.writers.cairn_json import JsonLinesWriter, JsonWriter
    from cairn.writers.coco import CocoWriter, image_ids
    from cairn.writers.csv_table import CsvWriter
    from cairn.writers.openpose import OpenPoseWriter

    table: dict[str, Callable[[], Writer]] = {
        "json": lambda: JsonWriter(folder, model),
        "coco": lambda: CocoWriter(folder, image_ids(picture.path for picture in pictures)),
        "openpose": lambda: OpenPoseWriter(folder),
        "csv": lambda: CsvWriter(folder),
    }
    if unknown := [form for form in forms if form not in table]:
        raise CairnError(f"--write knows {','.join(table)}, got {','.join(unknown)}")
    writers = [table[form]() for form in dict.fromkeys(forms)]
    return [*writers, JsonLinesWriter(sys.stdout, model)] if to_stdout else writers


@contextmanager
def _progress(count: int, to_stdout: bool) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Two functions: one shows a line on stderr, one says that a picture is done. A bar only for people."""
    watched = sys.stderr.isatty() and not (to_stdout and sys.stdout.isatty())
    if count == 1 or not watched:
        yield lambda line: print(line, file=sys.stderr), lambda: None
        return

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # rich would send our stdout to its own console.
    with Progress(*columns, console=console, redirect_stdout=False, transient=True) as bar:
        task = bar.add_task("detecting", total=count)
        yield (
            lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True),
            lambda: bar.advance(task),
        )


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
