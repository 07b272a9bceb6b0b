"""Suggestions for the images of a project: predictions of a model, in the background, and the order they imply."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from cairn.errors import CairnError
from cairn.files import atomic_write
from cairn.server.ordering import Uncertainty, helpful_order, normalized
from cairn.server.project import Project, ProjectImage
from cairn.structures.skeleton import Skeleton

FILE = "suggestions.json"

SAVE_EVERY = 20
"""Images after which the suggestions so far are written."""

log = logging.getLogger(__name__)

Predict = Callable[[str, ProjectImage], Coroutine[Any, Any, dict[str, Any]]]
"""Predicts an image with a model, by name; see `cairn.server.label_worker.LabelWorker.suggest`."""


class Suggestions:
    """Predictions of one model for the images of one project.

    Attributes:
        model: Name of the model; "" for none.
        done: Images that are predicted in this pass.
        total: Images of this pass.
        error: Why the pass ended early.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.model = ""
        self.done = self.total = 0
        self.error = ""
        self._found: dict[int, dict[str, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        self._read()

    @property
    def running(self) -> bool:
        """Whether a pass is under way."""
        return self._task is not None and not self._task.done()

    def get(self, image: int) -> dict[str, Any] | None:
        """Returns the prediction of an image; None where there is none yet."""
        return self._found.get(image)

    def put(self, image: int, found: dict[str, Any]) -> None:
        """Keeps the prediction of an image."""
        self._found[image] = found

    def state(self) -> dict[str, Any]:
        """Returns what clients get."""
        return {
            "model": self.model,
            "running": self.running,
            "done": self.done,
            "total": self.total,
            "error": self.error,
        }

    async def start(self, model: str, predict: Predict) -> None:
        """Begins to predict all images that are not labeled, and ends the earlier pass."""
        await self.stop()
        self.model, self.error = model, ""
        self._found = {}
        images = [self.project.images[i] for i in self.order() if not self.project.labels.get(i).labeled]
        self.done, self.total = 0, len(images)
        self._task = asyncio.create_task(self._pass(images, predict))

    async def stop(self) -> None:
        """Ends the pass that is under way."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def order(self) -> list[int]:
        """Returns the IDs of all images: those without finished labels by what helps most, then the labeled ones."""
        project = self.project
        labeled = [i for i in project.images if project.labels.get(i).labeled]
        waiting = [i for i in project.images if not project.labels.get(i).labeled]
        thumbnails = {i: normalized(image.thumbnail) for i, image in project.images.items()}
        known = {i: each for i, each in thumbnails.items() if each is not None}
        return helpful_order(waiting, labeled, {i: self.uncertainty(i) for i in self._found}, known) + labeled

    def uncertainty(self, image: int) -> Uncertainty:
        """Returns how uncertain the prediction of an image is."""
        found = self._found[image]
        return Uncertainty(found["confidence"], found["disagreement"], len(found["instances"]))

    async def _pass(self, images: list[ProjectImage], predict: Predict) -> None:
        try:
            for image in images:
                self._found[image.id] = await predict(self.model, image)
                self.done += 1
                if self.done % SAVE_EVERY == 0:
                    self._write()
        except (CairnError, OSError) as error:
            self.error = str(error)
            log.warning("the suggestions for %s ended early: %s", self.project.name, error)
        finally:
            with suppress(CairnError):
                self._write()

    def _write(self) -> None:
        values = {
            "model": self.model,
            "skeleton": self.project.skeleton.to_dict(),
            "images": {str(image): found for image, found in self._found.items()},
        }
        with atomic_write(self.project.folder / FILE) as beside:
            beside.write_text(json.dumps(values), encoding="utf-8")

    def _read(self) -> None:
        """Reads what an earlier process predicted; a damaged file is predicted again."""
        try:
            values = json.loads((self.project.folder / FILE).read_text(encoding="utf-8"))
            if Skeleton.from_dict(values["skeleton"]) == self.project.skeleton:
                self.model = str(values["model"])
                self._found = {int(image): found for image, found in values["images"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, CairnError):
            self.model, self._found = "", {}
