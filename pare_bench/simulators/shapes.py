"""Colour images of one textured shape on clutter: ten shapes times ten textures.

A scene is drawn at three times the image's resolution and averaged down (box filter), which anti-aliases every edge. All lengths are in
pixels of the final image, with the origin at its centre. Nothing separates a shape or texture from its mirror image, so a horizontal
flip keeps the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SUPERSAMPLING = 3
DISTRACTORS = 3
TILT = 0.6  # radians to either side: like photographed things, shapes have an upright position; textures have none
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def inside(shape: str, x: Array, y: Array) -> NDArray[np.bool_]:
    """Return where the points ``(x, y)`` lie in ``shape``; every shape has its centre near 0 and a radius of about 1.

    Raises:
        KeyError: there is no such shape.
    """
    return np.asarray(_OUTLINES[shape](x, y), dtype=bool)


def _star(x: Array, y: Array) -> Array:
    # The star {5/2}: points that lie on the inner side of at least four of its five lines.
    angles = 2 * np.pi * np.arange(5) / 5 + np.pi / 2
    return np.asarray(np.sum([x * np.float32(np.cos(a)) + y * np.float32(np.sin(a)) < 0.38 for a in angles], axis=0) >= 4)


def _triangle(x: Array, y: Array) -> Array:
    angles = 2 * np.pi * np.arange(3) / 3 + np.pi / 2
    return np.asarray(np.max([x * np.float32(np.cos(a)) + y * np.float32(np.sin(a)) for a in angles], axis=0) < 0.55)


def _heart(x: Array, y: Array) -> Array:
    # Two discs on the upper sides of a square that stands on its corner.
    return (np.hypot(np.abs(x) - 0.44, y - 0.34) < 0.56) | ((np.abs(x) + np.abs(y - 0.04) < 0.94) & (y < 0.34))


_OUTLINES: Mapping[str, Callable[[Array, Array], Array]] = {
    "disc": lambda x, y: np.hypot(x, y) < 0.85,
    "ring": lambda x, y: np.abs(np.hypot(x, y) - 0.76) < 0.24,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) < 0.75,
    "triangle": _triangle,
    "star": _star,
    "cross": lambda x, y: (np.minimum(np.abs(x), np.abs(y)) < 0.3) & (np.maximum(np.abs(x), np.abs(y)) < 1.0),
    "bar": lambda x, y: (np.abs(x) < 1.15) & (np.abs(y) < 0.38),
    "crescent": lambda x, y: (np.hypot(x + 0.2, y) < 1.0) & (np.hypot(x - 0.35, y) > 0.8),
    "heart": _heart,
    "hourglass": lambda x, y: (np.abs(y) < 0.95) & (np.abs(x) < 0.12 + 0.75 * np.abs(y)),
}


def pattern(texture: str, u: Array, v: Array, rng: np.random.Generator) -> Array:
    """Return the share, 0 or 1, of the second colour at points ``(u, v)``; each ``[n size size]``, in pixels about the object's centre.

    Raises:
        KeyError: there is no such texture.
    """
    return np.asarray(_PATTERNS[texture](u, v, rng), dtype=np.float32)


def _uniform(like: Array, low: float, high: float, rng: np.random.Generator) -> Array:
    """Return one number for each example of ``like``, ``[n 1 1]``."""
    return rng.uniform(low, high, (len(like), 1, 1)).astype(np.float32)


def _stripes(u: Array, low: float, high: float, rng: np.random.Generator) -> Array:
    return _wave((u + _uniform(u, 0, 16, rng)) / _uniform(u, low, high, rng))


def _cell(u: Array, v: Array, low: float, high: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the distance along either axis to the nearest knot of a shifted square lattice, in periods."""
    period = _uniform(u, low, high, rng)
    a, b = ((w + _uniform(u, 0, 16, rng)) / period for w in (u, v))
    return np.abs(a - np.rint(a)), np.abs(b - np.rint(b))


def _checker(u: Array, v: Array, rng: np.random.Generator) -> Array:
    a, b = _cell(u, v, 6.0, 7.5, rng)
    return np.not_equal(a < 0.25, b < 0.25)


def _spokes(u: Array, v: Array, rng: np.random.Generator) -> Array:
    return _wave(np.arctan2(v, u) * rng.integers(4, 6, (len(u), 1, 1)) / np.float32(2 * np.pi))


