"""Heads and losses against float64 formulas written out by hand."""

import math

import numpy as np
import pytest
import torch

from pare_bench.contracts.task import Classes, Field, Labels, PairMap, Split
from pare_bench.errors import UsageError
from pare_bench.model.heads import DenseHead, MaskedImageHead, OutputScale, PooledHead, SymmetricDenseHead, build_head, build_released_head
from pare_bench.model.losses import target_loss


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("target", "head", "shape"),
    [
        (Classes(7), PooledHead, (2, 7)),
        (Labels(5), PooledHead, (2, 5)),
        (Field((9, 12)), DenseHead, (2, 9, 12)),
        (Field((4, 4), "mask"), DenseHead, (2, 4, 4)),
        (PairMap(11), SymmetricDenseHead, (2, 11, 11)),
    ],
)
def test_the_target_decides_the_head(target, head, shape):
    built = build_head(target, 6, (4, 4))
    assert type(built) is head
    assert built(torch.randn(2, 16, 6)).shape == shape


@pytest.mark.parametrize("target", [Classes(7), Labels(5)])
def test_pooled_heads_need_no_grid(target):
    assert build_head(target, 6, None)(torch.randn(2, 13, 6)).shape[0] == 2


@pytest.mark.parametrize("grid", [None, (16,)])
def test_dense_targets_need_a_grid(grid):
    with pytest.raises(UsageError, match="2-D grid") as caught:
        build_head(Field((9, 12)), 6, grid)
    assert caught.value.hint == "choose an image backbone: pare-bench list backbone"


def test_pooled_head_is_a_linear_layer_over_the_mean():
    head, features = PooledHead(6, 3), torch.randn(2, 5, 6)
    torch.testing.assert_close(head(features), features.mean(1) @ head.linear.weight.T + head.linear.bias)


def test_a_place_of_the_dense_head_reaches_its_own_pixels_only():
    """4 x 4 places on 16 x 16 pixels: place (1, 2) owns rows 4-7, columns 8-11; two 3 x 3 convolutions reach two pixels further."""
    head, features = DenseHead(6, (4, 4), (16, 16)), torch.randn(1, 16, 6)
    moved = features.clone()
    moved[0, 1 * 4 + 2] += 1
    changed = (head(features) - head(moved))[0].abs() > 1e-9
    rows, columns = changed.any(1).nonzero().flatten(), changed.any(0).nonzero().flatten()
    assert (rows.min(), rows.max()) == (2, 9)
    assert (columns.min(), columns.max()) == (6, 13)


def test_pair_maps_are_symmetric():
    pixels = SymmetricDenseHead(6, (4, 4), (10, 10))(torch.randn(2, 16, 6))
    assert torch.equal(pixels, pixels.transpose(1, 2))


def split(targets, **extras):
    return Split(np.zeros((len(targets), 1), np.float32), targets, extras)


def test_scale_of_a_field_is_that_of_its_grid_points():
    targets = (5 + 3 * draw(20, 4, 6).numpy()).astype(np.float32)
    scale = OutputScale(Field((4, 6)), split(targets))
    out = scale(torch.ones(2, 4, 6)).numpy()
    np.testing.assert_allclose(out[0], targets.mean(0) + targets.std(0), rtol=1e-3)


def test_scale_of_a_field_survives_a_constant_point():
    targets = draw(20, 2, 2).numpy().astype(np.float32)
    targets[:, 0, 0] = 4
    out = OutputScale(Field((2, 2)), split(targets))(torch.ones(1, 2, 2))
    assert torch.isfinite(out).all()
    assert out[0, 0, 0].item() == pytest.approx(4, abs=1e-3)


def test_scale_of_a_pair_map_is_one_number_of_the_clipped_distances():
    targets = 30 * np.abs(draw(8, 5, 5).numpy()).astype(np.float32)
    clipped = np.minimum(targets.astype(np.float64), 16)
    scale = OutputScale(PairMap(5, clip=16.0), split(targets, lengths=np.full(8, 5)))
    assert scale(torch.tensor([0.0])).item() == pytest.approx(clipped.mean(), rel=1e-5)
    assert scale(torch.tensor([1.0])).item() == pytest.approx(clipped.mean() + clipped.std(), rel=1e-5)


@pytest.mark.parametrize("target", [Classes(3), Labels(3), Field((2, 2), "mask")])
def test_logits_are_not_scaled(target):
    logits = torch.randn(4, 3)
    assert torch.equal(OutputScale(target, split(np.zeros((4, 3), np.float32)))(logits), logits)


