"""Checks of an aligner."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pare_bench.conformance.reporting import class_problems, collect, far_apart, random_tensor, same_bytes, seeded
from pare_bench.contracts.aligner import Aligner
from pare_bench.contracts.params import Params

WIDTH = 5


def check_aligner(component: type[Aligner], params: Params | None = None) -> list[str]:
    """Return what keeps ``component`` from being an aligner: a finite, differentiable distance of two sets, least where they agree.

    Classes of one example are among them, of the target and of the source: rare classes have one, and methods align class by class.
    """
    return collect(_aligner(component, params))


def _aligner(component: type[Aligner], params: Params | None) -> Iterator[str]:
    faults = list(class_problems(component, Aligner))
    yield from faults
    if faults:
        return
    chosen = component.Params() if params is None else params
    source, source_labels = random_tensor(24, WIDTH, seed=1), torch.arange(24) % 3
    untouched = source.clone()
    with seeded(0):
        aligner = component(chosen, source_features=source, source_labels=source_labels)
    features = random_tensor(11, WIDTH, seed=2) * 1.5 + 1
    for labels in (None, torch.arange(11) % 2):
        where = f"[labels {'None' if labels is None else 'given'}]"
        yield from _distance(aligner, features, labels, "", where)
        order = torch.arange(11).flip(0)
        if far_apart(aligner(features, labels), aligner(features[order], None if labels is None else labels[order]), 1e-3):
            yield f"the distance depends on the order of the examples {where}"
    yield from _distance(aligner, source, source_labels, " at the source's own features", "[labels given]")
    if not same_bytes(source, untouched):
        yield "changes the source features"
    yield from _single_examples(aligner, features, " of a target class of one example")
    with seeded(0):
        rare = component(chosen, source_features=source, source_labels=(torch.arange(24) > 0).long())
    for labels in (None, torch.arange(11) % 2):
        yield from _distance(rare, features, labels, " to a source class of one example", f"[labels {'None' if labels is None else 'given'}]")
    with torch.no_grad():
        same = float(aligner(source, source_labels))
        moved = [float(aligner(source + shift, source_labels)) for shift in (0.5, 2.0, torch.tensor([5.0, 0, 0, 0, 0]))]
    if any(other < same - 1e-3 * max(1.0, abs(same)) for other in moved):
        yield f"shifted features are nearer ({min(moved):.4g}) than the source's own ({same:.4g})"


def _single_examples(aligner: Aligner, features: Tensor, what: str) -> Iterator[str]:
    """Yield what is wrong with the distance where a class has one example: alone, beside others, and each of them."""
    cases: list[tuple[int, Tensor | None, str]] = [
        (1, None, "labels None"),
        (1, torch.tensor([2]), "labels given"),
        (11, (torch.arange(11) > 0).long(), "beside a larger class"),
        (4, torch.arange(4), "four such classes"),
    ]
    for count, labels, where in cases:
        yield from _distance(aligner, features[:count], labels, what, f"[{where}]")


def _distance(aligner: Aligner, features: Tensor, labels: Tensor | None, what: str, where: str) -> Iterator[str]:
    """Yield what keeps the distance of some features from being one that an embedder can be trained on; ``what`` says which distance."""
    features = features.clone().requires_grad_()
    value = aligner(features, labels)
    if value.shape != () or value.dtype != features.dtype or not bool(torch.isfinite(value.detach())):
        yield f"the distance{what} is not one finite number of the features' type, but {value!r} {where}"
        return
    if not value.requires_grad:
        yield f"the distance{what} cannot be differentiated {where}"
        return
    value.backward()
    if features.grad is None or not bool(torch.isfinite(features.grad).all()):
        yield f"features receive no finite gradient of the distance{what} {where}"
