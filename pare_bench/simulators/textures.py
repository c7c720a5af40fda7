"""Images of textures: the class is a local statistic, so that any few patches of the image tell it.

A class is one of eight motifs (stripes in four directions, checks, dots, rough and smooth noise) in one of eight pairs of colours. The motifs repeat
within four to six pixels, no longer than a patch of the usual backbones: a mix that keeps some patches of an image, wherever they are put, keeps
its class. That is what patch replacement needs of source data, and what the shape of a figure cannot give. The texture stands in blobs on smooth
ground, so that it has a foreground, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MOTIFS = ("0 degrees", "45 degrees", "90 degrees", "135 degrees", "checks", "dots", "rough noise", "smooth noise")
#: The first so many motifs are stripes.
STRIPES = 4
#: Red, green and blue of the two colours of each pair. Four share their mean colour: the mean alone does not tell the pair.
PAIRS: Floats = np.array(
    [
        [(0.1, 0.1, 0.1), (0.9, 0.9, 0.9)],
        [(0.9, 0.1, 0.1), (0.1, 0.9, 0.9)],
        [(0.1, 0.9, 0.1), (0.9, 0.1, 0.9)],
        [(0.1, 0.1, 0.9), (0.9, 0.9, 0.1)],
        [(0.9, 0.1, 0.1), (0.9, 0.9, 0.1)],
        [(0.1, 0.1, 0.9), (0.9, 0.1, 0.9)],
        [(0.1, 0.9, 0.1), (0.1, 0.9, 0.9)],
        [(0.9, 0.1, 0.1), (0.1, 0.1, 0.9)],
    ],
    np.float32,
)
CLASSES = len(MOTIFS) * len(PAIRS)
#: Pixels in which a motif repeats, and by how much an instance's own differ: wave length as a factor, direction in radians, colours in each channel.
WAVE_LENGTH = 4.0
STRETCH, TURN, TINT = 1.2, 0.12, 0.1
#: Share of the image that the texture covers.
COVERED = (0.5, 0.9)
#: Rows and columns of the coarse fields that blobs and grounds are drawn from.
COARSE = 5
BATCH = 64


@dataclass(frozen=True)
class _Drawn:
    """What an instance of a class looks like: ``wave`` [n], ``direction`` [n], ``phases`` [n 2], ``colours`` [n 2 3], ``covered`` [n]."""

    wave: Floats
    direction: Floats
    phases: Floats
    colours: Floats
    covered: Floats


def render_textures(labels: NDArray[np.integer], rng: np.random.Generator, *, size: int = 56) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw one image per label.

    ``labels`` [n] in 0 ... 63 are motif + 8 * pair of colours. Returns ``images`` float32 [n 3 size size] in [0, 1] and ``masks`` bool [n size size],
    True where the texture was painted.

    Raises:
        ValueError: a label is outside 0 ... 63.
    """
    if len(labels) and not 0 <= labels.min() <= labels.max() < CLASSES:
        raise ValueError(f"labels lie in {labels.min()} ... {labels.max()}, there are {CLASSES} textures")
    images, masks = np.empty((len(labels), 3, size, size), np.float32), np.empty((len(labels), size, size), np.bool_)
    for start in range(0, len(labels), BATCH):
        rows = slice(start, start + BATCH)
        images[rows], masks[rows] = _render(np.asarray(labels[rows]), rng, size)
    return images, masks


