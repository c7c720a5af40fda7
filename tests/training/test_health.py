"""Whether a run knows how it is doing: constructed sources, by hand where a number can be had by hand, and nothing moves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from pare_bench.records.store import Store
from pare_bench.training.health import SourceEpoch, SourceLog, end_loss, learned, overlap, probed_epochs

PLUGIN = """
import numpy as np
from pare_bench import TaskSpec, hookimpl
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task, TaskSize

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="colours", summary="A source that every patch tells.", target="plugin_of_colours:Colours", modality="image", proxy=True)

class Colours(Task):
    name = "colours"
    version = 1
    inputs = InputShape(3, (56, 56))
    target = Classes(4)
    metrics = (Metric("error_rate", lambda outputs, split: float((outputs.argmax(1) != split.targets).mean())),)
    sizes = {"cpu": TaskSize(64, 4, 4)}

    def generated(self, seed, size):
        rng = np.random.default_rng(seed)
        def part(n):
            targets = rng.integers(0, 4, n)
            colours = np.array([[2, -2, -2], [-2, 2, -2], [-2, -2, 2], [2, 2, 2]], np.float32)[targets]
            noise = rng.normal(0, 0.1, (n, 3, 56, 56))
            return Split((colours[:, :, None, None] + noise).astype(np.float32), targets)
        return Splits(part(size.train), part(size.val), part(size.test))
