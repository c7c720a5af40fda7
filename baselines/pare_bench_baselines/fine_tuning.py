"""Plain fine-tuning and its controls: the same embedder, backbone and head, trained without alignment and without mixing."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from pare_bench.contracts.method import Context, Method, Predictor, TrainData
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Target
from pare_bench.model.losses import target_loss
from pare_bench.model.network import Batch, TransferNetwork
from pare_bench.training.loop import Objective


class TargetObjective(Objective):
    """The target loss alone."""

    def __init__(self, network: TransferNetwork, target: Target) -> None:
        super().__init__()
        self.network = network
        self.target_loss = target_loss(target)

    def forward(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002 - the contract's signature
        """Return l_t(h_t(f(e_t(x))), y_t)."""
        return self.target_loss(self.network(batch.inputs), batch.targets, batch.extras, None)


class FullFineTuning(Method):
    """Naive fine-tuning (NFT): everything is trained from the pretrained weights."""

    #: The bundled bodies' pretrained weights are others since versions 2 and 3; what starts from random ones is as it was.
    version: ClassVar[int] = 3
    random_body: ClassVar[bool] = False
    frozen_body: ClassVar[bool] = False

    def fit(self, data: TrainData, context: Context) -> Predictor:
        """Train on the target loss; see the class for which weights start where and which of them move."""
        network = context.build_network(data, reinitialise=self.random_body)
        self.prepare(network, context)
        context.fit(TargetObjective(network, data.target), network, data)
        return context.predictor(network, data)

    def prepare(self, network: TransferNetwork, context: Context) -> None:  # noqa: ARG002 - subclasses draw from its streams
        """Freeze the body where the method does; otherwise it moves as the recipe says."""
        if self.frozen_body:
            network.backbone.requires_grad_(False)


class FromScratch(FullFineTuning):
    """The same network from random weights: what pretraining is worth.

    ``init: usual`` draws the architecture's usual initial distribution. ``init: xavier`` draws its linear layers Xavier-uniform on top of that, a
    stronger control at small widths: part of what a pretrained network gives is the mere scale of its weights.
    """

    class Params(Params):
        """Parameters of ``from_scratch``."""

        init: Literal["usual", "xavier"] = Field("usual", description="initial distribution of the body's linear layers")

    params: FromScratch.Params
    version: ClassVar[int] = 1
    random_body = True

    def prepare(self, network: TransferNetwork, context: Context) -> None:
        """Draw the body's linear layers again where ``init`` asks for it."""
        if self.params.init == "xavier":
            context.seed("xavier")
            for module in network.backbone.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)


class FrozenRandom(FullFineTuning):
    """A random body that is never trained; embedder and head are."""

    version: ClassVar[int] = 1
    random_body = True
    frozen_body = True


class LinearProbe(FullFineTuning):
    """The pretrained body stays frozen; embedder and head are trained."""

    frozen_body = True
