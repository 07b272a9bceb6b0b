"""The process that reads what is uploaded to projects and predicts suggestions; one message at a time.

Started by `cairn.server.pool` as `python -m cairn.server.label_worker`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.errors import ImageError, VideoError
from cairn.media.images import EncodedImage
from cairn.server.protocol import Message
from cairn.server.worker import Worker, run
from cairn.structures.geometry import Size, in_image
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

THUMBNAIL = 16
"""Side of a thumbnail, pixels."""

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "BMP": ".bmp", "GIF": ".gif", "AVIF": ".avif"}
"""Formats that browsers show, which are kept as they are."""

QUALITY = 95
"""JPEG quality of the frames of videos."""

MIN_CONFIDENCE = 0.1
"""Minimum confidence of a suggested keypoint, of models that state none of their own."""

FAR = 0.1
"""Distance between a keypoint and that of the flipped image at which they disagree, over the diagonal of the box."""


class LabelWorker(Worker):
    """Does what label projects need."""

    def answer(self, message: Message) -> Message:
        """Returns the answer to a message."""
        values = message.values
        if values["do"] == "check":
            return self.check(message.parts[0])
        if values["do"] == "show":
            return Message({}, [_encoded(self._decoded(message.parts[0]), ".png")])
        if values["do"] == "frames":
            return self.frames(values)
        if values["do"] == "labels":
            return self.labels(values)
        if values["do"] == "suggest":
            return self.suggest(values, message.parts[0])
        return super().answer(message)

    def check(self, data: bytes) -> Message:
        """Decodes an image. The answer has its size and thumbnail, and the file as it is kept."""
        pixels = self._decoded(data)
        suffix = SUFFIXES.get(EncodedImage.parse(data).content.name)
        kept = data if suffix else _encoded(pixels, ".png")
        return Message({"suffix": suffix or ".png", "facts": _facts(pixels)}, [kept])

    def frames(self, values: dict[str, Any]) -> Message:
        """Takes frames of a video, evenly spaced. The answer has facts and a JPEG file for each."""
        from cairn.media.video import open_video

        facts: list[dict[str, Any]] = []
        parts: list[bytes] = []
        with open_video(Path(values["file"]), self.options.threads) as video:
            height, width = video.size
            if height * width > self.options.pixels:
                raise VideoError(f"the frames are {width}×{height} pixels, more than this server takes")
            total = video.frames or values["limit"]
            step = max(1.0, total / values["count"])
            for frame in video:
                if frame.index >= values["limit"] or len(parts) == values["count"]:
                    break
                if frame.image is None or frame.index < len(parts) * step:
                    continue
                facts.append({**_facts(frame.image), "frame": frame.index})
                parts.append(_encoded(frame.image, ".jpg"))
        if not parts:
            raise VideoError("the video has no frames that can be read")
        return Message({"facts": facts}, parts)

    def labels(self, values: dict[str, Any]) -> Message:
        """Reads a label file. The answer has what `labels_of_file` returns as JSON."""
        from cairn.server.imported_labels import labels_of_file

        skeleton = None if values["skeleton"] is None else Skeleton.from_dict(values["skeleton"])
        found = labels_of_file(Path(values["file"]), Path(values["images"]), skeleton)
        return Message({}, [json.dumps(found).encode()])

    def suggest(self, values: dict[str, Any], data: bytes) -> Message:
        """Predicts the instances of an image, and of its mirror image, in the skeleton of the project.

        Keypoints outside of the image are omitted: labels cannot have them.
        """
        skeleton = Skeleton.from_dict(values["skeleton"])
        image = self._decoded(data)
        predictor = self.model(values["file"], values["refine"])
        poses, mirrored = predictor.batch([image, np.ascontiguousarray(image[:, ::-1])])
        poses, flipped = poses.mapped(skeleton), unflipped(mirrored.mapped(skeleton), image.shape[1])
        threshold = max(predictor.spec.draw_threshold, MIN_CONFIDENCE)
        kept = within(poses, image.shape[:2]).above(threshold)
        return Message(
            {
                "instances": [
                    [
                        [round(float(x), 2), round(float(y), 2), round(float(c), 4)] if c > 0 else [0, 0, 0]
                        for (x, y), c in zip(pose.keypoints, pose.confidence, strict=True)
                    ]
                    for pose in kept
                ],
                "confidence": float(kept.confidence[kept.detected].mean()) if len(kept) else 0.0,
                "disagreement": disagreement(kept, within(flipped, image.shape[:2]).above(threshold)),
            }
        )


def within(poses: Poses, size: Size) -> Poses:
    """Returns poses without the keypoints outside of an image of this (height, width)."""
    return poses.where(in_image(poses.keypoints, size))


def unflipped(poses: Poses, width: int) -> Poses:
    """Returns poses of a mirror image in the coordinates of the image of this width in pixels."""
    from dataclasses import replace

    order = list(poses.skeleton.flip_order)
    points = poses.keypoints[:, order].copy()
    points[..., 0] = width - 1 - points[..., 0]
    visibility = None if poses.visibility is None else poses.visibility[:, order]
    return replace(poses, keypoints=points, confidence=poses.confidence[:, order], visibility=visibility, image=None)


def disagreement(poses: Poses, flipped: Poses) -> float:
    """Returns how much the poses of an image and of its mirror image differ, from 0 to 1.

    It is the mean over the keypoints that either has of their distance over `FAR` of the instance's diagonal, at most
    1; 1 where only one of them has the keypoint or the instance.
    """
    costs: list[float] = []
    left = list(range(len(flipped)))
    for pose in poses:
        each = [_difference(pose, flipped[j]) for j in left]
        best = min(range(len(left)), key=lambda i: float(np.mean(each[i])), default=None)
        if best is None:
            costs += [1.0] * int(pose.detected.sum())
            continue
        costs += each[best]
        del left[best]
    for j in left:
        costs += [1.0] * int(flipped[j].detected.sum())
    return float(np.mean(costs)) if costs else 0.0


def _difference(one: Any, other: Any) -> list[float]:
    """The differences of the keypoints that either pose has."""
    diagonal = max(1.0, float(np.hypot(*one.box[2:])))
    both, either = one.detected & other.detected, one.detected | other.detected
    distance = np.hypot(*(one.keypoints - other.keypoints).T) / (FAR * diagonal)
    return np.where(both, np.minimum(1.0, np.nan_to_num(distance, nan=1.0)), 1.0)[either].tolist() or [1.0]


def _facts(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    import cv2

    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return {"width": pixels.shape[1], "height": pixels.shape[0], "thumbnail": small.tobytes().hex()}


def _encoded(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if suffix == ".jpg" else []
    done, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageError("cannot be converted for browsers")
    return bytes(data.tobytes())


if __name__ == "__main__":
    run(LabelWorker)
