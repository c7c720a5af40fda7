"""What ``nano_swin`` is shown: images drawn afresh for every step, textures, fractals and clutter that has no class.

A batch of step i is a function of the recipe's seed and i alone, so batches can be made ahead, in other processes, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pare_bench.seeds import stream, stream_seed
from pare_bench.simulators.fractals import default_systems, render_fractals
from pare_bench.simulators.textures import CLASSES, render_textures

SIZE = 56
#: Classes of textures and of fractals.
KIND_CLASSES = (CLASSES, 64)


@dataclass(frozen=True)
class Shown:
    """Images of one step: first those shown whole, then the hosts of the mixes, then the clutter that only mixes contain.

    ``images`` float32 [n 3 56 56] in [0, 1]; ``masks`` float32 [n 56 56], 1 where there is foreground; ``labels`` int64 [n]; ``has`` float32 [n 2],
    1 at the kind (texture, fractal) that the label is of, 0 at both for clutter; ``whole`` is how many are shown whole, ``partners`` int64 [mixes]
    the image whose patches enter each host.
    """

    images: Tensor
    masks: Tensor
    labels: Tensor
    has: Tensor
    partners: Tensor
    whole: int


def shown(seed: int, step: int, batch: int) -> Shown:
    """Draw ``batch`` images, three textures to five fractals, and an eighth as much clutter.

    An eighth are textures that are shown whole and three eighths fractals: textures are learned in a few hundred steps. A quarter each are hosts of
    mixes, three quarters of them with the other kind and a quarter with clutter.

    Raises:
        ValueError: ``batch`` is no multiple of 16.
    """
    if batch % 16:
        raise ValueError(f"a batch of {batch} cannot be divided: take a multiple of 16")
    rng = stream("nano_swin", seed, "images", step)
    first, clutter = 3 * batch // 8, batch // 8
    textures, fractals = (rng.integers(0, number, count) for number, count in zip(KIND_CLASSES, (first, batch - first), strict=True))
    pictures, masks = zip(render_textures(textures, rng, size=SIZE), fractal_images(fractals, rng), strict=True)
    turned, turned_masks = augmented(
        torch.from_numpy(pictures[1][::2]),
        torch.from_numpy(masks[1][::2]),
        torch.Generator().manual_seed(stream_seed("nano_swin", seed, "variations", step)),
    )
    images = torch.from_numpy(np.concatenate([*pictures, clutter_images(clutter, rng)]))
    marks = torch.from_numpy(np.concatenate([*masks, np.zeros((clutter, SIZE, SIZE), np.bool_)])).float()
    images[first:batch:2], marks[first:batch:2] = turned, turned_masks
    labels = torch.from_numpy(np.concatenate([textures, fractals, np.zeros(clutter, np.int64)]))
    has = torch.zeros(len(images), 2)
    has[:first, 0] = has[first:batch, 1] = 1
    # Whole textures and fractals, then hosts of both kinds, then clutter.
    eighth, number = batch // 8, torch.arange(len(images))
    order = torch.cat([number[:eighth], number[first : first + 3 * eighth], number[eighth:first], number[first + 3 * eighth :]])
    return Shown(images[order], marks[order], labels[order], has[order], _partners(batch), batch // 2)


def _partners(batch: int) -> Tensor:
    """Return the image that is mixed into each host: of the other kind, or clutter for the last quarter of each kind."""
    quarter = batch // 4
    textures, fractals = batch // 2 + torch.arange(quarter), batch // 2 + quarter + torch.arange(quarter)
    clutter = batch + torch.arange(batch // 8)
    cluttered = batch // 16
    return torch.cat([fractals[: quarter - cluttered], clutter[:cluttered], textures[: quarter - cluttered], clutter[cluttered:]])


def fractal_images(labels: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Draw fractals of the proxy task's systems: images [n 3 56 56] in [0, 1] and masks [n 56 56]."""
    return render_fractals(labels, rng, size=SIZE, systems=default_systems(KIND_CLASSES[1]))


def clutter_images(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw images [n 3 56 56] without a class: noise of amplitude 1 / f^a (a from 0 to 2), grey or of one hue, weak to strong, some beyond [0, 1].

    Mixes must be read beside what no pretraining has seen, another modality's patches. Spectrograms, fields and recordings look more like this
    than like figures.
    """
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((count, SIZE, SIZE))) * frequency ** -rng.uniform(0, 2, (count, 1, 1))
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    field /= field.std((1, 2), keepdims=True)
    hue = np.where(rng.random((count, 1, 1, 1)) < 0.5, 1.0, rng.uniform(-1, 1, (count, 3, 1, 1)))
    contrast = rng.uniform(0.05, 0.4, (count, 1, 1, 1))
    return (0.5 + rng.uniform(-0.3, 0.3, (count, 1, 1, 1)) + contrast * hue * field[:, None]).astype(np.float32)


def augmented(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Vary a batch: mirror, zoom, turn, shift, contrast, brightness, negative, exchanged channels, an erased square.

    Images [batch 3 56 56] in [0, 1] and masks [batch 56 56] keep their shapes; an erased place is not foreground.
    """
    count, size = len(images), images.shape[-1]

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle, zoom = draw(-0.25, 0.25), draw(0.8, 1.1)
    mirror = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cosine, sine, shift = zoom * angle.cos(), zoom * angle.sin(), draw(-0.1, 0.1, 2)
    pose = torch.stack([torch.stack([cosine * mirror, -sine, shift[:, 0]], -1), torch.stack([sine * mirror, cosine, shift[:, 1]], -1)], 1)
    both = torch.cat([images, masks[:, None].float()], 1)
    grid = F.affine_grid(pose, list(both.shape), align_corners=False)
    both = F.grid_sample(both, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    images, masks = both[:, :3], both[:, 3]
    level = images.mean((1, 2, 3), keepdim=True)
    images = (images - level) * draw(0.6, 1.4, 1, 1, 1) + level + draw(-0.2, 0.2, 1, 1, 1)
    images = torch.where(draw(0, 1, 1, 1, 1) < 0.15, 1 - images, images)[:, torch.randperm(3, generator=generator)].clamp(0, 1)
    place = torch.arange(size)
    corner, side = draw(0, size, 2), draw(5, 18) * (draw(0, 1) < 0.2)
    rows = (place - corner[:, :1] >= 0) & (place - corner[:, :1] < side[:, None])
    columns = (place - corner[:, 1:] >= 0) & (place - corner[:, 1:] < side[:, None])
    erased = rows[:, :, None] & columns[:, None, :]
    return torch.where(erased[:, None], draw(0, 1, 3, 1, 1), images), masks * ~erased


class _Steps(Dataset[Shown]):
    """Batches by step."""

    def __init__(self, seed: int, batch: int) -> None:
        self.seed, self.batch = seed, batch

    def __getitem__(self, step: int) -> Shown:
        return shown(self.seed, step, self.batch)


def batches(seed: int, batch: int, steps: range, workers: int) -> Iterator[Shown]:
    """Yield the batches of ``steps`` in order, made ahead by ``workers`` processes; 0 makes each when it is asked for."""
    yield from DataLoader(
        _Steps(seed, batch), batch_size=None, sampler=steps, num_workers=workers, collate_fn=None, prefetch_factor=4 if workers else None
    )
