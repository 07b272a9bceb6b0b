"""Log lines of the library on stderr."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import logging
from cairn.cli.logs import API, show_log
show_log(API)
logging.warning("of another package, through the root logger")
logging.getLogger("cairn.api.export").info("once")
"""


def test_a_line_is_printed_once_where_another_package_uses_the_root_logger() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines() == ["once"]
