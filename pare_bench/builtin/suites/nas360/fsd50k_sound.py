"""The sound of FSD50K's chunks and of the background noises, read from wav files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets import wav
from pare_bench.errors import IntegrityError
from pare_bench.simulators import mel

HOP = mel.CHUNK // 2


def starts(length: int) -> range:
    """Return where the chunks of a clip of ``length`` samples begin: every half second, the last one partial; a short clip has one."""
    return range(0, length if length >= mel.CHUNK else 1, HOP)


def whole(path: Path) -> NDArray[np.float32]:
    """Return the sound ``[samples]`` of a file at 22,050 Hz, repeated to 1 s where it is shorter.

    Raises:
        IntegrityError: it is not a 16-bit wav file at 22,050 Hz.
    """
    sound = wav.opened(path)
    if sound.rate_hz != mel.RATE_HZ:
        raise IntegrityError(f"'{path}' is sampled at {sound.rate_hz} Hz, {mel.RATE_HZ} were expected")
    return _repeated(wav.resampled(sound, 0, sound.samples))


def chunk_file(paths: Sequence[str], chunk: int) -> NDArray[np.float32]:
    """Return the sound ``[22050]`` of the published chunk ``paths[chunk]``.

    Raises:
        IntegrityError: it is not a 16-bit wav file of at most 1 s at 22,050 Hz.
    """
    sound = whole(Path(paths[chunk]))
    if len(sound) != mel.CHUNK:
        raise IntegrityError(f"'{paths[chunk]}' lasts {len(sound)} samples, a chunk of at most {mel.CHUNK} was expected")
    return sound


def chunk_of_clip(sounds: Sequence[wav.Sound], places: Sequence[tuple[int, int]], chunk: int) -> NDArray[np.float32]:
    """Return the sound ``[22050]`` of a chunk whose clip and start are ``places[chunk]``, repeated to 1 s where the clip ends before.

    Raises:
        IntegrityError: the file cannot be read there.
    """
    clip, start = places[chunk]
    return _repeated(wav.resampled(sounds[clip], start, min(mel.CHUNK, sounds[clip].length - start)))


def convert_noises(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return the noises' ``spectrograms`` ``[all frames, 96]`` one after the other, and ``bounds`` ``[files + 1]``."""
    parts = [_centred(whole(path)).T for path in sources]
    return {"spectrograms": np.concatenate(parts), "bounds": np.cumsum([0, *map(len, parts)], dtype=np.int64)}


def _centred(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    decibels = mel.mel_decibels(sound)
    return np.asarray(decibels - decibels.mean(), dtype=np.float32)


def _repeated(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.resize(sound, mel.CHUNK) if len(sound) < mel.CHUNK else sound
