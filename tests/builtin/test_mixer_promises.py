"""PaRe's losses follow what a mixer promises: a place counts by how much of its token is source, and an example by the mean of that."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from pare_bench.builtin.methods.source_losses import LineSourceLoss, PatchSourceLoss
from pare_bench.contracts.mixer import Mixed
from pare_bench.records.store import Store

#: 2 examples of 16 tokens on a 4 x 4 grid, features of width 3 on 2 x 2 places.
NETWORK = SimpleNamespace(embedder=SimpleNamespace(grid=(4, 4)), backbone=SimpleNamespace(feats=3, out_grid=(2, 2)))
TOKENS = torch.zeros(2, 16, 5)
ORIGIN = torch.arange(16).expand(2, -1)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def blended(shares):
    return Mixed(TOKENS, shares > 0, torch.where(shares > 0, ORIGIN, -1), float(shares.mean()), shares)


def source():
    foreground = noise(2, 16, 16, seed=3) > 0.3
    return SimpleNamespace(masks=lambda: foreground)


def patch_loss():
    torch.manual_seed(0)
    return PatchSourceLoss(NETWORK, None)


def test_the_source_loss_at_patches_weighs_each_by_its_share():
    loss, features, batch = patch_loss(), noise(2, 4, 3, seed=1), source()
    shares = noise(2, 16, seed=2).sigmoid()
    logits = F.interpolate(loss.head(features).detach().transpose(1, 2).unflatten(2, (2, 2)), (4, 4), mode="bilinear").flatten(1)
    wanted = batch.masks().float().unflatten(2, (4, 4)).unflatten(1, (4, 4)).mean((2, 4)).flatten(1)
    total = sum(float(shares[n, i]) * float(F.binary_cross_entropy_with_logits(logits[n, i], wanted[n, i])) for n in range(2) for i in range(16))
    assert loss(features, blended(shares), batch).item() == pytest.approx(total / float(shares.sum()), rel=1e-5)


def test_shares_of_0_and_1_are_whole_tokens():
    loss, features, batch = patch_loss(), noise(2, 4, 3, seed=1), source()
    moved = noise(2, 16, seed=2) > 0
    whole = Mixed(TOKENS, moved, torch.where(moved, ORIGIN, -1), 0.5)
    torch.testing.assert_close(loss(features, blended(moved.float()), batch), loss(features, whole, batch))
    torch.testing.assert_close(whole.place_shares(), moved.float())


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_what_is_source_does_not_count_for_the_target(share):
    shares = torch.full((2, 16), share)
    maps = patch_loss().target_weight(blended(shares), SimpleNamespace(targets=torch.zeros(2, 8, 8)))
    torch.testing.assert_close(maps, torch.full((2, 8, 8), 1 - share))
    line = LineSourceLoss(SimpleNamespace(backbone=NETWORK.backbone), SimpleNamespace(num_classes=2))
    torch.testing.assert_close(line.target_weight(blended(shares), SimpleNamespace(targets=torch.zeros(2, 40))), torch.full((2, 40), 1 - share))


PLUGIN = """
import torch
from pare_bench import MixerSpec, hookimpl
from pare_bench.contracts.mixer import Mixed, Mixer

@hookimpl
def pare_bench_mixers():
    yield MixerSpec(name="mixup", summary="sums", target="plugin_of_mixes:Mixup")

class Mixup(Mixer):
    promise = "blended"

    def __init__(self, params):
        super().__init__(params)

    def source_count(self, num_tokens, progress):
        return num_tokens // 4

    def forward(self, target, source, keep, take):
        share = take.indices.shape[1] / target.shape[1]
        origin = (torch.arange(target.shape[1]) % source.shape[1]).expand(len(target), -1)
        arriving = source.gather(1, origin[..., None].expand(-1, -1, source.shape[-1]))
        shares = torch.full(target.shape[:2], share)
        return Mixed((1 - share) * target + share * arriving, shares > 0, origin, share, shares)
"""


@pytest.mark.parametrize("task", ["satellite", "darcy_flow"])
def test_pare_runs_with_mixup(install, pare_bench, tmp_path, task):
    """A class target and a dense one; the record has the share that the loss was told."""
    install("mixes", PLUGIN)
    tiny = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8", "-o", "budget.epochs=1")
    code, _, err = pare_bench(
        "run", "-m", "pare", "-t", task, "-o", "mixer=mixup", "--device", "cpu", "--out", str(tmp_path), "--tier", "generated", *tiny
    )
    assert code == 0, err
    (record,) = Store(tmp_path).records()
    assert record.status == "ok"
    (share,) = record.training["train"].health.source_share
    assert share == pytest.approx(0.25, abs=0.02)
    assert record.training["train"].health.source_loss[0] > 0
