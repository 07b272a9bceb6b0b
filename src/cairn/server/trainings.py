"""Trainings of the web app: a copy of the labels, a process, and a run folder as `cairn train` writes it.

DATA/trainings/NAME holds the order, the labels and the log; DATA/runs/NAME is the run folder, whose model is served
under that name once it is exported. The state is read from these files, so that it survives a restart of the server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cairn.api.run import Run
from cairn.errors import CairnError
from cairn.files import atomic_write
from cairn.inference.zoo import embedded
from cairn.server.file_lock import is_held
from cairn.server.problems import Problem
from cairn.server.project import Project, slug
from cairn.server.projects import NAME, unused
from cairn.server.scratch import Scratch
from cairn.server.training_process import FAILED, LABELS, LOCK, ORDER, STATE, STOPPED
from cairn.training.run_folder import RunFolder
from cairn.wording import counted

LOG, PID = "log.txt", "pid"

LOG_BYTES = 20_000
"""Bytes of the end of the log that clients get."""

MIN_IMAGES = 2
"""Labeled images without which nothing can be held out for validation."""

START_SECONDS = 30.0
"""Seconds in which a process takes its lock."""


@dataclass(frozen=True)
class TrainingOrder:
    """What to train.

    Attributes:
        name: Name of the model.
        pretrained: Model to fine-tune, a file or the name of a bundled one; "" chooses, "none" is from scratch.
        minutes: Target duration; None trains for `epochs`.
        epochs: Number of epochs; None with `minutes`.
        settings: Further values of the recipe by dotted key.
    """

    name: str
    pretrained: str = ""
    minutes: float | None = None
    epochs: int | None = None
    settings: dict[str, Any] | None = None


class Trainings:
    """The trainings of a data folder.

    Args:
        data: The data folder.
    """

    def __init__(self, data: Path) -> None:
        self.folder = Path(data).absolute() / "trainings"
        self.runs = Path(data).absolute() / "runs"
        self._lock = threading.Lock()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def all(self) -> list[dict[str, Any]]:
        """Returns the state of each training, the last one first."""
        found = [self.state(path.parent.name) for path in self.folder.glob(f"*/{ORDER}")]
        return sorted(found, key=lambda each: str(each["created"]), reverse=True)

    def state(self, name: str, full: bool = False) -> dict[str, Any]:
        """Returns the state of a training.

        Args:
            name: Its name.
            full: Whether metrics, images and the log are included.

        Raises:
            Problem: There is none of this name (404).
        """
        folder = self._folder(name)
        order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
        history = self._history(name)
        state, message = self._ended(name)
        values = {
            "id": name,
            **{key: order[key] for key in ("project", "project_name", "images", "created", "minutes", "epochs")},
            "pretrained": order["shown"],
            "state": state,
            "message": message,
            "epoch": int(history[-1]["epoch"]) if history else 0,
            "planned": self._planned(name),
            "model": name if RunFolder(self.runs / name).model.is_file() else None,
        }
        if not full:
            return values
        images = sorted(int(path.stem) for path in self._validation(name).glob("*.jpg") if path.stem.isdecimal())
        return {**values, "history": history, "validation": images, "log": self._log(folder)}

    def start(self, project: Project, order: TrainingOrder, shown: str) -> dict[str, Any]:
        """Starts a training on the finished labels of a project.

        Args:
            project: The project.
            order: What to train.
            shown: Name of the pretrained model, as clients know it.

        Raises:
            Problem: There are too few labels (422).
        """
        labels = project.labels.coco(project.records(absolute=True), finished=True)
        if len(labels["images"]) < MIN_IMAGES:
            count = counted(len(labels["images"]), "finished image")
            raise Problem(
                422,
                f"{project.name} has {count}: finish {MIN_IMAGES} or more, then train",
            )
        with self._lock:
            folder = unused(self.folder, slug(order.name), (self.runs,))
            if folder.name in embedded():
                raise Problem(422, f"{folder.name} is the name of a bundled model: choose another one")
            _write(folder / LABELS, labels)
            _write(
                folder / ORDER,
                {
                    "name": folder.name,
                    "run": str(self.runs / folder.name),
                    "project": project.id,
                    "project_name": project.name,
                    "images": len(labels["images"]),
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "pretrained": order.pretrained,
                    "shown": shown,
                    "minutes": order.minutes,
                    "epochs": order.epochs,
                    "settings": order.settings or {},
                },
            )
            self._run(folder.name)
        return self.state(folder.name)

    def stop(self, name: str) -> dict[str, Any]:
        """Stops a training; its last epoch is kept. Raises Problem (404, 409)."""
        folder = self._folder(name)
        if not is_held(folder / LOCK):
            raise Problem(409, f"{name} does not run")
        pid = int((folder / PID).read_text(encoding="ascii"))
        with suppress(ProcessLookupError, PermissionError):  # it has ended since
            os.kill(pid, signal.SIGINT)
        return self.state(name)

    def resume(self, name: str) -> dict[str, Any]:
        """Continues a training that was stopped, or whose process ended. Raises Problem (404, 409)."""
        folder = self._folder(name)
        with self._lock:
            state, _ = self._ended(name)
            if state not in (STOPPED, FAILED):
                raise Problem(409, f"{name} is {state}")
            (folder / STATE).unlink(missing_ok=True)
            self._run(name)
        return self.state(name)

    def delete(self, name: str, scratch: Scratch) -> str:
        """Deletes a training: its copy of the labels, its run folder and its model. Returns what was deleted, in words.

        Raises:
            Problem: There is none of this name (404), or it runs (409).
        """
        folder = self._folder(name)
        with self._lock:
            if is_held(folder / LOCK):
                raise Problem(409, f"{name} runs: stop it first")
            has_model = RunFolder(self.runs / name).model.is_file()
            if (self.runs / name).exists():
                scratch.delete(self.runs / name)
            scratch.delete(folder)
            self._processes.pop(name, None)
        return f"{name} is deleted with its log" + (", run folder and model" if has_model else " and run folder")

    def check_free(self, project: Project) -> None:
        """Raises Problem (409) where a training uses the images of a project."""
        for path in self.folder.glob(f"*/{ORDER}"):
            order = json.loads(path.read_text(encoding="utf-8"))
            if order["project"] == project.id and is_held(path.parent / LOCK):
                raise Problem(409, f"{path.parent.name} trains on the images of {project.name}: stop it first")

    def validation_image(self, name: str, number: int) -> Path:
        """Returns the file of a validation image with its prediction. Raises Problem (404)."""
        self._folder(name)
        path = self._validation(name) / f"{number}.jpg"
        if not path.is_file():
            raise Problem(404, f"{name} has no validation image {number}")
        return path

    def _run(self, name: str) -> None:
        """Starts the process, and waits until it holds its lock."""
        folder = self._folder(name)
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "cairn.server.training_process", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal of the server is not for it
            )
        with (folder / PID).open("w", encoding="ascii") as file:
            file.write(str(process.pid))
        self._processes[name] = process
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and process.poll() is None and not is_held(folder / LOCK):
            time.sleep(0.05)

    def _ended(self, name: str) -> tuple[str, str]:
        """Returns the state and why the training failed."""
        folder = self.folder / name
        process = self._processes.get(name)
        if process is not None and process.poll() is not None:
            del self._processes[name]
        if is_held(folder / LOCK):
            return "running", ""
        try:
            ended = json.loads((folder / STATE).read_text(encoding="utf-8"))
            return str(ended["state"]), str(ended["message"])
        except (OSError, ValueError, KeyError):
            return STOPPED, "the process ended unexpectedly; resume continues after its last epoch"

    def _history(self, name: str) -> list[dict[str, float]]:
        try:
            return Run(self.runs / name).history
        except CairnError:
            return []

    def _planned(self, name: str) -> int | None:
        """Number of epochs of the run; None before it has a recipe."""
        try:
            return int(Run(self.runs / name).recipe["run"]["epochs"])
        except (CairnError, KeyError, ValueError):
            return None

    def _validation(self, name: str) -> Path:
        return RunFolder(self.runs / name).validation

    def _log(self, folder: Path) -> str:
        try:
            with (folder / LOG).open("rb") as file:
                file.seek(max(0, (folder / LOG).stat().st_size - LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        if not NAME.fullmatch(name) or not (folder / ORDER).is_file():
            raise Problem(404, f"there is no training {name[:80]!r}")
        return folder


def _write(path: Path, values: dict[str, Any]) -> None:
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(values), encoding="utf-8")
