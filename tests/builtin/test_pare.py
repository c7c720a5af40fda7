"""PaRe's step against its formula, term by term, and the variants as named choices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from pare_bench.builtin.methods.pare import Pare, PareObjective
from pare_bench.builtin.methods.source_losses import ClassSourceLoss, PatchSourceLoss, WholeMapSourceLoss
from pare_bench.builtin.mixers.patch_replace import NoMixing, PatchReplace
from pare_bench.builtin.selectors.gate import GateGumbel, GateTopK
from pare_bench.contracts.task import Classes, Field, Split
from pare_bench.errors import RunFault
from pare_bench.model.network import Batch, TransferNetwork
from pare_bench.model.parts import Part
from pare_bench.model.source import Source

TOKENS, DIM, CLASSES, SOURCE_CLASSES = 16, 6, 5, 3


class Body(nn.Module):
    """A body that mixes tokens, with an identity-like embedder for sources."""

    dim, feats, grid, out_grid, patch_size = DIM, DIM, (4, 4), (4, 4), 1

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(DIM, DIM)

    def forward(self, tokens):
        return torch.tanh(self.mix(tokens)) + tokens.mean(1, keepdim=True)

    def embed_source(self, inputs):
        return inputs.flatten(2).transpose(1, 2)


class Embedder(nn.Module):
    grid, num_tokens = (4, 4), TOKENS

    def forward(self, inputs):
        return inputs.flatten(2).transpose(1, 2)


class Map(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(DIM, 1)

    def forward(self, features):
        return self.linear(features).squeeze(-1).unflatten(1, (4, 4))


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(DIM, CLASSES)

    def forward(self, features):
        return self.linear(features.mean(1))


def source(**options) -> Source:
    rng = np.random.default_rng(3)
    extras = {"foreground": rng.random((20, 4, 4)) < 0.4}
    return Source(Split(rng.normal(size=(20, DIM, 4, 4)).astype(np.float32), rng.integers(0, SOURCE_CLASSES, 20), extras), SOURCE_CLASSES, **options)


def objective(head, target, loss_class, *, selector=None, mixer=None, drop="lowest", weight=0.7, **options):
    torch.manual_seed(0)
    network = TransferNetwork(Embedder(), Body(), head, nn.Identity())
    proxy = source()
    selector = selector or GateTopK(GateTopK.Params(), dim=DIM)
    mixer = mixer or PatchReplace(PatchReplace.Params(begin=0.5, end=0.25))
    return PareObjective(network, target, selector, mixer, proxy, loss_class(network, proxy), drop=drop, weight=weight, **options)


def class_batch(count=4) -> Batch:
    rng = np.random.default_rng(4)
    return Batch(torch.from_numpy(rng.normal(size=(count, DIM, 4, 4)).astype(np.float32)), torch.from_numpy(rng.integers(0, CLASSES, count)), {})


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_loss_is_the_formula_of_the_paper(progress):
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss)
    batch = class_batch()
    torch.manual_seed(9)
    loss = step(batch, progress)

    torch.manual_seed(9)
    network, gate = step.network, step.selector.gate
    target = batch.inputs.flatten(2).transpose(1, 2)
    indices = torch.randint(20, (4,))
    tokens = step.source.inputs[indices].flatten(2).transpose(1, 2)
    k = int(TOKENS * (0.5 + (0.25 - 0.5) * progress))
    mixed = target.clone()
    for row in range(4):
        free = gate(target[row]).squeeze(-1).argsort()[:k].sort().values
        best = gate(tokens[row]).squeeze(-1).argsort(descending=True)[:k].sort().values
        mixed[row, free] = tokens[row, best]
    plain = F.cross_entropy(network.head(network.backbone(target)), batch.targets)
    features = network.backbone(mixed)
    mixed_target = F.cross_entropy(network.head(features), batch.targets)
    mixed_source = F.cross_entropy(step.source_loss.head(features), step.source.labels[indices])
    share = k / TOKENS
    expected = plain + 0.7 * ((1 - share) * mixed_target + share * mixed_source)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)


class Losses(PareObjective):
    """PaRe with losses that are given: target, mixed target, source and the share of source tokens."""

    given = (torch.tensor(0.5), torch.tensor(0.75), torch.tensor(4.0), 0.25)

    def losses(self, batch, progress):
        return self.given


def with_losses(**options) -> Losses:
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, **options)
    step.__class__ = Losses
    return step


@pytest.mark.parametrize(
    ("schedule", "unit", "progress", "source"),
    [
        ("constant", False, 0.0, 4.0),
        ("constant", False, 0.8, 4.0),
        ("linear", False, 0.0, 4.0),
        ("linear", False, 0.8, 0.8),
        ("constant", True, 0.8, 0.5),
        ("linear", True, 0.5, 0.25),
    ],
)
def test_the_scale_of_the_source_loss_by_hand(schedule, unit, progress, source):
    """Target .5, mixed target .75, source 4, share 1/4, w = .7; in the target's unit the 4 are the .5 that the target loss begins with."""
    step, batch = with_losses(schedule=schedule), class_batch()
    if unit:
        step.measure_start(batch)
        assert step.source_unit.item() == 0.125
    assert step(batch, progress).item() == pytest.approx(0.5 + 0.7 * (0.75 * 0.75 + 0.25 * source))
    terms = {name: term.item() for name, term in step.terms(batch, progress).items()}
    assert terms == pytest.approx({"target": 0.5, "mixed target": 0.7 * 0.75 * 0.75, "source": 0.7 * 0.25 * source})
    epoch = step.log.epoch()
    assert (epoch.loss, epoch.share, epoch.target) == (4.0, 0.25, 0.5)
    assert epoch.weighted == pytest.approx(0.7 * 0.25 * source)
    assert step(batch, progress).item() == pytest.approx(sum(terms.values()))