def test_cross_entropy():
    logits, classes = draw(5, 4), torch.tensor([0, 1, 2, 3, 3])
    expected = -np.mean([row[c] - math.log(sum(math.exp(v) for v in row)) for row, c in zip(logits.tolist(), classes.tolist(), strict=True)])
    assert target_loss(Classes(4))(logits, classes, {}, None).item() == pytest.approx(expected, rel=1e-12)


def softplus(value):
    return np.logaddexp(0, value)


@pytest.mark.parametrize("positive_weight", [1.0, 4.0])
def test_labels(positive_weight):
    logits, labels = draw(5, 4), (draw(5, 4, seed=1) > 0).double()
    z, y = logits.numpy(), labels.numpy()
    expected = np.mean(positive_weight * y * softplus(-z) + (1 - y) * softplus(z))
    assert target_loss(Labels(4, positive_weight))(logits, labels, {}, None).item() == pytest.approx(expected, rel=1e-6)


def test_relative_l2():
    outputs, targets = draw(3, 4, 5), draw(3, 4, 5, seed=1)
    gap, size = (outputs - targets).numpy().reshape(3, -1), targets.numpy().reshape(3, -1)
    expected = np.mean(np.linalg.norm(gap, axis=1) / np.linalg.norm(size, axis=1))
    assert target_loss(Field((4, 5)))(outputs, targets, {}, None).item() == pytest.approx(expected, rel=1e-12)
    weight = (draw(3, 4, 5, seed=2) > 0).double()
    kept = weight.numpy().reshape(3, -1)
    expected = np.mean(np.linalg.norm(gap * kept, axis=1) / np.linalg.norm(size * kept, axis=1))
    assert target_loss(Field((4, 5)))(outputs, targets, {}, weight).item() == pytest.approx(expected, rel=1e-12)


def test_relative_l2_has_finite_gradients_at_a_perfect_fit_and_without_any_counted_place():
    targets = draw(2, 3, 3)
    outputs = targets.clone().requires_grad_()
    target_loss(Field((3, 3)))(outputs, targets, {}, None).backward()
    assert torch.isfinite(outputs.grad).all()
    outputs.grad = None
    loss = target_loss(Field((3, 3)))(outputs, targets, {}, torch.zeros(2, 3, 3, dtype=torch.float64))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(outputs.grad).all()


def test_mask_loss_with_ignored_pixels():
    logits, mask, ignore = draw(2, 3, 3).requires_grad_(), (draw(2, 3, 3, seed=1) > 0).double(), draw(2, 3, 3, seed=2) > 0
    z, m, keep = logits.detach().numpy(), mask.numpy(), ~ignore.numpy()
    expected = np.mean(np.where(keep, m * softplus(-z) + (1 - m) * softplus(z), math.log(2)))
    loss = target_loss(Field((3, 3), "mask"))(logits, mask, {"ignore": ignore}, None)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    loss.backward()
    assert (logits.grad[ignore] == 0).all()
    assert (logits.grad[~ignore] != 0).all()


def test_mask_loss_with_weights():
    logits, mask, weight = draw(2, 3, 3), (draw(2, 3, 3, seed=1) > 0).double(), (draw(2, 3, 3, seed=2) > 0).double()
    z, m, w = logits.numpy(), mask.numpy(), weight.numpy()
    expected = np.sum(w * (m * softplus(-z) + (1 - m) * softplus(z))) / w.sum()
    assert target_loss(Field((3, 3), "mask"))(logits, mask, {}, weight).item() == pytest.approx(expected, rel=1e-12)
    assert target_loss(Field((3, 3), "mask"))(logits, mask, {}, torch.zeros_like(weight)).item() == 0


def test_pair_map_loss_clips_the_targets():
    outputs, distances = 10 + draw(2, 4, 4), 20 * draw(2, 4, 4, seed=1).abs()
    expected = np.mean((outputs.numpy() - np.minimum(distances.numpy(), 16)) ** 2)
    assert target_loss(PairMap(4, clip=16.0))(outputs, distances, {}, None).item() == pytest.approx(expected, rel=1e-12)


def test_a_target_of_no_known_kind():
    for function in (target_loss, lambda target: build_head(target, 4, (2, 2))):
        with pytest.raises(TypeError, match="'field'"):
            function("field")


