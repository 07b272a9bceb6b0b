"""Fixtures that several tests share."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import cairn
from support.fake_network import write_totem_model

# A law holds or not; how long one example takes on a busy machine says nothing about it.
settings.register_profile("cairn", deadline=None)
settings.load_profile("cairn")


@pytest.fixture(autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """As a program in the foreground has them: who runs the tests may have them ignored, and `main` changes them."""
    usual = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    there = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in there.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def log_levels_of_a_library() -> Iterator[None]:
    """As in a program that imports Cairn: commands set levels and a handler for their process."""
    loggers = [logging.getLogger(name) for name in ("cairn", "cairn.api", "cairn.methods", "cairn.training")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def totem_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real .onnx file that finds totems (see fake_network)."""
    return write_totem_model(tmp_path_factory.mktemp("models") / "totems.onnx")


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For a new interpreter that imports the very Cairn that is tested, installed or not."""
    return {**os.environ, "PYTHONPATH": str(Path(cairn.__file__).parents[1])}


@pytest.fixture(scope="session")
def python(environment: dict[str, str]) -> Callable[[str], str]:
    """Runs statements in a new interpreter and returns what they print."""

    def run(code: str) -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return run
