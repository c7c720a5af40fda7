"""Between hooks and a store: nothing happens unless a variable names a place, and what goes wrong with it is one line and touches no run."""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """A place in which runs are written down."""

    def started(self, run_id: str, config: Any) -> None:
        """A run begins, or goes on in another process."""

    def epoch(self, run_id: str, stage: str, epoch: int, loss: float, score: float | None, rate: float) -> None:
        """An epoch has ended."""

    def finished(self, run_id: str, record: Any) -> None:
        """A run has ended, whether this process has seen it begin or not."""


class Guard:
    """Hands what is told to the tracker of the place that ``variable`` names; ``module`` has its class, ``Store``."""

    def __init__(self, variable: str, module: str, needs: str) -> None:
        self.variable, self.module, self.needs = variable, module, needs
        self._trackers: dict[Path, Tracker] = {}
        self._given_up: set[str] = set()
        #: Kinds of errors that have been told: their texts name runs, and of a hundred runs one line is wanted.
        self._told: set[type[Exception]] = set()

    def call(self, what: str, run_id: str, *told: Any) -> None:
        """Tell the tracker; once it has failed with a run, it is told of its end alone, which brings what is missing."""
        text = os.environ.get(self.variable, "").strip()
        if what == "started":
            self._given_up.discard(run_id)
        if not text or (run_id in self._given_up and what != "finished"):
            return
        try:
            getattr(self._tracker(text), what)(run_id, *told)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way; training is worth more than its picture
            self._given_up.add(run_id)
            if type(error) not in self._told:
                self._told.add(type(error))
                line = f"{self.variable}='{text}': {_in_words(error, self.needs)}; runs go on without"
                warnings.warn(line, RuntimeWarning, stacklevel=2)

    def _tracker(self, text: str) -> Tracker:
        if "://" in text:
            raise ValueError("takes a path on this machine, no address: nothing here opens a connection")
        # A method may change the current folder for itself.
        place = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - a link stays a link
        if place not in self._trackers:
            self._trackers[place] = importlib.import_module(self.module).Store(place)
        return self._trackers[place]


def _in_words(error: Exception, needs: str) -> str:
    if isinstance(error, ImportError):
        return f"{error} (pip install '{needs}')"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
