"""A worker: decodes images, runs models on them, and answers with finished JSON.

Started by `cairn.server.pool` as `python -m cairn.server.worker`; it ends when the server does.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.api.load import load
from cairn.errors import CairnError, ImageError
from cairn.inference.predictor import Predictor
from cairn.media.images import EncodedImage
from cairn.media.names import ImageName
from cairn.results.writer import Detections
from cairn.server.protocol import AUTO, Channel, Message

MAX_MODELS = 4
"""Models that a worker keeps in memory, the last ones that were used."""


@dataclass(frozen=True)
class Options:
    """How a worker runs models.

    Attributes:
        device: Device; see `cairn.load`.
        threads: Number of CPU cores.
        pixels: Maximum number of pixels of an image.
    """

    device: str
    threads: int
    pixels: int


class Worker:
    """Models by file, and what the server asks of them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._models: OrderedDict[tuple[Any, ...], Predictor] = OrderedDict()

    def answer(self, message: Message) -> Message:
        """Returns the answer to a message."""
        values = message.values
        if values["do"] == "describe":
            return Message({"model": self.describe(values["file"])})
        predictor = self.model(values["file"], values["refine"])
        return self.detect(predictor, values["images"], message.parts)

    def model(self, file: str, refine: str | None) -> Predictor:
        """Returns a model, which is loaded where it is not in memory, or its file has changed.

        Args:
            file: The file of the model.
            refine: That of the one that refines, `AUTO`, or None.
        """
        key = tuple((each, *_version(each)) for each in (file, refine) if each is not None)
        if key not in self._models:
            self._models[key] = load(
                Path(file),
                device=self.options.device,
                threads=self.options.threads,
                refine=False if refine is None else None if refine == AUTO else Path(refine),
            )
            if len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def describe(self, file: str) -> dict[str, Any]:
        """Returns what clients may know of a model."""
        from cairn.inference.model_spec import ModelSpec
        from cairn.inference.session import metadata_of, open_session

        session, _ = open_session(Path(file), 1, "cpu")
        spec = ModelSpec.from_json(metadata_of(session, Path(file)), file)
        skeleton = spec.skeleton.shown
        return {
            "task": spec.task,
            "method": spec.method,
            "license": spec.license,
            "joints": list(skeleton.joints),
            "limbs": [[skeleton.joints[a], skeleton.joints[b]] for a, b in skeleton.limbs],
            "classes": list(spec.classes),
            "draw_threshold": spec.draw_threshold,
        }

    def detect(self, predictor: Predictor, images: list[dict[str, Any]], data: Any) -> Message:
        """Returns the result of each image, or why it has none: `errors` has a line or None for each."""
        errors: list[str | None] = [None] * len(images)
        pixels: dict[int, NDArray[np.uint8]] = {}
        for i, encoded in enumerate(data):
            try:
                pixels[i] = self._decoded(encoded)
            except ImageError as error:
                errors[i] = str(error)
        parts = [b""] * len(images)
        for (i, image), poses in zip(pixels.items(), predictor.batch(list(pixels.values())), strict=True):
            kept = replace(poses, image=None).above(images[i]["min_confidence"])
            parts[i] = json.dumps(_result(images[i], image.shape[:2], kept, predictor)).encode()
        return Message({"errors": errors, "device": predictor.device}, parts)

    def _decoded(self, data: bytes) -> NDArray[np.uint8]:
        encoded = EncodedImage.parse(data)
        height, width = encoded.header.size
        if height * width > self.options.pixels:
            raise ImageError(
                f"is {width}×{height} pixels; the limit of this server is {self.options.pixels / 1e6:g} million: "
                "reduce it first"
            )
        return encoded.decode()[0]


def _result(image: dict[str, Any], size: Any, poses: Any, predictor: Predictor) -> dict[str, Any]:
    """Returns the result of an image in the format that is asked for, as the files have it."""
    from cairn.results.cairn_json import to_json
    from cairn.results.openpose import to_openpose

    height, width = size
    if image["format"] == "openpose":
        return to_openpose(poses, (height, width))
    path = Path(image["name"])
    clip = None if image["frame"] is None else PurePath("stream")
    name = ImageName(path, PurePath(path), clip, image["frame"], image["seconds"])
    detections = Detections(name, (height, width), poses)
    if image["format"] == "coco":
        entry = {"id": image["id"], "file_name": name.text, "width": width, "height": height}
        return {"image": entry, "detections": poses.to_coco(image["id"])}
    return to_json(detections, predictor.spec.name)


def _version(file: str) -> tuple[int, ...]:
    """Time and size of a file; a training that goes on replaces its model."""
    try:
        status = Path(file).stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size


def run(kind: type[Worker]) -> None:
    """Runs a worker of a kind: answers messages until the server ends."""
    try:
        _answer_all(kind)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)


def _answer_all(kind: type[Worker]) -> None:
    channel = Channel()
    first = channel.receive()
    if first is None:
        return
    options = Options(**first.values)
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(options.pixels)
    import cv2

    cv2.setNumThreads(options.threads)
    worker = kind(options)
    channel.send(Message({"ready": os.getpid()}))
    while (message := channel.receive()) is not None:
        try:
            answer = worker.answer(message)
        except CairnError as error:
            answer = Message({"error": str(error)})
        channel.send(answer)


if __name__ == "__main__":
    run(Worker)
