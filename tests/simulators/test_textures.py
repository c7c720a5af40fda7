"""Texture images: the class is told by single patches, masks are exact, bytes follow the stream."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pare_bench.builtin.sources.textures import Textures
from pare_bench.contracts.task import TaskSize
from pare_bench.datasets.simulated import generate_splits, simulate_chunk
from pare_bench.seeds import stream
from pare_bench.simulators import textures

SIZE = 56


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.tile(np.arange(textures.CLASSES), 32)
    return labels, *textures.render_textures(labels, np.random.default_rng(0))


def test_images_and_masks_have_the_promised_shapes_and_values(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    labels, images, masks = drawn
    assert images.shape == (len(labels), 3, SIZE, SIZE)
    assert images.dtype == np.float32
    assert masks.shape == (len(labels), SIZE, SIZE)
    assert masks.dtype == np.bool_
    assert images.min() >= 0
    assert images.max() <= 1
    share = masks.mean((1, 2))
    low, high = textures.COVERED
    assert low - 0.001 < share.min() < low + 0.02
    assert high - 0.02 < share.max() < high + 0.001


def test_pairs_of_colours_need_both_colours() -> None:
    """No two pairs are alike, and four of them have one mean."""
    assert len({frozenset(map(tuple, pair.tolist())) for pair in textures.PAIRS}) == 8
    assert len(np.unique(textures.PAIRS.mean(1).round(3), axis=0)) == 5


def test_colours_of_the_pair_stand_where_the_mask_is_and_nowhere_else(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """A masked pixel lies near the line between its pair's colours; a ground pixel as near as chance has it."""
    labels, images, masks = drawn
    first, second = np.moveaxis(textures.PAIRS[labels // len(textures.MOTIFS)], 1, 0)
    span = second - first
    pixels = images.reshape(*images.shape[:2], -1)
    along = np.einsum("ncp,nc->np", pixels - first[..., None], span) / (span**2).sum(1)[:, None]
    distance = np.linalg.norm(pixels - first[..., None] - along[:, None] * span[..., None], axis=1)
    inside = masks.reshape(len(masks), -1)
    assert np.quantile(distance[inside], 0.99) < 0.3
    assert np.median(distance[~inside]) > 0.3


@pytest.mark.parametrize("number", range(textures.STRIPES))
def test_stripes_have_the_direction_and_wave_length_of_their_class(number: int) -> None:
    """The strongest frequency of a striped image's Fourier spectrum, read in radians and pixels."""
    labels = np.full(24, number)
    images, masks = textures.render_textures(labels, np.random.default_rng(1), size=64)
    frequencies = np.fft.fftfreq(64)
    for image, mask in zip(images, masks, strict=True):
        centred = (image - (image * mask).sum((1, 2), keepdims=True) / mask.sum()) * mask
        power = np.abs(np.fft.fft2(centred)).sum(0)
        power[np.hypot(*np.meshgrid(frequencies, frequencies)) < 0.1] = 0  # the blobs themselves
        row, column = np.unravel_index(power.argmax(), power.shape)
        across, down = frequencies[column], frequencies[row]
        turned = (np.arctan2(down, across) - number * np.pi / 4 + np.pi / 2) % np.pi - np.pi / 2
        assert abs(turned) < textures.TURN + 0.06
        assert textures.WAVE_LENGTH / textures.STRETCH - 0.3 < 1 / np.hypot(across, down) < textures.WAVE_LENGTH * textures.STRETCH + 0.3


def _patches(images: np.ndarray, masks: np.ndarray, side: int, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Cut one patch [n 3 side side] of each image at a random place, and say which lie on the texture by at least ``share``."""
    place = rng.integers(0, SIZE - side + 1, (2, len(images)))
    rows, columns = place[0][:, None] + np.arange(side), place[1][:, None] + np.arange(side)
    index = np.arange(len(images))[:, None, None]
    cut = images.transpose(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return cut, masks[index, rows[:, :, None], columns[:, None, :]].mean((1, 2)) >= share


@pytest.mark.parametrize(("side", "least"), [(4, 0.35), (8, 0.55)])
def test_class_can_be_told_from_one_patch_anywhere(drawn: tuple[np.ndarray, np.ndarray, np.ndarray], side: int, least: float) -> None:
    """Statistics of one patch (mean and covariance of colours, covariance of colours with their neighbours') tell the 64 classes; chance is 0.016.

    The issue is that nothing beyond the patch is needed, so this is a simple reader and not a good one.
    """
    rng = np.random.default_rng(2)

    def statistics(patch: np.ndarray) -> np.ndarray:
        centred = patch - patch.mean((1, 2), keepdims=True)
        found = [patch.mean((1, 2)), np.sqrt(np.einsum("nijc,nijc->nc", centred, centred))]
        for down, across in ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (2, 2), (2, -2)):
            here = centred[:, : side - down, max(0, -across) : side - max(0, across)]
            there = centred[:, down:, max(0, across) : side + min(0, across)]
            product = np.einsum("nijc,nijd->ncd", here, there) / here[0, ..., 0].size
            found.append(product[:, *np.triu_indices(3)])
        return np.concatenate([part.reshape(len(patch), -1) for part in found], 1)

    def read(seed: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.tile(np.arange(textures.CLASSES), 60)
        images, masks = textures.render_textures(labels, np.random.default_rng(seed))
        cut, good = _patches(images, masks, side, 0.9, rng)
        return statistics(cut)[good], labels[good]

    from sklearn.ensemble import ExtraTreesClassifier

    (features, labels), (held_out, truth) = read(3), read(4)
    score = ExtraTreesClassifier(100, random_state=0, n_jobs=1).fit(features, labels).score(held_out, truth)
    assert score > least


def test_mean_of_the_image_is_not_enough(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The class is more than a colour: mean colour and its variation tell far fewer classes than the patches do."""
    labels, images, _ = drawn
    features = np.concatenate([images.mean((2, 3)), images.std((2, 3))], 1)
    train = np.arange(len(labels)) % 2 == 0
    score = LogisticRegression(max_iter=500, C=100).fit(features[train], labels[train]).score(features[~train], labels[~train])
    assert score < 0.2


def test_instances_of_a_class_differ_and_other_sizes_work() -> None:
    for label in range(textures.CLASSES):
        images, masks = textures.render_textures(np.full(3, label), np.random.default_rng(1), size=32)
        assert images.shape == (3, 3, 32, 32)
        assert len({mask.tobytes() for mask in masks}) == 3


@pytest.mark.parametrize("label", [-1, 64])
def test_other_labels_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match="there are 64 textures"):
        textures.render_textures(np.array([0, label]), np.random.default_rng(0))


def test_bytes_follow_the_stream() -> None:
    labels = np.arange(5)
    digests = [hashlib.sha256(textures.render_textures(labels, stream("test", seed))[0].tobytes()).hexdigest() for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_thousand_images_take_less_than_a_second_of_the_processor() -> None:
    labels = np.tile(np.arange(textures.CLASSES), 16)
    textures.render_textures(labels[:64], np.random.default_rng(0))
    began = time.process_time()
    textures.render_textures(labels, np.random.default_rng(0))
    assert time.process_time() - began < 1


def test_task_fits_its_contract() -> None:
    task = Textures()
    splits = generate_splits(task, 0, TaskSize(66, 5, 4), workers=1)
    assert [len(split) for split in (splits.train, splits.val, splits.test)] == [66, 5, 4]
    assert splits.train.inputs.shape[1:] == (task.inputs.channels, *task.inputs.grid)
    assert splits.train.inputs.dtype == np.float16
    assert splits.train.extras["foreground"].shape == (66, 56, 56)
    assert splits.train.extras["foreground"].dtype == np.bool_
    assert splits.train.targets.dtype == np.int64
    assert set(splits.train.targets[: task.chunk]) == set(range(task.target.num))
    seen = {image.tobytes() for split in (splits.train, splits.val, splits.test) for image in split.inputs}
    assert len(seen) == 75


def test_task_chunks_are_reproducible_and_differ() -> None:
    task = Textures()
    chunks = [simulate_chunk(task, *where) for where in ((0, "val", 0), (0, "val", 0), (0, "val", 1), (1, "val", 0), (0, "test", 0))]
    digests = [hashlib.sha256(chunk.inputs.tobytes() + chunk.targets.tobytes()).hexdigest() for chunk in chunks]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
