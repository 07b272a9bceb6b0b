"""Markups of 3D Slicer: `.mrk.json`, and `.fcsv` of its older versions."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cairn.errors import CloudError
from cairn.structures.cloud import Landmarks

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
DEFAULT_SYSTEM = "LPS"
"""Coordinate system of files that state none, by Slicer's schema."""

NUMBERED_SYSTEMS = {"0": "RAS", "1": "LPS"}
"""How `.fcsv` files before Slicer 4.11 state the coordinate system."""

COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


def read_markups(path: Path, content: Mapping[str, Any]) -> Landmarks:
    """Reads the control points of all markups of a `.mrk.json` file.

    Raises:
        CloudError: There is no control point, or one has no position although it is defined.
    """
    names: list[str] = []
    points: list[list[float]] = []
    systems: list[str] = []
    unit = None
    markups = content["markups"]
    if not isinstance(markups, list) or not all(isinstance(each, Mapping) for each in markups):
        raise CloudError(f"{path}: expected a list of markups")
    for markup in markups:
        controls = markup.get("controlPoints") or []
        systems.append(_system(path, str(markup.get("coordinateSystem", DEFAULT_SYSTEM))))
        unit = unit or _unit(markup.get("coordinateUnits"))
        for control in controls:
            if not isinstance(control, Mapping):
                raise CloudError(f"{path}: expected control points with a label and a position")
            names.append(str(control.get("label") or control.get("id") or len(names) + 1))
            points.append(_position(path, names[-1], control))
    if not names:
        raise CloudError(f"{path}: expected control points, but its markups have none")
    if len(set(systems)) > 1:
        raise CloudError(f"{path}: its markups have different coordinate systems: save them in one")
    return Landmarks(tuple(names), np.array(points), systems[0], unit, str(path))


def _system(path: Path, text: str) -> str:
    system = NUMBERED_SYSTEMS.get(text.strip(), text.strip().upper())
    if system not in NUMBERED_SYSTEMS.values():
        raise CloudError(f"{path}: expected the coordinate system LPS or RAS, got {text}")
    return system


def _unit(value: Any) -> str | None:
    """Returns the unit; Slicer also writes it as a list of codes."""
    text = value if isinstance(value, str) else value[0] if isinstance(value, list) and value else None
    return text if isinstance(text, str) and text in ("um", "mm", "cm", "m") else None


def _position(path: Path, name: str, control: Mapping[str, Any]) -> list[float]:
    from cairn.pointclouds.io.landmarks import position_of

    status = control.get("positionStatus", "defined")
    if status != "defined":  # undefined, missing or preview
        return [np.nan] * 3
    if control.get("position") is None:
        raise CloudError(f"{path}: landmark {name} has no position")
    return position_of(path, name, control["position"])


def read_fcsv(path: Path, text: str) -> Landmarks:
    """Reads a `.fcsv` file.

    Raises:
        CloudError: A row has no coordinates.
    """
    header = [line[1:].strip() for line in text.splitlines() if line.startswith("#")]
    stated = {key.strip().lower(): value.strip() for key, _, value in (line.partition("=") for line in header)}
    system = _system(path, stated.get("coordinatesystem", "RAS"))
    columns = [name.strip() for name in (stated.get("columns") or COLUMNS).split(",")]
    rows = list(csv.reader(line for line in text.splitlines() if line.strip() and not line.startswith("#")))
    names, points = [], []
    try:
        places = [columns.index(name) for name in "xyz"]
    except ValueError:
        raise CloudError(f"{path}: expected columns x, y and z, got {', '.join(columns)}") from None
    label = columns.index("label") if "label" in columns else columns.index("id") if "id" in columns else None
    for number, row in enumerate(rows, start=1):
        name = row[label].strip() if label is not None and len(row) > label else ""
        names.append(name or str(number))
        try:
            points.append([float(row[place]) for place in places])
        except (ValueError, IndexError):
            raise CloudError(f"{path}: expected x, y and z of landmark {names[-1]}, got {','.join(row)[:60]}") from None
    return Landmarks(tuple(names), np.array(points).reshape(-1, 3), system, "mm", str(path))


def markups_json(landmarks: Landmarks) -> str:
    """Returns landmarks as the text of a `.mrk.json` file."""
    points = [
        {
            "id": str(number),
            "label": name,
            "position": [0.0, 0.0, 0.0] if not np.isfinite(point).all() else point.tolist(),
            "positionStatus": "defined" if np.isfinite(point).all() else "undefined",
        }
        for number, (name, point) in enumerate(zip(landmarks.names, landmarks.points, strict=True), start=1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": landmarks.coordinate_system or DEFAULT_SYSTEM,
        "coordinateUnits": landmarks.unit or "mm",
        "controlPoints": points,
    }
    return json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1)


def write_fcsv(landmarks: Landmarks) -> str:
    """Returns landmarks as the text of a `.fcsv` file, in millimeters; those without a position are omitted."""
    target = io.StringIO()
    system = landmarks.coordinate_system or DEFAULT_SYSTEM
    target.write(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {system}\n# columns = {COLUMNS}\n")
    writer = csv.writer(target, lineterminator="\n")
    scaled = landmarks.in_unit("mm")
    for number, (name, point) in enumerate(zip(scaled.names, scaled.points, strict=True)):
        if np.isfinite(point).all():
            label = re.sub(r"[\r\n]", " ", name)
            place = [repr(float(value)) for value in point]
            writer.writerow([f"vtkMRMLMarkupsFiducialNode_{number}", *place, 0, 0, 0, 1, 1, 1, 0, label, "", ""])
    return target.getvalue()
