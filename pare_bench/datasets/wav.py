"""Parts of 16-bit PCM wav files as one channel at 22,050 Hz."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.errors import IntegrityError

RATE_HZ = 22_050
#: Rates that sound is recorded at; the filter that changes one is as long as the rate, and a damaged header would have it fill the memory.
RATES_HZ = (1_000, 384_000)
#: Half the length of scipy's resampling filter, in periods of the slower of both rates.
FILTER_PERIODS = 10


@dataclass(frozen=True)
class Sound:
    """A wav file and what its header says: sampling rate in Hz and samples per channel."""

    path: Path
    rate_hz: int
    samples: int

    @property
    def length(self) -> int:
        """Return the number of samples at 22,050 Hz, rounded up."""
        return -(-self.samples * RATE_HZ // self.rate_hz)


def opened(path: Path) -> Sound:
    """Return the sound in ``path`` after reading its header.

    Raises:
        IntegrityError: it is not a wav file with 16-bit samples, has a sampling rate that no sound has, or it is empty.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise IntegrityError(f"'{path}' has samples of {8 * file.getsampwidth()} bits, 16 were expected")
            if not file.getnframes():
                raise IntegrityError(f"'{path}' holds no sound")
            if not RATES_HZ[0] <= file.getframerate() <= RATES_HZ[1]:
                raise IntegrityError(f"'{path}' has a sampling rate of {file.getframerate()} Hz, {RATES_HZ[0]} to {RATES_HZ[1]} were expected")
            return Sound(path, file.getframerate(), file.getnframes())
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise IntegrityError(f"'{path}' is not a 16-bit PCM wav file: {error or 'it ends early'}") from error


def samples(sound: Sound, start: int, count: int) -> NDArray[np.float64]:
    """Return ``count`` samples from ``start``, as stored, in [-1, 1), the mean of all channels.

    Raises:
        IntegrityError: the file has changed or ends before its header says.
    """
    try:
        with wave.open(str(sound.path), "rb") as file:
            channels = file.getnchannels()
            file.setpos(start)
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise IntegrityError(f"'{sound.path}' cannot be read at sample {start}: {error or 'it ends early'}") from error
    if len(data) != 2 * channels * count:
        raise IntegrityError(f"'{sound.path}' ends early: {sound.samples} samples were announced")
    return np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1) / 32768.0


def resampled(sound: Sound, start: int, count: int) -> NDArray[np.float32]:
    """Return ``count`` samples from ``start``, both at 22,050 Hz, rounded to 16 bits as the published chunks are.

    Only what the filter (scipy's polyphase resampling, Kaiser window 5.0) needs is read; the values are those of resampling the whole file.
    """
    if sound.rate_hz == RATE_HZ:
        return samples(sound, start, count).astype(np.float32)
    from scipy.signal import resample_poly

    divisor = gcd(sound.rate_hz, RATE_HZ)
    up, down = RATE_HZ // divisor, sound.rate_hz // divisor
    margin = FILTER_PERIODS * max(up, down) // up + 1
    # A start at a multiple of the decimation keeps the output on the whole file's grid.
    first = max(0, (start * down // up - margin) // down * down)
    last = min(sound.samples, -(-(start + count) * down // up) + margin)
    part = resample_poly(samples(sound, first, last - first), up, down)
    offset = start - first * up // down
    steps = np.clip(np.rint(part[offset : offset + count] * 32768), -32768, 32767)
    return (steps / 32768).astype(np.float32)
