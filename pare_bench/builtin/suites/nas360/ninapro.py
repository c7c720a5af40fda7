"""NinaPro: the gesture of a hand from a surface electromyogram of its forearm."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from pare_bench import metrics
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, SimulatedTask, Split, TaskSize
from pare_bench.simulators import emg

SUBJECTS_PER_CHUNK = 4


class Ninapro(SimulatedTask):
    """Sixteen electrodes x 52 samples (260 ms at 200 Hz) of a forearm's surface electromyogram -> one of 18 hand states; error rate.

    The published task is NinaPro DB5 (Pizzolato et al., PLoS ONE 12, 2017): rest and the 17 movements of exercise B. The twin excites 15
    forearm muscles per movement, fires their motor units and adds up what the electrodes of a double armband see (see
    ``pare_bench.simulators.emg``). Subjects differ in anatomy, armband rotation, skin, habits and noise; trials in effort, fatigue and
    onset. Subjects are never shared between splits or chunks (the published splits share theirs). Gestures are balanced.

    Scale: signed, band-limited (5 to 98 Hz), one fixed gain for everybody, so that the standard deviation over all examples is about 0.9;
    no normalisation, as published. The published arrays were processed by a recipe that is not fully known (rectified, high-passed).

    Left out: fibre lengths and end effects, unit synchrony, muscles moving under the skin, forearm posture, motion artefacts, sessions.

    Measured at size ``cpu`` (600 training examples, test error): constant 0.948; a small 2-D convolution network (24 channels 3x5, average
    pooling by 4 in time, 48 channels 3x3, mean over time, dropout 0.4, linear; AdamW, one-cycle peak 5e-3, batch 32, 30 epochs, 15 s)
    0.325, 0.323, 0.323 (3 seeds). The Bayes rate is not known; the same network after 6 epochs of 6,000
    examples reaches 0.26, which bounds it from above.
    """

    name = "ninapro"
    version = 1
    inputs = InputShape(1, (emg.ELECTRODES, emg.SAMPLES))
    target = Classes(len(emg.GESTURES))
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 200, 400)}
    chunk = 48

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` windows of four subjects (``extras["groups"]``), gestures evenly in random order."""
        labels = rng.permutation((np.arange(count) + index * count) % self.target.num)
        subject = np.arange(count) * SUBJECTS_PER_CHUNK // count
        windows = [emg.simulate_trials(labels[subject == number], emg.draw_subject(rng), rng) for number in range(SUBJECTS_PER_CHUNK)]
        first = SPLIT_NAMES.index(split) * 10**9 + index * SUBJECTS_PER_CHUNK
        inputs = np.concatenate(windows).astype(np.float32)[:, None]
        return Split(inputs, labels.astype(np.int64), {"groups": (first + subject).astype(np.int64)})
