"""Log-mel spectrograms as the published FSD50K pipeline computes them from one-second chunks at 22,050 Hz.

Power spectrogram (centred frames with reflected edges, periodic Hann window of 661 samples in the middle of a transform of 1920, hop 220), 96
triangular bands of height 1 between 0 and 11,025 Hz on the mel scale 2595 log10(1 + f / 700) (O'Shaughnessy; "HTK", no area normalisation:
torchaudio's defaults), decibels with reference 1, floor 1e-10 and 80 dB below the chunk's maximum, chunk mean subtracted, one zero column
appended. Adding a constant before the mean is subtracted, as the published code does, changes nothing and is left out.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

RATE_HZ = 22_050
CHUNK = 22_050
TRANSFORM, WINDOW, HOP, BANDS = 1920, 661, 220, 96
FRAMES = 1 + CHUNK // HOP
COLUMNS = FRAMES + 1
POWER_FLOOR, TOP_DB = 1e-10, 80.0


@cache
def filterbank() -> NDArray[np.float32]:
    """Return the triangles ``[961 bins, 96 bands]``."""
    top = 2595.0 * np.log10(1.0 + RATE_HZ / 2 / 700.0)
    corners = 700.0 * (10.0 ** (np.linspace(0.0, top, BANDS + 2) / 2595.0) - 1.0)
    bins = np.linspace(0.0, RATE_HZ / 2, TRANSFORM // 2 + 1)[:, None]
    up = (bins - corners[:-2]) / np.diff(corners)[:-1]
    down = (corners[2:] - bins) / np.diff(corners)[1:]
    return np.maximum(np.minimum(up, down), 0.0).astype(np.float32)


@cache
def _window() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def mel_decibels(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return decibels ``[96 frames]`` of a sound in [-1, 1], limited to 80 dB below its maximum; 101 frames of a chunk ``[22050]``."""
    padded = np.pad(np.asarray(audio, dtype=np.float32), TRANSFORM // 2, mode="reflect")
    # The window is zero outside its middle 661 samples, and a shift does not change the power: transform those alone.
    first = (TRANSFORM - WINDOW) // 2
    frames = np.lib.stride_tricks.sliding_window_view(padded[first:], WINDOW)[: len(audio) + 1 : HOP]
    spectrum = rfft(frames * _window(), TRANSFORM, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) @ filterbank()
    decibels = 10.0 * np.log10(np.maximum(power, POWER_FLOOR)).T
    return np.asarray(np.maximum(decibels, decibels.max() - TOP_DB), dtype=np.float32)


def features(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the network's input ``[96 102]`` for one chunk ``[22050]``: decibels minus their mean, then a column of zeros."""
    decibels = mel_decibels(audio)
    return np.pad(decibels - decibels.mean(), ((0, 0), (0, COLUMNS - FRAMES)))
