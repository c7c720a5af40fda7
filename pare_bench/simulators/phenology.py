"""Vegetation-index series of 24 land covers over one year, in steps of 8 days.

The clear-sky index of a parcel is its soil line plus one double logistic per growing season (Zhang et al., Remote Sensing of Environment 84,
2003; Beck et al., ibid. 100, 2006), minus short dips (mowing, flowering)::

    ndvi(t) = soil + sum_s amplitude_s * (1 / (1 + exp(-k_s (t - green_s))) - 1 / (1 + exp(-q_s (t - brown_s)))) - dips

Parcels lie in scenes. A scene has one year (warm springs are early), one latitude (spring comes about 4 days later per degree, Hopkins 1918,
and the season is shorter) and one cloud history. Most clouded acquisitions are recognised and filled by linear interpolation in time; thin
clouds and their shadows pass as negative outliers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = 46
STEP_DAYS = 8


@dataclass(frozen=True)
class Crop:
    """Typical year of one land cover: seasons (amplitude, green-up day, rate, senescence day, rate), dips (day, depth, width in days)."""

    name: str
    soil: float
    seasons: tuple[tuple[float, float, float, float, float], ...]
    dips: tuple[tuple[float, float, float], ...] = ()


CROPS = (
    Crop("winter wheat", 0.18, ((0.60, 75, 0.060, 170, 0.10),)),
    Crop("winter barley", 0.18, ((0.58, 64, 0.060, 152, 0.10),)),
    Crop("rapeseed", 0.20, ((0.60, 52, 0.070, 166, 0.08),), ((106, 0.14, 9),)),
    Crop("spring barley", 0.17, ((0.56, 104, 0.080, 182, 0.10),)),
    Crop("pea", 0.17, ((0.55, 98, 0.100, 164, 0.13),)),
    Crop("grain maize", 0.16, ((0.64, 160, 0.080, 272, 0.05),)),
    Crop("silage maize", 0.16, ((0.64, 162, 0.080, 250, 0.22),)),
    Crop("sunflower", 0.16, ((0.55, 152, 0.090, 232, 0.07),)),
    Crop("soybean", 0.17, ((0.62, 172, 0.090, 260, 0.12),)),
    Crop("sorghum", 0.16, ((0.54, 170, 0.060, 282, 0.06),)),
    Crop("rice", 0.07, ((0.66, 174, 0.110, 250, 0.08),)),
    Crop("sugar beet", 0.16, ((0.62, 142, 0.060, 308, 0.10),)),
    Crop("potato", 0.16, ((0.60, 142, 0.110, 232, 0.12),)),
    Crop("permanent grass", 0.42, ((0.32, 72, 0.050, 310, 0.03),), ((196, 0.10, 22),)),
    Crop("alfalfa", 0.25, ((0.50, 68, 0.060, 300, 0.04),), ((132, 0.36, 9), (176, 0.36, 9), (220, 0.34, 9), (264, 0.28, 9))),
    Crop("temporary meadow", 0.34, ((0.42, 68, 0.055, 305, 0.04),), ((144, 0.32, 10), (208, 0.28, 11))),
    Crop("fallow", 0.22, ((0.22, 95, 0.040, 250, 0.02),)),
    Crop("vineyard", 0.22, ((0.28, 128, 0.060, 292, 0.05),)),
    Crop("orchard", 0.28, ((0.36, 104, 0.070, 300, 0.05),)),
    Crop("broadleaved forest", 0.32, ((0.50, 108, 0.110, 298, 0.07),)),
    Crop("conifers", 0.60, ((0.12, 110, 0.040, 285, 0.03),)),
    Crop("winter barley then soybean", 0.18, ((0.56, 64, 0.060, 150, 0.11), (0.50, 192, 0.090, 276, 0.10))),
    Crop("catch crop then maize", 0.17, ((0.34, 38, 0.050, 112, 0.13), (0.62, 164, 0.080, 268, 0.06))),
    Crop("built-up", 0.14, ((0.08, 95, 0.040, 290, 0.03),)),
)


@dataclass(frozen=True)
class Parcels:
    """Series ``[n 46]`` with their clear-sky truth, and the acquisitions that clouds touched (recognised and filled, or passed unnoticed)."""

    observed: NDArray[np.float64]
    clear: NDArray[np.float64]
    filled: NDArray[np.bool_]
    outliers: NDArray[np.bool_]


def _padded(rows: list[tuple[tuple[float, ...], ...]], neutral: tuple[float, ...]) -> NDArray[np.float64]:
    longest = max(len(row) for row in rows)
    return np.array([[*row, *[neutral] * (longest - len(row))] for row in rows], dtype=np.float64)


_SOIL = np.array([crop.soil for crop in CROPS])
_SEASONS = _padded([crop.seasons for crop in CROPS], (0.0, 100.0, 0.1, 200.0, 0.1))
_DIPS = _padded([crop.dips for crop in CROPS], (100.0, 0.0, 10.0))


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-values)))


def clear_sky(
    labels: NDArray[np.integer], rng: np.random.Generator, *, shift: NDArray[np.float64], stretch: NDArray[np.float64], spread: float = 1.0
) -> NDArray[np.float64]:
    """Return the cloudless index ``[n 46]`` of parcels of the crops ``labels`` ``[n]``, within [-1, 1].

    ``shift`` ``[n]`` days delay the whole year, ``stretch`` ``[n]`` scales it about midsummer (day 180); ``spread`` scales what differs
    from parcel to parcel (0: the crop's typical year): sowing date, vigour, rates, soil and mowing dates.
    """
    seasons, dips = _SEASONS[labels], _DIPS[labels]
    count = len(labels)
    amplitude, green, rise, brown, fall = np.moveaxis(seasons, -1, 0)
    vigour = np.exp(spread * 0.14 * rng.standard_normal((count, 1)))
    sowing = spread * 8.0 * rng.standard_normal((count, 1))
    green = green + sowing + spread * 3.0 * rng.standard_normal(green.shape)
    brown = brown + 0.6 * sowing + spread * 5.0 * rng.standard_normal(brown.shape)
    rise = rise * np.exp(spread * 0.2 * rng.standard_normal(rise.shape))
    fall = fall * np.exp(spread * 0.2 * rng.standard_normal(fall.shape))
    day, depth, width = np.moveaxis(dips, -1, 0)
    day = day + spread * 8.0 * rng.standard_normal(day.shape)
    depth = depth * np.exp(spread * 0.25 * rng.standard_normal(depth.shape))
    soil = _SOIL[labels] * np.exp(spread * 0.15 * rng.standard_normal(count))
    # The parcel's own calendar: a late, short year is read at an earlier phenological day.
    days = 180.0 + (STEP_DAYS * np.arange(STEPS)[None, :] - 180.0 - shift[:, None]) / stretch[:, None]
    days = days[:, None, :]
    growth = _logistic(rise[..., None] * (days - green[..., None])) - _logistic(fall[..., None] * (days - brown[..., None]))
    canopy = (amplitude[..., None] * growth).sum(axis=1) * vigour
    loss = (depth[..., None] * np.exp(-0.5 * ((days - day[..., None]) / width[..., None]) ** 2)).sum(axis=1)
    return np.asarray(np.clip(soil[:, None] + canopy - loss, -1.0, 0.98))


def _scene_clouds(scenes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the probability ``[scenes 46]`` that a parcel is clouded: overcast spells persist from one step to the next (AR(1), winter more)."""
    persistence = 0.55
    weather = np.empty((scenes, STEPS))
    shocks = rng.standard_normal((scenes, STEPS))
    weather[:, 0] = shocks[:, 0]
    for step in range(1, STEPS):
        weather[:, step] = persistence * weather[:, step - 1] + np.sqrt(1 - persistence**2) * shocks[:, step]
    season = 0.5 * np.cos(2 * np.pi * (STEP_DAYS * np.arange(STEPS) - 10) / 365.25)
    return _logistic(2.5 * (weather + season - 0.8))


def observe(clear: NDArray[np.float64], cloudiness: NDArray[np.float64], rng: np.random.Generator) -> Parcels:
    """Return what the sensor delivers for clear-sky series ``[n 46]`` under clouds of probability ``cloudiness`` ``[n 46]``.

    Radiometric noise of 0.02; 85 % of the clouded values are masked and filled linearly in time, the others fall towards the
    index of cloud (about 0).
    """
    observed = clear + 0.02 * rng.standard_normal(clear.shape)
    clouded = rng.random(clear.shape) < cloudiness
    missed = clouded & (rng.random(clear.shape) < 0.15)
    opacity = rng.uniform(0.3, 1.0, clear.shape)
    observed = np.where(missed, (1 - opacity) * observed + opacity * rng.normal(0.02, 0.03, clear.shape), observed)
    masked = clouded & ~missed
    masked[masked.all(axis=1)] = False
    steps = np.arange(STEPS)
    for row, gaps in zip(observed, masked, strict=True):
        row[gaps] = np.interp(steps[gaps], steps[~gaps], row[~gaps])
    return Parcels(np.clip(observed, -1.0, 1.0), clear, masked, missed)


def simulate_parcels(labels: NDArray[np.integer], scene: NDArray[np.integer], rng: np.random.Generator) -> Parcels:
    """Return the series of parcels of crops ``labels`` ``[n]`` in scenes ``scene`` ``[n]`` (0-based numbers)."""
    scenes = int(scene.max()) + 1
    latitude = rng.uniform(-2.5, 2.5, scenes)  # degrees from the reference
    year = 5.0 * rng.standard_normal(scenes)  # days
    shift = (4.0 * latitude + year)[scene]
    stretch = (1.0 - 0.015 * latitude)[scene]
    clear = clear_sky(labels, rng, shift=shift, stretch=stretch)
    return observe(clear, _scene_clouds(scenes, rng)[scene], rng)


def standardise(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (x - mean) / std over the last axis; a constant series becomes zeros."""
    centred = series - series.mean(axis=-1, keepdims=True)
    varies = np.ptp(series, axis=-1, keepdims=True) > 0
    return np.where(varies, centred, 0.0) / np.where(varies, series.std(axis=-1, keepdims=True), 1.0)
