"""Training states on disk: a killed training goes on and ends with the same bits."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from regression import Regression, data
from safetensors import SafetensorError

from pare_bench.config.run_config import Budget, Recipe
from pare_bench.errors import EnvironmentFault, IntegrityError
from pare_bench.training.checkpoint import CheckpointFile, CheckpointFolder, TrainingState
from pare_bench.training.loop import LoopServices, train
from pare_bench.training.progress import Silent


class KilledError(Exception):
    """Stands in for a process that ends between two epochs."""


def resumable(tmp_path, recipe, *, stop_after=None, scores=(3.0, 1.0, 2.0, 4.0, 0.5), budget=None):
    """Train five epochs, or until the validation after ``stop_after`` epochs were saved."""
    objective, left = Regression(), iter(scores)
    file = CheckpointFile(tmp_path / "train.safetensors", interval=0.0)
    saved = file.load()
    done = len(saved.facts["history"]["curve"]) if saved else 0
    for _ in range(done):
        next(left)

    def validate():
        if stop_after is not None and done_here() == stop_after:
            raise KilledError
        return next(left)

    def done_here():
        state = file.load()
        return len(state.facts["history"]["curve"]) if state else 0

    services = LoopServices(("test", 0), Accelerator(cpu=True), Silent(), checkpoint=file)
    history = train(objective, data(), recipe=recipe, budget=budget or Budget(epochs=5), services=services, validate=validate, metric="error")
    return objective, history, file


@pytest.mark.parametrize("recipe", [Recipe(batch_size=8), Recipe(batch_size=8, optimiser="sgd"), Recipe(batch_size=8, optimiser="adam")])
@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tmp_path, recipe, keep, stop_after):
    budget = Budget(epochs=5, keep=keep)
    objective, expected, _ = resumable(tmp_path / "whole", recipe, budget=budget)
    with pytest.raises(KilledError):
        resumable(tmp_path / "killed", recipe, stop_after=stop_after, budget=budget)
    again, history, _ = resumable(tmp_path / "killed", recipe, budget=budget)
    assert history.resumed_from == stop_after
    assert torch.equal(again.linear.weight, objective.linear.weight)
    assert torch.equal(again.linear.bias, objective.linear.bias)
    assert history.curve == expected.curve
    assert (history.best_epoch, history.steps, history.examples, history.stopped) == (
        expected.best_epoch,
        expected.steps,
        expected.examples,
        expected.stopped,
    )
    # Only what was left was computed.
    assert len(again.seen) == (5 - stop_after) * 3


def test_patience_counts_across_an_interruption_and_a_finished_training_only_loads(tmp_path):
    budget = Budget(epochs=5, patience=2)
    with pytest.raises(KilledError):
        resumable(tmp_path, Recipe(batch_size=8), stop_after=3, budget=budget)
    _, history, file = resumable(tmp_path, Recipe(batch_size=8), budget=budget)
    assert (len(history.curve), history.stopped, history.best_epoch) == (4, "patience", 2)
    assert file.load().facts["finished"]
    objective, again, _ = resumable(tmp_path, Recipe(batch_size=8), budget=budget)
    assert objective.seen == []
    assert again.curve == history.curve


def test_an_interrupt_saves_the_last_finished_epoch(tmp_path):
    file, epochs = CheckpointFile(tmp_path / "train.safetensors"), iter(range(9))

    def validate():
        if next(epochs) == 2:
            raise KeyboardInterrupt
        return 1.0

    services = LoopServices(("test", 0), Accelerator(cpu=True), Silent(), checkpoint=file)
    with pytest.raises(KeyboardInterrupt):
        train(Regression(), data(), recipe=Recipe(batch_size=8), budget=Budget(epochs=9), services=services, validate=validate, metric="error")
    assert [point["epoch"] for point in file.load().facts["history"]["curve"]] == [1, 2]


def test_short_epochs_are_not_written_one_by_one(tmp_path):
    file = CheckpointFile(tmp_path / "train.safetensors")
    services = LoopServices(("test", 0), Accelerator(cpu=True), Silent(), checkpoint=file)
    train(Regression(), data(), recipe=Recipe(batch_size=8), budget=Budget(epochs=3), services=services, validate=lambda: 1.0, metric="error")
    assert not file.path.exists()


def test_a_foreign_checkpoint_is_named(tmp_path):
    file = CheckpointFile(tmp_path / "train.safetensors", interval=0.0)
    file.save(TrainingState({"objective/other": torch.zeros(2)}, {"history": {}}))
    services = LoopServices(("test", 0), Accelerator(cpu=True), Silent(), checkpoint=file)
    with pytest.raises(IntegrityError, match=r"train.safetensors' cannot be used"):
        train(Regression(), data(), recipe=Recipe(), budget=Budget(), services=services, validate=lambda: 1.0, metric="error")


class Told(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_is_set_aside_and_the_training_starts_over(tmp_path, damage):
    """Seen: 16 of 40 flipped bits were trained on and ended in other predictions, without a word; safetensors has no checksum."""
    objective, expected, _ = resumable(tmp_path / "whole", Recipe(batch_size=8))
    with pytest.raises(KilledError):
        resumable(tmp_path / "killed", Recipe(batch_size=8), stop_after=3)
    path = tmp_path / "killed" / "train.safetensors"
    content = path.read_bytes()
    # The last byte is one of a weight.
    path.write_bytes({"flip": content[:-1] + bytes([content[-1] ^ 1]), "cut": content[:20], "empty": b""}[damage])
    with pytest.raises(IntegrityError, match=r"train.safetensors' cannot be used"):
        CheckpointFile(path).load()
    reporter, file = Told(), CheckpointFile(path, interval=0.0)
    services = LoopServices(("test", 0), Accelerator(cpu=True), reporter, checkpoint=file)
    again, scores = Regression(), iter((3.0, 1.0, 2.0, 4.0, 0.5))
    history = train(
        again, data(), recipe=Recipe(batch_size=8), budget=Budget(epochs=5), services=services, validate=lambda: next(scores), metric="error"
    )
    assert (history.resumed_from, history.curve) == (0, expected.curve)
    assert torch.equal(again.linear.weight, objective.linear.weight)
    (note,) = reporter.notes
    assert f"it is now '{path}.damaged', and the run starts over" in note


def test_a_disk_that_is_full_ends_no_training(tmp_path, monkeypatch):
    """Seen: what safetensors raises there is no OSError, and every run of the campaign was recorded as failed."""

    def full(*_, **__):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("pare_bench.training.checkpoint.save_file", full)
    reporter, file = Told(), CheckpointFile(tmp_path / "train.safetensors", interval=0.0)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        file.save(TrainingState({}, {}))
    services = LoopServices(("test", 0), Accelerator(cpu=True), reporter, checkpoint=file)
    history = train(
        Regression(), data(), recipe=Recipe(batch_size=8), budget=Budget(epochs=3), services=services, validate=lambda: 1.0, metric="error"
    )
    assert len(history.curve) == 3
    (note,) = reporter.notes
    assert "No space left on device" in note
    assert list(tmp_path.iterdir()) == []


def test_stages_of_one_name_do_not_share_a_file(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints" / "0123")
    names = [folder.stage(name).path.name for name in ("train", "train", "a/../b")]
    assert names == ["train.safetensors", "train-2.safetensors", "a----b.safetensors"]
    folder.root.mkdir(parents=True)
    folder.remove()
    assert not folder.root.parent.exists()
