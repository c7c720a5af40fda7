"""The released training augmentation of FSD50K: masks (SpecAugment) and background noise, both on spectrograms in decibels.

Formulas of the released loaders (``SpecAugment``, ``BackgroundAddMixer``, ``get_transforms_fsd_chunks``); Park et al., SpecAugment, Interspeech 2019.
Chunks last exactly 1 s, so that the released padding to 101 frames changes nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Decibels = NDArray[np.float32]

MASK_CHANCE, NOISE_CHANCE = 0.5, 0.75
MOST_ROUNDS = 2
FREQUENCY_SHARE, TIME_SHARE = 0.15, 0.20
LARGEST_NOISE = 0.5


def masked(spectrogram: Decibels, rng: np.random.Generator) -> Decibels:
    """Return ``[bands frames]`` with one or two bands of frequencies (up to 15 %) and as many spans of time (up to 20 %) at the smallest value."""
    result = spectrogram.copy()
    low = spectrogram.min()
    for _ in range(rng.integers(1, MOST_ROUNDS + 1)):
        for axis, share in enumerate((FREQUENCY_SHARE, TIME_SHARE)):
            size = spectrogram.shape[axis]
            width = int(rng.uniform(0, share) * size)
            first = int(rng.uniform(0, size - width))
            result[(slice(None),) * axis + (slice(first, first + width),)] = low
    return result


def transformed(spectrogram: Decibels, frames: int, rng: np.random.Generator) -> Decibels:
    """Return ``frames`` frames of ``[bands any]`` at a random place, with chance 1/2 after :func:`masked`."""
    if rng.random() < MASK_CHANCE:
        spectrogram = masked(spectrogram, rng)
    first = rng.integers(0, spectrogram.shape[1] - frames + 1)
    return spectrogram[:, first : first + frames]


def augmented(spectrogram: Decibels, noises: Sequence[Decibels], rng: np.random.Generator) -> Decibels:
    """Return ``[bands frames]`` transformed and, with chance 3/4, mixed with one of ``noises``: (1 - a) x + a noise, a uniform in [0, 1/2].

    ``noises`` are spectrograms ``[bands any]`` of at least as many frames; they are transformed, too.
    """
    frames = spectrogram.shape[1]
    result = transformed(spectrogram, frames, rng)
    if rng.random() < NOISE_CHANCE:
        share = np.float32(rng.uniform(0, LARGEST_NOISE))
        noise = transformed(noises[int(rng.integers(len(noises)))], frames, rng)
        result = (1 - share) * result + share * noise
    return result
