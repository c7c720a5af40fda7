"""ROCKET: random convolutional kernels and a linear classifier (Dempster, Petitjean and Webb, Data Mining and Knowledge Discovery 34, 2020)."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from pare_bench.contracts.method import TrainData
from pare_bench.contracts.task import Classes, InputShape, Split
from pare_bench_baselines.experts.expert import Expert, needs

if TYPE_CHECKING:
    from pare_bench.contracts.method import Context

LENGTHS = (7, 9, 11)
#: Regularisations among which the ridge classifier chooses by leave-one-out error, as in the paper.
ALPHAS = np.logspace(-3, 3, 10)
BATCH = 256


class RandomKernels(nn.Module):
    """``kernels`` fixed random convolutions; each gives the share of positive outputs and the largest output (section 3 of the paper).

    Length 7, 9 or 11; normal weights minus their mean, over all channels of the series; bias uniform in [-1, 1]; dilation 2^x with x uniform
    up to the series' length; with chance 1/2 padded with zeros to keep the length. Kernels that share length, dilation and padding run as one
    convolution; the order of features is that of the groups.
    """

    def __init__(self, inputs: InputShape, kernels: int) -> None:
        super().__init__()
        length = inputs.grid[0]
        choices = [size for size in LENGTHS if size <= length]
        groups: dict[tuple[int, int, int], list[tuple[Tensor, float]]] = defaultdict(list)
        for _ in range(kernels):
            size = choices[int(torch.randint(len(choices), ()))]
            weight = torch.randn(inputs.channels, size)
            dilation = int(2 ** (float(torch.rand(())) * math.log2((length - 1) / (size - 1))))
            padding = (size - 1) * dilation // 2 if float(torch.rand(())) < 0.5 else 0
            groups[size, dilation, padding].append((weight - weight.mean(), float(torch.rand(())) * 2 - 1))
        self.layout = sorted(groups)
        self.features = 2 * kernels
        # Parameters, so that they are counted; nothing ever trains them.
        self.weights = nn.ParameterList(_fixed(torch.stack([weight for weight, _ in groups[key]])) for key in self.layout)
        self.biases = nn.ParameterList(_fixed(torch.tensor([bias for _, bias in groups[key]])) for key in self.layout)

    def forward(self, series: Float[Tensor, "batch channels steps"]) -> Float[Tensor, "batch features"]:
        """Return the features: for each kernel the share of positive outputs, then for each kernel the maximum."""
        shares, largest = [], []
        for (_, dilation, padding), weight, bias in zip(self.layout, self.weights, self.biases, strict=True):
            outputs = F.conv1d(series, weight, bias, padding=padding, dilation=dilation)
            shares.append((outputs > 0).to(outputs.dtype).mean(-1))
            largest.append(outputs.amax(-1))
        return torch.cat([*shares, *largest], 1)


class Rocket(nn.Module):
    """Each series standardised, random kernels, features standardised by the training split, a linear layer from zero."""

    def __init__(self, inputs: InputShape, target: Classes, kernels: int) -> None:
        super().__init__()
        self.kernels = RandomKernels(inputs, kernels)
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(self.kernels.features))
        self.register_buffer("scale", torch.ones(self.kernels.features))
        self.classify = nn.Linear(self.kernels.features, target.num)
        nn.init.zeros_(self.classify.weight)
        nn.init.zeros_(self.classify.bias)

    def transform(self, inputs: Float[Tensor, "batch channels steps"]) -> Float[Tensor, "batch features"]:
        """Return features before their standardisation."""
        centred = inputs - inputs.mean(-1, keepdim=True)
        return self.kernels(centred / centred.std(-1, correction=0, keepdim=True).clamp_min(1e-8))

    def forward(self, inputs: Float[Tensor, "batch channels steps"]) -> Float[Tensor, "batch classes"]:
        """Return scores of the classes, used as logits."""
        return self.classify((self.transform(inputs) - self.mean) / self.scale)


def ridge(network: nn.Module, data: TrainData, context: Context) -> bool:
    """Standardise the features; solve for the classifier in closed form where the paper does, and return whether that was done.

    The paper takes a ridge classifier unless there are many more examples than features, then logistic regression by gradient descent. A
    recipe that the user set by ``-o`` asks for gradient descent, too: it would have no effect on the closed form.
    """
    if not isinstance(network, Rocket):
        raise TypeError(f"a ridge classifier needs the features of Rocket, got {type(network).__name__}")
    few = len(data.train) <= network.kernels.features
    part = data.train if few else data.train.take(np.sort(_subset(len(data.train), context)))
    features = _features(network, part, context)
    network.mean.copy_(torch.from_numpy(features.mean(0)))
    network.scale.copy_(torch.from_numpy(features.std(0) + 1e-8))
    if not few or not _as_recommended(context):
        return False
    _solve(network, (features - features.mean(0)) / (features.std(0) + 1e-8), np.asarray(data.train.targets))
    return True


def _subset(count: int, context: Context) -> NDArray[np.integer]:
    """Return 2048 examples for the statistics of the features, drawn from a stream of the run."""
    from pare_bench.seeds import stream

    return stream(*context.words("rocket statistics")).permutation(count)[:2048]


@torch.no_grad()
def _features(network: Rocket, split: Split, context: Context) -> NDArray[np.float64]:
    from pare_bench.model.network import to_batch

    parts = []
    for start in range(0, len(split), BATCH):
        inputs = split.inputs[start : start + BATCH]
        parts.append(network.transform(to_batch(Split(inputs, np.zeros(len(inputs))), context.device).inputs).double().cpu().numpy())
    return np.concatenate(parts)


def _as_recommended(context: Context) -> bool:
    """Return whether the run's recipe is the one recommended here, so that nobody asked for another."""
    recipe = context.config.recipe.model_dump()
    return all(recipe[path.removeprefix("recipe.")] == value for path, value in RIDGE_RECIPE.items() if path.startswith("recipe."))


def _solve(network: Rocket, features: NDArray[np.float64], targets: NDArray[np.integer]) -> None:
    """Fit the linear layer: +-1 targets per class, the regularisation with the least leave-one-out error."""
    from sklearn.linear_model import RidgeCV

    signs = np.where(targets[:, None] == np.arange(network.classify.out_features), 1.0, -1.0)
    fitted = RidgeCV(alphas=ALPHAS).fit(features, signs)
    with torch.no_grad():
        network.classify.weight.copy_(torch.from_numpy(np.asarray(fitted.coef_)))
        network.classify.bias.copy_(torch.from_numpy(np.asarray(fitted.intercept_)))


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


#: Recipe of the logistic regression, as released; the closed form needs none.
RIDGE_RECIPE = {
    "recipe.optimiser": "adam",
    "recipe.learning_rate": 1e-3,
    "recipe.weight_decay": 0.0,
    "recipe.batch_size": 256,
    "recipe.clip_norm": None,
    "recipe.warmup": 0.0,
}

ROCKET = Expert(
    name="rocket",
    citation="Dempster, Petitjean and Webb, ROCKET, Data Mining and Knowledge Discovery 34, 2020",
    tasks=("satellite",),
    build=Rocket,
    misfit=needs(1, Classes),
    sizes={"tiny": {"kernels": 100}, "small": {"kernels": 2000}, "published": {"kernels": 10_000}},
    recipes={
        "tiny": {**RIDGE_RECIPE, "budget.epochs": 2},
        "small": {**RIDGE_RECIPE, "budget.epochs": 20},
        "published": {**RIDGE_RECIPE, "budget.epochs": 100, "budget.patience": 5},
    },
    prefit=ridge,
)
