"""Base class of all predictors: image -> network -> decoder -> poses in image pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.errors import ImageError, LabelError
from cairn.inference.model_spec import ModelSpec
from cairn.inference.network import Maps, MapsOfImage, Network
from cairn.inference.stream import Frame, OnError, StreamBoxes, StreamOptions, open_stream
from cairn.media.inputs import ImageLike, as_image, as_images, describe, is_batch
from cairn.structures.poses import Poses
from cairn.structures.skeleton import Skeleton

if TYPE_CHECKING:
    from cairn.inference.protocol import Predictor
    from cairn.media.reading import SourceLike

Raw = TypeVar("Raw")
"""Type of the values that a predictor passes from `infer` to `decode_raw`."""

Decode: TypeAlias = Callable[[Maps], Poses]
"""Decoder of a method: the maps of one image, name -> (C, h, w), to poses in map cells."""

BATCH = 8
"""Maximum number of images that the network runs on at once; memory does not grow with the size of a batch."""


class BasePredictor(ABC, Generic[Raw]):
    """Detects instances in two steps, so that one image can be decoded while the network runs on the next.

    `infer` runs the network; `decode_raw` needs numpy alone.
    """

    @property
    @abstractmethod
    def spec(self) -> ModelSpec:
        """The specification of the model."""

    @property
    @abstractmethod
    def networks(self) -> tuple[Network, ...]:
        """The networks that the predictor runs, the first one first."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.spec.name

    @property
    def skeleton(self) -> Skeleton:
        """Keypoints of the poses, and the limbs that are drawn; `spec.skeleton` has those used for grouping, too."""
        return self.spec.skeleton.shown

    @property
    def device(self) -> str:
        """The device in use, such as "cpu" or "cuda:0"."""
        return self.networks[0].device

    @property
    def threads(self) -> int:
        """Number of CPU cores that the network uses for one image; 0 is all."""
        return self.networks[0].threads

    @property
    def plain(self) -> Predictor:
        """The predictor of frames of videos, and of maps: without what single images get by default."""
        return self

    @property
    def has_maps(self) -> bool:
        """Whether `stream` can keep the output maps of the whole image: `infer` of `plain` gives them."""
        return False

    @abstractmethod
    def infer(self, pixels: NDArray[np.uint8], boxes: ArrayLike | None = None) -> Raw:
        """Runs the network on one image (H, W, 3) uint8 RGB."""

    @abstractmethod
    def decode_raw(self, raw: Raw) -> Poses:
        """Returns the poses, in image pixels, of what `infer` returned."""

    def infer_batch(self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[ArrayLike | None]) -> list[Raw]:
        """Runs the network on several images; the results equal those of `infer` on each."""
        return [self.infer(image, own) for image, own in zip(images, boxes, strict=True)]

    def maps_of(self, raw: Raw) -> MapsOfImage | None:
        """Returns the output maps of the whole image; None where `has_maps` is False."""
        return None

    @overload
    def __call__(self, image: ImageLike, boxes: ArrayLike | None = None) -> Poses: ...

    @overload
    def __call__(
        self, image: list[Any] | tuple[Any, ...], boxes: Sequence[ArrayLike | None] | None = None
    ) -> list[Poses]: ...

    def __call__(self, image: Any, boxes: Any = None) -> Any:
        """Returns the poses in an image, in its pixels.

        Args:
            image: An image; or a batch, as a list, a tuple or an array (B, H, W, 3), which gives a list of poses.
            boxes: (P, 4) x, y, width, height in pixels, for models of one instance per crop; of a batch one such
                array for each image. None: one instance, which fills the image.

        Raises:
            ImageError: The image cannot be read, or is something else.
            LabelError: A box is invalid.
            ModelError: The model takes no boxes.
        """
        if is_batch(image):
            return self.batch(image, boxes)
        pixels = as_image(image)
        return replace(self.decode_raw(self.infer(pixels, boxes)), image=pixels)

    def batch(
        self, images: Sequence[ImageLike] | NDArray[np.uint8], boxes: Sequence[ArrayLike | None] | None = None
    ) -> list[Poses]:
        """Returns the poses of each image of a batch, equal to those of single calls.

        Images whose network inputs have one size run through the network together, `BATCH` at most.

        Args:
            images: Images, as a sequence or an array (B, H, W, 3).
            boxes: Boxes of each image, as `__call__` takes them.

        Raises:
            ImageError: An image is invalid, or `images` is no batch.
            LabelError: A box is invalid, or `boxes` has another length than `images`.
            ModelError: The model takes no boxes.
        """
        if isinstance(images, str | bytes) or not isinstance(images, Sequence | np.ndarray):
            raise ImageError(f"a batch is a list of images, or an array (B, H, W, 3); got {describe(images)}")
        given = [None] * len(images) if boxes is None else list(boxes)
        if len(given) != len(images):
            raise LabelError(f"a batch of {len(images)} images needs boxes for each image, got boxes for {len(given)}")
        poses: list[Poses] = []
        for start in range(0, len(images), BATCH):
            pixels = as_images(images[start : start + BATCH])
            raws = self.infer_batch(pixels, given[start : start + BATCH])
            poses += [replace(self.decode_raw(raw), image=one) for raw, one in zip(raws, pixels, strict=True)]
        return poses

    def stream(
        self,
        source: SourceLike,
        *,
        track: bool = False,
        smooth: float = 0.0,
        min_confidence: float = 0.0,
        threads: int = 0,
        rate: float = 25.0,
        boxes: StreamBoxes = None,
        on_error: OnError = "warn",
        maps: bool = False,
        reconnect: int = 0,
    ) -> Iterator[Frame]:
        """Returns an iterator over the frames of a source, with poses.

        Reading, inference and decoding of different frames overlap. Closing the iterator stops all threads.

        Args:
            source: A video, webcam number, address (rtsp://, rtmp://, http://), image, folder, glob, numbered images
                (`frame_%05d.png`), a list of these, or images in memory.
            track: Assign track IDs; they restart for each clip.
            smooth: Strength of temporal smoothing with `track`: 0 is none, 1 the default of the command line's docs.
            min_confidence: Minimum keypoint confidence to keep.
            threads: Number of CPU cores; 0 is all.
            rate: Frames per second of numbered images and images in memory.
            boxes: Boxes for models of one instance per crop: (P, 4) for every image, or path -> (P, 4).
            on_error: "warn" logs what cannot be read and skips it, and raises the last error where no frame can be
                read; "raise" raises each error; "yield" yields a frame with `error` set. A damaged frame of a video is
                yielded in each case, without image and poses.
            maps: Keep the output maps of the network in `Frame.maps`.
            reconnect: Number of attempts to open a stream or webcam again that broke off.

        Raises:
            ImageError: The source names nothing.
            CairnError: An option is invalid for this predictor.
        """
        options = StreamOptions(track, smooth, min_confidence, threads, rate, boxes, on_error, maps, reconnect)
        return open_stream(self, source, options)

    def __repr__(self) -> str:
        """One line: class, model, task, number of keypoints, device."""
        return f"{type(self).__name__}({self.name!r}, task={self.spec.task!r}, K={len(self.skeleton)}, {self.device})"


def to_input(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns an image (h, w, 3) uint8 as network input (1, 3, h, w) float32, from 0 to 255."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32)
