"""Tables from a random structural causal model: every column is a function of earlier ones and noise, so columns depend on each other.

After the prior of TabPFN (Hollmann et al., ICLR 2023), much reduced. Nodes stand in causal order; node j is
``act_j(sum_i w_ij x_i / sqrt(parents)) + noise * e_j`` over one to four random earlier parents i (the first three are noise alone), then scaled to
mean 0 and deviation 1. The class is one node, cut at quantiles; the features are other nodes, so some are its causes, some its effects, some neither.
A column of categories is a node cut at random thresholds, its categories in random order. Values go missing independently of everything (MCAR).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pare_bench.contracts.table import Column, Table

_ROOTS = 3
_PILOT_ROWS = 4000
_FUNCTIONS = (np.tanh, np.sin, np.abs, lambda values: values, lambda values: np.maximum(values, 0), lambda values: values**2 / 2)


@dataclass(frozen=True)
class Node:
    """One variable: its parents, their weights, the function of their sum, and mean and deviation before it is scaled."""

    parents: NDArray[np.int64]
    weights: NDArray[np.float64]
    function: int
    mean: float = 0.0
    std: float = 1.0

    def unscaled(self, nodes: NDArray[np.float64], noise: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the node's values ``[rows]`` given the earlier columns of ``nodes`` ``[rows nodes]``."""
        own = rng.normal(size=len(nodes))
        if not len(self.parents):
            return own
        return _FUNCTIONS[self.function](nodes[:, self.parents] @ self.weights / np.sqrt(len(self.parents))) + noise * own


@dataclass(frozen=True)
class Shown:
    """A node that is a feature; of categories where there are ``thresholds`` (ascending), ``order`` naming the interval's category."""

    node: int
    thresholds: NDArray[np.float64] | None = None
    order: NDArray[np.int64] | None = None

    def column(self, nodes: NDArray[np.float64]) -> Column:
        """Return the column of a sample."""
        values = nodes[:, self.node].copy()
        if self.thresholds is None or self.order is None:
            return Column(f"node{self.node}", values)
        names = tuple(f"c{number}" for number in range(len(self.order)))
        return Column(f"node{self.node}", self.order[np.searchsorted(self.thresholds, values)].astype(np.float64), names)


@dataclass(frozen=True)
class CausalModel:
    """A drawn model. Scales and cuts come from a pilot sample, so rows of different draws have one distribution."""

    nodes: tuple[Node, ...]
    shown: tuple[Shown, ...]
    label: int
    cuts: NDArray[np.float64]
    noise: float
    missing: float

    def sample(self, rows: int, rng: np.random.Generator) -> Table:
        """Draw ``rows`` rows; all randomness from ``rng``."""
        values = np.empty((rows, len(self.nodes)))
        for place, node in enumerate(self.nodes):
            values[:, place] = (node.unscaled(values, self.noise, rng) - node.mean) / node.std
        columns = []
        for shown in self.shown:
            column = shown.column(values)
            column.values[rng.random(rows) < self.missing] = np.nan
            columns.append(column)
        labels = np.searchsorted(self.cuts, values[:, self.label]).astype(np.int64)
        return Table(tuple(columns), labels, tuple(f"class{number}" for number in range(len(self.cuts) + 1)))


def draw_model(
    rng: np.random.Generator, *, features: int, categorical: int, categories: int, classes: int, missing: float, noise: float
) -> CausalModel:
    """Draw a model that shows ``features`` columns, the last ``categorical`` of them with 2 to ``categories`` categories.

    ``missing`` is the share of values that go missing, ``noise`` the deviation of a node's own noise (what its parents say has about 1). Shares
    of the ``classes`` are Dirichlet (6, ..., 6), none much below 2 %.
    """
    count = features + max(4, features // 3) + 1
    nodes: list[Node] = []
    pilot = np.empty((_PILOT_ROWS, count))
    for place in range(count):
        node = _drawn_node(place, rng)
        values = node.unscaled(pilot, noise, rng)
        mean, std = float(values.mean()), float(values.std())
        nodes.append(Node(node.parents, node.weights, node.function, mean, std))
        pilot[:, place] = (values - mean) / std
    # In the second half, so that it has causes, and not last, so that it can have effects.
    label = int(rng.integers(count // 2, count - 1))
    observed = np.sort(rng.choice(np.delete(np.arange(count), label), size=features, replace=False))
    numbers = features - categorical
    shown = [Shown(int(node)) for node in observed[:numbers]] + [_cut(int(node), pilot[:, node], categories, rng) for node in observed[numbers:]]
    shares = np.maximum(rng.dirichlet(np.full(classes, 6.0)), 0.02)
    cuts = np.quantile(pilot[:, label], np.cumsum(shares / shares.sum())[:-1])
    return CausalModel(tuple(nodes), tuple(shown), label, cuts, noise, missing)


def _drawn_node(place: int, rng: np.random.Generator) -> Node:
    parents = np.zeros(0, dtype=np.int64)
    if place >= _ROOTS:
        parents = np.sort(rng.choice(place, size=min(place, int(rng.integers(1, 5))), replace=False))
    return Node(parents, rng.normal(size=len(parents)) * np.sqrt(2), int(rng.integers(len(_FUNCTIONS))))


def _cut(node: int, values: NDArray[np.float64], categories: int, rng: np.random.Generator) -> Shown:
    number = int(rng.integers(2, categories + 1))
    return Shown(node, np.sort(np.quantile(values, rng.uniform(0.1, 0.9, size=number - 1))), rng.permutation(number))
