"""Invalid records: they stop the reading, or they are skipped and counted."""

from __future__ import annotations

from types import TracebackType

from cairn.errors import LabelError


class Problems:
    """A context manager around the reading of one record.

    A `LabelError` raised in the block is recorded and suppressed where invalid records are skipped; otherwise it
    propagates.

    Attributes:
        skip: Whether invalid records are skipped. False stops at the first.
        skipped: One message for each skipped record.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.skipped: list[str] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.skip and isinstance(error, LabelError):
            self.skipped.append(str(error))
            return True
        return False
