"""Waiting for a hub's client: given up when nothing comes forward, quiet, and with a progress that somebody else may show."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pare_bench.contracts.models import Progress

Result = TypeVar("Result")

#: Bytes after which a download has come forward.
STEP = 16 * 1024


class NoAnswerError(Exception):
    """Nothing came for too long, or what no hub says."""


@dataclass
class Pulse:
    """Shared by a thread that waits for a server and the one that watches it."""

    last: float = field(default_factory=time.monotonic)
    stopped: bool = False

    def beat(self) -> None:
        """Say that something has come.

        Raises:
            NoAnswerError: nobody waits for it any more.
        """
        if self.stopped:
            raise NoAnswerError
        self.last = time.monotonic()


def watched(call: Callable[[Pulse], Result], patience: float) -> Result:
    """Return ``call(pulse)``, made in a thread that is given up when its pulse has not beaten for ``patience`` seconds.

    A thread and not a timeout of the transport: that one begins anew with every byte, and does not count the time in which a name is looked up.

    Raises:
        NoAnswerError: it was given up.

    """
    from huggingface_hub import close_session

    pulse = Pulse()
    results: list[Result] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call(pulse))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    with _quiet_client():
        thread.start()
        while thread.is_alive():
            thread.join(0.05)
            if time.monotonic() - pulse.last > patience and thread.is_alive():
                pulse.stopped = True
                close_session()  # what still waits for the server wakes up
                thread.join(0.5)
                raise NoAnswerError(f"no answer for {patience:.3g} s")
    if errors:
        raise errors[0]
    return results[0]


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Let the hub's client count its downloads in small steps, ask for nothing but files, and say nothing: that becomes one error.

    With every first question a day it would also fetch a list of programs by which it tells the hub what it is called from.
    """
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    before = logger.level, constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY
    logger.setLevel(logging.CRITICAL)
    constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY = STEP, True
    try:
        yield
    finally:
        logger.setLevel(before[0])
        constants.DOWNLOAD_CHUNK_SIZE, constants.HF_HUB_DISABLE_TELEMETRY = before[1:]


@contextmanager
def told(progress: Progress | None, name: str, size: int | None) -> Iterator[Callable[[Pulse], Any]]:
    """Yield what makes the class of a progress bar whose every step is a beat; where somebody else shows progress, it draws nothing itself."""
    from huggingface_hub.utils import tqdm

    begun = False

    def bar(pulse: Pulse) -> Any:
        class Watched(tqdm):
            def __init__(self, *arguments: Any, **options: Any) -> None:
                nonlocal begun
                pulse.beat()
                if progress is not None:
                    begun = True
                    progress.begin(name, options.get("total") or size, options.get("initial") or 0)
                    options["disable"] = True
                super().__init__(*arguments, **options)

            def update(self, n: float | None = 1) -> Any:
                if n:
                    pulse.beat()
                    if progress is not None:
                        progress.advance(int(n))
                return super().update(n)

        return Watched

    try:
        yield bar
    finally:
        if progress is not None and begun:
            progress.end()
