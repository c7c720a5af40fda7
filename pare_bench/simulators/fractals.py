"""Images of iterated-function systems: formula-driven pictures with exact labels and exact foreground masks.

A system is two to four affine contractions of the plane; its attractor is drawn with the chaos game. The label of an image is its system and
an instance varies the coefficients, the pose and the appearance (Kataoka et al., "Pre-training without Natural Images", ACCV 2020). Systems
are drawn by singular values whose sum is bounded from both sides, which avoids specks and blobs (Anderson and Farrell, "Improving Fractal
Pre-training", WACV 2022). What is new here: fractals lie on cluttered backgrounds and are partly hidden, so that figure and ground matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pare_bench.seeds import stream

MAX_MAPS = 4
JITTER = 0.1
#: Largest turn of an instance in radians. Full turns make the label as hard to learn for a small network as the shape itself.
TURN = 0.5
#: Share of images with a bright grey figure on plain dark ground, nothing hidden: without them a small network hardly starts to learn.
CLEAN = 0.5
ORBITS, STEPS, BURN_IN = 64, 96, 16
BATCH = 64
#: Photographs in scikit-image's own wheel, all lossless files (a JPEG's bytes would depend on the decoder).
PHOTOGRAPHS = ("chelsea", "coffee", "brick", "grass", "gravel", "immunohistochemistry")

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Systems:
    """Maps x -> A x + b of ``n`` systems: ``matrices`` [n maps 2 2], ``offsets`` [n maps 2], ``weights`` [n maps] of choosing each (0: unused)."""

    matrices: Floats
    offsets: Floats
    weights: Floats

    def __len__(self) -> int:
        return len(self.matrices)

    def take(self, indices: NDArray[np.integer]) -> Systems:
        """Return the systems at ``indices``."""
        return Systems(self.matrices[indices], self.offsets[indices], self.weights[indices])


def fractal_systems(num: int, rng: np.random.Generator) -> Systems:
    """Draw ``num`` systems; the first ones do not depend on ``num``. Systems that fill a thin line or almost nothing are drawn again."""
    kept: list[Systems] = []
    while len(kept) < num:
        system = _draw_system(rng)
        points, _ = _orbits(system, rng)
        lowest, highest = points.min(1), points.max(1)
        cells = ((points - lowest[:, None]) / (highest - lowest).max() * 31.999).astype(np.int64)[0]
        filled = len(np.unique(cells[:, 0] * 32 + cells[:, 1])) / 1024
        if 0.1 < filled < 0.75:
            kept.append(system)
    return Systems(*(np.concatenate([getattr(system, part) for system in kept]) for part in ("matrices", "offsets", "weights")))


@cache
def default_systems(num: int) -> Systems:
    """Return the first ``num`` systems of the one fixed sequence that the proxy task and the pretraining share."""
    return fractal_systems(num, stream("fractals", "systems"))


def render_fractals(
    labels: NDArray[np.int64], rng: np.random.Generator, *, size: int = 56, systems: Systems | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw one image per label.

    ``labels`` [n] index ``systems`` (default: the first ``max(labels) + 1`` of the fixed sequence). Returns ``images`` float32 [n 3 size size]
    in [0, 1] and ``masks`` bool [n size size], True exactly where the visible fractal was painted.
    """
    systems = default_systems(int(labels.max(initial=0)) + 1) if systems is None else systems
    images, masks = np.empty((len(labels), 3, size, size), np.float32), np.empty((len(labels), size, size), np.bool_)
    for start in range(0, len(labels), BATCH):
        rows = slice(start, start + BATCH)
        images[rows], masks[rows] = _render(systems.take(labels[rows]), rng, size)
    return images, masks


def _draw_system(rng: np.random.Generator) -> Systems:
    maps = int(rng.integers(2, MAX_MAPS + 1))
    while True:
        values = -np.sort(-rng.random((256, maps, 2)), axis=-1)
        # Anderson and Farrell, section 3.3: the sum of s1 + 2 s2 over the maps lies between (5 + maps) / 2 and (6 + maps) / 2.
        total = (values @ np.array([1.0, 2.0])).sum(1)
        good = np.flatnonzero((total > (5 + maps) / 2) & (total < (6 + maps) / 2) & (values.max((1, 2)) < 0.97))
        if len(good):
            break
    singular = values[good[0]]
    signs = rng.choice([-1.0, 1.0], (maps, 1, 2))
    left, right = _rotations(rng.uniform(0, 2 * np.pi, maps)), _rotations(rng.uniform(0, 2 * np.pi, maps))
    area = np.maximum(singular.prod(-1), 0.02)
    matrices, offsets, weights = np.zeros((1, MAX_MAPS, 2, 2)), np.zeros((1, MAX_MAPS, 2)), np.zeros((1, MAX_MAPS))
    matrices[0, :maps], offsets[0, :maps] = (left * singular[:, None, :]) @ right * signs, rng.uniform(-1, 1, (maps, 2))
    weights[0, :maps] = area / area.sum()
    return Systems(matrices.astype(np.float32), offsets.astype(np.float32), weights.astype(np.float32))