def _render(labels: NDArray[np.integer], rng: np.random.Generator, size: int) -> tuple[Floats, NDArray[np.bool_]]:
    count, motifs = len(labels), labels % len(MOTIFS)
    drawn = _draw(labels // len(MOTIFS), motifs, rng)
    coarse = rng.standard_normal((2, count, COARSE, COARSE), np.float32)
    masks = _blobs(coarse[0], drawn.covered, size)
    level = _motifs(motifs, drawn, rng, size)[:, None]
    first, second = drawn.colours[:, 0, :, None, None], drawn.colours[:, 1, :, None, None]
    ground = (
        rng.random((count, 3, 1, 1), np.float32) + rng.uniform(-0.15, 0.15, (count, 3, 1, 1)).astype(np.float32) * _enlarged(coarse[1], size)[:, None]
    )
    images = np.where(masks[:, None], first + level * (second - first), ground)
    noise = rng.random((count, 1, size, size), np.float32) - np.float32(0.5)
    images += noise * rng.uniform(0, 0.12, (count, 3, 1, 1)).astype(np.float32)
    return np.clip(images, 0, 1, out=images), masks


def _draw(pairs: NDArray[np.integer], motifs: NDArray[np.integer], rng: np.random.Generator) -> _Drawn:
    count = len(pairs)
    colours = PAIRS[pairs] + rng.uniform(-TINT, TINT, (count, 2, 3)).astype(np.float32)
    # Contrast and order of the two colours are the instance's own.
    swapped = rng.random(count) < 0.5
    colours[swapped] = colours[swapped, ::-1]
    middle, contrast = colours.mean(1, keepdims=True), rng.uniform(0.7, 1.0, (count, 1, 1)).astype(np.float32)
    upright = np.where(motifs < STRIPES, motifs * (np.pi / STRIPES), 0.0)
    return _Drawn(
        wave=(WAVE_LENGTH * STRETCH ** rng.uniform(-1, 1, count)).astype(np.float32),
        direction=(upright + rng.uniform(-TURN, TURN, count)).astype(np.float32),
        phases=rng.uniform(0, 2 * np.pi, (count, 2)).astype(np.float32),
        colours=middle + contrast * (colours - middle),
        covered=rng.uniform(*COVERED, count).astype(np.float32),
    )


def _motifs(motifs: NDArray[np.integer], drawn: _Drawn, rng: np.random.Generator, size: int) -> Floats:
    """Return how much of the second colour each pixel has: [n size size] in [0, 1]."""
    count = len(motifs)
    level = np.empty((count, size, size), np.float32)
    along, across = _waves(drawn, size)
    stripes = np.flatnonzero(motifs < STRIPES)
    checks, dots, rough, smooth = (np.flatnonzero(motifs == MOTIFS.index(name)) for name in MOTIFS[STRIPES:])
    level[stripes] = 0.5 + 0.5 * along[stripes]
    level[checks] = 0.5 + 0.5 * along[checks] * across[checks]
    level[dots] = np.maximum(along[dots], 0) * np.maximum(across[dots], 0)
    level[rough] = rng.random((len(rough), size, size), np.float32)
    level[smooth] = _enlarged(rng.random((len(smooth), size // 8 + 1, size // 8 + 1), np.float32), size)
    return level


def _waves(drawn: _Drawn, size: int) -> tuple[Floats, Floats]:
    """Return cosines [n size size] along the direction of each instance and across it."""
    place = np.arange(size, dtype=np.float32)
    number = 2 * np.pi / drawn.wave
    cosine, sine = (number * np.cos(drawn.direction))[:, None], (number * np.sin(drawn.direction))[:, None]
    waves = []
    for by_column, by_row, phase in ((cosine, sine, drawn.phases[:, :1]), (-sine, cosine, drawn.phases[:, 1:])):
        # cos(a + b) from the cosines and sines of columns and rows: 2 n size of them, not n size^2.
        column, row = by_column * place + phase, by_row * place
        waves.append(np.cos(row)[:, :, None] * np.cos(column)[:, None, :] - np.sin(row)[:, :, None] * np.sin(column)[:, None, :])
    return waves[0], waves[1]


def _blobs(coarse: Floats, covered: Floats, size: int) -> NDArray[np.bool_]:
    """Return masks [n size size] that cover the wanted share of each image, give or take a pixel."""
    field = _enlarged(coarse, size).reshape(len(coarse), -1)
    order = np.sort(field, axis=1)
    least = order[np.arange(len(field)), ((1 - covered) * field.shape[1]).astype(np.int64)]
    return (field >= least[:, None]).reshape(-1, size, size)


def _enlarged(coarse: Floats, size: int) -> Floats:
    """Enlarge fields [n cells cells] to [n size size], bilinearly, corner on corner."""
    cells = coarse.shape[-1]
    place = np.linspace(0, cells - 1, size, dtype=np.float32)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(cells, dtype=np.float32)))
    return weights @ coarse @ weights.T
