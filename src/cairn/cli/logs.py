"""Log lines of the library on stderr."""

from __future__ import annotations

import logging
import os
import sys

API, METHODS, TRAINING = "cairn.api", "cairn.methods", "cairn.training"


def show_log(*informing: str) -> None:
    """Prints warnings, and lines of level INFO of some loggers.

    Where torchrun started several processes, only the first one prints.

    Args:
        informing: A selection of `API`, `METHODS` and `TRAINING`.
    """
    logger = logging.getLogger("cairn")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())
        # A root logger without handlers gets one as soon as any package logs by it, and would print each line again.
        logging.getLogger().addHandler(logging.NullHandler())
    first = os.environ.get("RANK", "0") == "0"
    logger.setLevel(logging.WARNING if first else logging.ERROR)
    for name in (API, METHODS, TRAINING):
        logging.getLogger(name).setLevel(logging.INFO if first and name in informing else logging.NOTSET)


def show_training_log() -> None:
    """Prints log lines of Cairn, and silences those of Lightning and torch.

    Raises:
        MissingExtra: The extra `train` is not installed.
    """
    import warnings

    from cairn.extras import require_training

    require_training()
    from cairn.training.engine.quiet import ADVISING

    show_log(API, METHODS, TRAINING)
    for other in ADVISING:
        logging.getLogger(other).setLevel(logging.ERROR)
    warnings.simplefilter("ignore")  # they concern authors of training code


class _Lines(logging.Handler):
    """Prints each message as a line of its own, above the progress bars of training."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if "tqdm" in sys.modules:  # Lightning's progress bars
            sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr)