def _rotations(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine, sine = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)


def _jittered(systems: Systems, rng: np.random.Generator) -> Systems:
    """Vary every coefficient by up to 10 %, keeping each map a contraction."""
    matrices = systems.matrices * rng.uniform(1 - JITTER, 1 + JITTER, systems.matrices.shape).astype(np.float32)
    norm = np.linalg.norm(matrices, ord=2, axis=(-2, -1), keepdims=True)
    offsets = systems.offsets * rng.uniform(1 - JITTER, 1 + JITTER, systems.offsets.shape).astype(np.float32)
    return Systems(matrices * np.minimum(1.0, 0.97 / np.maximum(norm, 1e-6)).astype(np.float32), offsets, systems.weights)


def _orbits(systems: Systems, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Play the chaos game: points [n points 2] on the attractor and an address in [0, 1] [n points] that tells its parts apart."""
    count = len(systems)
    table = np.concatenate([systems.matrices.reshape(count, MAX_MAPS, 4), systems.offsets], -1).reshape(-1, 6)
    bounds = np.cumsum(systems.weights, 1)[:, None, :-1] / systems.weights.sum(1)[:, None, None]
    first = MAX_MAPS * np.arange(count)[:, None]
    x, y, address = (np.zeros((count, ORBITS), np.float32) for _ in range(3))
    points, addresses = np.empty((STEPS, count, ORBITS, 2), np.float32), np.empty((STEPS, count, ORBITS), np.float32)
    for step in range(-BURN_IN, STEPS):
        chosen = (rng.random((count, ORBITS), np.float32)[..., None] > bounds).sum(-1)
        a, b, c, d, e, f = np.moveaxis(table[first + chosen], -1, 0)
        x, y = a * x + b * y + e, c * x + d * y + f
        address = (address + chosen.astype(np.float32) / (MAX_MAPS - 1)) / 2
        if step >= 0:
            points[step, ..., 0], points[step, ..., 1], addresses[step] = x, y, address
    return points.swapaxes(0, 1).reshape(count, -1, 2), addresses.swapaxes(0, 1).reshape(count, -1)


def _render(systems: Systems, rng: np.random.Generator, size: int) -> tuple[Floats, NDArray[np.bool_]]:
    count = len(systems)
    points, address = _orbits(_jittered(systems, rng), rng)
    density, tone = _rasterise(_posed(points, rng, size), address, rng, size)
    clean = rng.random((count, 1, 1, 1)) < CLEAN
    background, second = _backgrounds(count, rng, size), _backgrounds(count, rng, size)
    background = np.where(clean, 0.3 * background[:, :1, :1, :1], background)
    masks = (density > 0) & ~(_occluders(count, rng, size) & ~clean[:, 0])
    shade = np.log1p(density) / np.log1p(density.max((1, 2), keepdims=True))
    colours = rng.random((2, count, 3, 1, 1), np.float32)
    grey = rng.random((count, 1, 1, 1)) < 0.3
    background, second, colours = (np.where(grey, part.mean(-3, keepdims=True), part) for part in (background, second, colours))
    style = rng.integers(0, 4, count)[:, None, None, None]  # flat, graded by address, shaded by density, textured
    figure = colours[0] + np.where(style == 1, 1.0, 0.0) * (colours[1] - colours[0]) * tone[:, None]
    figure = np.where(style == 2, figure * (0.35 + 0.65 * shade[:, None]), figure)
    figure = np.where(style == 3, 0.5 * second + 0.5 * colours[0], figure)
    figure = np.where(clean, 0.6 + 0.4 * colours[0].mean(1, keepdims=True), figure)
    level = background.mean((2, 3), keepdims=True)
    # A figure that hardly differs from its ground could not be labelled by anyone.
    weak = np.abs(figure.mean((2, 3), keepdims=True) - level).max(1, keepdims=True) < 0.35
    figure = np.where(weak, np.where(level.mean(1, keepdims=True) > 0.5, 0.3 * figure, 0.7 + 0.3 * figure), figure)
    hidden = (density > 0) & ~masks
    images = np.where(masks[:, None], figure, np.where(hidden[:, None], 0.3 * background + 0.7 * second, background))
    noise = rng.standard_normal(images.shape, np.float32) * rng.uniform(0, 0.05, (count, 1, 1, 1)).astype(np.float32)
    return np.clip(images + noise, 0, 1).astype(np.float32), masks


def _posed(points: Floats, rng: np.random.Generator, size: int) -> Floats:
    """Rotate, mirror, scale and place each attractor; returns pixel coordinates (column, row)."""
    count = len(points)
    turned = points @ _rotations(rng.uniform(-TURN, TURN, count)).astype(np.float32)
    turned[..., 0] *= rng.choice([-1.0, 1.0], (count, 1)).astype(np.float32)
    lowest, highest = (np.stack([edge(turned[..., axis], 1) for axis in (0, 1)], -1)[:, None] for edge in (np.min, np.max))
    radius = np.maximum((highest - lowest).max(-1, keepdims=True) / 2, 1e-6)
    share = rng.uniform(0.6, 1.1, (count, 1, 1)) * rng.uniform(0.85, 1.15, (count, 1, 2))
    centre = size / 2 * (1 + rng.uniform(-1, 1, (count, 1, 2)) * (1.1 - np.minimum(share, 1.05)))
    return ((turned - (lowest + highest) / 2) / radius * share * size / 2 + centre).astype(np.float32)


def _rasterise(pixels: Floats, address: Floats, rng: np.random.Generator, size: int) -> tuple[Floats, Floats]:
    """Count points per pixel [n size size] and average their addresses; half of the images are drawn with a broader pen."""
    count = len(pixels)
    column, row = np.floor(pixels[..., 0]).astype(np.int64), np.floor(pixels[..., 1]).astype(np.int64)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    place = (np.arange(count)[:, None] * size + row) * size + column
    density = np.bincount(place[inside], minlength=count * size * size).reshape(count, size, size).astype(np.float32)
    total = np.bincount(place[inside], address[inside], minlength=count * size * size).reshape(count, size, size).astype(np.float32)
    broad = rng.random(count) < 0.5
    for field in (density, total):
        field[broad, :, 1:] += field[broad, :, :-1]
        field[broad, 1:, :] += field[broad, :-1, :]
    return density, (total / np.maximum(density, 1)).astype(np.float32)


def _occluders(count: int, rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Return masks [n size size] of one rectangle or ellipse in a quarter of the images."""
    centre, half = rng.uniform(0.1, 0.9, (2, count, 1, 1)) * size, rng.uniform(0.08, 0.2, (2, count, 1, 1)) * size
    row, column = np.arange(size)[None, :, None], np.arange(size)[None, None, :]
    across, down = np.abs(column - centre[0]) / half[0], np.abs(row - centre[1]) / half[1]
    inside = np.where(rng.random((count, 1, 1)) < 0.5, np.maximum(across, down) < 1, across**2 + down**2 < 1)
    return inside & (rng.random((count, 1, 1)) < 0.25)


def _backgrounds(count: int, rng: np.random.Generator, size: int) -> Floats:
    """Draw grounds [n 3 size size]: plain, gradient, grating, 1/f noise or a crop of a photograph, in random colours and contrast."""
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    angle, phase = rng.uniform(0, 2 * np.pi, (2, count, 1, 1)).astype(np.float32)
    ramp = np.cos(angle) * grid[None, None, :] + np.sin(angle) * grid[None, :, None]
    grating = np.sin(rng.uniform(4, 40, (count, 1, 1)).astype(np.float32) * ramp + phase)
    kind = rng.choice(5, count, p=[0.4, 0.15, 0.15, 0.15, 0.15])
    patterns = [ramp, grating, _pink_noise(count, rng, size)]
    field = np.select([kind[:, None, None] == index for index in (1, 2, 3)], patterns, 0.0)
    base, swing = rng.random((count, 3, 1, 1)), rng.uniform(-0.35, 0.35, (count, 3, 1, 1))
    grounds = (base + swing * field[:, None]).astype(np.float32)
    photographs = np.flatnonzero(kind == 4)
    gain = rng.uniform(0.4, 1.0, (count, 1, 1, 1)).astype(np.float32)[photographs]
    grounds[photographs] = gain * _photograph_crops(len(photographs), rng, size) + (1 - gain) * base[photographs]
    return np.clip(grounds, 0, 1)


def _pink_noise(count: int, rng: np.random.Generator, size: int) -> Floats:
    """Gaussian fields [n size size] of unit variance with amplitude spectrum 1 / f^a, a from 0.5 to 2."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((count, size, size))) * frequency ** -rng.uniform(0.5, 2.0, (count, 1, 1))
    field = np.fft.irfft2(spectrum, s=(size, size))
    return (field / field.std((1, 2), keepdims=True)).astype(np.float32)


@cache
def _pyramid() -> tuple[Floats, ...]:
    """Return the bundled photographs as [3 height width] in [0, 1] at full, half and quarter size."""
    from skimage import data

    levels = []
    for name in PHOTOGRAPHS:
        picture = np.asarray(getattr(data, name)(), np.float32) / 255
        picture = np.repeat(picture[None], 3, 0) if picture.ndim == 2 else np.moveaxis(picture[..., :3], -1, 0)
        for factor in (1, 2, 4):
            height, width = (side // factor for side in picture.shape[1:])
            blocks = picture[:, : height * factor, : width * factor].reshape(3, height, factor, width, factor)
            levels.append(blocks.mean((2, 4)))
    return tuple(levels)


def _photograph_crops(count: int, rng: np.random.Generator, size: int) -> Floats:
    levels = [level for level in _pyramid() if min(level.shape[1:]) >= size]
    crops = np.empty((count, 3, size, size), np.float32)
    for index in range(count):
        level = levels[int(rng.integers(len(levels)))]
        row, column = (int(rng.integers(side - size + 1)) for side in level.shape[1:])
        crops[index] = level[:, row : row + size, column : column + size]
    return crops