"""
TINY = ("--preset", "smoke", "-o", "size.train=96", "-o", "size.val=8", "-o", "size.test=8", "-o", "source_size.train=96", "-o", "budget.epochs=8")


def run(pare_bench, out, *options):
    code, shown, err = pare_bench("run", "--method", "pare", "--task", "ninapro", "--out", str(out), "--format", "md", *options)
    assert code == 0, err
    (record,) = Store(out).records()
    return record, shown


def test_an_easy_source_is_learned_and_one_whose_labels_mean_nothing_is_not(pare_bench, tmp_path, install):
    """Shuffled: the same images, so nothing can be learned that holds; what little is memorised stays near chance."""
    install("colours", PLUGIN)
    words = (*TINY, "-o", "source=colours")
    sound, shown = run(pare_bench, tmp_path / "sound", *words, "-o", "method.source_scale=initial", "-o", "method.auxiliary_weight=1")
    health = sound.training["train"].health
    assert health.learned is True
    assert health.end < 0.5 * health.chance
    assert health.chance == pytest.approx(math.log(4), rel=0.05)
    assert sound.warnings() == []
    assert "warning" not in shown
    # The weight is 1, so what enters the sum is the loss times its share and the unit that was measured before training.
    units = [term / (loss * share) for term, loss, share in zip(health.source_weighted, health.source_loss, health.source_share, strict=True)]
    assert units == pytest.approx([units[0]] * 8)
    # ln 18 of the target against ln 4 of the source, both give or take what an untrained head adds.
    assert units[0] == pytest.approx(math.log(18) / math.log(4), rel=0.2)
    assert len(health.target_loss) == 8
    assert all(loss > 0 for loss in health.target_loss)
    fixed, _ = run(pare_bench, tmp_path / "fixed", *words[:-3], "budget.epochs=1", *words[-2:])
    health = fixed.training["train"].health
    # The preset's weight.
    assert health.source_weighted == pytest.approx([0.1 * loss * share for loss, share in zip(health.source_loss, health.source_share, strict=True)])
    shuffled, shown = run(pare_bench, tmp_path / "shuffled", *words, "-o", "method.source_labels=shuffled")
    health = shuffled.training["train"].health
    assert health.learned is False
    assert shuffled.warnings() == [f"the source was not learned: its loss ends at {health.end:.3g}, chance is {health.chance:.3g}"]
    assert "the source was not learned" in shown
    code, text, _ = pare_bench("explain", shuffled.run_id, "--out", str(tmp_path / "shuffled"))
    assert (code, "warning: the source was not learned" in text) == (0, True)


def test_without_source_there_is_nothing_to_say(pare_bench, tmp_path):
    code, _, err = pare_bench("run", "--method", "full_finetune", "--task", "ninapro", "--out", str(tmp_path), *TINY[:8], "-o", "budget.epochs=1")
    assert code == 0, err
    (record,) = Store(tmp_path).records()
    assert record.training["train"].health is None
    assert record.warnings() == []


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"),
    [
        (10, 39, []),
        (10, 79, [10]),
        (10, 80, [1, 10]),
        (10, 400, [1, 2, 4, 5, 6, 7, 9, 10]),
        (3, 4000, [1, 2, 3]),
        (1, 4000, [1]),
        (60, 9000, [1, 9, 18, 26, 35, 43, 52, 60]),
    ],
)
def test_probes_are_even_and_as_many_as_a_run_can_bear(epochs, steps, expected):
    assert probed_epochs(epochs, steps) == expected


def test_the_end_is_the_last_quarter_with_source_weighted_by_its_share():
    epochs = [SourceEpoch(4.0, 0.6)] * 6 + [SourceEpoch(2.0, 0.3), SourceEpoch(1.0, 0.1), SourceEpoch(None, 0.0)]
    assert end_loss(epochs) == pytest.approx((0.3 * 2.0 + 0.1 * 1.0) / 0.4)
    assert end_loss([SourceEpoch(None, 0.0)]) is None
    assert end_loss([]) is None
    assert learned(end_loss([SourceEpoch(1.0, 0.5)]), 1.0) is False
    assert learned(0.94, 1.0) is True
    assert learned(None, 1.0) is None


def test_the_log_is_the_mean_over_examples():
    log = SourceLog()
    log.add(torch.tensor(1.0), 0.5, 3)
    log.add(torch.tensor(5.0), 0.5, 1)
    log.add(None, 0.0, 4)
    assert log.epoch() == SourceEpoch(2.0, pytest.approx(1 / 3))
    assert log.epoch() == SourceEpoch(None, 0.0)
    log.add(torch.tensor(4.0), 0.5, 3, weighted=torch.tensor(1.0), target=torch.tensor(0.5))
    log.add(None, 0.0, 1, target=torch.tensor(1.5))
    # The source loss and what became of it over the three examples with source tokens, the target's over all four.
    assert log.epoch() == SourceEpoch(4.0, 0.25, 1.0, 0.75)
    assert log.epoch() == SourceEpoch(None, 0.0)


def test_overlap_by_hand():
    first, second = torch.tensor([[0, 1, 2], [3, 4, 5]]), torch.tensor([[2, 7, 0], [9, 8, 7]])
    assert overlap(first, second) == pytest.approx((2 / 3 + 0) / 2)


@pytest.fixture
def watched():
    """A PaRe objective on a tiny network, with what watches it."""
    from accelerate import Accelerator

    from pare_bench.model.network import Batch
    from pare_bench.training.health import Health, Observed
    from pare_bench.training.loop import Objective

    class Two(Objective, Observed):
        def __init__(self):
            super().__init__()
            self.network = nn.Linear(3, 1, bias=False)
            self.norm = nn.BatchNorm1d(3)
            self.score = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
            self.log = SourceLog()

        def forward(self, batch, progress):
            return sum(self.terms(batch, progress).values())

        def terms(self, batch, progress):
            torch.rand(5)
            self.norm(batch.inputs)
            self.log.add(torch.tensor(9.0), 1.0, 9)
            weight = self.network.weight[0]
            return {"target": 3 * weight[0], "source": 4 * weight[1] - 3 * weight[0]}

        def chance(self):
            return 1.0

        def gate(self):
            return [self.score]

        def choice(self, batch):
            return self.score.detach().topk(2).indices.expand(len(batch.inputs), 2), 3

    objective = Two()
    batch = Batch(torch.randn(4, 3), torch.zeros(4), {})
    return objective, Health(objective, batch, Accelerator(cpu=True), 0, epochs=2, steps=100)


def test_a_probe_by_hand(watched):
    objective, health = watched
    health.begin()
    health.epoch(1)
    with torch.no_grad():
        objective.score.copy_(torch.tensor([4.0, 2.0, 3.0]))
    health.epoch(2)
    first, second = health.probes
    # Gradients (3, 0, 0) and (-3, 4, 0): squared norms 9 and 25, cosine -9 / (3 * 5).
    assert first.gradients == pytest.approx({"target": 9 / 34, "source": 25 / 34}, rel=1e-5)
    assert first.cosines == pytest.approx({"source": -0.6}, rel=1e-5)
    assert (first.gate_moved, first.overlap_start, first.overlap_before) == (0.0, 1.0, 1.0)
    assert second.gate_moved == pytest.approx(3 / math.sqrt(14), rel=1e-5)
    assert (second.overlap_start, second.overlap_before) == (0.5, 0.5)  # {1, 2} at the start, {0, 2} now
    assert second.overlap_chance == pytest.approx(2 / 3, rel=1e-5)


def test_a_look_changes_nothing(watched):
    objective, health = watched
    objective.eval()
    objective.log.add(torch.tensor(2.0), 0.5, 1)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    health.begin()
    health.epoch(1)
    assert torch.equal(torch.rand(4), expected)
    assert not objective.training
    assert all(torch.equal(value, before[name]) for name, value in objective.state_dict().items())
    assert all(parameter.grad is None for parameter in objective.parameters())
    assert health.source == [SourceEpoch(2.0, 0.5)]
    assert objective.log.epoch() == SourceEpoch(None, 0.0)


def test_probes_move_no_score_and_survive_an_interruption(pare_bench, tmp_path, monkeypatch):
    from pare_bench.training import health as module
    from pare_bench.training import loop

    monkeypatch.setattr(module, "_STEPS_PER_PROBE", 1)
    monkeypatch.setenv("PARE_BENCH_CHECKPOINT_SECONDS", "0")
    words = (*TINY[:-1], "budget.epochs=4")
    with_probes, _ = run(pare_bench, tmp_path / "with", *words)
    health = with_probes.training["train"].health
    assert [probe.epoch for probe in health.probes] == [1, 2, 3, 4]
    assert all(set(probe.gradients) == {"target", "mixed target", "source"} for probe in health.probes)
    assert all(abs(sum(probe.gradients.values()) - 1) < 1e-4 for probe in health.probes)

    whole = loop._Kept.epoch

    def until_the_second(self, epoch, *rest, **named):
        whole(self, epoch, *rest, **named)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop._Kept, "epoch", until_the_second)
        assert pare_bench("run", "--method", "pare", "--task", "ninapro", "--out", str(tmp_path / "again"), *words)[0] == 130
    resumed, _ = run(pare_bench, tmp_path / "again", *words)
    assert resumed.training["train"].resumed_from == 2
    assert resumed.training["train"].health == health
    assert resumed.predictions_sha256 == with_probes.predictions_sha256

    monkeypatch.setattr(module, "PROBES", 0)
    without, _ = run(pare_bench, tmp_path / "without", *words)
    assert without.training["train"].health.probes == ()
    assert without.predictions_sha256 == with_probes.predictions_sha256
    assert [point.train_loss for point in without.training["train"].curve] == [point.train_loss for point in with_probes.training["train"].curve]


def test_chance_is_the_entropy_of_the_answers():
    from pare_bench.builtin.methods.source_losses import ClassSourceLoss, _of_masks
    from pare_bench.contracts.task import Split
    from pare_bench.model.source import Source

    masks = np.zeros((8, 4, 4), bool)
    masks[:, :1] = True
    source = Source(Split(np.zeros((8, 3, 4, 4), np.float32), np.array([0, 0, 0, 0, 1, 1, 2, 2]), {"foreground": masks}), 3)
    assert ClassSourceLoss.chance(None, source) == pytest.approx(1.5 * math.log(2))
    assert _of_masks(source) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
