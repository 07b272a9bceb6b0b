"""3D scenes for HTML pages: points, lines and surfaces to turn, zoom and play, without anything from elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

UP = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}
Up = Literal["x", "y", "z", "-x", "-y", "-z"]

STYLE = """
.scene { margin: 1rem 0; position: relative } .scene canvas { width: 100%; display: block; border: 1px solid #ddd;
background: #fafafa; touch-action: none; cursor: grab } .scene canvas:focus-visible { outline: 2px solid #06c }
.scene-tip { position: absolute; background: #222; color: #fff; padding: .1rem .4rem; font-size: 13px;
pointer-events: none } .scene-controls { display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center;
padding: .4rem 0 } .scene-controls input[type=range] { flex: 1; min-width: 8rem }
.scene-key { display: inline-block; width: .7rem; height: .7rem; border-radius: 50%; margin: 0 .3rem }
"""

HINT = "Drag to turn, shift-drag to move, scroll to zoom, double-click to reset; or arrow keys, + and -, and 0."


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points of a scene.

    Attributes:
        name: Name beside the checkbox that hides them.
        positions: (N, 3), or (F, N, 3) for F frames; NaN is not drawn.
        color: (3,) or (N, 3), RGB from 0 to 255.
        size: Diameter in pixels.
        labels: N texts that appear under the pointer; empty for none.
    """

    name: str
    positions: ArrayLike
    color: ArrayLike
    size: float = 5.0
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LineSet:
    """Line segments of a scene.

    Attributes:
        name: Name beside the checkbox that hides them.
        positions: (M, 2, 3) both ends, or (F, M, 2, 3) for F frames; NaN is not drawn.
        color: (3,) or (M, 3), RGB from 0 to 255.
        size: Width in pixels.
    """

    name: str
    positions: ArrayLike
    color: ArrayLike
    size: float = 2.0


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh of a scene.

    Attributes:
        name: Name beside the checkbox that hides it.
        vertices: (N, 3).
        faces: (M, 3), indices of vertices.
        color: (3,) or (N, 3), RGB from 0 to 255.
    """

    name: str
    vertices: ArrayLike
    faces: ArrayLike
    color: ArrayLike = (190, 190, 185)


def scene(
    items: Sequence[PointSet | LineSet | Surface],
    rate: float | None = None,
    up: Up = "z",
    height: int = 560,
    caption: str = "",
) -> str:
    """Returns a 3D view as a section of a `page`.

    Args:
        items: What to draw. Those with several frames have the same number of them.
        rate: Frames per second of the items with several frames. Default: 30.
        up: Axis that points up at the start.
        height: Height in pixels.
        caption: Plain text below.

    Raises:
        ValueError: The items have different numbers of frames.
    """
    encoded = [_encoded(item) for item in items]
    frames = max((item["frames"] for item in encoded), default=1)
    if {item["frames"] for item in encoded} - {1, frames}:
        raise ValueError(f"expected items of 1 or {frames} frames, got {sorted(item['frames'] for item in encoded)}")
    center, radius = _extent(items)
    data = {"items": encoded, "frames": frames, "rate": rate or 30, "center": center, "radius": radius, "up": UP[up]}
    boxes = "".join(f'<label><input type="checkbox" checked>{_key(item)}{escape(item.name)}</label>' for item in items)
    player = (
        f'<div class="scene-controls"><button type="button">Play</button>'
        f'<input type="range" aria-label="Frame" min="0" max="{frames - 1}" value="0"><output></output></div>'
    )
    text = json.dumps(data).replace("<", "\\u003c")  # no tag of a name ends the script
    script = resources.files("cairn.visualization").joinpath("scene3d.js").read_text(encoding="utf-8")
    return (
        f'<style>{STYLE}</style><figure class="scene"><canvas tabindex="0" style="height: {height}px" role="img" '
        f'aria-label="{escape(caption or "3D view")}. {HINT}" title="{HINT}"></canvas>'
        f'<div class="scene-tip" hidden></div>{player if frames > 1 else ""}<div class="scene-controls">{boxes}</div>'
        f'<figcaption>{escape(caption)}</figcaption><script type="application/json">{text}</script></figure>'
        f"<script>{script}</script>"
    )


def _encoded(item: PointSet | LineSet | Surface) -> dict[str, Any]:
    """Returns an item as the script reads it."""
    kind = {PointSet: "points", LineSet: "lines", Surface: "surface"}[type(item)]
    positions = np.asarray(item.vertices if isinstance(item, Surface) else item.positions, np.float32)
    frames = len(positions) if positions.ndim == (4 if kind == "lines" else 3) else 1
    count = positions.shape[-3 if kind == "lines" else -2]
    colors = np.broadcast_to(np.asarray(item.color, np.uint8), (count, 3))
    return {
        "kind": kind,
        "count": count,
        "frames": frames,
        "size": 0 if isinstance(item, Surface) else item.size,
        "positions": _base64(positions),
        "colors": _base64(colors),
        "labels": list(item.labels) if isinstance(item, PointSet) else [],
        "faces": _base64(np.asarray(item.faces, np.uint32)) if isinstance(item, Surface) else None,
    }


def _extent(items: Sequence[PointSet | LineSet | Surface]) -> tuple[list[float], float]:
    """Returns the center and the radius of what is drawn; one percent of outliers at each end does not count."""
    flat = [
        np.asarray(item.vertices if isinstance(item, Surface) else item.positions, np.float64).reshape(-1, 3)
        for item in items
    ]
    points = np.concatenate(flat) if flat else np.zeros((0, 3))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return [0.0, 0.0, 0.0], 1.0
    low, high = (
        np.percentile(points, (1, 99), axis=0) if len(points) > 1000 else (points.min(axis=0), points.max(axis=0))
    )
    return ((low + high) / 2).tolist(), float(np.linalg.norm(high - low)) / 2 or 1.0


def _key(item: PointSet | LineSet | Surface) -> str:
    """Returns a dot in the color of an item, if it has one color."""
    color: NDArray[Any] = np.asarray(item.color)
    if color.ndim > 1:
        return " "
    return f'<span class="scene-key" style="background: rgb({",".join(map(str, color.tolist()))})"></span>'


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()