def _blobs(u: Array, v: Array, rng: np.random.Generator) -> Array:  # noqa: ARG001
    from scipy.ndimage import gaussian_filter

    width = 1.7 * SUPERSAMPLING
    return np.asarray(gaussian_filter(rng.standard_normal(u.shape, dtype=np.float32), (0, width, width)) > 0)


def _speckle(u: Array, v: Array, rng: np.random.Generator) -> Array:  # noqa: ARG001
    coarse = rng.random((len(u), *(-(-side // SUPERSAMPLING) for side in u.shape[1:])), dtype=np.float32)
    return _enlarge(coarse, SUPERSAMPLING)[:, : u.shape[1], : u.shape[2]]


_PATTERNS: Mapping[str, Callable[[Array, Array, np.random.Generator], Array]] = {
    "solid": lambda u, v, rng: np.zeros_like(u),  # noqa: ARG005
    "fine stripes": lambda u, v, rng: _stripes(u, 2.9, 3.5, rng),  # noqa: ARG005
    "wide stripes": lambda u, v, rng: _stripes(u, 6.5, 8.0, rng),  # noqa: ARG005
    "checker": _checker,
    "dots": lambda u, v, rng: np.hypot(*_cell(u, v, 4.6, 5.6, rng)) < 0.3,
    "rings": lambda u, v, rng: _stripes(np.hypot(u, v), 4.4, 5.4, rng),
    "spokes": _spokes,
    "blobs": _blobs,
    "grid": lambda u, v, rng: np.minimum(*_cell(u, v, 5.2, 6.4, rng)) < 0.14,
    "speckle": _speckle,
}

SHAPES = tuple(_OUTLINES)
TEXTURES = tuple(_PATTERNS)


def render(labels: NDArray[np.integer], rng: np.random.Generator, size: int = 32, *, clutter: float = 0.7, hue: float = 1.0) -> Array:
    """Return images ``[n 3 size size]`` in [0, 1] of the classes ``labels`` ``[n]`` (10 x shape + texture).

    Position, rotation, scale, aspect, colours, lighting, distractors in the background and a strip across the object are random.
    ``clutter`` scales contrast of background and distractors, occlusion and noise (0: a plain grey background); ``hue`` scales all
    differences in hue (0: grey).
    """
    count, fine = len(labels), size * SUPERSAMPLING
    axis = ((np.arange(fine, dtype=np.float32) + 0.5) / SUPERSAMPLING - size / 2).astype(np.float32)
    y, x = np.broadcast_to(axis[:, None], (count, fine, fine)), np.broadcast_to(axis, (count, fine, fine))

    def draw(low: float, high: float) -> Array:
        return rng.uniform(low, high, (count, 1, 1)).astype(np.float32)

    scene = _background(x, y, size, rng, clutter=clutter, hue=hue)
    u, v = _rotate(x - draw(-0.07, 0.07) * size, y - draw(-0.07, 0.07) * size, draw(-TILT, TILT))
    radius, aspect = draw(0.33, 0.42) * size, draw(0.92, 1.09)
    mask, share = np.empty((count, fine, fine), dtype=bool), np.empty((count, fine, fine), dtype=np.float32)
    for index, shape in enumerate(SHAPES):
        chosen = labels // len(TEXTURES) == index
        mask[chosen] = inside(shape, u[chosen] / radius[chosen] * aspect[chosen], v[chosen] / radius[chosen] / aspect[chosen])
    turned_u, turned_v = _rotate(u, v, draw(0, 2 * np.pi))
    for index, texture in enumerate(TEXTURES):
        chosen = labels % len(TEXTURES) == index
        share[chosen] = pattern(texture, turned_u[chosen], turned_v[chosen], rng)
    first, second = _colour_pair(count, rng, hue)
    share = share[:, None]
    scene = np.where(mask[:, None], first * (1 - share) + second * share, scene)
    along, _ = _rotate(x - draw(-0.3, 0.3) * size, y - draw(-0.3, 0.3) * size, draw(0, 2 * np.pi))
    strip = (np.abs(along) < draw(0.03, 0.07) * size) & (draw(0, 1) < 0.5 * clutter)
    scene = np.where(strip[:, None], _colours(count, 1, rng, hue)[:, 0], scene)
    scene = scene.reshape(count, 3, size, SUPERSAMPLING, size, SUPERSAMPLING).mean(axis=(3, 5))
    return _light(scene, rng, clutter)


def balanced_labels(count: int, num: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``count`` labels in 0 .. num - 1: one random order of all labels after the other, the last one cut."""
    return np.concatenate([rng.permutation(num) for _ in range(-(-count // num))])[:count].astype(np.int64)


def _background(x: Array, y: Array, size: int, rng: np.random.Generator, *, clutter: float, hue: float) -> Array:
    """Return a cloudy mixture of two colours with a few discs and bars, ``[n 3 *x.shape[1:]]``."""
    from scipy.ndimage import gaussian_filter

    count = len(x)
    colours = 0.5 + clutter * (_colours(count, 2 + DISTRACTORS, rng, hue) - 0.5)
    coarse = rng.standard_normal((count, -(-x.shape[1] // 4), -(-x.shape[2] // 4)), dtype=np.float32)
    cloud = np.asarray(gaussian_filter(coarse, (0, 3.0, 3.0), mode="wrap")) * np.float32(6.0)
    cloud = _enlarge(1 / (1 + np.exp(-2 * cloud)), 4)[:, : x.shape[1], : x.shape[2]][:, None]
    scene = colours[:, 0] * (1 - cloud) + colours[:, 1] * cloud
    for index in range(DISTRACTORS):
        place, radius = rng.uniform(-0.5, 0.5, (2, count, 1, 1)) * size, rng.uniform(0.05, 0.2, (count, 1, 1)) * size
        angle, is_disc = rng.uniform(0, 2 * np.pi, (count, 1, 1)), rng.random((count, 1, 1)) < 0.5
        across, along = _rotate(x - place[0].astype(np.float32), y - place[1].astype(np.float32), angle.astype(np.float32))
        covered = np.where(is_disc, np.hypot(across, along) < radius, (np.abs(across) < radius / 2) & (np.abs(along) < 2 * radius))
        scene = np.where(covered[:, None] & (clutter > 0), colours[:, 2 + index], scene)
    return np.asarray(scene)


def _light(image: Array, rng: np.random.Generator, clutter: float) -> Array:
    """Return the image under a random exposure and a light that fades linearly along a random direction, with sensor noise of 0.02."""
    count, _, height, width = image.shape
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    angle, slope = rng.uniform(0, 2 * np.pi, (count, 1, 1)), rng.uniform(0, 0.3, (count, 1, 1))
    light = rng.uniform(0.8, 1.15, (count, 1, 1)) * (1 + slope * (x * np.cos(angle) + y * np.sin(angle)))
    noise = 0.02 * clutter * rng.standard_normal(image.shape)
    return np.clip(image * light[:, None] + noise, 0, 1).astype(np.float32)


def _colour_pair(count: int, rng: np.random.Generator, hue: float) -> tuple[Array, Array]:
    """Return a dark and a light colour ``[n 3 1 1]`` in random order, so that a texture is visible in grey as well."""
    dark, light = (_tint(rng.uniform(low, low + 0.24, count), rng, hue) for low in (0.08, 0.68))
    swap = rng.random((count, 1, 1, 1)) < 0.5
    return np.where(swap, light, dark), np.where(swap, dark, light)


def _colours(count: int, each: int, rng: np.random.Generator, hue: float) -> Array:
    return _tint(rng.uniform(0.3, 0.7, count * each), rng, hue).reshape(count, each, 3, 1, 1)


def _tint(luma: NDArray[np.float64], rng: np.random.Generator, hue: float) -> Array:
    """Return colours ``[n 3 1 1]`` of the given luminance and a random hue."""
    chroma = hue * rng.uniform(-0.3, 0.3, (len(luma), 3))
    chroma -= (chroma @ _LUMA)[:, None]
    return np.clip(luma[:, None] + chroma, 0, 1).astype(np.float32)[:, :, None, None]


def _rotate(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return cosine * x + sine * y, cosine * y - sine * x


def _wave(phase: Array) -> Array:
    """Return True in the first half of every period."""
    return np.asarray(phase - np.floor(phase) < 0.5)


def _enlarge(values: Array, factor: int) -> Array:
    return np.asarray(values.repeat(factor, axis=-2).repeat(factor, axis=-1))
