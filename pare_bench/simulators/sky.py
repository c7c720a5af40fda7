"""Telescope exposures with cosmic-ray hits: what the sky sends, what the detector adds, and which pixels were hit.

Units are electrons and pixels (0.05 arcsec, 15 micrometres: the scale of HST's ACS/WFC). Light of the sky passes the optics and is blurred;
cosmic rays hit the detector itself and are spread by charge diffusion only, which is what makes them recognisable.

- Stars: power law of fluxes, Moffat profile I ~ (1 + (r / alpha)^2)^(-beta) (Moffat, A&A 3, 1969), taken as the pixel-integrated profile.
- Galaxies: I ~ exp(-b ((r / r_e)^(1/n) - 1)) with b = 2n - 1/3 + 4/(405 n) (Sersic 1963; Ciotti and Bertin, A&A 352, 1999), blurred by the Moffat.
- Real sky: the part of the Hubble Deep Field picture that scikit-image ships, an 8-bit colour picture turned into a linear brightness.
- Muons: straight. For an isotropic flux the polar angle obeys p ~ sin cos, the track in the plane is (thickness x tan), and the charge is
  proportional to the path with Landau-like (Moyal) fluctuations of about 75 pairs per micrometre (Groom, Experimental Astronomy 14, 2002).
- Worms: Compton or beta electrons, a random walk in direction that curls and deposits more as the electron slows down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

Floats = NDArray[np.floating]

READ_NOISE = 5.0
SATURATION = 32767.0  # 16-bit converter at 0.5 electrons per count
MUON_CHARGE = 1100.0  # electrons per pixel length of path
#: Columns of the Hubble Deep Field picture that each split may show.
HUBBLE_COLUMNS = {"train": (0, 540), "val": (540, 720), "test": (720, 1000)}
_HUBBLE_SKY = 13.0  # median brightness of the picture: its empty sky


@dataclass(frozen=True)
class Exposures:
    """Images and deposited cosmic-ray charge in electrons, pixels to leave out (each ``[n size size]``), and the level of empty sky ``[n]``."""

    images: Floats
    charge: Floats
    ignore: NDArray[np.bool_]
    sky: Floats


@cache
def hubble_picture() -> Floats:
    """Return the brightness ``[872 1000]`` (0 to 255) of the Hubble Deep Field picture that scikit-image ships."""
    from skimage.data import hubble_deep_field

    picture: NDArray[np.uint8] = hubble_deep_field()
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114]), dtype=np.float32)


def hubble_cutouts(count: int, size: int, columns: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return ``[n size size]`` cut-outs from ``columns`` of the picture, mirrored and turned at random, in electrons above the empty sky."""
    picture = hubble_picture()[:, slice(*columns)]
    tops = rng.integers(0, picture.shape[0] - size + 1, count)
    lefts = rng.integers(0, picture.shape[1] - size + 1, count)
    turns, mirrored = rng.integers(0, 4, count), rng.integers(0, 2, count)
    turned = [
        np.rot90(picture[top : top + size, left : left + size], turn)[:, :: 1 - 2 * mirror]
        for top, left, turn, mirror in zip(tops, lefts, turns, mirrored, strict=True)
    ]
    scale = rng.uniform(1.0, 4.0, (count, 1, 1)).astype(np.float32)
    return np.asarray(np.clip(np.array(turned, dtype=np.float32) - _HUBBLE_SKY, 0, None) * scale)


def moffat(squared: Floats, width: float, beta: float) -> Floats:
    """Return the Moffat profile of total 1 at squared radii ``squared`` for a full width ``width`` at half maximum."""
    alpha_squared = np.float32((width / 2) ** 2 / (2 ** (1 / beta) - 1))
    return np.asarray(np.float32((beta - 1) / (np.pi * alpha_squared)) * (1 + squared / alpha_squared) ** np.float32(-beta))


