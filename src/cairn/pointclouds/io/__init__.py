"""Point clouds and meshes in files: one reader for each format, recognized by its content and not by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cairn.errors import CloudError
from cairn.pointclouds.io.content import Content, cloud_of
from cairn.pointclouds.io.las import MAGIC, read_las
from cairn.pointclouds.io.meshes import is_obj, is_off, is_stl, read_obj, read_off, read_stl
from cairn.pointclouds.io.pcd import is_pcd, read_pcd
from cairn.pointclouds.io.ply import is_ply, read_ply
from cairn.pointclouds.io.tables import is_table, read_npy, read_npz, read_table
from cairn.structures.cloud import Cloud, check_system, check_unit

HEAD = 4096
"""Bytes that a format is recognized by."""


MAX_BYTES = 4_000_000_000
"""Largest file that is read: with text, 20 million points."""


@dataclass(frozen=True)
class CloudFormat:
    """A format of clouds: its name, whether a file is of it by its first bytes and its size, and its reader."""

    name: str
    recognizes: Callable[[bytes, int], bool]
    read: Callable[[Path], Content]


FORMATS = (  # in this order: text is recognized last
    CloudFormat("PLY", lambda head, _: is_ply(head), read_ply),
    CloudFormat("PCD", lambda head, _: is_pcd(head), read_pcd),
    CloudFormat("LAS", lambda head, _: head.startswith(MAGIC), read_las),
    CloudFormat("npy", lambda head, _: head.startswith(b"\x93NUMPY"), read_npy),
    CloudFormat("npz", lambda head, _: head.startswith(b"PK\x03\x04"), read_npz),
    CloudFormat("OFF", lambda head, _: is_off(head), read_off),
    CloudFormat("STL", is_stl, read_stl),
    CloudFormat("OBJ", lambda head, _: is_obj(head), read_obj),
    CloudFormat("text", lambda head, _: is_table(head), read_table),
)


def read_cloud(path: str | Path, unit: str | None = None, coordinate_system: str | None = None) -> Cloud:
    """Reads a point cloud or a mesh: PLY, PCD, OBJ, OFF, STL, LAS, LAZ, xyz, csv, npy or npz.

    Points that are NaN or infinite are ignored and reported.

    Args:
        path: The file.
        unit: Unit of the coordinates, where the file does not state it, or states a wrong one.
        coordinate_system: "LPS" or "RAS", likewise.

    Raises:
        CloudError: The file is missing, of another format, damaged, or has no points.
        MissingExtra: LAS needs an extra that is not installed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise CloudError(f"{path}: expected a file with a point cloud, got a folder")
        with path.open("rb") as file:
            head = file.read(HEAD)
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise CloudError(
                f"{path} has {size / 1e9:.1f} GB, more than the {MAX_BYTES / 1e9:.0f} GB that are read: thin it"
            )
        if not head:
            raise CloudError(f"{path}: expected a point cloud, got an empty file")
        format = next((each for each in FORMATS if each.recognizes(head, size)), None)
        if format is None:
            raise CloudError(f"{path}: expected a point cloud or a mesh ({', '.join(each.name for each in FORMATS)})")
        cloud = cloud_of(path, format.read(path))
    except OSError as error:
        raise CloudError(f"cannot read {path}: {error.strerror or error}") from None
    except MemoryError:
        raise CloudError(f"{path} does not fit into memory: thin the cloud first") from None
    if unit is not None:
        cloud = replace(cloud, unit=check_unit(unit))
    if coordinate_system is not None:
        cloud = replace(cloud, coordinate_system=check_system(coordinate_system))
    return cloud
