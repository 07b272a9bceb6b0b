"""Where results go, and in which forms: names become writers here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cairn.errors import CairnError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cairn.media.names import ImageName
    from cairn.results import Writer

SEVERAL = "cairn-results"
"""Where the results of several images go when nothing else is said."""

FORMS = ("json", "coco", "openpose", "csv", "parquet", "maps")

DRAWN_AS = ("mp4", "webm", "jpg")
"""What the frames of a clip are drawn as; images are drawn as .jpg."""


class Drawings:
    """A drawn copy of each image, and for each clip a video, or images too. Used in a with block.

    drawn_as  of `DRAWN_AS`
    threads   cores for encoding video; 0 takes all
    """

    def __init__(self, folder: Path, drawn_as: str, threads: int) -> None:
        self.folder = folder
        self.drawn_as = drawn_as
        self.threads = threads
        self._clip: PurePath | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def write(self, name: ImageName, rate: float, drawn: NDArray[np.uint8]) -> None:
        """The next image; `rate` is its clip's frames per second. Raises OutputError."""
        from cairn.media.images import write_image
        from cairn.media.video import write_video

        if name.clip != self._clip:
            self._open.close()  # the clip before has ended
            self._open, self._clip = ExitStack(), name.clip
            if name.clip and self.drawn_as != "jpg":
                path = name.beside_clip(self.folder, f".cairn.{self.drawn_as}")
                size = drawn.shape[0], drawn.shape[1]
                self._video = self._open.enter_context(write_video(path, size, rate, self.threads))
        if name.clip and self.drawn_as != "jpg":
            self._video.write(drawn, name.seconds)
        else:
            write_image(name.beside(self.folder, ".cairn.jpg"), drawn)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def forms_of(write: str | None, to_stdout: bool) -> list[str]:
    """What `--write` asks for. Raises CairnError for a name that is none."""
    forms = [form for form in (write or "").split(",") if form] if write is not None or to_stdout else ["json"]
    if unknown := [form for form in forms if form not in FORMS]:
        raise CairnError(f"--write knows {','.join(FORMS)}, got {','.join(unknown)}")
    return list(dict.fromkeys(forms))


def writers(
    forms: Sequence[str],
    folder: Path,
    images: Sequence[Path],
    model: str,
    to_stdout: bool,
    scale: int,
    candidates: float | None,
) -> list[Writer]:
    """Names become writers, not yet opened.

    images           all that are no frames of clips
    scale, candidates  of `OpenPoseWriter`
    """
    from cairn.results.cairn_json import JsonLinesWriter, JsonWriter
    from cairn.results.coco import CocoWriter, image_ids
    from cairn.results.csv_table import CsvWriter
    from cairn.results.maps import MapsWriter
    from cairn.results.openpose import OpenPoseWriter
    from cairn.results.parquet import ParquetWriter

    table: dict[str, Callable[[], Writer]] = {
        "json": lambda: JsonWriter(folder, model),
        "coco": lambda: CocoWriter(folder, image_ids(images)),
        "openpose": lambda: OpenPoseWriter(folder, scale, candidates),
        "csv": lambda: CsvWriter(folder),
        "parquet": lambda: ParquetWriter(folder),
        "maps": lambda: MapsWriter(folder),
    }
    asked = [table[form]() for form in forms]
    return [*asked, JsonLinesWriter(sys.stdout, model)] if to_stdout else asked


def results(folder: Path, forms: Sequence[str], alone: ImageName | None, is_clip: bool, drawn_as: str | None) -> str:
    """Where the user finds what was written; the files themselves where they are few.

    alone     the one image or clip of the run, if it is one
    drawn_as  the suffix of drawings, if there are any
    """
    if not (forms or drawn_as):
        return ""
    if alone is None or not set(forms) <= {"json"} or (is_clip and drawn_as == "jpg"):
        return str(folder)
    endings = [f".cairn.{drawn_as if is_clip else 'jpg'}"] * (drawn_as is not None)
    endings += [".cairn.jsonl" if is_clip else ".cairn.json"] * len(forms)
    return " and ".join(str(alone.beside(folder, ending)) for ending in endings)
