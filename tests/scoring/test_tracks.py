"""The ``paper`` track: splits, chunked metrics and the scored epoch, as the released code has them."""

from __future__ import annotations

import numpy as np
import pytest

from pare_bench import metrics
from pare_bench.config.resolution import Request, resolve
from pare_bench.contracts.examples import LazyExamples
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task
from pare_bench.registry.names import Registry
from pare_bench.scoring.tracks import chunk_size, chunked, released_metrics


class Tiny(Task):
    """Forty examples that count themselves."""

    name, version, inputs, target = "tiny", 1, InputShape(1, (2,)), Classes(3)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes = {}  # noqa: RUF012

    def generated(self, seed, size):
        raise AssertionError("not needed")


def numbered(first, count, lazy=False):
    inputs = np.arange(first, first + count, dtype=np.float32)[:, None, None].repeat(2, 2)
    stored = LazyExamples(inputs.shape, inputs.dtype, lambda indices: inputs[indices]) if lazy else inputs
    return Split(stored, np.arange(first, first + count) % 3, {"groups": np.arange(first, first + count)})


@pytest.mark.parametrize("lazy", [False, True])
def test_paper_trains_on_train_and_val_and_validates_on_test(lazy):
    splits = Splits(numbered(0, 20, lazy), numbered(20, 8, lazy), numbered(28, 12))
    paper = Tiny().in_track(splits, "paper")
    assert Tiny().in_track(splits, "clean") is splits
    assert paper.val is paper.test is splits.test
    assert np.array_equal(paper.train.inputs[:][:, 0, 0], np.arange(28))
    assert np.array_equal(paper.train.targets, np.arange(28) % 3)
    assert np.array_equal(paper.train.extras["groups"], np.arange(28))
    assert isinstance(paper.train.inputs, LazyExamples) == lazy
    picked = paper.train.take(np.array([25, 3, 19, 20]))
    assert picked.inputs[:, 0, 1].tolist() == [25, 3, 19, 20]


@pytest.mark.parametrize(("batch_size", "expected"), [(32, 1024), (16, 1008), (4, 1000), (64, 1024), (1000, 1000), (1500, 1500)])
def test_a_chunk_is_whole_batches_of_at_least_a_thousand(batch_size, expected):
    assert chunk_size(batch_size) == expected


def test_chunks_are_whole_batches_and_averaged_unweighted():
    rng = np.random.default_rng(0)
    outputs, labels = rng.normal(size=(2500, 4)), rng.integers(0, 4, 2500)
    split = Split(np.zeros((2500, 1)), labels)
    score = chunked(lambda out, part: metrics.macro_f1_error(out, part.targets), 32)(outputs, split)
    parts = [metrics.macro_f1_error(outputs[a:b], labels[a:b]) for a, b in ((0, 1024), (1024, 2048), (2048, 2500))]
    assert score == pytest.approx(np.mean(parts), abs=1e-15)
    assert score != metrics.macro_f1_error(outputs, labels)


def test_a_shuffled_loader_mixes_the_chunks_the_same_way_each_time():
    labels = np.repeat([0, 1], 1000)
    outputs = np.eye(2)[np.zeros(2000, dtype=int)]
    split = Split(np.zeros((2000, 1)), labels)

    def f1(out, part):
        return metrics.macro_f1_error(out, part.targets)

    ordered, shuffled = chunked(f1, 8)(outputs, split), chunked(f1, 8, shuffled="tiny")(outputs, split)
    # In file order one chunk is all right and one all wrong; mixed, each is half wrong: F1 = (2/3 + 0) / 2.
    assert ordered == pytest.approx((0 + 1) / 2)
    assert shuffled == pytest.approx(1 - 1 / 3, abs=0.01)
    assert shuffled == chunked(f1, 8, shuffled="tiny")(outputs, split)
    assert shuffled != chunked(f1, 8, shuffled="other")(outputs, split)


def test_released_metrics_keep_name_and_direction():
    (metric,) = released_metrics(Tiny(), 16)
    assert (metric.name, metric.direction) == ("error_rate", "minimise")
    split = numbered(0, 12)
    assert metric.compute(np.eye(3)[split.targets], split) == 0.0


@pytest.mark.parametrize(("method", "keep", "variant"), [("pare", "last", "published"), ("orca", "best", None), ("full_finetune", "last", None)])
def test_scored_epoch_of_each_method(method, keep, variant):
    registry = Registry.from_environment()
    paper, clean = (resolve(registry, Request(method, "nas360", ("ecg",), track=track))[0] for track in ("paper", "clean"))
    assert (paper.budget.keep, paper.recipe.accumulate) == (keep, "released")
    assert (clean.budget.keep, clean.recipe.accumulate) == ("best", "mean")
    assert paper.method.params.get("variant") == variant
    if variant:
        assert paper.selector is not None
        assert paper.selector.params["noise_on"] == "sigmoid"
        assert clean.method.params["variant"] == "corrected"


def test_an_option_overrules_the_track():
    options = ("budget.keep=best", "method.variant=corrected", "selector.anneal=true")
    (config,) = resolve(Registry.from_environment(), Request("pare", "nas360", ("ecg",), track="paper", overrides=options))
    assert config.budget.keep == "best"
    assert config.method.params["drop"] == "lowest"
    assert config.selector is not None
    assert config.selector.params["noise_on"] == "logits"
