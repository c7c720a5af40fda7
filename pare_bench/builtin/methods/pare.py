"""PaRe: fine-tuning through gradually generated intermediate modalities (Cai et al., ICML 2024, PMLR 235:5236-5257).

Each step embeds target and source, replaces k gate-selected target tokens by k gate-selected source tokens, and adds the mixed loss
``w ((1 - lambda) l_t(h_t(f(M)), y_t) + lambda c l_s(h_s(f(M)), y_s))`` to the target loss, lambda = k / N; c = 1 as published, or what
``source_scale`` and ``source_schedule`` make of it. Inference is the fine-tuned network alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from pare_bench.builtin.methods.source_losses import ClassSourceLoss, LineSourceLoss, PatchSourceLoss, SourceLoss, WholeMapSourceLoss
from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.contracts.mixer import Mixer
from pare_bench.contracts.params import Params
from pare_bench.contracts.selector import Selection, Selector
from pare_bench.contracts.task import Field as FieldTarget
from pare_bench.contracts.task import PairMap, Split, Target, Task
from pare_bench.errors import RunFault
from pare_bench.model.losses import target_loss
from pare_bench.model.network import Batch, TransferNetwork, to_batch
from pare_bench.model.parts import nominal
from pare_bench.model.source import Source
from pare_bench.training.health import Observed, SourceLog
from pare_bench.training.loop import Objective

#: Weight w of the mixed loss, as in the three released scripts.
AUXILIARY_WEIGHT = {"image": 1.0, "dense": 0.3, "sequence": 0.1}
#: Training examples by which the losses are measured before training.
_START_EXAMPLES = 16


class Pare(Method):
    """Gradual patch replacement, end to end, without an alignment stage."""

    class Params(Params):
        """Parameters of ``pare``.

        ``variant: published`` sets what the released code does wherever it differs from the paper (crashes mended): ``drop``, ``dense_source`` and
        ``mixed_ignore`` here, noise and gradient in the selector, order and gradient in the mixer. A parameter that is given by name wins over its
        variant.
        """

        variant: Literal["corrected", "published"] = Field("corrected", description="sets the choices in which paper and released code differ")
        drop: Literal["lowest", "highest", "published"] = Field("lowest", description="target tokens that give way; published: lowest, then highest")
        dense_source: Literal["patches", "whole"] = Field(
            "patches", description="dense source loss: own head at the replaced patches, or the target's map against the whole unmoved mask"
        )
        mixed_ignore: Literal["used", "unused"] = Field(
            "used", description="ignored pixels in the mixed loss; published: of the target alone, where they become 0 (trained as negatives)"
        )
        target_reduction: Literal["mean", "sum"] = Field(
            "mean", description="target losses over the batch; released for Darcy flow: sum, against which the source loss is a mean"
        )
        auxiliary_weight: float | None = Field(
            None, ge=0, description="weight w of the mixed loss; default by target: 1 image, 0.3 dense, 0.1 sequence"
        )
        source_scale: Literal["fixed", "initial"] = Field(
            "fixed",
            description="unit of the source loss: nats as they are (published), or times what makes it as large as the target loss before training",
        )
        source_schedule: Literal["constant", "linear"] = Field(
            "constant", description="weight of the source loss over training; linear: down to 0, beside what the curriculum does to lambda"
        )
        source_labels: Literal["true", "shuffled"] = Field("true", description="shuffled: the control in which source labels mean nothing")
        source_content: Literal["proxy", "noise"] = Field("proxy", description="noise: source tokens replaced by noise of the same scale")

        @model_validator(mode="before")
        @classmethod
        def _apply_variant(cls, values: dict[str, Any]) -> dict[str, Any]:
            if values.get("variant") == "published":
                return {"drop": "published", "dense_source": "whole", "mixed_ignore": "unused", **values}
            return values

    params: Pare.Params
    #: The bundled bodies' pretrained weights are others since version 3; presets cpu and smoke have another weight since version 4.
    version: ClassVar[int] = 4
    # By validation scores on the ten tasks of nas360 (docs/methods.md).
    preset_params: ClassVar = {"cpu": {"auxiliary_weight": 0.1}, "smoke": {"auxiliary_weight": 0.1}}
    released: ClassVar = {
        "method.variant": "published",
        "method.auxiliary_weight": None,
        "budget.keep": "last",
        "recipe.accumulate": "released",
    }

    @classmethod
    def required(cls, task: Task) -> Mapping[str, object]:
        """Return the source loss at the patches for several fields on a grid: the released one scores a map of one field."""
        target = task.target
        several = isinstance(target, FieldTarget) and len(target.grid) == 2 and target.channels > 1
        return {"dense_source": "patches"} if several else {}

    @classmethod
    def implied(cls, params: Params) -> Mapping[str, Mapping[str, Any]]:
        """Return what ``variant`` means for selector and mixer."""
        if params.variant == "corrected":
            return {}
        return {
            "selector": {"noise_on": "sigmoid", "anneal": False, "settled_gradient": False},
            "mixer": {"order": "published", "keep_gradient": "kept"},
        }

    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Fine-tune embedder, backbone and head; gate and source head are trained along and dropped."""
        network = context.build_network(data)
        sequence = len(data.inputs.grid) == 1
        dense = isinstance(data.target, FieldTarget | PairMap)
        kind = "sequence" if sequence else "dense" if dense else "image"
        weight = AUXILIARY_WEIGHT[kind] if self.params.auxiliary_weight is None else self.params.auxiliary_weight
        source = Source.load(context, shuffled=self.params.source_labels == "shuffled", noise=self.params.source_content == "noise")
        context.seed("gate and source head")
        selector: Selector = context.build("selector", dim=network.backbone.dim)
        source_losses: dict[str, type[SourceLoss]] = {"patches": PatchSourceLoss, "whole": WholeMapSourceLoss}
        # Sequences have no foreground: their source is scored by class, whatever the target.
        source_loss = ClassSourceLoss if not dense else LineSourceLoss if sequence else source_losses[self.params.dense_source]
        objective = PareObjective(
            network,
            data.target,
            selector,
            context.build("mixer"),
            source,
            source_loss(network, source),
            drop=self.params.drop,
            weight=weight,
            mixed_ignore=self.params.mixed_ignore == "used",
            summed=self.params.target_reduction == "sum",
            schedule=self.params.source_schedule,
        ).to(context.device)
        if self.params.source_scale == "initial":
            context.seed("losses before training")
            with context.accelerator.autocast():
                objective.measure_start(_spread(data.train, min(_START_EXAMPLES, context.config.recipe.batch_size), context.device))
        context.fit(objective, network, data)
        return context.predictor(network, data)


