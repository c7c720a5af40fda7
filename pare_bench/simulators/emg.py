"""Surface electromyograms of the forearm while the hand makes one of 18 gestures.

Each muscle is a pool of motor units as in Fuglevand, Winter and Patla (J. Neurophysiol. 70, 1993): thresholds and twitch sizes grow
exponentially over the pool, a unit fires at 8 impulses per second when recruited and faster with excitation, its intervals vary by 20 %.
A firing is seen by every electrode, weaker with the squared distance in the limb's cross-section (this is the crosstalk), as a triphasic
action potential that travels along the fibres at about 4 m/s, so that the second ring of electrodes sees it later; fatigue slows it down.
The armband has two rings of eight electrodes, the second turned by half a step (the arrangement of NinaPro DB5, Pizzolato et al., PLoS ONE
12, 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE_HZ = 1000  # of the simulation
OUTPUT_HZ = 200
SAMPLES = 52
ELECTRODES = 16
UNITS = 24
INTERVAL_SPREAD = 0.2  # coefficient of variation of inter-spike intervals
MIN_RATE_HZ, PEAK_RATE_HZ, RATE_GAIN = 8.0, 40.0, 60.0
RING_DISTANCE_M = 0.03
GAIN = 35.0  # brings moderate contractions to values of order one
_MARGIN = 60  # milliseconds simulated on both sides of the window, so that no action potential is cut
_LENGTH = SAMPLES * RATE_HZ // OUTPUT_HZ + 2 * _MARGIN

# Name: angle round the forearm in degrees (0 radial, 90 palmar, 180 ulnar, 270 dorsal) and distance from its axis in radii.
MUSCLES: dict[str, tuple[float, float]] = {
    "brachioradialis": (10, 0.82),
    "pronator": (40, 0.68),
    "wrist_flexor_radial": (62, 0.80),
    "palmaris": (88, 0.84),
    "thumb_flexor": (72, 0.50),
    "finger_flexor_superficial": (115, 0.70),
    "finger_flexor_deep": (138, 0.52),
    "wrist_flexor_ulnar": (165, 0.80),
    "wrist_extensor_ulnar": (225, 0.80),
    "little_extensor": (250, 0.80),
    "index_extensor": (262, 0.56),
    "finger_extensor": (285, 0.80),
    "thumb_extensor": (303, 0.58),
    "supinator": (325, 0.50),
    "wrist_extensor_radial": (340, 0.80),
}

# Excitation of each muscle at full effort; the movements are those of NinaPro's exercise B, the levels follow the muscles' anatomical action.
GESTURES: dict[str, dict[str, float]] = {
    "rest": {},
    "thumb up": {"thumb_extensor": 0.9, "finger_flexor_superficial": 0.4, "finger_flexor_deep": 0.5, "wrist_extensor_radial": 0.3},
    "index and middle extended": {
        "finger_extensor": 0.6, "index_extensor": 0.8, "finger_flexor_deep": 0.5, "thumb_flexor": 0.5, "wrist_extensor_ulnar": 0.2,
    },
    "ring and little flexed": {"finger_flexor_deep": 0.6, "finger_flexor_superficial": 0.5, "finger_extensor": 0.5, "thumb_extensor": 0.4},
    "thumb to base of little finger": {"thumb_flexor": 0.9, "palmaris": 0.5, "finger_extensor": 0.3, "wrist_flexor_radial": 0.2},
    "fingers spread": {"finger_extensor": 0.8, "little_extensor": 0.8, "thumb_extensor": 0.7, "index_extensor": 0.4, "wrist_flexor_ulnar": 0.2},
    "fist": {"finger_flexor_superficial": 0.9, "finger_flexor_deep": 0.9, "thumb_flexor": 0.6, "wrist_extensor_radial": 0.4},
    "pointing index": {"index_extensor": 0.9, "finger_flexor_deep": 0.6, "finger_flexor_superficial": 0.5, "thumb_flexor": 0.4},
    "fingers together": {"finger_extensor": 0.6, "wrist_flexor_ulnar": 0.3, "palmaris": 0.4, "index_extensor": 0.3},
    "supination about middle finger": {"supinator": 0.9, "brachioradialis": 0.3, "thumb_extensor": 0.2},
    "pronation about middle finger": {"pronator": 0.9, "wrist_flexor_radial": 0.3},
    "supination about little finger": {"supinator": 0.8, "brachioradialis": 0.4, "wrist_extensor_ulnar": 0.5},
    "pronation about little finger": {"pronator": 0.8, "wrist_flexor_ulnar": 0.5, "brachioradialis": 0.3},
    "wrist flexion": {"wrist_flexor_radial": 0.8, "wrist_flexor_ulnar": 0.8, "palmaris": 0.6, "finger_flexor_superficial": 0.3},
    "wrist extension": {"wrist_extensor_radial": 0.9, "wrist_extensor_ulnar": 0.7, "finger_extensor": 0.4},
    "radial deviation": {"wrist_extensor_radial": 0.7, "wrist_flexor_radial": 0.6, "brachioradialis": 0.2, "thumb_extensor": 0.3},
    "ulnar deviation": {"wrist_extensor_ulnar": 0.8, "wrist_flexor_ulnar": 0.7, "little_extensor": 0.3},
    "wrist extension with closed hand": {
        "wrist_extensor_radial": 0.8, "wrist_extensor_ulnar": 0.6, "finger_flexor_superficial": 0.7, "finger_flexor_deep": 0.6,
    },
}  # fmt: skip
EXCITATIONS = np.array([[levels.get(muscle, 0.0) for muscle in MUSCLES] for levels in GESTURES.values()])

# Fuglevand's pool: thresholds over a range of 30, all units recruited at 70 % of full excitation; action potentials over a range of 60.
THRESHOLDS = 0.7 * np.exp(np.log(30.0) * np.arange(1, UNITS + 1) / UNITS) / 30.0
SIZES = np.exp(np.log(60.0) * np.arange(1, UNITS + 1) / UNITS) / 60.0


@dataclass(frozen=True)
class Subject:
    """One forearm with the armband on: electrode weights ``[muscles units electrodes]``, personal excitations ``[18 muscles]``, noise level."""

    weights: Array
    excitations: Array
    noise: float


def electrode_angles(shift_deg: float = 0.0) -> Array:
    """Return the angles ``[16]`` in radians of both rings, turned by ``shift_deg``."""
    ring = 2 * np.pi * np.arange(8) / 8
    return np.asarray(np.concatenate([ring, ring + np.pi / 8]) + np.deg2rad(shift_deg))


def weights_of(angles: Array, depths: Array, electrodes: Array, fat: float = 0.05) -> Array:
    """Return what electrodes at angles ``electrodes`` ``[e]`` see of units at ``angles`` and ``depths`` ``[...]``: ``[... e]``, 1 at distance 0.3.

    Electrodes have an extent, which blunts the squared distance d^2 to d^2 + 0.06.

    ``fat`` is the thickness of the layer between muscle and electrode in radii.
    """
    distance = (1 + fat) ** 2 + depths[..., None] ** 2 - 2 * (1 + fat) * depths[..., None] * np.cos(angles[..., None] - electrodes)
    return np.asarray(0.15 / (distance + 0.06))


def draw_subject(rng: np.random.Generator) -> Subject:
    """Return a subject: armband turned by about 10 degrees, muscles displaced, units spread within them, own gain, habits and noise."""
    centres = np.array(list(MUSCLES.values()))
    angles = np.deg2rad(centres[:, 0] + 6.0 * rng.standard_normal(len(centres)))[:, None] + 0.12 * rng.standard_normal((len(centres), UNITS))
    depths = np.clip(centres[:, 1, None] + 0.06 * rng.standard_normal((len(centres), UNITS)), 0.1, 0.95)
    electrodes = electrode_angles(float(np.clip(10.0 * rng.standard_normal(), -25, 25)))
    weights = weights_of(angles, depths, electrodes, fat=float(rng.uniform(0.03, 0.12)))
    contact = np.exp(0.25 * rng.standard_normal() + 0.12 * rng.standard_normal(ELECTRODES))
    habits = EXCITATIONS * np.exp(0.35 * rng.standard_normal(EXCITATIONS.shape)) + np.abs(0.06 * rng.standard_normal(EXCITATIONS.shape))
    habits[0] = np.abs(0.01 * rng.standard_normal(len(centres)))
    return Subject(weights * contact, np.minimum(habits, 1.0), float(rng.uniform(0.6, 1.4)))


def firing_rate(excitation: Array) -> Array:
    """Return impulses per second ``[... units]`` of a pool at ``excitation`` ``[...]`` in [0, 1]; 0 below a unit's threshold."""
    above = excitation[..., None] - THRESHOLDS
    peak = PEAK_RATE_HZ - 10.0 * np.arange(UNITS) / UNITS
    return np.where(above >= 0, np.minimum(MIN_RATE_HZ + RATE_GAIN * above, peak), 0.0)


