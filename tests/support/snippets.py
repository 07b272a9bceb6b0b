"""Fenced code blocks of Markdown pages."""

from __future__ import annotations

import re
from dataclasses import dataclass

SKIP = "<!-- skip -->"
BLOCK = re.compile(
    rf"^(?P<skip>{re.escape(SKIP)}\n+)?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Snippet:
    """A fenced block: its language, code, and whether `<!-- skip -->` stands before it."""

    language: str
    code: str
    skipped: bool


def snippets(markdown: str) -> list[Snippet]:
    """Returns the fenced blocks of a page in their order."""
    return [Snippet(m["language"], m["code"], bool(m["skip"])) for m in BLOCK.finditer(markdown)]
