"""The checks themselves: each deliberately wrong component must be found out, by the problem that it has."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from pare_bench.builtin.aligners.l2 import L2
from pare_bench.builtin.embedders.patch2d import Patch2d
from pare_bench.builtin.mixers.patch_replace import PatchReplace
from pare_bench.builtin.selectors.gate import GateTopK
from pare_bench.builtin.selectors.random import RandomSelector
from pare_bench.conformance import check_aligner, check_backbone, check_embedder, check_method, check_mixer, check_selector, check_task
from pare_bench.conformance.doubles import DenseField, ImageBody, ImageClasses, SequenceLabels, TextBody
from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.method import Method
from pare_bench.contracts.mixer import Mixed, Mixer
from pare_bench.contracts.selector import Selection, Selector
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, Task
from pare_bench.registry.specs import TaskSpec
from pare_bench_baselines.fine_tuning import FullFineTuning


def assert_found(problems, *words):
    assert problems
    assert any(all(word in problem for word in words) for problem in problems), problems


@pytest.mark.parametrize("task", [ImageClasses, DenseField, SequenceLabels])
def test_the_stand_in_tasks_conform_themselves(task):
    assert check_task(task) == []


def test_the_stand_in_bodies_conform_themselves():
    assert check_backbone(ImageBody, modality="image") == []
    assert check_backbone(TextBody, modality="sequence") == []


def test_a_tokenizer_has_a_name():
    class Numbered(TextBody):
        @classmethod
        def tokenizer(cls, params):
            return 7

    assert_found(check_backbone(Numbered, modality="sequence"), "tokenizer is 7")


class OneTooMany(GateTopK):
    def forward(self, tokens, k):
        return super().forward(tokens, min(k + 1, tokens.shape[1]))


class Descending(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, indices=chosen.indices.flip(1))


class SoftMask(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask * 0.999)


class OtherMask(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask.roll(1, dims=1))


class InPlace(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        tokens.data.mul_(2)
        return chosen


class Unseeded(RandomSelector):
    def forward(self, tokens, k):
        with torch.random.fork_rng(devices=[]):
            torch.seed()
            return super().forward(tokens, k)


class NoBounds(Selector):
    def __init__(self, params, *, dim):
        super().__init__(params, dim=dim)

    def forward(self, tokens, k):
        k = min(max(k, 0), tokens.shape[1])
        indices = torch.arange(k).expand(len(tokens), k)
        mask = torch.zeros(tokens.shape[:2], dtype=tokens.dtype).scatter(1, indices, 1.0)
        return Selection(mask, indices, tokens.detach().mean(2))


class Overflowing(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        soft = self.logits(tokens).exp()
        return replace(chosen, mask=chosen.mask.detach() + (soft - soft.detach()).nan_to_num(0))


class WrongPrecision(GateTopK):
    def forward(self, tokens, k):
        chosen = super().forward(tokens, k)
        return replace(chosen, mask=chosen.mask.float())


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (OneTooMany, ("exactly k",)),
        (Descending, ("ascend",)),
        (SoftMask, ("exactly 0 and 1",)),
        (OtherMask, ("different tokens",)),
        (InPlace, ("changes its input",)),
        (Unseeded, ("deterministic",)),
        (NoBounds, ("does not raise ValueError",)),
        (Overflowing, ("gradient is not finite",)),
        (WrongPrecision, ("type and device",)),
        (ImageBody, ("not a subclass",)),
        (Selector, ("does not implement",)),
    ],
)
def test_selectors(selector, words):
    assert_found(check_selector(selector), *words)


class WritesIntoTarget(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        target.data.copy_(mixed.tokens.data)
        return mixed


class Blends(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, tokens=0.99 * mixed.tokens + 0.01 * target)


class WrongOrigin(PatchReplace):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, origin=mixed.origin.clamp_min(0))


class Swapped(PatchReplace):
    def forward(self, target, source, keep, take):
        return super().forward(target, source.flip(1), keep, take)


class TooMany(PatchReplace):
    def source_count(self, num_tokens, progress):
        return num_tokens + 1


class Share(PatchReplace):
    def source_count(self, num_tokens, progress):
        return num_tokens * 0.5


class WrongShare(PatchReplace):
    def forward(self, target, source, keep, take):
        return replace(super().forward(target, source, keep, take), source_share=0.5)


@pytest.mark.parametrize(
    ("mixer", "words"),
    [
        (WritesIntoTarget, ("changes its inputs",)),
        (Blends, ("bit-identical",)),
        (WrongOrigin, ("origin is not -1",)),
        (Swapped, ("not the source tokens that origin names",)),
        (TooMany, ("leaves [0, tokens]",)),
        (Share, ("float, not int",)),
        (WrongShare, ("source_share",)),
    ],
)
def test_mixers(mixer, words):
    assert_found(check_mixer(mixer), *words)


class Stretch(Mixer):
    """CutMix: neighbouring source tokens, whole, at places of the mixer's own choice."""

    promise = "whole"

    def __init__(self, params):
        super().__init__(params)

    def source_count(self, num_tokens, progress):
        return num_tokens // 2

    def forward(self, target, source, keep, take):
        k = take.indices.shape[1]
        start = int(torch.randint(target.shape[1] - k + 1, ()))
        places = torch.arange(target.shape[1]).expand(len(target), -1)
        inside = (places >= start) & (places < start + k)
        arriving = source[:, : target.shape[1]]
        return Mixed(torch.where(inside[..., None], arriving, target), inside, torch.where(inside, places, -1), k / target.shape[1])


