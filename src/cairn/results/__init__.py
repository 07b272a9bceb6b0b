"""Results in files, one module per output format.

Every file or folder that a writer creates has `cairn` in its name. `cairn.results.ownership` keeps a run from replacing
the results of other sources. A new format is one module and one entry in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cairn.errors import CairnError
from cairn.results.writer import Detections, Writer, WriterOptions

__all__ = ["DRAWING_FORMATS", "FORMATS", "Detections", "Format", "Writer", "WriterOptions", "create_writers"]

DRAWING_FORMATS = ("mp4", "webm", "jpg")
"""Formats of drawn clips, for `cairn.results.overlays`. Images are drawn as .jpg."""


@dataclass(frozen=True)
class Format:
    """An output format.

    Attributes:
        name: As `--write` takes it.
        files: The files that it creates.
        create: Returns a writer; imports the module of the format.
        needs_maps: Whether `Detections.maps` must be given.
    """

    name: str
    files: str
    create: Callable[[WriterOptions], Writer]
    needs_maps: bool = False


def create_writers(
    names: Iterable[str], options: WriterOptions, formats: Mapping[str, Format] | None = None
) -> list[Writer]:
    """Returns one writer per format, in the order of the names; each is still to be entered as a context manager.

    Args:
        names: Names of formats; a name that is given twice counts once.
        options: Options of all writers.
        formats: The table of formats; None takes `FORMATS`.

    Raises:
        CairnError: A name is unknown, or an option is invalid.
        MissingExtra: A format needs a package that is not installed.
    """
    table = FORMATS if formats is None else formats
    names = list(dict.fromkeys(names))
    if unknown := [name for name in names if name not in table]:
        raise CairnError(f"unknown output format {', '.join(unknown)}: expected {', '.join(table)}")
    return [table[name].create(options) for name in names]


def _json(options: WriterOptions) -> Writer:
    from cairn.results.cairn_json import JsonWriter

    return JsonWriter(options.folder, options.model, options.decimals)


def _coco(options: WriterOptions) -> Writer:
    from cairn.results.coco import CocoWriter, LabeledCocoWriter, image_ids

    if options.label_ids is not None:
        return LabeledCocoWriter(options, options.label_ids)
    return CocoWriter(options.folder, image_ids(options.images), options.single, options.classes)


def _openpose(options: WriterOptions) -> Writer:
    from cairn.results.openpose import OpenPoseWriter

    return OpenPoseWriter(options.folder, options.keypoint_scale, options.part_candidates, options.decimals)


def _csv(options: WriterOptions) -> Writer:
    from cairn.results.csv_table import CsvWriter

    return CsvWriter(options.folder, options.single, options.decimals, options.empty, options.classes)


def _parquet(options: WriterOptions) -> Writer:
    from cairn.results.parquet import ParquetWriter

    return ParquetWriter(options.folder, options.single, options.empty, options.classes)


def _maps(options: WriterOptions) -> Writer:
    from cairn.results.maps import MapsWriter

    return MapsWriter(options.folder)


def _mpii(options: WriterOptions) -> Writer:
    from cairn.results.mpii import MpiiWriter

    if options.mpii is None:
        raise CairnError("mpii is for MPII's test images: give its annotations (.mat) as the source")
    return MpiiWriter(options.folder, options.mpii.images, options.mpii.multi)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Format("json", "NAME.cairn.json for each image, NAME.cairn.jsonl for each clip", _json),
            Format("coco", "cairn.coco.json and cairn.coco-images.json, NAME.cairn.coco.json for each clip", _coco),
            Format("openpose", "cairn.openpose/NAME_keypoints.json for each image", _openpose),
            Format("csv", "cairn.csv, NAME.cairn.csv for each clip", _csv),
            Format("parquet", "cairn.parquet, NAME.cairn.parquet for each clip", _parquet),
            Format("maps", "cairn.maps/NAME.npz for each image", _maps, needs_maps=True),
            Format("mpii", "cairn.mpii/pred_keypoints_mpii.mat or pred_keypoints_mpii_multi.mat", _mpii),
        )
    }
)
"""Output formats by name."""
