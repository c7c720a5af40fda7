"""Single-lead electrocardiograms from the dynamical model of McSharry, Clifford, Tarassenko and Smith (IEEE TBME 50, 2003).

A point runs round the unit circle once per heart beat and is pushed up and down when it passes the angles of the P, Q, R, S and T waves
(their equation 1)::

    dz/dt = -sum_i a_i d_i exp(-d_i^2 / (2 b_i^2)) - (z - z0(t)),     d_i = (theta - theta_i) mod 2 pi

Started on the limit cycle, the (x, y) part stays on the circle and its angle is the integral of 2 pi / RR(t), so only z is integrated: with the
forcing known, a Runge-Kutta step of order four is a linear recursion. Angles are proportional to time within each R-to-R interval; wave
angles and widths scale with sqrt(heart rate), as in the authors' ECGSYN. What the authors hold constant varies here from beat to beat, which
gives ectopic beats, blocks and atrial fibrillation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE_HZ = 300
LEAD_IN_S = 2.0  # integrated and thrown away: z forgets its start at 1 per second
EDGE_S = 1.0  # recorded and cut off on both sides: the band-pass has not settled there
P, Q, R, S, T = range(5)
# Table 1 of the paper: angle in radians at 60 beats per minute, height, width.
ANGLES = np.pi * np.array([-1 / 3, -1 / 12, 0.0, 1 / 12, 1 / 2])
HEIGHTS = np.array([1.2, -5.0, 30.0, -7.5, 0.75])
WIDTHS = np.array([0.25, 0.1, 0.1, 0.1, 0.4])
MILLIVOLT = 26.0  # model units times this: an R wave of about 1 mV
OTHER_RHYTHMS = ("ventricular_ectopy", "atrial_ectopy", "bundle_branch_block", "first_degree_block", "dropped_beats", "tachycardia", "bradycardia")


@dataclass(frozen=True)
class Beats:
    """A rhythm: R times in seconds ``[beats]``, ascending and covering the recording, and each beat's wave parameters ``[beats 5]`` (P Q R S T).

    ``angles`` in radians, ``heights`` and ``widths`` as a_i and b_i of the model. ``conducted`` ``[beats]``: the beat has a QRS complex.
    """

    times: Array
    angles: Array
    heights: Array
    widths: Array
    conducted: NDArray[np.bool_]


def tachogram(count: int, mean_s: float, std_s: float, rng: np.random.Generator, lf_hf: float = 0.5) -> Array:
    """Return ``count`` R-to-R intervals with the paper's spectrum: Gaussians at 0.1 Hz (Mayer waves) and 0.25 Hz (breathing), random phases."""
    length = max(128, 2 ** int(np.ceil(np.log2(count))))
    frequencies = np.fft.rfftfreq(length, mean_s)
    power = lf_hf * np.exp(-0.5 * ((frequencies - 0.1) / 0.01) ** 2) + np.exp(-0.5 * ((frequencies - 0.25) / 0.01) ** 2)
    series = np.fft.irfft(np.sqrt(power) * np.exp(2j * np.pi * rng.random(len(frequencies))), length)
    return np.asarray(mean_s + std_s * ((series - series.mean()) / series.std())[:count])


def assemble(intervals: Array, rng: np.random.Generator) -> Beats:
    """Return beats with one person's normal waves at R-to-R ``intervals`` ``[beats]``; the first R lies before the lead-in."""
    times = np.concatenate([[0.0], np.cumsum(intervals)]) - LEAD_IN_S - rng.uniform(1.0, 2.0) * intervals[0]
    count = len(times)
    around = np.concatenate([intervals[:1], intervals])
    rate = np.sqrt(1.0 / (0.5 * (around + np.concatenate([intervals, intervals[-1:]]))))[:, None]
    heights = HEIGHTS * np.exp([0.3, 0.4, 0.15, 0.4, 0.3] * rng.standard_normal(5))
    widths = WIDTHS * np.exp(0.1 * rng.standard_normal(5))
    angles = ANGLES * np.exp(0.06 * rng.standard_normal(5))
    return Beats(
        times,
        np.clip(angles * rate, -0.85 * np.pi, 0.85 * np.pi),
        heights * np.exp(0.04 * rng.standard_normal((count, 5))),
        widths * rate,
        np.ones(count, dtype=bool),
    )


def _beats_needed(seconds: float, interval: float) -> int:
    return int((seconds + LEAD_IN_S) / interval) + 8


def normal_rhythm(seconds: float, rng: np.random.Generator, mean_s: float | None = None) -> Beats:
    """Return sinus rhythm at 55 to 109 beats per minute (or with mean interval ``mean_s``) with heart-rate variability of 2 to 10 %."""
    mean_s = rng.uniform(0.55, 1.1) if mean_s is None else mean_s
    return assemble(tachogram(_beats_needed(seconds, mean_s), mean_s, mean_s * rng.uniform(0.02, 0.1), rng, rng.uniform(0.3, 2.0)), rng)