class Mixup(Stretch):
    """Every token is partly source."""

    promise = "blended"

    def forward(self, target, source, keep, take):
        share = take.indices.shape[1] / target.shape[1]
        shares = torch.full(target.shape[:2], share, dtype=target.dtype)
        origin = torch.arange(target.shape[1]).expand(len(target), -1) if share else torch.full(target.shape[:2], -1)
        tokens = (1 - share) * target + share * source[:, : target.shape[1]]
        return Mixed(tokens, shares > 0, origin, share, shares)


class CutMixOfNoPromise(Stretch):
    promise = "selected"


class MixupOfNoPromise(Mixup):
    promise = "whole"


class Overpromising(Stretch):
    promise = "best"


class SoftStretch(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, tokens=0.99 * mixed.tokens + 0.01 * target)


class OtherTokens(Stretch):
    def forward(self, target, source, keep, take):
        return super().forward(target, source.flip(1), keep, take)


class Nowhere(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, origin=torch.where(mixed.from_source, source.shape[1], -1))


class Uneven(Stretch):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        kept = mixed.from_source.clone()
        kept[0] = False
        return replace(mixed, tokens=torch.where(kept[..., None], mixed.tokens, target), from_source=kept, origin=torch.where(kept, mixed.origin, -1))


class Nothing(Stretch):
    def forward(self, target, source, keep, take):
        nowhere = torch.zeros(target.shape[:2], dtype=torch.bool)
        return Mixed(target.clone(), nowhere, torch.full(target.shape[:2], -1), 0.0)


class OwnPlaces(Stretch):
    def forward(self, target, source, keep, take):
        with torch.random.fork_rng(devices=[]):
            torch.seed()
            return super().forward(target, source, keep, take)


class NoShares(Mixup):
    def forward(self, target, source, keep, take):
        return replace(super().forward(target, source, keep, take), shares=None)


class OtherShares(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, shares=mixed.shares / 2, source_share=mixed.source_share / 2)


class TooLarge(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, shares=3 * mixed.shares)


class OtherLambda(Mixup):
    def forward(self, target, source, keep, take):
        mixed = super().forward(target, source, keep, take)
        return replace(mixed, source_share=mixed.source_share / 2)


@pytest.mark.parametrize("mixer", [Stretch, Mixup])
def test_mixers_that_do_not_ask_the_selector_conform_by_their_promise(mixer):
    """Seen: neither CutMix, the hook's own example, nor mixup could conform."""
    assert check_mixer(mixer) == []


@pytest.mark.parametrize(
    ("mixer", "words"),
    [
        (CutMixOfNoPromise, ("places that were not kept", 'promise = "whole"')),
        (MixupOfNoPromise, ("shares are for blended tokens", 'promise = "blended"')),
        (Overpromising, ("promise is 'best', not one of selected, whole, blended",)),
        (SoftStretch, ("not the source tokens that origin names",)),
        (OtherTokens, ("not the source tokens that origin names",)),
        (Nowhere, ("origin names source tokens that do not exist",)),
        (Uneven, ("k source tokens in every example",)),
        (Nothing, ("no token is of the source",)),
        (OwnPlaces, ("deterministic",)),
        (NoShares, ("blended tokens need shares",)),
        (OtherShares, ("not (1 - share) target + share source",)),
        (TooLarge, ("shares leave [0, 1]",)),
        (OtherLambda, ("source_share is not the mean of shares",)),
    ],
)
def test_promises(mixer, words):
    assert_found(check_mixer(mixer), *words)