def test_masked_image_head_is_the_mean_of_three_decoded_channels_pooled_to_the_target():
    head = MaskedImageHead(feats=6, out_grid=(2, 2), size=(4, 4), stride=4).double()
    features = torch.randn(3, 4, 6, dtype=torch.float64)
    weight, bias = head.decode.weight[:, :, 0, 0], head.decode.bias
    expected = torch.zeros(3, 8, 8, dtype=torch.float64)
    for example in range(3):
        for place in range(4):
            # Channel c, row i, column j of a place's pixels is output c * 16 + i * 4 + j (Shi et al., CVPR 2016).
            pixels = (weight @ features[example, place] + bias).view(3, 4, 4).mean(0)
            row, column = divmod(place, 2)
            expected[example, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = pixels
    pooled = expected.view(3, 4, 2, 4, 2).mean((2, 4))
    torch.testing.assert_close(head(features), pooled)


def test_masked_image_head_repeats_pixels_of_a_larger_target():
    head = build_released_head(PairMap(size=16), 6, (2, 2), image_side=8)
    output = head(torch.randn(1, 4, 6))
    assert output.shape == (1, 16, 16)
    assert torch.equal(output[:, ::2, ::2], output[:, 1::2, 1::2])
    with pytest.raises(UsageError, match="2-D grid"):
        build_released_head(PairMap(size=16), 6, None, image_side=8)


@pytest.mark.parametrize(
    ("target", "places", "shape"),
    [
        (Field((9, 12), channels=4), (2, 3), (2, 4, 9, 12)),
        (Field((50,)), (7,), (2, 50)),
        (Field((50,), channels=3), (7,), (2, 3, 50)),
    ],
)
def test_fields_of_several_channels_and_of_one_axis(target, places, shape):
    features = torch.randn(2, int(np.prod(places)), 6)
    assert build_head(target, 6, places)(features).shape == shape == (2, *target.shape)
    assert build_released_head(target, 6, places, image_side=8)(features).shape == shape


def test_a_stretch_of_a_line_comes_from_its_own_token():
    """A token beyond a convolution's reach does not move a place; what lies beyond the end is cut off."""
    torch.manual_seed(0)
    head = build_head(Field((38,)), 6, (4,))
    features = torch.randn(1, 4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(head(features)[0, 15], features)
    assert [bool(token.any()) for token in gradient[0]] == [False, True, False, False]
    (gradient,) = torch.autograd.grad(head(features)[0, 37], features)
    assert [bool(token.any()) for token in gradient[0]] == [False, False, False, True]


def test_released_line_head_averages_features():
    features = torch.arange(24.0).reshape(1, 3, 8)
    out = build_released_head(Field((6,)), 8, (3,), image_side=1)(features)
    torch.testing.assert_close(out, torch.tensor([[1.5, 5.5, 9.5, 13.5, 17.5, 21.5]]))


def test_released_head_cannot_hold_four_independent_fields():
    """Four channels averaged from three obey o0 - 2 o1 + 2 o2 - o3 = 0."""
    torch.manual_seed(0)
    out = build_released_head(Field((8, 8), channels=4), 6, (2, 2), image_side=8)(torch.randn(3, 4, 6))
    torch.testing.assert_close(out[:, 0] - 2 * out[:, 1] + 2 * out[:, 2] - out[:, 3], torch.zeros(3, 8, 8), atol=1e-6, rtol=0)


@pytest.mark.parametrize("grid", [(5,), (3, 4)])
def test_channels_of_different_units_count_alike(grid):
    torch.manual_seed(0)
    outputs, targets = torch.randn(2, 3, 2, *grid)
    outputs, targets = outputs.transpose(0, 1), targets.transpose(0, 1)
    scale = torch.tensor([1.0, 1e4, 1e-3]).reshape(3, *[1] * len(grid))
    weight = (torch.rand(2, *grid) > 0.3).float()
    loss = target_loss(Field(grid, channels=3))
    for counted in (None, weight):
        w = torch.ones(2, *grid) if counted is None else counted
        pairs = [(outputs[row, channel] * w[row], targets[row, channel] * w[row]) for row in range(2) for channel in range(3)]
        expected = np.mean([float((o - t).norm() / t.norm()) for o, t in pairs])
        assert loss(outputs * scale, targets * scale, {}, counted).item() == pytest.approx(expected, rel=1e-5)
