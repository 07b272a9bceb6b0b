"""The label schema of a CVAT file: skeletons with their joints and limbs, as text in `<meta>` and as SVG."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape, unescape
from xml.etree.ElementTree import Element

from cairn.datasets.containers.json_file import pixels
from cairn.structures.geometry import Size
from cairn.structures.skeleton import Limb, Skeleton

TAG = re.compile(r"<\s*(line|circle)\b([^<>]*)>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
COLUMNS = 5
"""Columns of the drawing of a skeleton, whose sides are 100."""


@dataclass(frozen=True)
class SkeletonLabel:
    """A label of type skeleton.

    Attributes:
        joints: Its joints.
        limbs: Pairs of joints.
    """

    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Schema:
    """What `<meta>` states.

    Attributes:
        skeletons: Name of a label -> its skeleton.
        video: Name of the video; None where the file has none.
        size: (height, width) of its frames; None where it states none.
    """

    skeletons: dict[str, SkeletonLabel]
    video: str | None = None
    size: Size | None = None


def read_schema(root: Element) -> Schema:
    """Returns the schema of a file; without `<meta>`, the joints of a skeleton are those that its shapes have."""
    meta = root.find("meta")
    labels = [] if meta is None else [label for label in meta.iter("label") if label.find("name") is not None]
    children: dict[str, list[str]] = {}
    for label in labels:
        if parent := _text(label, "parent"):
            children.setdefault(parent, []).append(_text(label, "name"))
    shapes = [(_label(shape), shape) for shape in root.iterfind("image/skeleton")]
    shapes += [(_label(track), shape) for track in root.iterfind("track") for shape in track.iter("skeleton")]
    for name, skeleton in shapes:
        known = children.setdefault(name, [])
        known += [joint for child in skeleton if (joint := _label(child)) and joint not in known]
    drawings = {_text(label, "name"): _text(label, "svg") for label in labels}
    skeletons = {
        name: SkeletonLabel(tuple(joints), tuple(_limbs(drawings.get(name, ""), joints)))
        for name, joints in children.items()
    }
    source = "" if meta is None else next((element.text or "" for element in meta.iter("source")), "").strip()
    frame = None if meta is None else next(meta.iter("original_size"), None)
    height, width = (None, None) if frame is None else (pixels(_text(frame, side)) for side in ("height", "width"))
    return Schema(skeletons, source or None, (height, width) if height and width else None)


def _label(element: Element) -> str:
    return element.get("label", "").strip()


def drawing(skeleton: Skeleton) -> str:
    """Returns the SVG of a skeleton: joints on a grid, since CVAT needs places, and its limbs."""
    rows = -(-len(skeleton) // COLUMNS)
    places = [(100 * (i % COLUMNS + 0.5) / COLUMNS, 100 * (i // COLUMNS + 0.5) / rows) for i in range(len(skeleton))]
    lines = [_line(limb, places) for limb in skeleton.limbs]
    circles = [
        f'<circle r="1.5" stroke="black" fill="#b3b3b3" cx="{x:g}" cy="{y:g}" stroke-width="0.1" '
        f'data-type="element node" data-element-id="{i}" data-node-id="{i}" data-label-name="{escape(joint)}"></circle>'
        for i, (joint, (x, y)) in enumerate(zip(skeleton.joints, places, strict=True), start=1)
    ]
    return "".join((*lines, *circles))


def _line(limb: Limb, places: list[tuple[float, float]]) -> str:
    (x1, y1), (x2, y2) = (places[end] for end in limb)
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="black" data-type="edge" '
        f'data-node-from="{limb[0] + 1}" stroke-width="0.5" data-node-to="{limb[1] + 1}"></line>'
    )


def _limbs(svg: str, joints: list[str]) -> Iterable[tuple[str, str]]:
    """Pairs of joints of a drawing, whose lines connect the numbers of circles."""
    tags = [
        (name.lower(), {key: unescape(double or single) for key, double, single in ATTRIBUTE.findall(text)})
        for name, text in TAG.findall(svg)
    ]
    nodes = {str(i): joint for i, joint in enumerate(joints, start=1)}  # where circles have no names
    nodes |= {
        attributes["data-node-id"]: attributes["data-label-name"]
        for name, attributes in tags
        if name == "circle" and "data-node-id" in attributes and attributes.get("data-label-name") in joints
    }
    for name, attributes in tags:
        ends = nodes.get(attributes.get("data-node-from", "")), nodes.get(attributes.get("data-node-to", ""))
        if name == "line" and ends[0] is not None and ends[1] is not None:
            yield ends[0], ends[1]


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
