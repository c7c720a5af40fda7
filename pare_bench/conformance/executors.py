"""Checks of executors: a handful of items that pretend to be runs, one of which kills its worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

from pare_bench.conformance.reporting import class_problems, collect
from pare_bench.contracts.executor import Executor, Outcome, WorkItem
from pare_bench.contracts.params import Params
from pare_bench.errors import PluginError

#: Seconds that an item takes, so that two at a time would meet.
_TAKES = 0.2
_PLAIN = {"numbers": [1, 2.5, None], "text": "ü"}
_BUSY = threading.Lock()


def check_executor(component: Any, params: Params) -> list[str]:
    """Return in what ``component`` breaks the contract of :class:`~pare_bench.contracts.executor.Executor`.

    Items are carried out by an importable function that returns at once what it was given; where the executor leaves this process, one item ends
    its worker with ``os._exit``, and must come back as lost while the others come back whole.
    """
    return collect(_problems(component, params))


def pretend(item: WorkItem) -> Outcome:
    """Carry out one pretended run: give back what came, or end this process, as ``item.label`` says.

    Raises:
        PluginError: another item is carried out in this process, in another thread.
    """
    if not _BUSY.acquire(blocking=False):
        raise PluginError("two runs at a time in one process")
    try:
        time.sleep(_TAKES)
        if item.label == "dies" and item.config["checker"] != os.getpid():
            os._exit(3)
        return Outcome(item.number, record={"label": item.label, "config": dict(item.config)})
    finally:
        _BUSY.release()


def _problems(component: Any, params: Params) -> Iterator[str]:
    found = list(class_problems(component, Executor))
    yield from found
    if found:
        return
    yield from _whole(component(params), ["one", "two", "three", "four"])
    yield from _empty(component(params))
    if component.in_process:
        return
    yield from _whole(component(params), ["one", "dies", "two", "three"])
    yield from _closed_early(component(params))


def _items(labels: list[str]) -> Iterator[WorkItem]:
    for number, label in enumerate(labels):
        yield WorkItem(
            number, label, f"{number:016x}", {"label": label, "checker": os.getpid(), **_PLAIN}, str(Path.cwd()), "pare-bench check", {"resume": True}
        )


def _whole(executor: Executor, labels: list[str]) -> Iterator[str]:
    """Yield what is wrong with the outcomes of a few items."""
    try:
        outcomes = list(executor.map(pretend, _items(labels)))
    except PluginError as error:
        yield f"carries out {error}: runs seed the random generators of their process, so no score would be its seed's"
        return
    strange = [outcome for outcome in outcomes if not isinstance(outcome, Outcome)]
    if strange:
        yield f"yields {strange[0]!r:.60}, not an Outcome"
        return
    numbers = sorted(outcome.number for outcome in outcomes)
    if numbers != list(range(len(labels))):
        yield f"yields outcomes of the items {numbers}, asked for {list(range(len(labels)))}, each once"
        return
    for outcome in outcomes:
        label = labels[outcome.number]
        if label == "dies":
            if outcome.record is not None:
                yield "carries items out in this process, which in_process = True would say"
            elif outcome.lost is None:
                yield f"yields {outcome!r:.80} of a worker that has died, not Outcome(number, lost=...)"
        elif outcome.lost is not None:
            # Its neighbour has died: that is no reason.
            yield f"loses items whose worker has not died: {outcome.lost}"
        elif outcome.record != {"label": label, "config": {"label": label, "checker": os.getpid(), **_PLAIN}}:
            yield f"changes what the work returns: {outcome.record!r:.80}"


def _empty(executor: Executor) -> Iterator[str]:
    outcomes = list(executor.map(pretend, iter(())))
    if outcomes:
        yield f"yields {outcomes[0]!r:.60} where there is nothing to do"


def _closed_early(executor: Executor) -> Iterator[str]:
    """Yield a problem where worker processes stay behind when the caller stops early, as after Ctrl-C."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    outcomes: Any = executor.map(pretend, _items(["one", "two", "three", "four"]))
    if not hasattr(outcomes, "close"):
        yield "map is no generator: it cannot be closed, and its workers would go on after Ctrl-C"
        return
    with closing(outcomes):
        next(outcomes)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before and _works(child)]
    if left:
        yield f"leaves {len(left)} worker processes behind when its generator is closed, as after Ctrl-C"


def _works(process: psutil.Process) -> bool:
    """Return whether a process is one that works; multiprocessing's own helper stays until the end."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline())
    except psutil.Error:
        return False
