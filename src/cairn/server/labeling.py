"""The label projects of a server, with the process that decodes their uploads and predicts suggestions."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from cairn.errors import ImageError
from cairn.inference.zoo import DEFAULT_MODEL
from cairn.server import label_import
from cairn.server.catalog import Catalog
from cairn.server.pool import WorkerDied, WorkerProcess, WorkerTimeout
from cairn.server.problems import Problem
from cairn.server.project import Project, ProjectImage
from cairn.server.projects import Projects
from cairn.server.protocol import AUTO, Message
from cairn.server.scratch import Scratch
from cairn.server.settings import ServerSettings
from cairn.server.suggestions import Suggestions
from cairn.structures.skeleton import Skeleton, load_skeleton

COMMAND = (sys.executable, "-P", "-m", "cairn.server.label_worker")

SECONDS, VIDEO_SECONDS, LABEL_SECONDS = 120.0, 1800.0, 600.0
"""Seconds that an image, the frames of a video, and a label file may take."""


class Labeling:
    """Projects, suggestions and their process, which is started when it is first needed.

    Args:
        settings: The settings of the server.
        catalog: The models.
    """

    def __init__(self, settings: ServerSettings, catalog: Catalog) -> None:
        self.settings = settings
        self.projects = Projects(Path(settings.data) / "projects")
        self.scratch = Scratch(settings.data)
        if settings.labels is not None:
            self.projects.of_folder(settings.labels, load_skeleton("coco17"))
        self._catalog = catalog
        self._process = WorkerProcess(settings, COMMAND)
        self._asking = asyncio.Lock()
        self._suggestions: dict[str, Suggestions] = {}

    async def stop(self) -> None:
        """Ends the process and what it works on."""
        for each in self._suggestions.values():
            await each.stop()
        await self._process.stop()

    async def ask(self, message: Message, seconds: float = SECONDS) -> Message:
        """Returns the answer of the process.

        Raises:
            Problem: What was asked for is not possible (422), or the process failed (503, 504).
        """
        async with self._asking:
            try:
                if not self._process.alive:
                    await self._process.start()
                answer = await self._process.ask(message, seconds)
            except WorkerDied:
                raise Problem(503, "the process that does this died; it is restarted: try again") from None
            except WorkerTimeout:
                raise Problem(504, f"no result within {seconds:g} seconds") from None
        if "error" in answer.values:
            raise Problem(422, answer.values["error"])
        return answer

    async def add_image(self, project: Project, name: str, data: bytes) -> ProjectImage:
        """Adds an uploaded image. Raises Problem (422) where it cannot be decoded."""
        answer = await self.ask(Message({"do": "check"}, [data]))
        values = answer.values
        return await asyncio.to_thread(project.add, name, answer.parts[0], values["suffix"], values["facts"])

    async def add_video(self, project: Project, name: str, file: Path, count: int) -> list[ProjectImage]:
        """Adds frames of an uploaded video, evenly spaced. Raises Problem (422) where it cannot be decoded."""
        values = {"do": "frames", "file": str(file), "count": count, "limit": self.settings.limits.video_frames}
        answer = await self.ask(Message(values), VIDEO_SECONDS)
        added = []
        for facts, data in zip(answer.values["facts"], answer.parts, strict=True):
            title = f"{Path(name).stem} frame {facts['frame']}"
            added.append(await asyncio.to_thread(project.add, title, data, ".jpg", {**facts, "video": name}))
        return added

    async def shown(self, project: Project, image: ProjectImage) -> bytes:
        """Returns an image that browsers cannot show as PNG."""
        return bytes((await self.ask(Message({"do": "show"}, [_read(project, image)]))).parts[0])

    async def add_labels(self, project: Project, file: Path, own_skeleton: bool) -> dict[str, Any]:
        """Imports the labels of an uploaded file; see `cairn.server.label_import.take`.

        Args:
            project: The project.
            file: The file, in a folder of its own.
            own_skeleton: Whether the project takes the skeleton of the file.

        Raises:
            Problem: The file cannot be read, or none of its labels can be used (422).
        """
        if own_skeleton and project.labels.counts()[1]:
            raise Problem(422, f"{project.name} has labels already: its keypoints stay as they are")
        images = await asyncio.to_thread(label_import.linked, project, file.parent / "images")
        skeleton = None if own_skeleton else project.skeleton.to_dict()
        values = {"do": "labels", "file": str(file), "images": str(images), "skeleton": skeleton}
        found = json.loads((await self.ask(Message(values), LABEL_SECONDS)).parts[0])
        if own_skeleton:
            await self.suggestions(project).stop()
            del self._suggestions[project.id]
            await asyncio.to_thread(self.projects.set_skeleton, project, Skeleton.from_dict(found["skeleton"]))
        return await asyncio.to_thread(label_import.take, project, file.name, found)

    async def delete(self, project: Project) -> None:
        """Deletes a project. The images of a folder that the server was started with stay."""
        suggestions = self._suggestions.pop(project.id, None)
        if suggestions is not None:
            await suggestions.stop()
        await asyncio.to_thread(self.projects.delete, project, self.scratch)

    def suggestions(self, project: Project) -> Suggestions:
        """Returns the suggestions for a project."""
        if project.id not in self._suggestions:
            self._suggestions[project.id] = Suggestions(project)
        return self._suggestions[project.id]

    async def suggest(self, project: Project, model: str) -> None:
        """Begins to predict all images that are not labeled. Raises Problem (404) for an unknown model."""
        await self._catalog.model(model)
        await self.suggestions(project).start(model, lambda name, image: self.predict(project, name, image))

    async def suggestion(self, project: Project, number: int) -> dict[str, Any]:
        """Returns the prediction for an image, which is made now where there is none yet."""
        image, suggestions = project.image(number), self.suggestions(project)
        found = suggestions.get(number)
        if found is None:
            suggestions.model = suggestions.model or DEFAULT_MODEL
            model = suggestions.model
            found = await self.predict(project, model, image)
            if model == suggestions.model:
                suggestions.put(number, found)
        return {"model": suggestions.model, **found}

    async def predict(self, project: Project, model: str, image: ProjectImage) -> dict[str, Any]:
        """Returns the prediction of a model for an image."""
        key = await self._catalog.key(model, AUTO, of_images=True)
        values = {"do": "suggest", "file": key.file, "refine": key.refine, "skeleton": project.skeleton.to_dict()}
        answer = await self.ask(Message(values, [await asyncio.to_thread(_read, project, image)]))
        return {name: answer.values[name] for name in ("instances", "confidence", "disagreement")}


def _read(project: Project, image: ProjectImage) -> bytes:
    try:
        return (project.image_folder / image.file).read_bytes()
    except OSError as error:
        raise ImageError(f"{image.name} cannot be read: {error.strerror or error}") from None
