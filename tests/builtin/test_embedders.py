"""Embedders: what the pretrained kernel becomes, and how lengths become token counts."""

import pytest
import torch
import torch.nn.functional as F

from pare_bench.builtin.embedders.patch1d import Patch1d, _stride
from pare_bench.builtin.embedders.patch2d import Patch2d, _adapt
from pare_bench.conformance.doubles import ImageBody, TextBody
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import InputShape


def patch2d(channels, grid=(16, 16), **params):
    return Patch2d(Patch2d.Params(**params), inputs=InputShape(channels, grid), backbone=ImageBody(Params()))


def test_three_channels_at_the_backbones_size_are_the_backbones_own_embedding():
    body, images = ImageBody(Params()), torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(patch2d(3)(images), body.embed_source(images))


@pytest.mark.parametrize("channels", [1, 2, 6, 7])
def test_the_kernel_is_tiled_and_rescaled(channels):
    own, pretrained = patch2d(channels).project.weight, ImageBody(Params()).patch.weight
    for channel in range(channels):
        torch.testing.assert_close(own[:, channel], pretrained[:, channel % 3] * 3 / channels)


@pytest.mark.parametrize("channels", [1, 7])
def test_the_released_kernel_is_tiled_and_not_rescaled(channels):
    own, pretrained = patch2d(channels, kernel="tiled").project.weight, ImageBody(Params()).patch.weight
    for channel in range(channels):
        torch.testing.assert_close(own[:, channel], pretrained[:, channel % 3])


@pytest.mark.parametrize("channels", [3, 6, 9])
def test_a_grey_input_is_embedded_alike_whatever_the_number_of_its_copies(channels):
    grey = torch.rand(2, 1, 16, 16)
    torch.testing.assert_close(patch2d(channels)(grey.expand(-1, channels, -1, -1)), patch2d(3)(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("grid", [(8, 8), (64, 24), (5, 131)])
def test_any_size_becomes_the_backbones_grid(grid):
    embedder = patch2d(2, grid)
    inputs = torch.rand(2, 2, *grid)
    assert embedder(inputs).shape == (2, 16, 8)
    assert embedder.size == (16, 16)
    resized = F.interpolate(inputs, (16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(embedder(inputs), embedder(resized))


def test_resolution_input_keeps_the_inputs_pixels():
    embedder = patch2d(3, (32, 20), resolution="input")
    assert embedder.size == (32, 32)
    assert embedder.project.kernel_size == (8, 8)
    assert embedder(torch.rand(2, 3, 32, 20)).shape == (2, 16, 8)
    assert patch2d(3, (8, 8), resolution="input").size == (16, 16)


def test_a_resampled_kernel_answers_a_constant_image_like_the_original():
    kernel = ImageBody(Params()).patch.weight.detach()
    torch.testing.assert_close(_adapt(kernel, 3, 8, rescaled=True).sum((1, 2, 3)), kernel.sum((1, 2, 3)), rtol=1e-4, atol=1e-4)


def patch1d(channels, length, **params):
    return Patch1d(Patch1d.Params(**params), inputs=InputShape(channels, (length,)), backbone=TextBody(Params()))


@pytest.mark.parametrize(
    ("length", "limit", "stride", "padding"),
    [
        (1000, 64, 20, 0),  # ECG: smallest divisor that leaves at most 64
        (1000, 512, 2, 0),  # DeepSEA
        (46, 512, 1, 0),  # Satellite: short enough as it is
        (1, 64, 1, 0),
        (64, 64, 1, 0),
        (997, 64, 16, 11),  # a prime would collapse into one token: padded to 63 stretches instead
        (2 * 499, 64, 16, 10),  # its only fitting divisor leaves 2 tokens
    ],
)
def test_strides(length, limit, stride, padding):
    assert _stride(length, limit) == (stride, padding)


@pytest.mark.parametrize("limit", [1, 5, 64])
def test_strides_always_cover_the_whole_sequence(limit):
    for length in range(1, 400):
        stride, padding = _stride(length, limit)
        assert (length + padding) % stride == 0
        assert 0 <= padding < stride
        assert 1 <= (length + padding) // stride <= limit


def test_the_backbone_limits_the_tokens():
    embedder = patch1d(2, 640, target_seq_len=512)
    assert embedder.num_tokens == 16
    assert embedder(torch.randn(2, 2, 640)).shape == (2, 16, 8)


def test_norm_and_positions_come_from_the_backbone():
    embedder, weights = patch1d(2, 40), TextBody(Params()).embedder_weights()
    torch.testing.assert_close(embedder.position.data, weights["position"][: embedder.num_tokens])
    torch.testing.assert_close(embedder.norm.weight.data, weights["norm_weight"])


def test_a_stretch_sees_only_its_own_samples():
    embedder, inputs = patch1d(1, 32), torch.randn(1, 1, 32)
    moved = inputs.clone()
    moved[0, 0, 4:6] += 1
    changed = (embedder(inputs) != embedder(moved)).any(2)[0]
    assert changed.nonzero().flatten().tolist() == [2]


@pytest.mark.parametrize("order", ["position_norm", "norm_position"])
def test_padding_is_zeros_at_the_end_and_the_order_is_as_named(order):
    embedder = patch1d(1, 17, target_seq_len=4, order=order)
    assert (embedder.num_tokens, embedder.padding) == (4, 3)
    inputs = torch.randn(1, 1, 17)
    by_hand = embedder.project(torch.cat([inputs, torch.zeros(1, 1, 3)], 2)).transpose(1, 2)
    expected = embedder.norm(by_hand + embedder.position) if order == "position_norm" else embedder.norm(by_hand) + embedder.position
    torch.testing.assert_close(embedder(inputs), expected)


def test_with_nothing_to_say_an_input_is_embedded_as_its_positions():
    """norm(0 + position) is what the backbone's own embedder makes of a word whose vector is 0."""
    body, embedder = TextBody(Params()), patch1d(2, 32)
    positions = body.embedder_weights()["position"][: embedder.num_tokens]
    torch.testing.assert_close(embedder(torch.zeros(1, 2, 32))[0], body.norm(positions))
