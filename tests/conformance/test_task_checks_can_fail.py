"""The checks of tasks and methods: each deliberately wrong one must be found out, by the problem that it has."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from problems import assert_found

from pare_bench.conformance import check_method, check_task
from pare_bench.conformance.doubles import DenseField, ImageClasses
from pare_bench.contracts.method import Method
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task
from pare_bench.registry.specs import TaskSpec
from pare_bench_baselines.fine_tuning import FullFineTuning


class SharedExample(ImageClasses):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        return Split(np.concatenate([np.ones_like(made.inputs[:1]), made.inputs[1:]]), made.targets)


class SharedGroup(ImageClasses):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        return Split(made.inputs, made.targets, {"groups": np.arange(count)})


class Noisy(ImageClasses):
    """Test and validation are the training examples, with noise of 1%."""

    change = staticmethod(lambda inputs, rng: inputs + 0.01 * rng.normal(size=inputs.shape))

    def generated(self, seed, size):
        splits = super().generated(seed, size)
        rng = np.random.default_rng(seed)
        parts = [Split(self.change(splits.train.inputs[: len(part)], rng).astype(np.float32), part.targets) for part in (splits.val, splits.test)]
        return Splits(splits.train, *parts)


class Brighter(Noisy):
    """Test examples are training examples, 1.7 times as bright."""

    change = staticmethod(lambda inputs, rng: 1.7 * inputs + 0.3)


class OneCopy(ImageClasses):
    """One test example is a training example but for rounding."""

    def generated(self, seed, size):
        splits = super().generated(seed, size)
        inputs = splits.test.inputs.copy()
        inputs[0] = splits.train.inputs[3] * np.float32(1 + 1e-6)
        return Splits(splits.train, splits.val, Split(inputs, splits.test.targets))


class OwnEntropy(ImageClasses):
    def simulate(self, split, count, index, rng):
        return super().simulate(split, count, index, np.random.default_rng())


class SeedIgnored(ImageClasses):
    def simulate(self, split, count, index, rng):
        return super().simulate(split, count, index, np.random.default_rng(len(split)))


class Doubles(ImageClasses):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        return Split(made.inputs.astype(np.float64), made.targets)


class TooFewClasses(ImageClasses):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        return Split(made.inputs, made.targets + 1)


class WrongWayRound(ImageClasses):
    metrics = (Metric("accuracy", lambda outputs, split: float(np.mean(outputs.argmax(1) == split.targets))),)


class ImpureAugmentation(ImageClasses):
    def augment(self, inputs, targets, rng):
        inputs *= 2
        return inputs, targets


class Infinite(DenseField):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        return Split(made.inputs, made.targets / 0.0)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (SharedExample, ("an example of", "too")),
        (SharedGroup, ("a group of", "too")),
        (Noisy, ("of 'test' are nearly examples of 'train'",)),
        (Brighter, ("of 'val' are nearly examples of 'train'",)),
        (OneCopy, ("1 of 6 examples of 'test' are nearly examples of 'train'",)),
        (OwnEntropy, ("same seed gives other bytes",)),
        (SeedIgnored, ("another seed gives the same bytes",)),
        (Doubles, ("inputs are float64",)),
        (TooFewClasses, ("targets leave",)),
        (WrongWayRound, ("prefers a constant",)),
        (ImpureAugmentation, ("augment changes its inputs",)),
        (Infinite, ("not finite",)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tasks(task, words):
    assert_found(check_task(task), *words)


class Shipped(Task):
    """60 real examples; ``share`` of the test split are training examples, and of the training examples ``twice`` occur twice."""

    name, version, inputs, target = "shipped", 1, InputShape(1, (24,)), Classes(2)
    metrics = ImageClasses.metrics
    sizes: ClassVar = {}
    share, twice, noise = 0.0, 0.0, 0.0

    def generated(self, seed, size):
        raise NotImplementedError

    def bundled(self, seed, track):
        rows = np.random.default_rng(0).normal(size=(60, 1, 24)).astype(np.float32)
        same = round(40 * self.twice)
        rows[20 : 20 + same] = rows[:same]
        order = np.random.default_rng(seed).permutation(60)
        train, val, test = order[:40], order[40:50], order[50:].copy()
        test[: round(10 * self.share)] = train[: round(10 * self.share)]
        moved = rows + self.noise * np.random.default_rng(7).normal(size=rows.shape).astype(np.float32)
        return Splits(*(Split(data[part], (part % 2).astype(np.int64)) for data, part in ((rows, train), (rows, val), (moved, test))))


BUNDLED = TaskSpec(name="shipped", summary="s", target="m:C", modality="sequence", tiers=("bundled",))


@pytest.mark.parametrize("twice", [0.0, 0.3])
def test_real_examples_may_occur_twice(twice):
    assert check_task(type("Mine", (Shipped,), {"twice": twice}), spec=BUNDLED) == []


@pytest.mark.parametrize("twice", [0.0, 0.3])
def test_bundled_data_whose_test_split_is_training_data_are_found(twice):
    """Seen: a task whose bundled train and test splits were the same conformed."""
    problems = check_task(type("Mine", (Shipped,), {"share": 1.0, "twice": twice}), spec=BUNDLED)
    assert_found(problems, "10 of 10 examples of 'test' stand in 'train', too")
    assert_found(check_task(type("Mine", (Shipped,), {"share": 1.0, "noise": 0.005}), spec=BUNDLED), "10 of 10", "nearly examples of 'train'")


class NotANumber(ImageClasses):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        made.inputs[0, 0, 0, 0] = np.nan
        return made


class NotATarget(DenseField):
    def simulate(self, split, count, index, rng):
        made = super().simulate(split, count, index, rng)
        made.targets[0, 0, 0] = np.nan
        return made


@pytest.mark.parametrize(
    ("task", "said"), [(NotANumber, "inputs are not finite [train]"), (NotATarget, "targets leave [-inf, inf] or are not finite [train]")]
)
def test_nan_is_told_once_and_blames_nothing_else(task, said):
    """Seen: NaN inputs were said to be changed by an augmentation that did nothing."""
    assert check_task(task) == [said]


def test_nan_predictions_are_not_said_to_depend_on_the_seed():
    class Silent(Method):
        def fit(self, data, context):
            return Constant(np.asarray(data.train.targets).shape[1:] or (3,), np.nan)

    problems = check_method(Silent)
    assert problems == ["predictions are not finite [conformance_image]"]


def test_a_task_must_agree_with_its_spec():
    spec = TaskSpec(name="other", summary="s", target="m:C", modality="sequence", dense=True)
    problems = check_task(ImageClasses, spec=spec)
    assert_found(problems, "registered is 'other'")
    assert_found(problems, "modality")
    assert_found(problems, "dense is True")


class Constant:
    parameters_total = parameters_trained = 0

    def __init__(self, shape, value=0.0):
        self.shape, self.value = shape, value

    def predict(self, inputs):
        return np.full((len(inputs), *self.shape), self.value, np.float32)


class WrongShape(Method):
    def fit(self, data, context):
        return Constant((7,))


class OwnNoise(FullFineTuning):
    def fit(self, data, context):
        predictor = super().fit(data, context)
        with torch.no_grad():
            predictor.network.embedder.norm.bias.add_(float(np.random.default_rng().normal()))
        return predictor


class Peeks(FullFineTuning):
    def fit(self, data, context):
        context.registry.build("task", data.task)
        return super().fit(data, context)


class Overwrites(FullFineTuning):
    def fit(self, data, context):
        data.train.inputs[...] = 0
        return super().fit(data, context)


class Transductive(Method):
    def fit(self, data, context):
        shape = np.asarray(data.train.targets).shape[1:] or (3,)
        predictor = Constant(shape)
        predictor.predict = lambda inputs: np.full((len(inputs), *shape), inputs.mean(), np.float32)
        return predictor


class SilentSkip(FullFineTuning):
    def skip_reason(self, data):
        return ""


class Unversioned(FullFineTuning):
    version = "1.0"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (Unversioned, ("version is '1.0', not an integer from 1",)),
        (WrongShape, ("predictions are",)),
        (OwnNoise, ("same seed gives other predictions",)),
        (Peeks, ("holds the test split",)),
        (Overwrites, ("changes the data",)),
        (Transductive, ("predicted with it",)),
        (SilentSkip, ("skips without a reason",)),
    ],
)
def test_methods(method, words):
    assert_found(check_method(method, slots=("backbone", "embedder")), *words)


def test_a_method_must_list_the_slots_it_uses():
    assert_found(check_method(FullFineTuning, slots=()), "raises")