def sersic(radius: Floats, effective: float, index: float) -> Floats:
    """Return the Sersic profile at ``radius``, 1 at the effective radius."""
    b = 2 * index - 1 / 3 + 4 / (405 * index)
    return np.asarray(np.exp(np.float32(-b) * ((radius / np.float32(effective)) ** np.float32(1 / index) - 1)))


def simulated_sky(count: int, size: int, rng: np.random.Generator) -> Floats:
    """Return ``[n size size]`` electrons from simulated stars and galaxies."""
    return np.stack([_one_field(size, rng) for _ in range(count)])


def _one_field(size: int, rng: np.random.Generator) -> Floats:
    y, x = np.mgrid[:size, :size].astype(np.float32)
    width, beta = rng.uniform(1.8, 2.4), rng.uniform(2.5, 4.0)
    galaxies = np.zeros((size, size), dtype=np.float32)
    for _ in range(rng.poisson(7)):
        dx, dy = x - np.float32(rng.uniform(0, size)), y - np.float32(rng.uniform(0, size))
        angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0)
        along = np.float32(np.cos(angle)) * dx + np.float32(np.sin(angle)) * dy
        across = np.float32(np.cos(angle)) * dy - np.float32(np.sin(angle)) * dx
        # The floor stands for the mean over the central pixel, where the profile is steeper than the grid.
        radius = np.sqrt(along**2 + (across / np.float32(ratio)) ** 2 + np.float32(0.1))
        profile = sersic(radius, np.exp(rng.uniform(np.log(1.5), np.log(7.0))), rng.choice([0.5, 1.0, 1.0, 2.0, 4.0]))
        galaxies += np.float32(np.exp(rng.uniform(np.log(500), np.log(30000)))) * profile / profile.sum()
    # The kernel is centred on pixel 0 of the doubled grid, so the blur does not wrap around.
    ring = np.minimum(np.arange(2 * size), 2 * size - np.arange(2 * size)).astype(np.float32)
    kernel = moffat(ring[:, None] ** 2 + ring**2, width, beta)
    doubled = (2 * size, 2 * size)
    blurred = irfft2(rfft2(galaxies, doubled) * rfft2(kernel / kernel.sum()), doubled)[:size, :size]
    for _ in range(rng.poisson(7)):
        squared = (x - np.float32(rng.uniform(0, size))) ** 2 + (y - np.float32(rng.uniform(0, size))) ** 2
        flux = 150.0 * rng.random() ** (-1 / 0.6)  # number above a flux falls as flux^-0.6
        blurred += np.float32(min(flux, 3e5)) * moffat(squared, width, beta)
    return np.asarray(np.clip(blurred, 0, None))


def cosmic_rays(count: int, size: int, rng: np.random.Generator) -> Floats:
    """Return the charge ``[n size size]`` in electrons that muons and worms leave in ``count`` exposures of random length."""
    margin = 10
    frame = (size + 2 * margin) ** 2 / 128**2
    hits = rng.poisson(rng.uniform(20, 60, count) * frame)
    image = np.repeat(np.arange(count), hits)
    is_worm = rng.random(len(image)) < 0.3
    charge = np.zeros(count * size * size)
    for owners, tracks in ((image[~is_worm], muon_tracks), (image[is_worm], worm_tracks)):
        start = rng.uniform(-margin, size + margin, (2, len(owners)))
        track, position, electrons = tracks(start, rng)
        column, row = np.floor(position).astype(np.int64)
        on = (column >= 0) & (column < size) & (row >= 0) & (row < size)
        pixel = (owners[track] * size + row) * size + column
        charge += np.bincount(pixel[on], weights=electrons[on], minlength=len(charge))
    return charge.reshape(count, size, size).astype(np.float32)


