"""The process of a training: `cairn.train`, and how it ended. It outlives the server that started it.

Started by `cairn.server.trainings` as `python -m cairn.server.training_process FOLDER`.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from pathlib import Path
from typing import Any

from cairn.errors import CairnError
from cairn.files import atomic_write
from cairn.server.file_lock import held

ORDER, STATE, LOCK, LABELS = "training.json", "state.json", "lock", "labels.json"

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


def main() -> int:
    """Trains in the folder that the command line names; the exit status is 0 where the run is finished."""
    folder = Path(sys.argv[1])
    with held(folder / LOCK) as free:
        if not free:
            return 1
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        try:
            _train(folder)
        except KeyboardInterrupt:
            return _ended(folder, STOPPED, "")
        except CairnError as error:
            return _ended(folder, FAILED, str(error))
        except MemoryError:
            return _ended(folder, FAILED, "the memory of the machine does not suffice: close other programs")
        except Exception as error:
            logging.exception("unexpected error")
            return _ended(folder, FAILED, f"unexpected {type(error).__name__}; the log has the details")
        return _ended(folder, FINISHED, "")


def _train(folder: Path) -> None:
    from cairn.api.train import train

    order: dict[str, Any] = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    run = Path(order["run"])
    if (run / "recipe.toml").is_file():
        train(out=run, resume=True)
        return
    settings = dict(order["settings"])
    if order["minutes"]:
        settings["run.minutes"] = order["minutes"]
    train(
        folder / LABELS,
        out=run,
        name=order["name"],
        pretrained=order["pretrained"] or None,
        epochs=order["epochs"],
        settings=settings,
    )


def _ended(folder: Path, state: str, message: str) -> int:
    with atomic_write(folder / STATE) as beside:
        beside.write_text(json.dumps({"state": state, "message": message}), encoding="utf-8")
    return 0 if state == FINISHED else 1


if __name__ == "__main__":
    sys.exit(main())
