"""Training losses, one for each kind of target; all are means over the batch.

``outputs`` are raw network outputs after :class:`pare_bench.model.heads.OutputScale`, in units of the targets (logits for classes, labels, masks).
``weight`` [batch *grid] in [0, 1], for dense targets only, says how much each place counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from pare_bench.contracts.task import Classes, Field, Labels, PairMap, Target
from pare_bench.model.parts import nominal

Loss = Callable[[Tensor, Tensor, Mapping[str, Tensor], Tensor | None], Tensor]


def target_loss(target: Target) -> Loss:
    """Return the published loss of a target kind: ``loss(outputs, targets, extras, weight) -> scalar``."""
    match target:
        case Classes():
            return _balanced_cross_entropy(target.weights) if target.balanced else _cross_entropy
        case Labels(positive_weight=positive_weight):
            return lambda outputs, targets, extras, weight: F.binary_cross_entropy_with_logits(  # noqa: ARG005
                outputs, targets, pos_weight=torch.tensor(positive_weight, device=outputs.device)
            )
        case Field(values="real", channels=1):
            return relative_l2_loss
        case Field(values="real"):
            return channelwise_relative_l2_loss
        case Field():
            return masked_bce_loss
        case PairMap(clip=clip):
            return lambda outputs, targets, extras, weight: _weighted_mean((outputs - targets.clamp(max=clip)) ** 2, weight)  # noqa: ARG005
    raise TypeError(f"no loss for target {target!r}")


def _cross_entropy(outputs: Tensor, targets: Tensor, extras: Mapping[str, Tensor], weight: Tensor | None) -> Tensor:  # noqa: ARG001
    return F.cross_entropy(outputs, targets)


def _balanced_cross_entropy(weights: tuple[float, ...]) -> Loss:
    """Return sum w_y l / sum w_y over the batch, as released for tables; ``weights`` [classes] come from the training split."""
    if not weights:
        raise ValueError("a balanced target has no weights: take the target of TrainData, or contracts.task.weighted(target, train)")
    expected = float(sum(weight > 0 for weight in weights))

    def loss(outputs: Tensor, targets: Tensor, extras: Mapping[str, Tensor], weight: Tensor | None) -> Tensor:  # noqa: ARG001
        scale = torch.tensor(weights, dtype=outputs.dtype, device=outputs.device)
        if nominal(len(targets))[0] == len(targets):
            return F.cross_entropy(outputs, targets, weight=scale)
        # A part of a batch cannot know the weights in the rest of it; their mean over the training split is the number of classes.
        return F.cross_entropy(outputs, targets, weight=scale, reduction="sum") / (expected * len(targets))

    return loss


def relative_l2_loss(
    outputs: Float[Tensor, "batch ..."],
    targets: Float[Tensor, "batch ..."],
    extras: Mapping[str, Tensor],  # noqa: ARG001
    weight: Float[Tensor, "batch ..."] | None,
) -> Float[Tensor, ""]:
    """Mean over examples of ||w (u_hat - u)|| / ||w u|| (Li et al., FNO, ICLR 2021); an example with no counted place contributes 0."""
    if weight is not None:
        outputs, targets = outputs * weight, targets * weight
    # The square root's gradient is infinite at 0; the floor is far below any real residual.
    error = (outputs - targets).flatten(1).square().sum(1).clamp_min(1e-20).sqrt()
    norm = targets.flatten(1).square().sum(1).sqrt()
    return torch.where(norm > 0, error / norm.clamp_min(1e-10), torch.zeros_like(norm)).mean()


def channelwise_relative_l2_loss(
    outputs: Float[Tensor, "batch channels *grid"],
    targets: Float[Tensor, "batch channels *grid"],
    extras: Mapping[str, Tensor],
    weight: Float[Tensor, "batch ..."] | None,
) -> Float[Tensor, ""]:
    """Mean over examples and channels of the relative L2 error: quantities of different units count alike."""
    if weight is not None:
        weight = weight.repeat_interleave(outputs.shape[1], 0)
    return relative_l2_loss(outputs.flatten(0, 1), targets.flatten(0, 1), extras, weight)


def masked_bce_loss(
    outputs: Float[Tensor, "batch height width"],
    targets: Float[Tensor, "batch height width"],
    extras: Mapping[str, Tensor],
    weight: Float[Tensor, "batch height width"] | None,
) -> Float[Tensor, ""]:
    """BCE of ``z (1 - ignore)`` against ``m (1 - ignore)``, mean over all pixels; an ignored pixel gives the constant ln 2 and no gradient."""
    if "ignore" in extras:
        valid = (~extras["ignore"].bool()).to(outputs.dtype)
        outputs, targets = outputs * valid, targets * valid
    return _weighted_mean(F.binary_cross_entropy_with_logits(outputs, targets, reduction="none"), weight)


def _weighted_mean(values: Shaped[Tensor, "batch height width"], weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    if nominal(len(values))[0] == len(values):
        return (values * weight).sum() / weight.sum().clamp_min(1)
    # A part of a batch cannot know how many pixels count in the rest of it. Per example they differ only where tokens do not divide into pixels,
    # so a mean of the examples' means comes within rounding (measured: 2e-6 of the loss) of the whole batch's formula.
    return ((values * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)).mean()
