"""What becomes of a record that cannot be used: it stops the reading, or it is left out and counted."""

from __future__ import annotations

from types import TracebackType

from cairn.errors import LabelError


class Faults:
    """Used in a with block around each record: a LabelError in it ends there where records are to be skipped.

    skip     leave bad records out; False lets the first error pass
    skipped  one line for each that was left out
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
