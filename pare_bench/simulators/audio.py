"""Short audio clips with labelled sound events in a room.

An event is a carrier (one of eight families) in one of four registers under one of five envelopes: 160 kinds. As in FSD50K (Fonseca et al.,
IEEE/ACM TASLP 30, 2022), whose labels are closed upwards in the AudioSet ontology, an event also carries the labels of its register within
the family and of its family: 8 + 32 + 160 = 200 labels. Kinds follow a Zipf law. Synthesis is the textbook one: additive partials,
frequency modulation (Chowning, JAES 21, 1973), source-filter formants (Fant 1960), resonated impulses, band noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pare_bench.simulators.mel import RATE_HZ

Audio = NDArray[np.float32]

FAMILIES = ("tone", "harmonic", "bell", "formant", "chirp", "warble", "noise", "impulses")
REGISTERS_HZ = ((150.0, 300.0), (400.0, 800.0), (1000.0, 2000.0), (2600.0, 5200.0))
ENVELOPES = ("steady", "decay", "swell", "tremolo", "pulsed")
KINDS = len(FAMILIES) * len(REGISTERS_HZ) * len(ENVELOPES)
LABELS = len(FAMILIES) * (1 + len(REGISTERS_HZ)) + KINDS
BELL_RATIOS = (0.56, 0.92, 1.19, 1.71, 2.0, 2.74, 3.0, 3.76)  # Risset's bell
CLIP_SECONDS = 1.5

# Rank r of the Zipf law is kind 67 r + 13 mod 160 (67 has no divisor in common with 160): every family has frequent and rare kinds.
_KIND_OF_RANK = (67 * np.arange(KINDS) + 13) % KINDS
KIND_SHARES = np.zeros(KINDS)
KIND_SHARES[_KIND_OF_RANK] = 1.0 / (1.0 + np.arange(KINDS))
KIND_SHARES /= KIND_SHARES.sum()


def labels_of(kinds: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return the 0/1 labels ``[200]`` of a clip with events of these kinds: families, then registers within families, then kinds."""
    labels = np.zeros(LABELS, dtype=np.float32)
    per_register = len(ENVELOPES)
    per_family = per_register * len(REGISTERS_HZ)
    registers = len(FAMILIES)
    labels[kinds // per_family] = 1.0
    labels[registers + kinds // per_register] = 1.0
    labels[registers + len(FAMILIES) * len(REGISTERS_HZ) + kinds] = 1.0
    return labels


def _resonate(source: Audio, frequency: float, bandwidth: float) -> Audio:
    """Return ``source`` through a two-pole resonator."""
    from scipy.signal import lfilter

    radius = np.exp(-np.pi * bandwidth / RATE_HZ)
    poles = np.array([1.0, -2 * radius * np.cos(2 * np.pi * frequency / RATE_HZ), radius**2], dtype=np.float32)
    return np.asarray(lfilter(np.array([1.0], dtype=np.float32), poles, source), dtype=np.float32)


def _pulses(rate: float, samples: int, rng: np.random.Generator) -> Audio:
    train = np.zeros(samples, dtype=np.float32)
    train[(np.arange(rng.random(), samples * rate / RATE_HZ, 1.0) * RATE_HZ / rate).astype(np.int64).clip(max=samples - 1)] = 1.0
    return train


def carrier(family: str, frequency: float, samples: int, rng: np.random.Generator) -> Audio:
    """Return ``samples`` of the sound ``family`` at ``frequency`` in hertz, with standard deviation 1 (``ValueError``: no such family)."""
    turns = (frequency / RATE_HZ * np.arange(samples) + rng.random()).astype(np.float32)
    seconds = np.arange(samples, dtype=np.float32) / np.float32(RATE_HZ)
    circle = np.float32(2 * np.pi)
    if family == "tone":
        sound = np.sin(circle * turns)
    elif family == "harmonic":
        tilt = rng.uniform(0.5, 1.2)
        orders = [order for order in range(1, 9) if order * frequency < 0.45 * RATE_HZ]
        sound = sum(np.sin(circle * order * turns) * np.float32(order**-tilt) for order in orders)
    elif family == "bell":
        partials = [ratio for ratio in BELL_RATIOS if ratio * frequency < 0.45 * RATE_HZ]
        sound = sum(np.sin(circle * (ratio * turns + rng.random())) * np.float32(rng.uniform(0.3, 1.0)) for ratio in partials)
    elif family == "formant":
        source = _pulses(rng.uniform(80, 220), samples, rng)
        sound = _resonate(source, frequency, 0.12 * frequency) + 0.5 * _resonate(source, min(1.9 * frequency, 9500.0), 0.15 * frequency)
    elif family == "chirp":
        ratio = rng.uniform(1.5, 2.2) ** rng.choice([-1.0, 1.0])
        growth = np.log(ratio) / (samples / RATE_HZ)
        sound = np.sin(circle * np.asarray(frequency * np.expm1(growth * seconds) / growth, dtype=np.float32))
    elif family == "warble":
        modulation = rng.uniform(5, 25)
        deviation = rng.uniform(0.08, 0.2) * frequency / modulation
        sound = np.sin(circle * turns + np.float32(deviation) * np.sin(circle * np.float32(modulation) * seconds))
    elif family == "noise":
        sound = _resonate(rng.standard_normal(samples, dtype=np.float32), frequency, rng.uniform(0.25, 0.5) * frequency)
    elif family == "impulses":
        sound = _resonate(_pulses(rng.uniform(9, 35), samples, rng), frequency, rng.uniform(60, 150))
    else:
        raise ValueError(f"unknown sound family '{family}': one of {', '.join(FAMILIES)}")
    return np.asarray(sound / np.std(sound), dtype=np.float32)


def envelope(name: str, samples: int, rng: np.random.Generator) -> Audio:
    """Return the loudness ``[samples]`` in [0, 1] over an event, with edges of 5 ms (``ValueError``: no such envelope)."""
    seconds = np.arange(samples) / RATE_HZ
    length = samples / RATE_HZ
    if name == "steady":
        shape = np.ones(samples)
    elif name == "decay":
        shape = np.exp(-seconds / (length * rng.uniform(0.12, 0.22)))
    elif name == "swell":
        shape = np.exp((seconds - length) / (length * rng.uniform(0.2, 0.35)))
    elif name == "tremolo":
        shape = 0.55 + 0.45 * np.sin(2 * np.pi * (rng.uniform(9, 16) * seconds + rng.random()))
    elif name == "pulsed":
        shape = ((rng.uniform(4, 7) * seconds) % 1.0 < rng.uniform(0.35, 0.6)).astype(np.float64)
    else:
        raise ValueError(f"unknown envelope '{name}': one of {', '.join(ENVELOPES)}")
    edge = np.minimum(1.0, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.005 * RATE_HZ))
    return np.asarray(shape * edge, dtype=np.float32)


def event(kind: int, samples: int, rng: np.random.Generator) -> Audio:
    """Return one event ``[samples]`` of kind 0 .. 159, of loudness about 1."""
    place, form = divmod(kind, len(ENVELOPES))
    family, register = divmod(place, len(REGISTERS_HZ))
    low, high = REGISTERS_HZ[register]
    frequency = float(low * (high / low) ** rng.random())
    return carrier(FAMILIES[family], frequency, samples, rng) * envelope(ENVELOPES[form], samples, rng)


def reverberate(dry: Audio, rng: np.random.Generator) -> Audio:
    """Return the sound in a room: plus noise that decays by 60 dB within 0.1 to 0.6 s (Moorer, CMJ 3, 1979), of at most a fifth of its energy."""
    from scipy.signal import oaconvolve

    decay = rng.uniform(0.1, 0.6)
    tail = rng.standard_normal(int(0.6 * decay * RATE_HZ), dtype=np.float32)
    tail *= np.exp(-6.9 / (decay * RATE_HZ) * np.arange(len(tail), dtype=np.float32))
    tail *= np.float32(rng.uniform(0.05, 0.45) / np.sqrt(np.sum(tail**2)))
    return np.asarray(dry + oaconvolve(dry, tail)[: len(dry)], dtype=np.float32)


def background(samples: int, rng: np.random.Generator) -> Audio:
    """Return noise ``[samples]`` of standard deviation 1 with power 1 / f^b, b in 0 to 2, above 50 Hz."""
    frequencies = np.maximum(np.fft.rfftfreq(samples, 1 / RATE_HZ), 50.0)
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * frequencies ** (-0.5 * rng.uniform(0.0, 2.0))
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / noise.std(), dtype=np.float32)