def test_the_unit_of_the_source_loss_is_measured_before_training_and_does_not_follow_it():
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=GateGumbel(GateGumbel.Params(), dim=DIM))
    batch = class_batch()
    torch.manual_seed(9)
    step.measure_start(batch)
    assert step.training
    assert step.selector.training
    unit = step.source_unit.clone()
    # Without noise: the same by hand, with the tokens that the gate chooses.
    torch.manual_seed(9)
    loss, _, source_loss, share = step.eval().losses(batch, 0.0)
    assert share == 0.5
    torch.testing.assert_close(unit, loss.detach() / source_loss.detach())
    torch.testing.assert_close(step.scaled(source_loss, 0.9), loss)
    with torch.no_grad():
        step.network.head.linear.weight.mul_(3)
    assert torch.equal(step.source_unit, unit)
    # A run that goes on has it from its checkpoint.
    again = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=GateGumbel(GateGumbel.Params(), dim=DIM))
    again.load_state_dict(step.state_dict())
    assert torch.equal(again.source_unit, unit)


def test_the_unit_is_measured_where_source_tokens_stand():
    reversed_ = PatchReplace(PatchReplace.Params(curriculum="reversed", begin=0.5, end=0.0))
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, mixer=reversed_)
    assert step.mixer.source_count(TOKENS, 0.0) == 0
    step.measure_start(class_batch())
    assert step.source_unit.item() != 1
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, mixer=NoMixing(NoMixing.Params()))
    step.measure_start(class_batch())
    assert step.source_unit.item() == 1


@pytest.mark.parametrize("given", [(0.0, 4.0), (0.5, 0.0), (float("nan"), 4.0)])
def test_losses_without_a_common_scale_are_said(given):
    step = with_losses()
    step.given = (torch.tensor(given[0]), torch.tensor(0.75), torch.tensor(given[1]), 0.25)
    with pytest.raises(RunFault, match=r"before training the target loss is .* and the source loss .*: they have no common scale") as caught:
        step.measure_start(class_batch())
    assert caught.value.hint == "-o method.source_scale=fixed"


def test_no_source_tokens_means_no_second_pass():
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, mixer=PatchReplace(PatchReplace.Params(begin=0.5, end=0.0)))
    rows = []
    step.network.backbone.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    batch = class_batch()
    loss = step(batch, 1.0)
    assert rows == [4]
    plain = F.cross_entropy(step.network(batch.inputs), batch.targets)
    torch.testing.assert_close(loss, 1.7 * plain)


def test_no_mixing_is_the_scaled_target_loss():
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, mixer=NoMixing(NoMixing.Params()))
    batch = class_batch()
    torch.testing.assert_close(step(batch, 0.0), 1.7 * F.cross_entropy(step.network(batch.inputs), batch.targets))