def fibrillation_rhythm(seconds: float, rng: np.random.Generator) -> Beats:
    """Return the ventricular answer to atrial fibrillation: uncorrelated log-normal intervals (coefficient of variation 0.09 to 0.24), no P waves."""
    mean_s, spread = rng.uniform(0.45, 0.85), rng.uniform(0.09, 0.24)
    count = 2 * _beats_needed(seconds, mean_s)
    intervals = np.maximum(mean_s * np.exp(spread * rng.standard_normal(count) - spread**2 / 2), 0.27)
    beats = assemble(intervals, rng)
    heights = beats.heights.copy()
    heights[:, P] = 0.0
    return replace(beats, heights=heights)


def other_rhythm(seconds: float, rng: np.random.Generator, kind: str) -> Beats:
    """Return the rhythm ``kind``, one of ``OTHER_RHYTHMS`` (anything else: ``ValueError``)."""
    if kind not in OTHER_RHYTHMS:
        raise ValueError(f"unknown rhythm '{kind}': one of {', '.join(OTHER_RHYTHMS)}")
    if kind == "tachycardia":
        return normal_rhythm(seconds, rng, rng.uniform(0.38, 0.55))
    if kind == "bradycardia":
        return normal_rhythm(seconds, rng, rng.uniform(1.1, 1.5))
    mean_s = rng.uniform(0.6, 1.0)
    intervals = tachogram(_beats_needed(seconds, mean_s), mean_s, mean_s * rng.uniform(0.02, 0.05), rng)
    marked = _every_few(len(intervals) + 1, rng)
    if kind in ("ventricular_ectopy", "atrial_ectopy"):
        coupling = rng.uniform(0.55, 0.75)
        pause = 2.0 - coupling if kind == "ventricular_ectopy" else 1.05
        intervals = np.where(marked[1:], coupling, 1.0) * intervals
        intervals = np.where(marked[:-1], pause, 1.0) * intervals
    beats = assemble(intervals, rng)
    angles, heights, widths, conducted = beats.angles.copy(), beats.heights.copy(), beats.widths.copy(), beats.conducted.copy()
    if kind == "atrial_ectopy":
        heights[marked, P] *= rng.uniform(-1.2, 0.3)
    elif kind == "first_degree_block":
        angles[:, P] -= 2 * np.pi * rng.uniform(0.06, 0.14) / mean_s  # 60 to 140 ms earlier
        angles = np.maximum(angles, -0.85 * np.pi)
    elif kind == "dropped_beats":
        heights[marked, Q:] = 0.0
        conducted[marked] = False
    else:
        wide = marked if kind == "ventricular_ectopy" else conducted
        factor = rng.uniform(1.4, 2.3)
        widths[wide, Q : S + 1] *= factor
        # The wave's height is proportional to a_i b_i^2.
        heights[wide, Q : S + 1] *= np.array([0.3, rng.uniform(0.8, 1.5), rng.uniform(0.8, 2.5)]) / factor**2
        heights[wide, T] *= -rng.uniform(1.0, 2.0)
        if kind == "ventricular_ectopy":
            heights[wide, P] = 0.0
    return Beats(beats.times, angles, heights, widths, conducted)


