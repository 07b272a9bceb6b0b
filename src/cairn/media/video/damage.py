"""Places of damaged frames: which packets gave no frame, so that the frames after them are numbered right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class FramePlaces(Generic[T]):
    """Matches the frames that come out of a decoder with the packets that went in.

    A decoder gives frames late, in the order of display. A packet whose frame never comes is only looked for after the
    decoder reported damage: some packets have no frame of their own.

    The order of display is that of the times, if the container states them (`depth` 0). Otherwise it is that of the
    packets, from which it differs by `depth` packets at most; frames then wait until it is certain which one is lost.

    Attributes:
        depth: Maximum number of packets between the order of decoding and that of display.
    """

    depth: int = 0
    _due: dict[int, int] = field(default_factory=dict)  # key of a packet -> its place
    _lost: int = 0  # damaged packets whose place is unknown
    _until: int = 0  # the place up to which they are looked for
    _last: int = 0
    _held: list[tuple[int, T | None]] = field(default_factory=list)

    def sent(self, key: int, place: int) -> None:
        """Records a packet: a key that its frame carries too, and its place in the order of display."""
        self._due[key] = place
        self._last = max(self._last, place)

    def damaged(self) -> None:
        """Records that the decoder failed, on this packet or on an earlier one."""
        self._lost += 1
        self._until = self._last + self.depth

    def came(self, key: int | None, frame: T) -> list[tuple[int, T | None]]:
        """Takes the next frame of the decoder; returns places and frames that are certain, None for a lost one."""
        place = self._due.pop(key, None) if key is not None else None
        if place is None:  # the frame of a damaged packet may lack its key
            place = min(self._due.values(), default=self._last)
            self._due = {other: at for other, at in self._due.items() if at != place}
        self._held.append((place, frame))
        newest = max(at for at, _ in self._held)
        missing = sorted(at for at in self._due.values() if at < newest - self.depth)
        if missing:
            self._due = {other: at for other, at in self._due.items() if at not in missing}
        return self._settled(missing, newest)

    def rest(self) -> list[tuple[int, T | None]]:
        """Returns what is left after the last frame of the decoder."""
        missing = sorted(self._due.values())
        self._due = {}
        return self._settled(missing, self._until)

    def _settled(self, missing: list[int], newest: int) -> list[tuple[int, T | None]]:
        """Inserts lost frames among those that are held, and returns these unless others are still looked for."""
        for place in missing[: self._lost]:
            self._lost -= 1
            later = (i for i, (at, _) in enumerate(self._held) if at > place)
            self._held.insert(next(later, len(self._held)), (place, None))
        if self._lost and self.depth and newest < self._until:
            return []
        if newest >= self._until:
            self._lost = 0
        settled, self._held = self._held, []
        return settled
