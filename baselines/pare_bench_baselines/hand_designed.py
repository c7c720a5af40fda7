"""The network that experts designed for the task, trained from scratch: what all transfer is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from pare_bench.config.run_config import Recipe
from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Target
from pare_bench.errors import UsageError
from pare_bench.model.losses import target_loss
from pare_bench.model.network import Batch
from pare_bench.training.loop import Objective
from pare_bench_baselines.experts.catalogue import BY_TASK, EXPERTS
from pare_bench_baselines.experts.expert import Expert

Choice = Literal[
    "by_task",
    "wide_resnet",
    "spherical_cnn",
    "semg_attention",
    "vgg_like",
    "fourier_operator",
    "dilated_resnet",
    "unet",
    "resnet1d",
    "rocket",
    "deepsea",
    "pdebench_fno",
    "pdebench_unet",
]


class _NetworkLoss(Objective):
    """The target loss of any network."""

    def __init__(self, network: nn.Module, target: Target) -> None:
        super().__init__()
        self.network = network
        self.loss = target_loss(target)

    def forward(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002 - the contract's signature
        return self.loss(self.network(batch.inputs), batch.targets, batch.extras, None)


class HandDesigned(Method):
    """One expert network per task (docs/experts.md), trained with the task's published loss and augmentation and a recipe of its own.

    Recipe and epochs follow from expert and size (:meth:`recommended`) and stand in the record as the run's recipe; ``-o recipe.*`` and
    ``-o budget.*`` win. A task without an expert, or an expert that cannot take the task, is a recorded skip.
    """

    class Params(Params):
        """Parameters of ``hand_designed``."""

        expert: Choice = Field("by_task", description="network; by_task picks the one designed for the task")
        size: Literal["tiny", "small", "published"] = Field("small", description="tiny: tests; small: two cores; published: as printed or released")

    params: HandDesigned.Params
    preset_params: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "cpu": {"size": "small"},
        "smoke": {"size": "tiny"},
        "paper": {"size": "published"},
    }

    #: The experts' own code steps as ours does; only the state that is scored is the last one, as validation is the test split there.
    released: ClassVar[Mapping[str, object]] = {"budget.keep": "last"}

    @classmethod
    def recommended(cls, params: Params, task: str) -> Mapping[str, object]:
        """Return the expert's recipe for its size, complete: what it does not name is the default, whatever the preset fine-tunes with."""
        chosen = cls.Params.model_validate(params.model_dump())
        expert = _expert(chosen, task)
        if expert is None:
            return {}
        return {f"recipe.{name}": value for name, value in Recipe().model_dump().items()} | dict(expert.recipe(chosen.size, task))

    def skip_reason(self, data: TrainData) -> str | None:
        """Return that there is no expert for the task, or what of the task the chosen one cannot take."""
        expert = _expert(self.params, data.task)
        if expert is None:
            return f"no hand-designed network for task '{data.task}'; -o method.expert=NAME tries one of {', '.join(EXPERTS)}"
        misfit = expert.misfit(data.inputs, data.target)
        return None if misfit is None else f"expert '{expert.name}' {misfit}"

    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Train the expert from random weights.

        Raises:
            UsageError: there is no expert for the task, or it cannot take it (:meth:`skip_reason`).
        """
        expert = _expert(self.params, data.task)
        if expert is None or self.skip_reason(data) is not None:
            raise UsageError(f"method 'hand_designed' cannot run: {self.skip_reason(data)}", hint="pare-bench show method hand_designed")
        context.seed("network")
        network = expert.network(data.inputs, data.target, self.params.size).to(context.device)
        scaled = nn.Sequential(network, expert.scale(data.target, data.train)).to(context.device)
        if expert.prefit is None or not expert.prefit(network, data, context):
            context.fit(_NetworkLoss(scaled, data.target), scaled, data)
        return context.predictor(scaled.eval(), data)


def _expert(params: HandDesigned.Params, task: str) -> Expert | None:
    return BY_TASK.get(task) if params.expert == "by_task" else EXPERTS[params.expert]