def muon_tracks(start: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return packets of charge of straight tracks from ``start`` ``[2 n]``: number of the track, end position ``[2 packets]``, electrons."""
    count = start.shape[1]
    sine_squared = rng.random(count)
    # The layer is one pixel thick: tan is the length in the plane, 1 / cos the path.
    length = np.minimum(np.sqrt(sine_squared / (1 - sine_squared)), 60.0)
    # -log(z^2) of a normal z is Moyal distributed.
    landau = np.clip(1 + 0.2 * -np.log(rng.standard_normal(count) ** 2), 0.4, 5.0)
    total = MUON_CHARGE * np.hypot(length, 1.0) * landau * _collected(count, rng)
    packets = (60 * (1 + length)).astype(np.int64)
    track = np.repeat(np.arange(count), packets)
    depth = rng.random(len(track))
    angle = rng.uniform(0, 2 * np.pi, count)
    position = start[:, track] + depth * length[track] * np.array([np.cos(angle), np.sin(angle)])[:, track]
    # Charge freed deep in the layer drifts longer, and diffuses as the square root of the drift.
    position += (0.12 + 0.33 * np.sqrt(depth)) * rng.standard_normal(position.shape)
    return track, position, total[track] / packets[track]


def worm_tracks(start: NDArray[np.float64], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return packets of charge of curling electron tracks from ``start`` ``[2 n]``, as :func:`muon_tracks` does."""
    count, step, longest = start.shape[1], 0.15, 30.0
    steps = np.exp(rng.uniform(np.log(3.0), np.log(longest), count)) / step
    left = 1 - np.arange(int(longest / step) + 1) / steps[:, None]
    alive = left > 0
    slowing = 1 / (np.maximum(left, 0) + 0.15)
    heading = rng.uniform(0, 2 * np.pi, (count, 1)) + np.cumsum(0.12 * np.sqrt(slowing) * rng.standard_normal(left.shape), axis=1)
    path = start[:, :, None] + step * np.cumsum([np.cos(heading), np.sin(heading)], axis=2)
    electrons = (0.4 * MUON_CHARGE * step * _collected(count, rng))[:, None] * (0.8 + 0.3 * slowing)
    diffusion = np.broadcast_to(rng.uniform(0.15, 0.4, (count, 1)), left.shape)
    copies = 6
    track = np.repeat(np.nonzero(alive)[0], copies)
    position = np.repeat(path[:, alive], copies, axis=1)
    position += np.repeat(diffusion[alive], copies) * rng.standard_normal(position.shape)
    return track, position, np.repeat(electrons[alive], copies) / copies


def _collected(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of the charge that reaches the pixels: hits near the back surface lose part of it to recombination."""
    return np.exp(rng.uniform(np.log(0.15), 0.0, count))


def expose(light: Floats, rng: np.random.Generator) -> Exposures:
    """Return exposures of skies ``[n size size]`` (electrons above the empty sky) with cosmic rays, detector defects and noise."""
    count, size, _ = light.shape
    sky = rng.uniform(15, 70, (count, 1, 1)).astype(np.float32)
    charge = cosmic_rays(count, size, rng)
    hot = rng.random(light.shape) < rng.uniform(0.0005, 0.003, (count, 1, 1))
    dark = np.where(hot, rng.exponential(200.0, light.shape), 0.0)
    column = rng.integers(0, size, (count, 1, 1))
    bad_column = (np.arange(size) == column) & (rng.random((count, 1, 1)) < 0.25) & np.ones(light.shape, dtype=bool)
    electrons = rng.poisson((light + sky + dark) * np.where(bad_column, 0.4, 1.0)) + charge
    bias = rng.normal(0, 1.0, (count, 1, 1)) + rng.normal(0, 0.7, (count, 1, size))  # what bias subtraction leaves: an offset and column offsets
    images = electrons + bias + READ_NOISE * rng.standard_normal(light.shape)
    saturated = images >= SATURATION
    # Dark frames reveal strong hot pixels, but not those that turned hot since.
    known_hot = hot & (dark > 40.0) & (rng.random(light.shape) < 0.9)
    return Exposures(np.minimum(images, SATURATION).astype(np.float32), charge, saturated | bad_column | known_hot, sky[:, 0, 0])
