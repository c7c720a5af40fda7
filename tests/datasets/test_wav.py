"""Wav files with headers that no recording has."""

from __future__ import annotations

import wave

import pytest

from pare_bench.datasets.wav import opened, resampled
from pare_bench.errors import IntegrityError


def written(path, rate):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(200))
    return path


@pytest.mark.parametrize("rate", [1, 999, 384_001, 939_546_146])
def test_a_rate_that_no_sound_has_is_refused_before_a_filter_is_made_for_it(tmp_path, rate):
    """Seen, by fuzzing: one flipped bit made a rate of 939 MHz, and the filter for it took more than 3 GB."""
    with pytest.raises(IntegrityError, match=f"sampling rate of {rate} Hz"):
        opened(written(tmp_path / "a.wav", rate))


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000, 384_000])
def test_rates_that_sound_has_are_read(tmp_path, rate):
    sound = opened(written(tmp_path / "a.wav", rate))
    assert len(resampled(sound, 0, min(2, sound.length))) == min(2, sound.length)


def test_a_damaged_order_of_parts_is_one_line(tmp_path):
    """Seen, by fuzzing: the wave module raises RuntimeError where a part would end before it begins."""
    path = written(tmp_path / "a.wav", 22_050)
    path.write_bytes(path.read_bytes()[:12] + b"RIFF\x88\0\0\0WAVE" + path.read_bytes()[12:])
    with pytest.raises(IntegrityError, match="is not a 16-bit PCM wav file"):
        opened(path)