def draw_clip(rng: np.random.Generator) -> tuple[Audio, NDArray[np.int64]]:
    """Return a clip ``[33075]`` (1.5 s, 16-bit values in [-1, 1]) and the one to four distinct kinds of events in it.

    Events last 0.4 to 1.2 s and differ by up to 12 dB; the background lies 5 to 30 dB below the mix.
    """
    samples = int(CLIP_SECONDS * RATE_HZ)
    kinds = rng.choice(KINDS, size=int(rng.integers(1, 5)), replace=False, p=KIND_SHARES)
    mix = np.zeros(samples, dtype=np.float32)
    for kind in kinds:
        length = int(rng.uniform(0.4, 1.2) * RATE_HZ)
        start = int(rng.integers(samples - length))
        mix[start : start + length] += np.float32(10 ** (-rng.uniform(0, 12) / 20)) * event(int(kind), length, rng)
    mix = reverberate(mix, rng)
    mix = mix + np.float32(mix.std() * 10 ** (-rng.uniform(5, 30) / 20)) * background(samples, rng)
    mix = mix * np.float32(rng.uniform(0.1, 0.95) / np.abs(mix).max())
    return np.asarray(np.round(mix * np.float32(32767)) / np.float32(32768), dtype=np.float32), kinds.astype(np.int64)