def spike_trains(rates: Array, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return 0/1 trains ``[trains samples]`` at 1 kHz for firing rates ``rates`` of that shape in impulses per second.

    A renewal process in operational time: intervals are Gaussian with mean 1 and standard deviation 0.2 in units of the integrated rate.
    """
    trains, samples = rates.shape
    integrated = np.cumsum(rates, axis=1) / RATE_HZ
    most = int(np.ceil(1.6 * integrated.max(initial=0.0))) + 3
    intervals = np.maximum(1 + INTERVAL_SPREAD * rng.standard_normal((trains, most)), 0.2)
    intervals[:, 0] *= rng.random(trains)
    due = np.cumsum(intervals, axis=1)
    # One sorted search for all trains: each lives on its own stretch of the number line.
    offset = (max(due.max(initial=0.0), integrated.max(initial=0.0)) + 1.0) * np.arange(trains)[:, None]
    place = np.searchsorted((integrated + offset).ravel(), (due + offset).ravel()).reshape(due.shape) - samples * np.arange(trains)[:, None]
    output = np.zeros((trains, samples), dtype=np.float32)
    train, spike = np.nonzero(place < samples)
    output[train, place[train, spike]] = 1.0
    return output


def potential_spectrum(frequencies: Array, width_s: Array) -> Array:
    """Return the spectrum ``[... frequencies]`` of the triphasic potential (second derivative of a Gaussian of ``width_s`` ``[...]``), peak 1."""
    scaled = (2 * np.pi * frequencies * width_s[..., None]) ** 2
    return np.asarray(scaled / 2 * np.exp(1 - scaled / 2))


def simulate_trials(labels: NDArray[np.integer], subject: Subject, rng: np.random.Generator) -> Array:
    """Return windows ``[n 16 52]`` of one subject making gestures ``labels`` ``[n]``.

    Effort is 0.25 to 1 of full; one window in three may hold the onset of the movement; fatigue slows conduction by up to 30 %.
    """
    count = len(labels)
    effort = rng.uniform(0.25, 1.0, (count, 1)) * np.exp(0.25 * rng.standard_normal((count, len(MUSCLES))))
    onset = np.where(rng.random(count) < 0.33, rng.uniform(-100, 160, count), -1000.0)
    ramp = np.clip((np.arange(_LENGTH) - _MARGIN - onset[:, None]) / 150.0, 0.0, 1.0)
    level = np.minimum(subject.excitations[labels] * effort, 1.0)
    rates = firing_rate(level[:, :, None] * ramp[:, None, :])  # [n muscles samples units]
    active = np.moveaxis(rates, 3, 2).reshape(-1, _LENGTH)
    firing = active.max(axis=1) > 0
    spikes = np.zeros(active.shape, dtype=np.float32)
    spikes[firing] = spike_trains(active[firing], rng)
    trains = spikes.reshape(count, len(MUSCLES), UNITS, _LENGTH)
    seen = np.matmul((subject.weights * SIZES[:, None]).transpose(0, 2, 1)[None].astype(np.float32), trains)  # [n muscles electrodes samples]

    length = 512
    frequencies = np.asarray(np.fft.rfftfreq(length, 1 / RATE_HZ), dtype=np.float64)
    speed = 4.0 * (1 - 0.3 * rng.random(count))  # metres per second
    depth = np.array([place[1] for place in MUSCLES.values()])
    width = 0.0025 * (4.0 / speed)[:, None] * (1.3 - 0.4 * depth)  # deeper fibres look slower
    delay = np.where(np.arange(ELECTRODES) < 8, 0.0, RING_DISTANCE_M) / speed[:, None]
    spectrum = np.fft.rfft(seen, length, axis=-1)
    summed = (spectrum * potential_spectrum(frequencies, width)[:, :, None, :]).sum(axis=1)
    summed = summed * np.exp(-2j * np.pi * frequencies * delay[..., None])
    noise = subject.noise * np.fft.rfft(rng.standard_normal((count, ELECTRODES, length)), axis=-1)
    signal = np.fft.irfft((GAIN * summed + noise) * amplifier(frequencies), length, axis=-1)
    return np.asarray(signal[..., _MARGIN : _MARGIN + SAMPLES * RATE_HZ // OUTPUT_HZ : RATE_HZ // OUTPUT_HZ])


def amplifier(frequencies: Array) -> Array:
    """Return the armband's pass band: raised-cosine edges 5 to 15 Hz and 85 to 98 Hz, so that 200 Hz sampling does not alias."""
    rise = np.clip((frequencies - 5.0) / 10.0, 0, 1)
    fall = np.clip((98.0 - frequencies) / 13.0, 0, 1)
    return np.asarray(np.sin(0.5 * np.pi * rise) ** 2 * np.sin(0.5 * np.pi * fall) ** 2)
