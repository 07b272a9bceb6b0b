"""Blocks without log lines: for trial runs, and for packages that log advice to authors of training code."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch  # sets log levels at import, so it comes first  # noqa: F401

ADVISING = "torch.onnx", "lightning", "lightning.pytorch", "lightning.fabric"
"""Loggers of Lightning and torch."""


@contextmanager
def quietly() -> Iterator[None]:
    """Suppresses all log records below the level of an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def without_advice() -> Iterator[None]:
    """Suppresses Python's warnings, and log records of Lightning and torch below the level of an error."""
    levels = {name: logging.getLogger(name).level for name in ADVISING}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ADVISING:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
