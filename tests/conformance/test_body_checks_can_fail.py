"""The checks of embedders, bodies and aligners: each deliberately wrong one must be found out, by the problem that it has."""

import pytest
import torch
from problems import assert_found
from torch import nn

from pare_bench.builtin.aligners.l2 import L2
from pare_bench.builtin.embedders.patch2d import Patch2d
from pare_bench.conformance import check_aligner, check_backbone, check_embedder
from pare_bench.conformance.doubles import ImageBody
from pare_bench.contracts.aligner import Aligner


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
