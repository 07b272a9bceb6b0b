"""What readers could not use: invalid records, which stop the reading or are skipped, and notes about the rest."""

from __future__ import annotations

from types import TracebackType

from cairn.errors import LabelError


class Problems:
    """A context manager around the reading of one record.

    A `LabelError` raised in the block is recorded and suppressed where invalid records are skipped; otherwise it
    propagates.

    Attributes:
        skip: Whether invalid records are skipped. False stops at the first.
        log_notes: Whether `read_labels` logs the notes as warnings; False for callers that report them themselves.
        skipped: One message for each skipped record.
    """

    def __init__(self, skip: bool = False, log_notes: bool = True) -> None:
        self.skip = skip
        self.log_notes = log_notes
        self.skipped: list[str] = []
        self._notes: dict[str, tuple[int, str]] = {}

    def note(self, what: str, example: str = "") -> None:
        """Notes optional information that cannot be used, while the record that has it is kept.

        Args:
            what: What happened, in the plural: the same text for each case, such as `limbs that cannot be used are
                ignored`.
            example: Where, and the value. The first one of each text is kept.
        """
        count, first = self._notes.get(what, (0, example))
        self._notes[what] = count + 1, first

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each text that was noted, with its count and first example."""
        return tuple(
            what if not first else f"{what}: {first}" if count == 1 else f"{what}: {count}, the first is {first}"
            for what, (count, first) in self._notes.items()
        )

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self.skip and isinstance(error, LabelError):
            self.skipped.append(str(error))
            return True
        return False
