"""NinaPro: the gesture of a hand from a surface electromyogram of its forearm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from pare_bench import metrics
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import SPLIT_NAMES, Classes, InputShape, Metric, Split, Splits, TaskSize, Track
from pare_bench.datasets.simulated import SimulatedTask
from pare_bench.errors import IntegrityError
from pare_bench.simulators import emg

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

SUBJECTS_PER_CHUNK = 4

#: MD5 digests as a public third-party loader prints them.
MD5 = {
    "ninapro_train": "d4c33785587983348e6091e86a0d30b6",
    "label_train": "4164e7fcae3f8abed0a04fd86b704f77",
    "ninapro_val": "138b106d4374a3fc204e41f6c4deda49",
    "label_val": "f0464819f7ed56cb1cbbfafd312bd604",
    "ninapro_test": "8a2b2cf87d5a5cf3986db2d67ebcfa18",
    "label_test": "807b502000dba69ae0111063970ac5d2",
}
FOLDER = "ninaPro"


class Ninapro(SimulatedTask):
    """Sixteen electrodes x 52 samples (260 ms at 200 Hz) of a forearm's surface electromyogram -> one of 18 hand states; error rate.

    The published task is NinaPro DB5 (Pizzolato et al., PLoS ONE 12, 2017): rest and the 17 movements of exercise B. The twin excites 15
    forearm muscles per movement, fires their motor units and adds up what the electrodes of a double armband see (see
    ``pare_bench.simulators.emg``). Subjects differ in anatomy, armband rotation, skin, habits and noise; trials in effort, fatigue and
    onset. Subjects are never shared between splits or chunks (the published splits share theirs). Gestures are balanced.

    Scale: signed, band-limited (5 to 98 Hz), one fixed gain for everybody, so that the standard deviation over all examples is about 0.9;
    no normalisation, as published. The published arrays were processed by a recipe that is not fully known (rectified, high-passed).

    Official tier: the six published arrays, float32, electrodes before time, nothing else done to them. Clean track: the published 2,638 / 659 / 659
    windows; paper track: training and validation windows together. The released loss for this task is called focal, with exponent 0 and weight 1:
    -log(softmax + 1e-9), which is cross-entropy but for the 1e-9; here it is cross-entropy. The published arrays do not say whose windows they are,
    so there are no groups.

    Left out of the twin: fibre lengths and end effects, unit synchrony, muscles moving under the skin, forearm posture, motion artefacts, sessions.

    Measured at size ``cpu`` (600 training examples, error on 400): constant 0.948; a small 2-D convolution network (24 channels 3x5, average
    pooling by 4 in time, 48 channels 3x3, mean over time, dropout 0.4, linear; AdamW, one-cycle peak 5e-3, batch 32, 30 epochs, 15 s)
    0.325, 0.323, 0.323 (3 seeds). The Bayes rate is not known; the same network after 6 epochs of 6,000
    examples reaches 0.26, which bounds it from above.
    """

    name = "ninapro"
    version = 2
    streams = 1
    inputs = InputShape(1, (emg.ELECTRODES, emg.SAMPLES))
    target = Classes(len(emg.GESTURES))
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    real = None
    sizes: ClassVar = {"smoke": TaskSize(96, 48, 96), "cpu": TaskSize(600, 400, 2000)}
    preset_settings: ClassVar = {"cpu": {"budget.epochs": 12}}
    released_configurations: ClassVar = {"pare": "NINAPRO", "orca": "NINAPRO"}
    chunk = 48
    official_files = tuple(
        OfficialFile(f"{FOLDER}/{name}.npy", urls=(f"https://pde-xd.s3.amazonaws.com/ninapro/{name}.npy",), md5=md5) for name, md5 in MD5.items()
    )

    def official(self, files: Files, track: Track) -> Splits:
        """Read the published arrays, without unpickling anything."""
        return self.in_track(Splits(*(self._published(files, split) for split in SPLIT_NAMES)), track)

    def _published(self, files: Files, split: str) -> Split:
        windows, window_path = _array(files, f"{FOLDER}/ninapro_{split}.npy")
        labels, label_path = _array(files, f"{FOLDER}/label_{split}.npy")
        electrodes, samples = self.inputs.grid
        if windows.dtype.kind not in "iuf" or windows.shape[1:] != (samples, electrodes) or not len(windows):
            raise IntegrityError(
                f"'{window_path}' has type {windows.dtype} and shape {windows.shape}, numbers (n, {samples}, {electrodes}) were expected"
            )
        if not np.isfinite(windows).all():
            raise IntegrityError(f"'{window_path}' has values that are not finite")
        if labels.dtype.kind not in "iuf" or labels.shape != windows.shape[:1] or not np.isin(labels, np.arange(self.target.num)).all():
            raise IntegrityError(f"'{label_path}' does not hold {len(windows)} whole numbers from 0 to {self.target.num - 1}")
        inputs = np.ascontiguousarray(windows.astype(np.float32).transpose(0, 2, 1))[:, None]
        return Split(inputs, labels.astype(np.int64))

    def simulate(self, split: str, count: int, index: int, rng: np.random.Generator) -> Split:
        """Return ``count`` windows of four subjects (``extras["groups"]``), gestures evenly in random order."""
        labels = rng.permutation((np.arange(count) + index * count) % self.target.num)
        subject = np.arange(count) * SUBJECTS_PER_CHUNK // count
        windows = [emg.simulate_trials(labels[subject == number], emg.draw_subject(rng), rng) for number in range(SUBJECTS_PER_CHUNK)]
        first = SPLIT_NAMES.index(split) * 10**9 + index * SUBJECTS_PER_CHUNK
        inputs = np.concatenate(windows).astype(np.float32)[:, None]
        return Split(inputs, labels.astype(np.int64), {"groups": (first + subject).astype(np.int64)})


def _array(files: Files, name: str) -> tuple[NDArray[np.generic], Path]:
    path = files.path(name)
    try:
        return np.load(path, allow_pickle=False), path
    except (ValueError, EOFError, OSError) as error:
        raise IntegrityError(f"'{path}' is not a whole npy file of plain numbers: {error}") from error
