"""XML files of labels, parsed without document types, entities or endless depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from cairn.errors import LabelError

MAX_DEPTH = 50
"""Nested elements; CVAT has 7."""


def read_xml(path: Path) -> Element:
    """Returns the root of an XML file.

    A document type is refused, since it may declare entities that expand without bounds or name other files.

    Raises:
        LabelError: The file cannot be read, is not XML, is nested too deeply, or has a document type.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    builder = TreeBuilder()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise LabelError(f"{path} is nested too deeply: expected at most {MAX_DEPTH} elements in one another")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise LabelError(f"{path} has a document type (<!DOCTYPE ...>), which label files do not need: remove it")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
        return builder.close()
    except OSError as error:
        raise LabelError(f"cannot read labels {path}: {error.strerror}") from None
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise LabelError(f"{path} is not valid XML: {error}") from None
