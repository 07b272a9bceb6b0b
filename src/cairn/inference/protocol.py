"""The `Predictor` protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cairn.inference.network import Network
from cairn.inference.stream import Frame, OnError, StreamBoxes, StreamPredictor
from cairn.media.inputs import ImageLike
from cairn.structures.poses import Poses

if TYPE_CHECKING:
    from cairn.media.reading import SourceLike


class Predictor(StreamPredictor, Protocol):
    """Detects the instances of an image: what `cairn.load` returns.

    `cairn.inference.base.BasePredictor` documents each method.
    """

    @property
    def device(self) -> str:
        """The device in use, such as "cpu" or "cuda:0"."""
        ...

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks that the predictor runs, the first one first."""
        ...

    @property
    def plain(self) -> Predictor:
        """The predictor of frames of videos, and of maps."""
        ...

    @overload
    def __call__(self, image: ImageLike, boxes: ArrayLike | None = None) -> Poses: ...

    @overload
    def __call__(
        self, image: list[Any] | tuple[Any, ...], boxes: Sequence[ArrayLike | None] | None = None
    ) -> list[Poses]: ...

    def __call__(self, image: Any, boxes: Any = None) -> Any:
        """Returns the poses in an image, or in each image of a batch."""
        ...

    def batch(
        self, images: Sequence[ImageLike] | NDArray[np.uint8], boxes: Sequence[ArrayLike | None] | None = None
    ) -> list[Poses]:
        """Returns the poses in each image of a batch."""
        ...

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
        """Returns an iterator over the frames of a source, with poses."""
        ...