class Deaf(Patch2d):
    def forward(self, inputs):
        with torch.no_grad():
            return super().forward(inputs)


class Unused(Patch2d):
    def __init__(self, params, *, inputs, backbone):
        super().__init__(params, inputs=inputs, backbone=backbone)
        self.extra = nn.Parameter(torch.zeros(1))


class Miscounted(Patch2d):
    def __init__(self, params, *, inputs, backbone):
        super().__init__(params, inputs=inputs, backbone=backbone)
        self.num_tokens += 1


class SharesNorm(Patch2d):
    def __init__(self, params, *, inputs, backbone):
        super().__init__(params, inputs=inputs, backbone=backbone)
        self.norm = backbone.norm


class LooksAround(Patch2d):
    def forward(self, inputs):
        return super().forward(inputs - inputs.mean(0))


@pytest.mark.parametrize(
    ("embedder", "words"),
    [
        (Deaf, ("no finite gradient reaches project.weight",)),
        (Unused, ("no finite gradient reaches extra",)),
        (Miscounted, ("num_tokens",)),
        (SharesNorm, ("shares weights",)),
        (LooksAround, ("influence each other",)),
    ],
)
def test_embedders(embedder, words):
    assert_found(check_embedder(embedder), *words)


class NotCopies(ImageBody):
    def embedder_weights(self):
        return {"weight": self.patch.weight.detach(), "bias": self.patch.bias.detach()} | {
            "norm_weight": self.norm.weight.detach(),
            "norm_bias": self.norm.bias.detach(),
        }


class KeepsWeights(ImageBody):
    def reinitialise(self):
        pass


class OwnSeed(ImageBody):
    def reinitialise(self):
        torch.manual_seed(0)
        super().reinitialise()


class WrongPlaces(ImageBody):
    out_grid = (4, 4)


class NeverTheSame(ImageBody):
    @classmethod
    def weights_digest(cls, params):
        return "of a file"

    def __init__(self, params):
        super().__init__(params)
        self.body.reset_parameters()


@pytest.mark.parametrize(
    ("backbone", "words"),
    [
        (NotCopies, ("not copies",)),
        (KeepsWeights, ("as they were",)),
        (OwnSeed, ("default generator",)),
        (WrongPlaces, ("features have shape",)),
        (NeverTheSame, ("drawn anew",)),
    ],
)
def test_backbones(backbone, words):
    assert_found(check_backbone(backbone), *words)


class Similarity(L2):
    def forward(self, features, labels=None):
        return -super().forward(features, labels)


class Detached(L2):
    def forward(self, features, labels=None):
        return super().forward(features, labels).detach()


class FirstOnly(L2):
    def forward(self, features, labels=None):
        return super().forward(features[:1], labels)


class Vector(L2):
    def forward(self, features, labels=None):
        return features.sum(1)


class Coral(Aligner):
    """Covariances over n - 1 examples, as torch.cov computes them: NaN for one."""

    def __init__(self, params, *, source_features, source_labels):
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.source = source_features

    def distance(self, features, source):
        return (features.mean(0) - source.mean(0)).square().sum() + (features.T.cov() - source.T.cov()).square().sum()

    def forward(self, features, labels=None):
        return self.distance(features, self.source)


class ByClass(Coral):
    """Safe for one target example, not for a source class of one."""

    def __init__(self, params, *, source_features, source_labels):
        super().__init__(params, source_features=source_features, source_labels=source_labels)
        self.classes = [source_features[source_labels == label] for label in source_labels.unique()]

    def forward(self, features, labels=None):
        doubled = torch.cat([features, features + 1e-3])
        return sum(self.distance(doubled, members) for members in self.classes) / len(self.classes)


class Rooted(L2):
    def forward(self, features, labels=None):
        return (features.mean(0) - self.source_mean).square().sum().sqrt()


@pytest.mark.parametrize(
    ("aligner", "words"),
    [
        (Coral, ("of a target class of one example", "nan")),
        (ByClass, ("to a source class of one example", "nan")),
        (Rooted, ("no finite gradient", "at the source's own features")),
        (Similarity, ("nearer",)),
        (Detached, ("differentiated",)),
        (FirstOnly, ("order",)),
        (Vector, ("not one finite number",)),
        (Aligner, ("does not implement",)),
    ],
)
def test_aligners(aligner, words):
    assert_found(check_aligner(aligner), *words)


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
