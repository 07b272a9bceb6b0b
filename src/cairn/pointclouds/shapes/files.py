"""The file of a shape model: a zip archive with one JSON of names and numbers, and one .npy for each array."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import CairnError, ModelError
from cairn.files import atomic_write
from cairn.pointclouds.shapes.model import ShapeModel, Template
from cairn.pointclouds.shapes.shape import Shape

HEAD = "model.json"
KIND = "cairn shape model"
VERSION = 1
DATE = (1980, 1, 1, 0, 0, 0)  # the same model is the same file


def write_shape_model(path: str | Path, model: ShapeModel) -> None:
    """Writes a model.

    Raises:
        OutputError: The file cannot be written.
    """
    head = {
        "kind": KIND,
        "version": VERSION,
        "name": model.name,
        "landmarks": list(model.names),
        "templates": [each.name for each in model.templates],
        "oriented": [each.shape.oriented for each in model.templates],
        "radius": model.radius,
        "residual": model.residual,
        "symmetric": model.symmetric,
        "unit": model.unit,
        "coordinate_system": model.coordinate_system,
        "error": model.error,
    }
    arrays = {"diagonals": model.diagonals, "on_surface": model.on_surface}
    for row, template in enumerate(model.templates):
        arrays |= {
            f"{row}/points": template.shape.points.astype(np.float32),
            f"{row}/normals": template.shape.normals.astype(np.float32),
            f"{row}/landmarks": template.landmarks,
        }
    with atomic_write(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(HEAD, DATE), json.dumps(head, indent=1))
        for name, values in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", DATE), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def read_shape_model(path: str | Path) -> ShapeModel:
    """Reads a model.

    Raises:
        ModelError: There is no such file, or it is no shape model, of a later version, or damaged.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if HEAD not in archive.namelist():
                raise ModelError(f"{path}: expected a model of landmarks on shapes, as cairn teach writes it")
            head = json.loads(archive.read(HEAD))
            if not isinstance(head, dict) or head.get("kind") != KIND:
                raise ModelError(f"{path}: expected a model of landmarks on shapes, as cairn teach writes it")
            if head.get("version") != VERSION:
                raise ModelError(f"{path} has version {head.get('version')}, newer than this Cairn: update Cairn")
            return _model(archive, head)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise ModelError(f"{path} is truncated or no model of landmarks on shapes, as cairn teach writes it") from None
    except ModelError:
        raise
    except (KeyError, ValueError, TypeError, EOFError, zipfile.LargeZipFile, CairnError) as error:
        raise ModelError(f"{path} is damaged: {error}") from None


def _model(archive: zipfile.ZipFile, head: dict[str, Any]) -> ShapeModel:
    def array(name: str, *shape: int | None) -> Any:
        values = np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
        if len(values.shape) != len(shape) or any(n not in (None, m) for n, m in zip(shape, values.shape, strict=True)):
            raise ValueError(f"{name} has the shape {values.shape}")
        return values if values.dtype == bool else values.astype(np.float64)

    count = len(head["landmarks"])
    templates = []
    for row, (name, oriented) in enumerate(zip(head["templates"], head["oriented"], strict=True)):
        points = array(f"{row}/points", None, 3)
        shape = Shape(points, array(f"{row}/normals", len(points), 3), bool(oriented))
        templates.append(Template(str(name), shape, array(f"{row}/landmarks", count, 3)))
    return ShapeModel(
        str(head["name"]),
        tuple(map(str, head["landmarks"])),
        tuple(templates),
        float(head["radius"]),
        array("diagonals", len(templates)),
        array("on_surface", count),
        float(head["residual"]),
        bool(head["symmetric"]),
        head["unit"],
        head["coordinate_system"],
        head["error"],
    )
