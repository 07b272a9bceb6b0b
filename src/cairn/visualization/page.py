"""Self-contained HTML reports: images are embedded, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd }
td + td, th + th { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100%; height: auto }
"""


def page(title: str, sections: Sequence[str]) -> str:
    """Returns an HTML page.

    Args:
        title: Plain text.
        sections: HTML, as the functions below return it.
    """
    body = "\n".join([heading(title, 1), *sections])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def heading(text: str, level: int = 2) -> str:
    """Returns a heading of plain text."""
    return f"<h{level}>{escape(text)}</h{level}>"


def paragraph(text: str) -> str:
    """Returns a paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def table(rows: Sequence[Sequence[str]], head: Sequence[str] = ()) -> str:
    """Returns a table of plain text cells, with a header row if `head` is given."""
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"] if head else []
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>" + "\n".join(lines) + "</table>"


def numbered(entries: Sequence[str]) -> str:
    """Returns a numbered list of plain text entries."""
    return "<ol>" + "".join(f"<li>{escape(entry)}</li>" for entry in entries) + "</ol>"


def image(data: bytes, kind: str, alt: str) -> str:
    """Returns an embedded image.

    Args:
        data: The encoded image.
        kind: png or jpeg.
        alt: Alternative text.
    """
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