def test_a_short_batch_is_mixed_like_any_other():
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss)
    rows = []
    step.network.backbone.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    assert torch.isfinite(step(class_batch(1), 0.0))
    assert rows == [1, 1]


def test_every_part_receives_gradient_also_when_settled():
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=GateGumbel(GateGumbel.Params(), dim=DIM))
    for progress in (0.0, 0.9):
        step.zero_grad()
        step(class_batch(), progress).backward()
        for name, parameter in step.named_parameters():
            assert parameter.grad is not None, name
            # A shift of all scores changes no choice, so the gate's bias has no gradient in exact arithmetic.
            if not name.endswith("gate.bias"):
                assert parameter.grad.abs().sum() > 0, name


def test_published_gate_receives_no_gradient_once_settled():
    params = Pare.Params(variant="published")
    implied = Pare.implied(params)
    selector = GateGumbel(GateGumbel.Params(**implied["selector"]), dim=DIM)
    mixer = PatchReplace(PatchReplace.Params(begin=0.5, end=0.25, **implied["mixer"]))
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=selector, mixer=mixer, drop=params.drop)
    step(class_batch(), 0.0).backward()
    assert selector.gate.weight.grad.abs().sum() > 0
    step.zero_grad()
    step(class_batch(), 0.9).backward()
    assert selector.gate.weight.grad is None


@pytest.mark.parametrize(
    ("drop", "learning", "gives_way"),
    [
        ("lowest", True, "lowest"),
        ("lowest", False, "lowest"),
        ("highest", False, "highest"),
        ("published", True, "lowest"),
        ("published", False, "highest"),
    ],
)
def test_drop_names_which_target_tokens_give_way(drop, learning, gives_way):
    selector = GateGumbel(GateGumbel.Params(), dim=DIM).eval()
    selector.advance(0.0 if learning else 0.9)
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=selector, drop=drop)
    target = torch.randn(3, TOKENS, DIM)
    kept = step.keep(target, 6)
    order = selector.gate(target).squeeze(-1).argsort(dim=1)
    gone = order[:, :6] if gives_way == "lowest" else order[:, -6:]
    expected = torch.ones(3, TOKENS).scatter(1, gone, 0.0)
    assert torch.equal(kept.mask.detach(), expected)
    assert torch.equal(kept.indices, expected.nonzero()[:, 1].reshape(3, TOKENS - 6))


def test_published_settled_mix_of_the_released_code():
    """The vector that the released code gives: places by rising target score receive source tokens by falling score."""
    params = Pare.Params(variant="published")
    implied = Pare.implied(params)
    selector, mixer = GateGumbel(GateGumbel.Params(**implied["selector"]), dim=1), PatchReplace(PatchReplace.Params(**implied["mixer"]))
    nn.init.ones_(selector.gate.weight)
    nn.init.zeros_(selector.gate.bias)
    selector.advance(0.9)
    step = objective(Pool(), Classes(CLASSES), ClassSourceLoss, selector=selector, mixer=mixer, drop=params.drop)
    target = torch.tensor([3.0, -1, 1, -2, 2, -3]).reshape(1, 6, 1)
    source_tokens = torch.tensor([0.1, 0.6, 0.2, 0.5, 0.4, 0.3]).reshape(1, 6, 1)
    mixed = mixer(target, source_tokens, step.keep(target, 3), selector(source_tokens, 3))
    torch.testing.assert_close(mixed.tokens.flatten(), torch.tensor([0.4, -1, 0.6, -2, 0.5, -3]))


