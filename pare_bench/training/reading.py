"""Examples on their way into the loop: in the epoch's order, this process's part of each micro-batch, read ahead by a thread.

Only ``Split.take`` and slices are used, so a data set never has to be in memory.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pare_bench.contracts.examples import Examples, in_memory
from pare_bench.contracts.task import Split
from pare_bench.model.parts import Part

Augment = Callable[[Split, np.random.Generator], Split]
Item = TypeVar("Item")

#: Batches that are read before they are asked for.
_AHEAD = 2


@dataclass(frozen=True)
class MicroBatch:
    """Examples of a micro-batch that fall to this process: ``split`` holds exactly those of ``part``.

    Where the micro-batch has no example for this process, ``split`` holds one that does not count (``counted`` False): its pass keeps the
    random generators of all processes in step.
    """

    split: Split
    part: Part
    counted: bool = True


def micro_batches(
    data: Split,
    order: np.ndarray,
    batch_size: int,
    rng: np.random.Generator,
    augment: Augment | None,
    share: Callable[[int], Part],
) -> Generator[MicroBatch, None, None]:
    """Yield the micro-batches of an epoch in ``order``; the last one may be smaller. ``share(examples)`` is this process's part of one.

    Augmentation draws for a whole micro-batch, so then every process reads all of it; without augmentation each reads its part alone.
    """

    def read() -> Generator[MicroBatch, None, None]:
        for start in range(0, len(order), batch_size):
            indices = order[start : start + batch_size]
            part = share(len(indices))
            counted = len(part) > 0
            if not counted:
                part = Part(0, 1, len(indices))
            if augment is None:
                yield MicroBatch(data.take(indices[part.start : part.stop]), part, counted)
                continue
            split = augment(data.take(indices), rng)
            yield MicroBatch(split if part.whole else cut(split, part.start, part.stop), part, counted)

    held = all(in_memory(array) for array in (data.inputs, data.targets, *data.extras.values()))
    # Copying from memory is cheaper than handing over from a thread.
    return read() if held and augment is None else ahead(read())


def evaluation_batches(inputs: Examples, starts: Iterable[int], size: int) -> Generator[np.ndarray, None, None]:
    """Yield ``inputs[start : start + size]`` for each of ``starts``, read ahead where they are not in memory."""
    batches = (np.asarray(inputs[start : start + size]) for start in starts)
    return batches if in_memory(inputs) else ahead(batches)


def cut(split: Split, start: int, stop: int) -> Split:
    """Return examples ``start`` to ``stop`` of a split that is in memory."""
    return Split(split.inputs[start:stop], split.targets[start:stop], {name: array[start:stop] for name, array in split.extras.items()})


def ahead(items: Iterator[Item], depth: int = _AHEAD) -> Generator[Item, None, None]:
    """Yield ``items`` in their order, at most ``depth`` of them made ahead by one thread. Close the result when it is not used up.

    One thread, because readers of files are rarely safe in two; an error of the thread is raised where its item would have come.
    """
    handed: queue.Queue[_Handed[Item]] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_make, args=(items, handed, stop), name="pare-bench reading", daemon=True)
    thread.start()
    try:
        while True:
            taken = handed.get()
            if taken.error is not None:
                raise taken.error
            if not taken.items:
                return
            yield taken.items[0]
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class _Handed(Generic[Item]):
    items: list[Item]
    error: BaseException | None = None


def _make(items: Iterator[Item], handed: queue.Queue[_Handed[Item]], stop: threading.Event) -> None:
    """Put every item, then the end or an error, where the asking thread takes them; give up when it has stopped."""
    try:
        made = (_Handed([item]) for item in items)
        if all(_put(handed, item, stop) for item in made):
            _put(handed, _Handed([]), stop)
    except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
        _put(handed, _Handed([], error), stop)


def _put(handed: queue.Queue[_Handed[Item]], value: _Handed[Item], stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            handed.put(value, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
