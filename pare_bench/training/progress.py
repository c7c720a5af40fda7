"""What a run tells the outside while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class EpochReport:
    """State after an epoch of a stage (``align``, ``train``).

    ``loss`` is its mean training loss (of an alignment, the distance), ``validation`` the primary metric, by name ``metric``, on the validation
    split, None where the stage has none; ``rate`` is the learning rate of its last step.
    """

    stage: str
    epoch: int
    epochs: int
    step: int
    loss: float
    validation: float | None
    metric: str
    rate: float


def in_words(report: EpochReport) -> str:
    """Return an epoch as a display shows it."""
    score = "" if report.validation is None else f" val {report.metric} {report.validation:.4f}"
    return f"epoch {report.epoch}/{report.epochs}{score}"


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
