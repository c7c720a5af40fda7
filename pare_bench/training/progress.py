"""What a run tells the outside while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class EpochReport:
    """State after an epoch. ``validation`` is the primary metric on the validation split."""

    epoch: int
    epochs: int
    step: int
    loss: float
    validation: float
    metric: str


class Reporter(Protocol):
    """Receives progress; the command line draws it, tests ignore it."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage (prepare, align, train, evaluate) begins; ``total`` steps are expected, None when unknown."""

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Some steps of the stage are done."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch has ended."""

    def note(self, text: str) -> None:
        """Something happened that changes how the run goes on, but not its result; one line."""


class Silent:
    """A reporter that says nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Ignore."""

    def advance(self, steps: int = 1, loss: float | None = None) -> None:
        """Ignore."""

    def epoch(self, report: EpochReport) -> None:
        """Ignore."""

    def note(self, text: str) -> None:
        """Ignore."""