def _every_few(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark every second to eighth beat, never two in a row: a window of 3.3 s may miss them all, while the recording keeps its label."""
    period = int(rng.integers(2, 9))
    return np.asarray((np.arange(count) + int(rng.integers(period))) % period == 0)


def forcing(beats: Beats, times: Array) -> Array:
    """Return the pushing term of equation 1 (without z and z0) at ``times`` ``[samples]`` in seconds."""
    turns = np.interp(times, beats.times, np.arange(len(beats.times)))
    beat = np.floor(turns + 0.5).astype(np.int64)
    theta = 2 * np.pi * (turns - beat)
    delta = theta[:, None] - beats.angles[beat]
    delta = (delta + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(-(beats.heights[beat] * delta * np.exp(-0.5 * (delta / beats.widths[beat]) ** 2)).sum(axis=-1))


def integrate(beats: Beats, samples: int, breathing_hz: float = 0.25, breathing: float = 0.005, rate_hz: int = RATE_HZ) -> Array:
    """Return z ``[samples]`` of the model in millivolts, by Runge-Kutta steps of order four of 1 / ``rate_hz``.

    ``breathing`` and ``breathing_hz`` are amplitude (model units) and frequency of the baseline z0.
    """
    from scipy.signal import lfilter

    step = 1.0 / rate_hz
    lead = round(LEAD_IN_S * rate_hz)
    times = np.asarray(0.5 * step * np.arange(2 * (samples + lead) - 1) - LEAD_IN_S, dtype=np.float64)
    push = forcing(beats, times) + breathing * np.sin(2 * np.pi * breathing_hz * times)
    start, middle, end = push[:-2:2], push[1::2], push[2::2]
    # The classical step for dz/dt = f(t) - z, written out: z' = decay * z + drive.
    decay = 1 - step + step**2 / 2 - step**3 / 6 + step**4 / 24
    drive = step / 6 * ((1 - step + step**2 / 2 - step**3 / 4) * start + (4 - 2 * step + step**2 / 2) * middle + end)
    path = np.concatenate([[0.0], lfilter([1.0], [1.0, -decay], drive)])
    return np.asarray(MILLIVOLT * path[lead:])


def fibrillatory_waves(samples: int, rng: np.random.Generator) -> Array:
    """Return f-waves ``[samples]`` in millivolts: a sawtooth of 4 to 9 Hz with slow frequency and amplitude modulation (Stridh, Sornmo, 2001)."""
    times = np.arange(samples) / RATE_HZ
    drift = np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * times + rng.uniform(0, 6.3))
    phase = 2 * np.pi * rng.uniform(4.0, 9.0) * times + rng.uniform(0.3, 1.5) * drift
    envelope = rng.uniform(0.01, 0.06) * (1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.1, 0.4) * times + rng.uniform(0, 6.3)))
    return np.asarray(envelope * sum(np.sin(order * phase) / order for order in (1, 2, 3)))


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> Array:
    """Return noise ``[samples]`` of unit variance whose power falls as 1 / f^``slope`` above 0.3 Hz."""
    frequencies = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    spectrum = rng.standard_normal(len(frequencies)) + 1j * rng.standard_normal(len(frequencies))
    noise = np.fft.irfft(spectrum / np.maximum(frequencies, 0.3) ** (slope / 2), samples)
    return np.asarray((noise - noise.mean()) / noise.std())


def bursts(samples: int, rng: np.random.Generator) -> Array:
    """Return an envelope ``[samples]`` in [0, 1]: the electrode is disturbed in spells of some seconds, here at least two fifths of the time."""
    envelope = np.zeros(samples)
    while (envelope > 0.2).mean() < 0.4:
        centre, width = rng.uniform(0, samples), RATE_HZ * rng.uniform(0.5, 3.0)
        envelope = np.maximum(envelope, np.exp(-0.5 * ((np.arange(samples) - centre) / width) ** 2))
    return envelope


def device(signal: Array) -> Array:
    """Return ``signal`` after the recorder's band-pass of 0.5 to 40 Hz (second-order Butterworth, forwards and backwards)."""
    from scipy.signal import butter, sosfiltfilt

    return np.asarray(sosfiltfilt(butter(2, (0.5, 40.0), "bandpass", fs=RATE_HZ, output="sos"), signal, axis=-1))


def record(label: int, seconds: float, rng: np.random.Generator) -> Array:
    """Return one recording ``[300 * seconds]`` in millivolts of class 0 normal, 1 atrial fibrillation, 2 other rhythm or 3 too noisy.

    Every recording has baseline wander, muscle noise and mains hum; one in seven is upside down (the recorder held the other way round).
    """
    seconds += 2 * EDGE_S
    samples = round(seconds * RATE_HZ)
    if label == 1:
        beats = fibrillation_rhythm(seconds, rng)
    elif label == 2:
        beats = other_rhythm(seconds, rng, OTHER_RHYTHMS[int(rng.integers(len(OTHER_RHYTHMS)))])
    else:
        beats = normal_rhythm(seconds, rng, rng.uniform(0.45, 1.2) if label == 3 else None)
    signal = integrate(beats, samples, breathing_hz=rng.uniform(0.15, 0.35))
    if label == 1:
        signal = signal + fibrillatory_waves(samples, rng)
    times = np.arange(samples) / RATE_HZ
    wander = rng.uniform(0.0, 0.3) * coloured_noise(samples, 2.5, rng)
    muscle = np.exp(rng.normal(np.log(0.09), 0.6)) * coloured_noise(samples, rng.uniform(0.0, 1.5), rng)
    mains = rng.uniform(0, 0.03) * np.sin(2 * np.pi * rng.choice([50, 60]) * times + rng.uniform(0, 6.3))
    signal = signal + wander + muscle + mains
    if label == 3:
        motion = coloured_noise(samples, rng.uniform(0.0, 2.0), rng) + rng.uniform(0, 1.5) * np.cumsum(rng.random(samples) < 0.002) ** 0.5
        signal = signal * rng.uniform(0.2, 1.0) + rng.uniform(0.15, 0.7) * (0.3 + bursts(samples, rng)) * motion
    sign = -1.0 if rng.random() < 1 / 7 else 1.0
    return sign * device(signal)[round(EDGE_S * RATE_HZ) : -round(EDGE_S * RATE_HZ)]
