"""The models that are served: the bundled ones, and those of the configured folders, by name alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cairn.inference.zoo import REFINER_MODEL, REFINERS, RUN_MODEL, embedded, image_refinement, own_refiner, path_of
from cairn.server.batching import ModelKey
from cairn.server.problems import Problem
from cairn.server.protocol import AUTO

Describe = Callable[[Sequence[Path]], Awaitable[list[dict[str, Any] | None]]]
"""Opens models in another process; None for a file that is not a model that detects keypoints in images."""

OFF, ON = ("", "0", "false", "no", "off"), ("1", "true", "yes", "on")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        name: Its name in requests.
        file: The file.
        bundled: Whether it comes with Cairn.
        values: What clients may know of it.
    """

    name: str
    file: Path
    bundled: bool
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def own_refiner(self) -> Path | None:
        """The refiner of its run, where it has one."""
        return own_refiner(self.file)

    @property
    def refiner(self) -> str | None:
        """Name of the model that refines its instances; None where there is none."""
        return f"{self.name}/{REFINER_MODEL}" if self.own_refiner else REFINERS.get(self.name)

    def to_dict(self) -> dict[str, Any]:
        """Returns what clients get."""
        return {"name": self.name, "bundled": self.bundled, "refiner": self.refiner, **self.values}


class Catalog:
    """Finds models by name.

    The folders are listed at each request, so that a new model needs no restart: files at the top (NAME.onnx), and
    run folders (NAME/model.onnx). A file is opened once, and again where it has changed.

    Args:
        folders: Folders of models; the first one wins where names are equal, and bundled names win over both.
        describe: Opens a model.
    """

    def __init__(self, folders: Sequence[Path], describe: Describe) -> None:
        self.folders = tuple(folders)
        self._describe = describe
        self._opening = asyncio.Lock()
        self._known: dict[tuple[Path, int, int], dict[str, Any] | None] = {}

    async def models(self) -> list[Model]:
        """Returns all models, the bundled ones first."""
        return await self._opened(self._files())

    async def model(self, name: str) -> Model:
        """Returns a model. Raises Problem (404) where there is none of this name."""
        files = self._files()
        found = await self._opened({name: files[name]}) if name in files else []
        if not found:
            known = ", ".join(each.name for each in await self.models())
            raise Problem(404, f"no model {name[:80]!r}: expected one of {known}")
        return found[0]

    async def key(self, name: str, refine: str, of_images: bool) -> ModelKey:
        """Returns the files of a model and of the one that refines.

        Args:
            name: Name of the model.
            refine: "true" for the registered refiner, "false" or "" for none, "auto" for the default of `cairn.load`,
                or the name of a model.
            of_images: Whether it is for single images, not frames of videos.

        Raises:
            Problem: There is no such model (404), or it cannot refine (422).
        """
        model = await self.model(name)
        if refine.lower() in OFF:
            return ModelKey(str(model.file))
        if refine.lower() == AUTO:
            by_default = AUTO if of_images and image_refinement(model.file) else None
            return ModelKey(str(model.file), str(model.own_refiner) if model.own_refiner else by_default)
        if model.values.get("task") == "single_instance":
            raise Problem(422, f"refine is for models of several instances or of crops; {name} detects one per image")
        if refine.lower() in ON:
            if own := model.own_refiner:
                return ModelKey(str(model.file), str(own))
            if name not in REFINERS:
                raise Problem(422, f"no model is registered that refines {name}: refine takes the name of one")
            refine = REFINERS[name]
        refiner = await self.model(refine)
        if refiner.values.get("task") != "crop":
            raise Problem(422, f"refine needs a model of one instance per crop; {refine} is {refiner.values['task']}")
        if model.values.get("task") == "crop" and not {*model.values["joints"]} & {*refiner.values["joints"]}:
            raise Problem(422, f"{refine} cannot refine {name}: they have no joint of the same name")
        return ModelKey(str(model.file), str(refiner.file))

    def _files(self) -> dict[str, Path]:
        files = {name: path_of(name) for name in embedded()}
        for folder in self.folders:
            try:
                entries = sorted(folder.iterdir()) if folder.is_dir() else []
            except OSError as error:
                log.warning("cannot list the models in %s: %s", folder, error.strerror)
                continue
            for entry in entries:
                file = entry / RUN_MODEL if entry.is_dir() else entry
                if not entry.name.startswith(".") and file.suffix == ".onnx" and file.is_file():
                    files.setdefault(entry.name if entry.is_dir() else entry.stem, file)
        return files

    async def _opened(self, files: Mapping[str, Path]) -> list[Model]:
        keys = {name: key for name, file in files.items() if (key := _version_of(file)) is not None}
        async with self._opening:
            unknown = [key for key in dict.fromkeys(keys.values()) if key not in self._known]
            if unknown:
                self._known.update(zip(unknown, await self._describe([key[0] for key in unknown]), strict=True))
        bundled = embedded()
        found = [(name, key[0], self._known[key]) for name, key in keys.items()]
        return [Model(name, file, name in bundled, values) for name, file, values in found if values is not None]


def _version_of(file: Path) -> tuple[Path, int, int] | None:
    try:
        status = file.stat()
    except OSError:  # deleted since
        return None
    return file, status.st_mtime_ns, status.st_size
