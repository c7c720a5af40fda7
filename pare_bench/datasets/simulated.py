"""Tasks whose data come from a simulator, run chunk by chunk, in parallel worker processes where that pays."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from joblib import Parallel, delayed

from pare_bench.contracts.task import SPLIT_NAMES, Split, Splits, Task, TaskSize
from pare_bench.seeds import stream


class SimulatedTask(Task):
    """A task whose generated tier comes from a simulator, in chunks of ``chunk`` examples.

    Chunk i of a split always draws from the stream (task, version, seed, split, i), whatever the size and the number of workers. So a larger
    size extends a smaller one, and chunks can be made in parallel with the same bytes. A version that only makes splits larger keeps the streams of
    the one before (``streams``).
    """

    #: Version whose random streams the data are drawn from, where a later one has the same data and more of them; None: the task's own.
    streams: ClassVar[int | None] = None
    chunk: ClassVar[int] = 50

    @abstractmethod
    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` examples of chunk ``index`` of ``split``, all randomness from ``rng``."""

    def generated(self, seed: int, size: TaskSize) -> Splits:
        """Simulate all chunks; see :func:`pare_bench.datasets.generate.generate_splits`."""
        from pare_bench.datasets.simulated import generate_splits

        return generate_splits(self, seed, size)


def generate_splits(task: SimulatedTask, seed: int, size: TaskSize, workers: int | None = None) -> Splits:
    """Simulate all three splits of ``task``.

    ``workers`` is the number of processes (default: the processors of this machine, at most 8; 1 stays in this process). It changes the
    speed only: the bytes are a function of task, version, seed and size.
    """
    counts = {name: getattr(size, name) for name in SPLIT_NAMES}
    jobs = [(name, index) for name in SPLIT_NAMES for index in range(-(-counts[name] // task.chunk))]
    workers = min(workers or min(os.cpu_count() or 1, 8), len(jobs))
    if workers <= 1:
        chunks = [simulate_chunk(task, seed, name, index) for name, index in jobs]
    else:
        # joblib's fresh processes, not a fork (the parent may already run torch's threads, which do not survive one) and not the standard
        # library's spawn (it runs the caller's main module again, which breaks scripts without a guard).
        chunks = Parallel(n_jobs=workers)(delayed(simulate_chunk)(task, seed, name, index) for name, index in jobs)
    return Splits(
        **{name: _join([chunk for (owner, _), chunk in zip(jobs, chunks, strict=True) if owner == name], counts[name]) for name in SPLIT_NAMES}
    )


def simulate_chunk(task: SimulatedTask, seed: int, split: str, index: int) -> Split:
    """Simulate one whole chunk; a top-level function so that worker processes can find it."""
    return task.simulate(split, task.chunk, index, stream(task.name, task.streams or task.version, seed, split, index))


def _join(chunks: list[Split], count: int) -> Split:
    extras = {name: np.concatenate([chunk.extras[name] for chunk in chunks])[:count] for name in chunks[0].extras}
    return Split(
        np.concatenate([chunk.inputs for chunk in chunks])[:count],
        np.concatenate([chunk.targets for chunk in chunks])[:count],
        extras,
    )
