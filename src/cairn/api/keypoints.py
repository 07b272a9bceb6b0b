"""`cairn.keypoints`: keypoints of point clouds and meshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.progress import Progress
from cairn.arguments import checked
from cairn.errors import CairnError, OutputError

if TYPE_CHECKING:
    from cairn.structures.cloud import Cloud, CloudKeypoints

METHODS = ("iss", "usip")
"""Methods by their names; a model states its own."""

SHAPE_MODEL = ".cairn"
"""Suffix of models of landmarks on shapes."""

VIEWS = {"html": ".html", "png": ".png"}


@dataclass(frozen=True)
class DetectorOptions:
    """What `cairn.keypoints` was called with, for the method that is called.

    Attributes:
        method: One of `METHODS`; None for that of the model, or iss.
        model: Name of a bundled model, or its file; None for the method's own.
        iss: Arguments of `cairn.pointclouds.iss.Iss`, those that were given.
        usip: Arguments of `cairn.methods.usip.detector.Options`, those that were given.
        num_keypoints: Maximum number of keypoints.
        threads: Number of threads; 0 for all cores.
    """

    method: str | None = None
    model: str | Path | None = None
    iss: tuple[tuple[str, Any], ...] = ()
    usip: tuple[tuple[str, Any], ...] = ()
    num_keypoints: int | None = None
    threads: int = 0


Detector = Callable[["Cloud"], "CloudKeypoints"]
"""Returns the keypoints of a cloud, the best first or named."""


def detector_of(options: DetectorOptions) -> Detector:
    """Returns the detector of a method or a model: the one place that chooses it.

    Raises:
        CairnError: The method is unknown, needs a model, or the options contradict one another.
    """
    if options.model is not None and Path(options.model).suffix == SHAPE_MODEL:
        return _shapes(options)
    method = options.method or ("iss" if options.model is None and not options.usip else "usip")
    if method not in METHODS:
        raise CairnError(f"expected a method, one of {', '.join(METHODS)}; got {method!r}")
    if options.model is not None and method == "iss":
        raise CairnError("the method iss has no model: omit --model, or give the method of the model")
    for other, given in (("iss", options.iss), ("usip", options.usip)):
        if given and other != method:
            raise CairnError(f"{given[0][0].replace('_', '-')} is for the method {other}: omit it")
    return _usip(options) if method == "usip" else _iss(options)


def _usip(options: DetectorOptions) -> Detector:
    from cairn.extras import require
    from cairn.inference.zoo import model_file
    from cairn.methods import get_method
    from cairn.methods.usip.detector import Options
    from cairn.pointclouds.lengths import Length

    require("scipy", extra="clouds", purpose="a point cloud")
    if options.model is None:
        raise CairnError("the method usip needs a trained model: train one with cairn train --method usip")
    detector = get_method("usip").predictor(model_file(options.model), options.threads)
    given = dict(options.usip)
    for name in ("spacing", "nms_radius"):
        if name in given:
            given[name] = Length.parse(given[name], name.replace("_", "-"))
    selection = Options(**given, count=options.num_keypoints)
    return lambda cloud: detector(cloud, selection)


def _shapes(options: DetectorOptions) -> Detector:
    """Returns a model of landmarks on shapes, as `cairn.teach` writes it."""
    from cairn.api.shapes import require_clouds

    if options.method is not None:
        raise CairnError(f"{options.model} is a model of landmarks on shapes, which is no method: omit --method")
    if options.num_keypoints is not None:
        raise CairnError(f"{options.model} places all of its landmarks: omit --num-keypoints")
    if given := (*options.iss, *options.usip):
        raise CairnError(f"{given[0][0].replace('_', '-')} is not for a model of landmarks on shapes: omit it")
    require_clouds("landmarks on shapes")
    from cairn.pointclouds.shapes.files import read_shape_model

    assert options.model is not None
    return read_shape_model(options.model)


def _iss(options: DetectorOptions) -> Detector:
    from cairn.pointclouds.iss import Iss
    from cairn.pointclouds.lengths import Length

    given = dict(options.iss)
    for name in ("salient_radius", "nms_radius"):
        if name in given:
            given[name] = Length.parse(given[name], name.replace("_", "-"))
    return Iss(**given, threads=options.threads)


@checked
def keypoints(
    source: Any,
    *,
    method: str | None = None,
    model: str | Path | None = None,
    salient_radius: str | float | None = None,
    nms_radius: str | float | None = None,
    gamma_21: float | None = None,
    gamma_32: float | None = None,
    min_neighbors: int | None = None,
    weighted: bool = False,
    spacing: str | float | None = None,
    max_sigma: float | None = None,
    snap: bool = False,
    num_keypoints: int | None = None,
    unit: str | None = None,
    threads: int = 0,
    out: str | Path | None = None,
    write: str | Sequence[str] | None = None,
    html: bool = False,
    png: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> CloudKeypoints | list[CloudKeypoints]:
    """Detects keypoints of a point cloud or a mesh.

    Example:
        found = cairn.keypoints("scan.ply", salient_radius="2mm", nms_radius="1mm", unit="m")
        found.points, found.indices, found.scores

    Args:
        source: A file (PLY, PCD, OBJ, OFF, STL, LAS, xyz, csv, npy, npz), points (N, 3), or a `cairn.Cloud`; or a list
            of these.
        method: "iss" or "usip". Default: that of the model, otherwise iss.
        model: A trained model, by its name or its file, for methods that have one.
        salient_radius: ISS: radius of the neighborhood whose shape is measured. A number is a multiple of the cloud's
            resolution, its mean distance between nearest neighbors; "2mm" is a length, "2units" a length in the
            coordinates as they are stored. Default: 6.
        nms_radius: Radius in which a keypoint is the best one, likewise. Default: 4 of ISS, that of the model of USIP.
        gamma_21: ISS: largest ratio of the second to the first eigenvalue. Default: 0.975.
        gamma_32: ISS: largest ratio of the third to the second eigenvalue. Default: 0.975.
        min_neighbors: ISS: smallest number of points within the radii. Default: 5.
        weighted: ISS: whether neighbors are weighted by their density, as in the paper.
        spacing: USIP: distance between the nodes of the cloud, the scale of its keypoints, likewise. Default: that of
            the model.
        max_sigma: USIP: maximum uncertainty of a keypoint, in multiples of the spacing. Default: that of the model.
        snap: USIP: whether keypoints are moved to the nearest point of the cloud.
        num_keypoints: Maximum number of keypoints, the best ones. Default: all.
        unit: Unit of the coordinates, such as mm, where the file does not state it.
        threads: Number of threads; 0 for all cores.
        out: Folder of the files. Default: the current one.
        write: Formats to write: ply, csv, json, mrk (3D Slicer) and fcsv. Default: none.
        html: Whether to write a page with the cloud and the keypoints in 3D.
        png: Whether to write an image of them.
        overwrite: Whether existing files are overwritten.
        progress: Called with the task, the number of clouds done, and their total.

    Returns:
        The keypoints, the best first; for a list of sources a list.

    Raises:
        CairnError: A value is impossible, or an option is not one of the method.
        CloudError: A cloud cannot be read or used.
        OutputError: A file exists or cannot be written.
    """
    several = isinstance(source, list | tuple) and not _is_points(source)
    sources: list[Any] = list(source) if several else [source]
    if not sources:
        raise CairnError("no point cloud: give a file or several")
    of_iss = {
        "salient_radius": salient_radius,
        "gamma_21": gamma_21,
        "gamma_32": gamma_32,
        "min_neighbors": min_neighbors,
        "weighted": weighted or None,
    }
    of_usip = {"spacing": spacing, "max_sigma": max_sigma, "snap": snap or None}
    by_iss, by_usip = (
        tuple((name, value) for name, value in each.items() if value is not None) for each in (of_iss, of_usip)
    )
    if nms_radius is not None:
        if method == "usip" or (method is None and (model is not None or by_usip)):
            by_usip = (*by_usip, ("nms_radius", nms_radius))
        else:
            by_iss = (*by_iss, ("nms_radius", nms_radius))
    if num_keypoints is not None and num_keypoints < 1:
        raise CairnError(f"num-keypoints must be at least 1, got {num_keypoints}")
    detect = detector_of(DetectorOptions(method, model, by_iss, by_usip, num_keypoints, threads))
    files = [output_files(each, out, formats_of(write), html, png) for each in sources]
    _check_files(files, sources, overwrite)
    results = []
    for done, (each, targets) in enumerate(zip(sources, files, strict=True)):
        if progress:
            progress("keypoints", done, len(sources))
        found = detect(as_cloud(each, unit))
        if num_keypoints is not None and not found.names:
            found = found[:num_keypoints]
        _save(found, targets)
        results.append(found)
    if progress:
        progress("keypoints", len(sources), len(sources))
    return results if several else results[0]


def as_cloud(source: Any, unit: str | None = None) -> Cloud:
    """Returns a file, points (N, 3) or a cloud as a cloud.

    Raises:
        CloudError: It cannot be read or used.
    """
    from dataclasses import replace

    from cairn.pointclouds.io import read_cloud
    from cairn.structures.cloud import Cloud

    if isinstance(source, Cloud):
        return source if unit is None else replace(source, unit=unit)
    if isinstance(source, str | Path):
        return read_cloud(source, unit)
    return Cloud(source, unit=unit)


def _is_points(source: Any) -> bool:
    """Whether a list is one cloud: its entries are points, not files, clouds or arrays."""
    return bool(source) and isinstance(source[0], list | tuple)


def formats_of(write: str | Sequence[str] | None) -> tuple[str, ...]:
    """Returns formats of keypoints, given as a list or separated by commas.

    Raises:
        CairnError: One is unknown.
    """
    from cairn.pointclouds.io.keypoints import FORMATS

    names = write.split(",") if isinstance(write, str) else list(write or ())
    formats = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    if unknown := [name for name in formats if name not in FORMATS]:
        raise CairnError(f"write: expected formats of {','.join(FORMATS)}, got {','.join(unknown)}")
    return formats


def output_files(
    source: Any, out: str | Path | None, formats: Sequence[str], html: bool = False, png: bool = False
) -> dict[str, Path]:
    """Returns the file of each format for a source: OUT/NAME.keypoints.SUFFIX."""
    from cairn.pointclouds.io.keypoints import FORMATS

    name = Path(source).stem if isinstance(source, str | Path) else "cloud"
    suffixes = {format: FORMATS[format][0] for format in formats}
    suffixes |= {view: suffix for view, suffix in VIEWS.items() if {"html": html, "png": png}[view]}
    return {format: Path(out or ".") / f"{name}.keypoints{suffix}" for format, suffix in suffixes.items()}


def _check_files(files: Sequence[dict[str, Path]], sources: Sequence[Any], overwrite: bool) -> None:
    """Checks the files before the work: none exists, and no two sources have the same."""
    from cairn.files import ensure_writable_folder

    seen: dict[Path, Any] = {}
    for targets, source in zip(files, sources, strict=True):
        for path in targets.values():
            if path in seen:
                raise OutputError(f"{seen[path]} and {source} would both be written to {path}: give each its own --out")
            seen[path] = source
            if path.exists() and not overwrite:
                raise OutputError(f"{path} exists: give another folder with --out, or --overwrite")
    for folder in dict.fromkeys(path.parent for path in seen):
        ensure_writable_folder(folder)


def _save(found: CloudKeypoints, targets: dict[str, Path]) -> None:
    from cairn.files import atomic_write
    from cairn.pointclouds.io.keypoints import write_keypoints
    from cairn.visualization.clouds import keypoint_image, keypoint_page

    for format, path in targets.items():
        if format == "html":
            with atomic_write(path) as partial:
                partial.write_text(keypoint_page(found), encoding="utf-8")
        elif format == "png":
            from cairn.media.images import write_image

            write_image(path, keypoint_image(found))
        else:
            write_keypoints(path, found, format)
