"""ECG: the rhythm in a window of a single-lead electrocardiogram."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, SimulatedTask, Split, TaskSize
from pare_bench.simulators import ecg

WINDOW = 1000
SECONDS = 10.0
# Per class (normal, fibrillation, other, noise): recordings in a chunk and samples between window starts; 12 windows of each class.
RECORDINGS = (6, 3, 4, 3)
STRIDES = (1000, 500, 667, 500)


def recording_f1_error(outputs: NDArray[np.floating], split: Split) -> float:
    """Return 1 - macro F1 over recordings: each takes the class that most of its windows vote for (the lower class on a tie)."""
    _, first, recording = np.unique(split.extras["groups"], return_index=True, return_inverse=True)
    votes = np.zeros((len(first), outputs.shape[1]))
    np.add.at(votes, (recording, np.argmax(outputs, axis=1)), 1.0)
    return metrics.macro_f1_error(votes, split.targets[first])


class Ecg(SimulatedTask):
    """DOC"""

    name = "ecg"
    version = 1
    inputs = InputShape(1, (WINDOW,))
    target = Classes(4)
    metrics = (
        Metric("macro_f1_error", lambda outputs, split: metrics.macro_f1_error(outputs, split.targets)),
        Metric("macro_f1_error_recordings", recording_f1_error),
    )
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    chunk = 48

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return the first ``count`` (at most 48) windows of 16 whole recordings in random order; ``extras["groups"]`` numbers the recordings."""
        windows, labels, groups = [], [], []
        first = SPLIT_NAMES.index(split) * 10**9 + index * sum(RECORDINGS)
        for place, label in enumerate(rng.permutation(np.repeat(np.arange(4), RECORDINGS))):
            signal = ecg.record(int(label), SECONDS, rng)
            signal = (signal - signal.mean()) / signal.std()
            for start in range(0, len(signal) - WINDOW, STRIDES[label]):
                windows.append(signal[start : start + WINDOW])
                labels.append(label)
                groups.append(first + place)
        inputs = np.array(windows, dtype=np.float32)[:count, None, :]
        return Split(inputs, np.array(labels, dtype=np.int64)[:count], {"groups": np.array(groups, dtype=np.int64)[:count]})
