"""Search the project for phrases that its vocabulary does not use.

    python tools/check_vocabulary.py [FILE ...]

Prints `file:line: phrase: use ...` for each banned phrase of tools/vocabulary.toml in the given files, by default all
files that git tracks. Exit status 1 where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = ROOT / "tools" / "vocabulary.toml"
SUFFIXES = {
    "", ".cff", ".cfg", ".ipynb", ".jinja", ".html", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml",
}  # fmt: skip


@dataclass(frozen=True)
class Banned:
    """A set of phrases, compiled into one expression, and the term to use instead."""

    pattern: re.Pattern[str]
    use: str


@dataclass(frozen=True)
class Finding:
    """A banned phrase in one line of a file."""

    line: int
    phrase: str
    use: str


def read_vocabulary(path: Path = VOCABULARY) -> tuple[list[Banned], list[str]]:
    """Returns the banned phrases, and the glob patterns of paths in which they are allowed."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    banned = [Banned(re.compile("|".join(entry["patterns"]), re.IGNORECASE), entry["use"]) for entry in table["banned"]]
    return banned, table["allowed_paths"]


def checked_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields the number and text of each line that no marker exempts."""
    off = table = False
    for number, line in enumerate(text.splitlines(), 1):
        off = (off or "vocabulary: off" in line) and "vocabulary: on" not in line
        table = table or re.match(r"\w*RENAMED\w*.*[{(\[]$", line) is not None
        if not (off or table or "vocabulary: allow" in line):
            yield number, line
        table = table and re.match(r"[})\]]", line) is None


def findings(text: str, banned: Sequence[Banned]) -> list[Finding]:
    """Returns all banned phrases of a text."""
    return [
        Finding(number, match.group(), entry.use)
        for number, line in checked_lines(text)
        for entry in banned
        for match in entry.pattern.finditer(line)
    ]


def tracked_files() -> list[Path]:
    """Returns the text files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and Path(name).suffix in SUFFIXES]


def main(arguments: Sequence[str]) -> int:
    """Checks files and prints the findings; returns the exit status."""
    banned, allowed = read_vocabulary()
    count = 0
    for path in [Path(name).resolve() for name in arguments] or tracked_files():
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        if not path.is_file() or path.suffix not in SUFFIXES or any(fnmatch(name, pattern) for pattern in allowed):
            continue
        for found in findings(path.read_text(encoding="utf-8", errors="replace"), banned):
            print(f"{name}:{found.line}: {found.phrase!r}: use {found.use}")
            count += 1
    if count:
        print(f"{count} banned phrases; see tools/vocabulary.toml", file=sys.stderr)
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
