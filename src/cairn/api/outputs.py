"""Outputs of `detect`: formats, folders and drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cairn.errors import CairnError
from cairn.results import DRAWING_FORMATS, FORMATS, Writer, WriterOptions, create_writers

if TYPE_CHECKING:
    from cairn.inference.model_spec import ModelSpec
    from cairn.media.sources import Source

RESULTS_FOLDER = "cairn-results"
"""Default output folder for several images."""

MAX_DECIMALS = 9
"""Coordinates are of single precision: more decimals have no meaning."""

COLORS = ("limb", "object")


@dataclass(frozen=True)
class OutputOptions:
    """What to write.

    Attributes:
        out: Output folder; None is the current one for one image or clip, else `RESULTS_FOLDER`.
        write: Formats, of `cairn.results.FORMATS`; None is JSON, or nothing with `lines`.
        keypoint_scale: Scale of OpenPose's keypoints: 0 pixels, 3 from 0 to 1, 4 from -1 to 1.
        part_candidates: Whether OpenPose's files list every peak of every heatmap too.
        lines: Stream that gets one line of JSON for each image.
        overwrite: Whether to replace the results of other sources.
        decimals: Decimals of coordinates in json, csv and openpose; None is the default of each format.
        empty: Whether csv and parquet have a row for an image without detections.
        image_ids: Label file whose image IDs COCO results take; None numbers the images.
    """

    out: Path | None = None
    write: Sequence[str] | None = None
    keypoint_scale: int = 0
    part_candidates: bool = False
    lines: TextIO | None = None
    overwrite: bool = False
    decimals: int | None = None
    empty: bool = False
    image_ids: Path | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of files.

        Raises:
            CairnError: A format is unknown.
        """
        default = () if self.lines else ("json",)
        formats = default if self.write is None else tuple(dict.fromkeys(self.write))
        if unknown := [each for each in formats if each not in FORMATS]:
            raise CairnError(f"write: expected formats of {','.join(FORMATS)}, got {','.join(unknown)}")
        if (self.keypoint_scale or self.part_candidates) and "openpose" not in formats:
            raise CairnError("keypoint-scale and part-candidates need the format openpose: write openpose too")
        if self.image_ids is not None and "coco" not in formats:
            raise CairnError("image-ids is for the format coco: write coco too")
        if self.empty and not {"csv", "parquet"} & set(formats):
            raise CairnError("empty is for the formats csv and parquet: write one of them; the others have every image")
        if self.decimals is not None:
            if not 0 <= self.decimals <= MAX_DECIMALS:
                raise CairnError(f"decimals must be from 0 to {MAX_DECIMALS}, got {self.decimals}")
            if not ({"json", "csv", "openpose"} & set(formats) or self.lines):
                raise CairnError("decimals is for the formats json, csv and openpose: write one of them")
        return formats

    @property
    def maps(self) -> bool:
        """Whether the output maps of the network are needed."""
        return self.part_candidates or any(FORMATS[each].needs_maps for each in self.formats)


@dataclass(frozen=True)
class DrawingOptions:
    """What to draw.

    Attributes:
        draw: Whether to draw; None draws one image or clip, and not several.
        draw_as: Format of drawn clips, of `cairn.results.DRAWING_FORMATS`; None is the best one available.
        threshold: Minimum keypoint confidence to draw; None is the model's own.
        colors: Whether colors distinguish "limb" or "object".
    """

    draw: bool | None = None
    draw_as: str | None = None
    threshold: float | None = None
    colors: str = "limb"

    def check(self, drawing: bool, has_clip: bool) -> None:
        """Checks the options against the sources.

        Raises:
            CairnError: An option is invalid, or would be ignored.
        """
        if self.colors not in COLORS:
            raise CairnError(f"draw-colors must be limb or object, got {self.colors!r}")
        if not drawing and (self.draw_as is not None or self.threshold is not None or self.colors != "limb"):
            raise CairnError("draw-as, draw-threshold and draw-colors need drawing: turn on draw too")
        if self.draw_as is not None and not has_clip:
            raise CairnError("draw-as is for videos: images are drawn as .jpg")
        if self.draw_as is not None and self.draw_as not in DRAWING_FORMATS:
            raise CairnError(f"draw-as must be one of {','.join(DRAWING_FORMATS)}, got {self.draw_as}")

    @property
    def format(self) -> str:
        """Format of drawn clips: without PyAV, what OpenCV can write."""
        from cairn.media.video import has_pyav

        return self.draw_as or (DRAWING_FORMATS[0] if has_pyav() else "webm")


def make_writers(options: OutputOptions, values: WriterOptions, spec: ModelSpec) -> list[Writer]:
    """Returns the writers, not yet opened.

    Args:
        options: What to write.
        values: Options of all writers.
        spec: The specification of the model.
    """
    candidates = float(spec.decode.get("peak_threshold", 0.05)) if options.part_candidates else None
    values = replace(values, part_candidates=candidates, classes=spec.classes)
    writers = create_writers(options.formats, values)
    if options.lines:
        from cairn.results.cairn_json import JsonLinesWriter

        writers.append(JsonLinesWriter(options.lines, spec.name, options.decimals))
    return writers


def result_paths(
    folder: Path, formats: Sequence[str], single: Source | None, drawn_as: str | None, lifted: bool = False
) -> tuple[Path, ...]:
    """Returns the files with the results where they are few, else the output folder.

    Args:
        folder: The output folder.
        formats: The formats of files.
        single: The one image or clip of the run, if there is one.
        drawn_as: Format of drawn clips; None where nothing is drawn.
        lifted: Whether the poses are lifted to 3D.
    """
    if not (formats or drawn_as or lifted):
        return ()
    is_clip = single is not None and single.is_clip
    if single is None or not set(formats) <= {"json"} or (is_clip and drawn_as == "jpg"):
        return (folder,)
    endings = [f".cairn.{drawn_as if is_clip else 'jpg'}"] * (drawn_as is not None)
    endings += [".cairn.jsonl" if is_clip else ".cairn.json"] * len(formats)
    endings += [".cairn3d.json", ".cairn3d.html"] * lifted
    return tuple(single.name.beside(folder, ending) for ending in endings)