@pytest.mark.parametrize(("variant", "expected"), [("published", 1.0), ("corrected", None)])
def test_gate_gradient_of_the_released_code(variant, expected):
    """Released: source tokens are written into target * mask, so the mask learns nothing at the places that they take."""
    implied = Pare.implied(Pare.Params(variant=variant))
    mixer = PatchReplace(PatchReplace.Params(**implied.get("mixer", {})))
    for seed in range(3):
        torch.manual_seed(seed)
        selector = GateGumbel(GateGumbel.Params(**implied.get("selector", {})), dim=16)
        target, tokens, weight = (torch.randn(4, 64, 16) for _ in range(3))
        keep, take = selector(target, 24), selector(tokens, 40)
        mixed = mixer(target, tokens, keep, take)
        written = (target * keep.mask.unsqueeze(2)).masked_scatter(
            mixed.from_source.unsqueeze(2), (tokens * take.mask.unsqueeze(2))[take.mask.detach() > 0.5]
        )
        assert torch.equal(written, mixed.tokens)
        ours, released = (torch.autograd.grad((each * weight).sum(), selector.gate.weight, retain_graph=True)[0] for each in (mixed.tokens, written))
        cosine = F.cosine_similarity(ours, released).item()
        assert cosine == pytest.approx(expected, abs=1e-5) if expected else cosine < 0.95


def test_variant_sets_its_choices_and_a_named_parameter_wins():
    published = Pare.Params(variant="published")
    assert (published.drop, published.dense_source, published.mixed_ignore) == ("published", "whole", "unused")
    assert Pare.Params(variant="published", drop="lowest").drop == "lowest"
    corrected = Pare.Params()
    assert (corrected.drop, corrected.dense_source, corrected.mixed_ignore) == ("lowest", "patches", "used")
    assert Pare.implied(corrected) == {}
    with pytest.raises(ValidationError):
        Pare.Params(variant="other")


def field_batch() -> Batch:
    rng = np.random.default_rng(5)
    targets = torch.from_numpy((rng.random((3, 4, 4)) < 0.3).astype(np.float32))
    return Batch(torch.from_numpy(rng.normal(size=(3, DIM, 4, 4)).astype(np.float32)), targets, {})