def _spread(split: Split, count: int, device: torch.device) -> Batch:
    """Return at most ``count`` examples, evenly from the whole split: files may be sorted by class."""
    return to_batch(split.take(np.unique(np.linspace(0, len(split) - 1, count).round().astype(np.int64))), device)


class PareObjective(Objective, Observed):
    """One training step of PaRe, which can be looked at (:mod:`pare_bench.training.health`).

    ``source_unit`` is what the source loss is multiplied by: 1, or what :meth:`measure_start` finds.
    """

    source_unit: Tensor

    def __init__(
        self,
        network: TransferNetwork,
        target: Target,
        selector: Selector,
        mixer: Mixer,
        source: Source,
        source_loss: SourceLoss,
        *,
        drop: str,
        weight: float,
        mixed_ignore: bool = True,
        summed: bool = False,
        schedule: str = "constant",
    ) -> None:
        super().__init__()
        self.network, self.selector, self.mixer, self.source_loss = network, selector, mixer, source_loss
        self.source, self.drop, self.weight, self.mixed_ignore, self.summed = source, drop, weight, mixed_ignore, summed
        self.schedule = schedule
        self._mean_loss = target_loss(target)
        self.log = SourceLog()
        # A buffer, so that a run that goes on and all processes have the same.
        self.register_buffer("source_unit", torch.ones(()))

    def forward(self, batch: Batch, progress: float) -> Tensor:
        """Return l_t(T) + w [(1 - lambda) l_t(M) + lambda c l_s(M)]; with k = 0 the mix is the target itself and needs no second pass."""
        loss, mixed_target, source_loss, share = self.losses(batch, progress)
        if mixed_target is None or source_loss is None:
            self.log.add(None, share, len(batch.targets), target=loss)
            return (1 + self.weight) * loss
        scaled = self.scaled(source_loss, progress)
        self.log.add(source_loss, share, len(batch.targets), target=loss, weighted=self.weight * share * scaled)
        return loss + self.weight * ((1 - share) * mixed_target + share * scaled)

    def terms(self, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Return what :meth:`forward` adds up."""
        loss, mixed_target, source_loss, share = self.losses(batch, progress)
        if mixed_target is None or source_loss is None:
            return {"target": (1 + self.weight) * loss}
        source = self.weight * share * self.scaled(source_loss, progress)
        return {"target": loss, "mixed target": self.weight * (1 - share) * mixed_target, "source": source}

    def scaled(self, source_loss: Tensor, progress: float) -> Tensor:
        """Return c l_s: the source loss in the unit and at the height of its schedule."""
        scaled = self.source_unit * source_loss
        return scaled if self.schedule == "constant" else (1 - progress) * scaled

    @torch.no_grad()
    def measure_start(self, batch: Batch) -> None:
        """Make l_t(T) / l_s(M) of ``batch`` the unit of the source loss, without noise or dropout, where most source tokens stand: at begin or end.

        Both losses then have the size of the target's. It stays 1 where no source token ever stands in a batch.

        Raises:
            RunFault: a loss is 0, NaN or infinite.
        """
        self.eval()
        for progress in sorted((0.0, 1.0), key=lambda progress: -self.mixer.source_count(self.network.embedder.num_tokens, progress)):
            loss, _, source_loss, _ = self.losses(batch, progress)
            if source_loss is not None:
                unit = loss.float() / source_loss.float()
                if not (math.isfinite(unit) and unit > 0):
                    raise RunFault(
                        f"before training the target loss is {float(loss):g} and the source loss {float(source_loss):g}: they have no common scale",
                        hint="-o method.source_scale=fixed",
                    )
                self.source_unit.copy_(unit)
                break
        self.selector.advance(0.0)
        self.train()

    def chance(self) -> float:
        """Return the source loss of a constant answer."""
        return self.source_loss.chance(self.source)

    def gate(self) -> list[nn.Parameter]:
        """Return the selector's weights."""
        return list(self.selector.parameters())

    def choice(self, batch: Batch) -> tuple[Tensor, int] | None:
        """Return the source tokens that would be chosen without noise where training begins; None for a selector that learns nothing."""
        logits = getattr(self.selector, "logits", None)
        target = self.network.embed(batch.inputs)
        k = self.mixer.source_count(target.shape[1], 0.0)
        if logits is None or not k:
            return None
        scores = logits(self.source.draw(self.network.backbone, len(target), target).tokens)
        k = min(k, scores.shape[1])
        return scores.topk(k, dim=1).indices, scores.shape[1]

    def losses(self, batch: Batch, progress: float) -> tuple[Tensor, Tensor | None, Tensor | None, float]:
        """Return l_t(T), l_t(M), l_s(M) and lambda; without the two in the middle where k = 0."""
        network = self.network
        target = network.embed(batch.inputs)
        source = self.source.draw(network.backbone, len(target), target)
        self.selector.advance(progress)
        k = min(self.mixer.source_count(target.shape[1], progress), source.tokens.shape[1])
        if k == 0:
            return self.target_loss(network.encode(target), batch), None, None, 0.0
        mixed = self.mixer(target, source.tokens, self.keep(target, k), self.selector(source.tokens, k))
        # Two passes, not one of twice the batch: at Swin-B size the joint pass measured 2.1 to 2.4 plain steps, the two apart 2.0 to 2.1.
        loss = self.target_loss(network.encode(target), batch)
        features = network.encode(mixed.tokens)
        share = mixed.source_share
        mixed_batch = batch if self.mixed_ignore else _ignored_as_negatives(batch)
        mixed_target = self.target_loss(features, mixed_batch, self.source_loss.target_weight(mixed, batch))
        return loss, mixed_target, self.source_loss(features, mixed, source), share

    def target_loss(self, features: Float[Tensor, "batch places feats"], batch: Batch, weight: Tensor | None = None) -> Tensor:
        """Return l_t of the network's outputs, a mean over the examples or their sum; ``weight`` says how much each place counts."""
        loss = self._mean_loss(self.network.decode(features), batch.targets, batch.extras, weight)
        # A part of a batch gives the mean of its own examples, which is weighed by their share of the batch.
        return loss * nominal(len(batch.inputs))[0] if self.summed else loss

    def keep(self, target: Float[Tensor, "batch tokens dim"], k: int) -> Selection:
        """Select the N - k target tokens that stay."""
        kept = target.shape[1] - k
        lowest = self.selector(target, kept) if self.drop != "highest" else None
        if lowest is not None and (self.drop == "lowest" or lowest.learning):
            return lowest
        return self.selector(target, k).complement()


def _ignored_as_negatives(batch: Batch) -> Batch:
    """Return the batch as the released mixed loss sees it: ignored pixels of the target are 0 and count, as the prediction is not masked."""
    if "ignore" not in batch.extras:
        return batch
    extras = {name: values for name, values in batch.extras.items() if name != "ignore"}
    return Batch(batch.inputs, batch.targets * ~batch.extras["ignore"].bool(), extras)
