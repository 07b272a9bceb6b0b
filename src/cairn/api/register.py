"""`cairn.register`: the motion of one point cloud onto another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.api.keypoints import DetectorOptions, as_cloud, detector_of
from cairn.arguments import checked
from cairn.errors import CairnError, CloudError, OutputError

if TYPE_CHECKING:
    from cairn.pointclouds.registration import Registration
    from cairn.structures.cloud import Cloud


@checked
def register(
    source: Any,
    target: Any,
    *,
    method: str | None = None,
    model: str | Path | None = None,
    voxel: str | float | None = None,
    unit: str | None = None,
    min_overlap: float = 0.2,
    out: str | Path | None = None,
    html: bool = False,
    overwrite: bool = False,
) -> Registration:
    """Registers two clouds that overlap: finds the motion of the source onto the target, p_target = R p_source + t.

    Keypoints are matched by their features (FPFH), the motion that most matches agree on is refined by ICP. A weak
    result is an error that states the overlap.

    Example:
        found = cairn.register("scan1.ply", "scan2.ply")
        found.transform, found.overlap

    Args:
        source: The cloud that moves: a file, points (N, 3), or a `cairn.Cloud`.
        target: The cloud that stays.
        method: Method of the keypoints: "iss" or "usip". Default: ISS with radii for dense keypoints.
        model: A trained model of the keypoints.
        voxel: Edge of the voxels that the clouds are thinned to: a number is a multiple of the coarser resolution,
            "2mm" is a length. Default: 2.5, more for large clouds.
        unit: Unit of the coordinates of both, where the files do not state it.
        min_overlap: Smallest share of the smaller cloud that must overlap.
        out: Folder for SOURCE-to-TARGET.json and .txt. Default: none is written.
        html: Whether to write a page with both clouds in 3D too.
        overwrite: Whether existing files are overwritten.

    Raises:
        CairnError: A value is impossible.
        CloudError: A cloud cannot be read or used, or the clouds do not overlap enough.
        OutputError: A file exists or cannot be written.
    """
    from cairn.pointclouds.lengths import Length
    from cairn.pointclouds.neighbors import resolution
    from cairn.pointclouds.registration import KEYPOINTS
    from cairn.pointclouds.registration import register as run

    if not 0 <= min_overlap <= 1:
        raise CairnError(f"min-overlap must be a share from 0 to 1, got {min_overlap:g}")
    files = {}
    if html and out is None:
        raise CairnError("html needs a folder: give out too")
    if out is not None:
        files = registration_files(source, target, out, html)
        for path in files.values():
            if path.exists() and not overwrite:
                raise OutputError(f"{path} exists: give another folder with --out, or --overwrite")
    named = method is not None or model is not None
    detect = detector_of(DetectorOptions(method, model)) if named else KEYPOINTS
    clouds = as_cloud(source, unit), as_cloud(target, unit)
    edge = None
    if voxel is not None:
        spacing = max(resolution(cloud) for cloud in clouds)
        edge = Length.parse(voxel, "voxel").in_cloud(clouds[1], spacing)
    found = run(*clouds, detect, edge)
    if weakness := found.weakness(min_overlap):
        sizes = ", ".join(f"{each.diagonal:.4g} {each.unit or 'units'}" for each in clouds)
        raise CloudError(
            f"{clouds[0].source} and {clouds[1].source} cannot be registered: {weakness} "
            f"(diagonals {sizes}); give scans that overlap more, or --min-overlap"
        )
    if files:
        _save(found, clouds, files)
    return found


def registration_files(source: Any, target: Any, out: str | Path, html: bool = False) -> dict[str, Path]:
    """Returns the files of a registration: OUT/SOURCE-to-TARGET.SUFFIX."""
    first, second = (Path(each).stem if isinstance(each, str | Path) else name
                     for each, name in ((source, "source"), (target, "target")))  # fmt: skip
    suffixes = ["json", "txt"] + (["html"] if html else [])
    return {suffix: Path(out) / f"{first}-to-{second}.{suffix}" for suffix in suffixes}


def _save(found: Registration, clouds: tuple[Cloud, Cloud], files: dict[str, Path]) -> None:
    from cairn.files import atomic_write
    from cairn.visualization.clouds import registration_page

    content = {
        "source": clouds[0].source,
        "target": clouds[1].source,
        "convention": "p_target = R p_source + t; transform is [R t; 0 0 0 1]",
        "transform": found.transform.tolist(),
        "unit": found.unit,
        "overlap": found.overlap,
        "error": found.error,
        "stability": found.stability,
        "inliers": found.inliers,
        "matches": found.matches,
        "spacing": found.spacing,
    }
    rows = "".join(" ".join(f"{value:.17g}" for value in row) + "\n" for row in found.transform)
    texts = {"json": json.dumps(content, indent=1), "txt": rows}
    if "html" in files:
        texts["html"] = registration_page(clouds[0].moved(found.transform), clouds[1], found.summary)
    for suffix, path in files.items():
        with atomic_write(path) as partial:
            partial.write_text(texts[suffix], encoding="utf-8")
