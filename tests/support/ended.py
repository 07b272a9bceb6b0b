"""Runs the command line and captures exit status, stdout and stderr."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from cairn.cli import main


class Ended(NamedTuple):
    status: int
    stdout: str
    stderr: str


Cairn = Callable[..., Ended]


def run_cairn(capsys: pytest.CaptureFixture, *arguments: str) -> Ended:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    code = ended.value.code
    return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())
