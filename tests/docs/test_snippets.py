"""The commands and Python lines of README, Getting started and the guides run as written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.snippets import snippets

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs" / "getting-started.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
EXAMPLE = """
```bash
one
```

<!-- skip -->
```python
two
```

    ```python
    not a block
    ```
"""


def test_blocks_are_extracted_with_language_and_skip_mark() -> None:
    found = snippets(EXAMPLE)
    assert [(s.language, s.code, s.skipped) for s in found] == [("bash", "one\n", False), ("python", "two\n", True)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_snippets_of_page_run(page: Path, shell: Callable[[str], str], script: Callable[[str], str]) -> None:
    found = [s for s in snippets(page.read_text(encoding="utf-8")) if not s.skipped]
    for snippet in found:
        if snippet.language == "bash":
            shell(snippet.code)
    if code := "\n".join(s.code for s in found if s.language == "python"):
        script(code)


def test_first_pages_have_snippets_that_run() -> None:
    for page in PAGES[:2]:
        assert any(not s.skipped for s in snippets(page.read_text(encoding="utf-8")))