def test_dense_corrected_scores_each_domain_on_its_own_pixels():
    step = objective(Map(), Field((4, 4), "mask"), PatchSourceLoss, weight=0.3)
    batch = field_batch()
    torch.manual_seed(2)
    loss = step(batch, 0.0)
    torch.manual_seed(2)
    network, gate = step.network, step.selector.gate
    target = batch.inputs.flatten(2).transpose(1, 2)
    indices = torch.randint(20, (3,))
    tokens = step.source.inputs[indices].flatten(2).transpose(1, 2)
    k, mixed, source_pixel = 8, target.clone(), torch.full((3, TOKENS), -1.0)
    foreground = step.source.foreground[indices].float().flatten(1)
    for row in range(3):
        free = gate(target[row]).squeeze(-1).argsort()[:k].sort().values
        best = gate(tokens[row]).squeeze(-1).argsort(descending=True)[:k].sort().values
        mixed[row, free] = tokens[row, best]
        source_pixel[row, free] = foreground[row, best]
    is_source = source_pixel >= 0
    plain = F.binary_cross_entropy_with_logits(network(batch.inputs), batch.targets)
    features = network.backbone(mixed)
    on_target = F.binary_cross_entropy_with_logits(network.head(features).flatten(1)[~is_source], batch.targets.flatten(1)[~is_source])
    on_source = F.binary_cross_entropy_with_logits(step.source_loss.head(features).squeeze(-1)[is_source], source_pixel[is_source])
    torch.testing.assert_close(loss, plain + 0.3 * (0.5 * on_target + 0.5 * on_source), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mixed_ignore", [True, False])
def test_ignored_pixels_in_the_mixed_loss(mixed_ignore):
    """Used: z v against y v, v = 0 at ignored pixels. Unused, as released: z against y v in the mixed term, so that they are trained as negatives."""
    step = objective(Map(), Field((4, 4), "mask"), WholeMapSourceLoss, weight=0.3)
    step.mixed_ignore = mixed_ignore
    batch = field_batch()
    ignore = torch.zeros(3, 4, 4, dtype=torch.bool)
    ignore[:, 0] = True
    valid = (~ignore).float()
    outputs = []
    step.network.head.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    losses = []
    for label in (0.0, 1.0):
        targets = torch.where(ignore, label, batch.targets)
        torch.manual_seed(2)
        losses.append(step(Batch(batch.inputs, targets, {"ignore": ignore}), 0.0))
    # What an ignored pixel is labelled never matters.
    assert torch.equal(*losses)
    plain, mixed, source_map = outputs[-3:]
    torch.manual_seed(2)
    foreground = step.source.foreground[torch.randint(20, (3,))].float()
    on_target = F.binary_cross_entropy_with_logits(plain * valid, batch.targets * valid)
    on_mixed = F.binary_cross_entropy_with_logits(mixed * valid if mixed_ignore else mixed, batch.targets * valid)
    on_source = F.binary_cross_entropy_with_logits(source_map, foreground)
    torch.testing.assert_close(losses[1], on_target + 0.3 * (0.5 * on_mixed + 0.5 * on_source))


def darcy_step(reduction: str) -> PareObjective:
    torch.manual_seed(0)
    network, proxy = TransferNetwork(Embedder(), Body(), Map(), nn.Identity()), source()
    selector, mixer = GateTopK(GateTopK.Params(), dim=DIM), PatchReplace(PatchReplace.Params(begin=0.5, end=0.25))
    loss, target = WholeMapSourceLoss(network, proxy), Field((4, 4), "real")
    return PareObjective(network, target, selector, mixer, proxy, loss, drop="lowest", weight=0.3, summed=reduction == "sum")


def darcy_batch() -> Batch:
    rng = np.random.default_rng(6)
    inputs, targets = (torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for shape in ((4, DIM, 4, 4), (4, 4, 4)))
    return Batch(inputs, targets, {})


@pytest.mark.parametrize(("reduction", "times"), [("mean", 1), ("sum", 4)])
def test_target_losses_are_summed_over_the_batch_as_released_for_darcy(reduction, times):
    """Sum: the relative errors of the batch of 4 are added up, the source loss stays a mean, and so has a quarter of the weight."""
    step, batch, outputs = darcy_step(reduction), darcy_batch(), []
    step.network.head.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    torch.manual_seed(2)
    loss = step(batch, 0.0)
    torch.manual_seed(2)
    foreground = step.source.foreground[torch.randint(20, (4,))].float()
    errors = [((map_ - batch.targets).flatten(1).norm(dim=1) / batch.targets.flatten(1).norm(dim=1)).mean() for map_ in outputs[:2]]
    on_source = F.binary_cross_entropy_with_logits(outputs[2], foreground)
    torch.testing.assert_close(loss, times * errors[0] + 0.3 * (0.5 * times * errors[1] + 0.5 * on_source))
    # Without source tokens it is (1 + w) l_t, summed, too.
    step.mixer = NoMixing(NoMixing.Params())
    torch.testing.assert_close(step(batch, 0.0), 1.3 * times * errors[0])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_summed_losses_of_the_parts_of_a_batch_add_up(number):
    step, batch = darcy_step("sum"), darcy_batch()
    torch.manual_seed(2)
    whole = step(batch, 0.0)
    total = torch.zeros(())
    for part in Part(0, 4, 4).pieces(number):
        cut = Batch(batch.inputs[part.start : part.stop], batch.targets[part.start : part.stop], {})
        torch.manual_seed(2)
        with part.current():
            total = total + step(cut, 0.0) * len(part) / 4
    torch.testing.assert_close(total, whole)


def test_dense_published_scores_the_whole_map_on_the_unmoved_mask():
    step = objective(Map(), Field((4, 4), "mask"), WholeMapSourceLoss, weight=0.3)
    batch = field_batch()
    torch.manual_seed(2)
    source_batch = step.source.draw(step.network.backbone, 3, batch.inputs)
    features = torch.randn(3, TOKENS, DIM)
    loss = step.source_loss(features, None, source_batch)
    expected = F.binary_cross_entropy_with_logits(step.network.head(features), source_batch.foreground.float())
    torch.testing.assert_close(loss, expected)
    assert step.source_loss.target_weight(None, batch) is None
    assert not list(step.source_loss.parameters())


def test_source_controls():
    noise = source(noise=True)
    body = Body()
    torch.manual_seed(0)
    drawn = noise.draw(body, 8, torch.zeros(1))
    assert torch.isin(drawn.tokens.flatten(), noise.inputs.flatten()).float().mean() < 0.01  # equal by chance at most
    assert drawn.tokens.shape == (8, TOKENS, DIM)
    features, labels = source().features(body, torch.device("cpu"), 7, batch_size=3)
    torch.testing.assert_close(features, source().inputs[:7].flatten(2).mean(2))
    assert torch.equal(labels, source().labels[:7])
