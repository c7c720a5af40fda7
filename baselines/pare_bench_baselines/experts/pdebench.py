"""The Fourier neural operator and the U-Net in the sizes of PDEBench (Takamoto et al., NeurIPS 2022), for lines and planes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from pare_bench.contracts.task import Field, InputShape, PairMap
from pare_bench_baselines.experts.channel_scale import ChannelScale
from pare_bench_baselines.experts.expert import Expert, keeps_grid
from pare_bench_baselines.experts.fourier_operator import FourierOperator
from pare_bench_baselines.experts.unet import UNet

TASKS = (
    "advection",
    "burgers",
    "diffusion_reaction_1d",
    "diffusion_sorption",
    "navier_stokes_1d",
    "darcy_2d",
    "shallow_water",
    "diffusion_reaction_2d",
    "navier_stokes_2d",
)

#: Both networks' released training, except that the rate halves every 100 epochs there and follows a cosine here.
_PUBLISHED_RECIPE: Mapping[str, object] = {
    "recipe.optimiser": "adam",
    "recipe.learning_rate": 1e-3,
    "recipe.weight_decay": 1e-4,
    "recipe.decayed": "all",
    "recipe.batch_size": 50,
    "recipe.clip_norm": None,
    "recipe.warmup": 0.0,
    "budget.epochs": 500,
}


def _operator(inputs: InputShape, target: Field | PairMap, line: Mapping[str, Any], plane: Mapping[str, Any]) -> nn.Module:
    return FourierOperator(inputs, target, **(line if len(inputs.grid) == 1 else plane), coordinates=True)


def _unet(inputs: InputShape, target: Field | PairMap, scales: int, width: int) -> nn.Module:
    return UNet(inputs, target, scales, width, activation=nn.Tanh, bias=False)


PDEBENCH_FNO = Expert(
    name="pdebench_fno",
    citation="Li et al., Fourier Neural Operator for Parametric Partial Differential Equations, ICLR 2021; sizes of PDEBench, NeurIPS 2022",
    tasks=TASKS,
    build=_operator,
    misfit=keeps_grid((1, 2)),
    sizes={
        "tiny": {
            "line": {"modes": 8, "width": 8, "layers": 2, "padding": 0, "hidden": 16},
            "plane": {"modes": 4, "width": 8, "layers": 2, "padding": 1, "hidden": 16},
        },
        "small": {
            "line": {"modes": 24, "width": 32, "layers": 4, "padding": 0, "hidden": 64},
            "plane": {"modes": 8, "width": 16, "layers": 3, "padding": 0, "hidden": 64},
        },
        "published": {
            "line": {"modes": 16, "width": 64, "layers": 4, "padding": 2},
            "plane": {"modes": 12, "width": 20, "layers": 4, "padding": 2},
        },
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.weight_decay": 1e-4, "recipe.batch_size": 20, "budget.epochs": 40},
        "published": _PUBLISHED_RECIPE,
    },
    # A plane takes eight times as long as a line.
    by_task={
        "darcy_2d": {"budget.epochs": 8},
        "shallow_water": {"budget.epochs": 6},
        "diffusion_reaction_2d": {"budget.epochs": 6},
        "navier_stokes_2d": {"budget.epochs": 20},
    },
    scale=ChannelScale,
)

PDEBENCH_UNET = Expert(
    name="pdebench_unet",
    citation="Ronneberger, Fischer and Brox, U-Net, MICCAI 2015; sizes of Takamoto et al., PDEBench, NeurIPS 2022",
    tasks=(),
    build=_unet,
    misfit=keeps_grid((1, 2)),
    sizes={
        "tiny": {"scales": 2, "width": 4},
        "small": {"scales": 4, "width": 8},
        "published": {"scales": 5, "width": 32},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.weight_decay": 0.01, "recipe.batch_size": 20, "budget.epochs": 20},
        "published": _PUBLISHED_RECIPE,
    },
    scale=ChannelScale,
)
