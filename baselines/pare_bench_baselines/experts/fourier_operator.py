"""The Fourier neural operator (Li et al., ICLR 2021) for fields on a regular 1-D or 2-D grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pare_bench.contracts.task import InputShape, PairMap, Target
from pare_bench_baselines.experts.expert import Expert, channels_of, keeps_grid


class SpectralConv1d(nn.Module):
    """A convolution along a line with a band-limited periodic kernel: frequencies ``0 .. modes - 1`` get a complex matrix each.

    Otherwise as :class:`SpectralConv2d`.
    """

    def __init__(self, before: int, after: int, modes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(modes, before, after, 2) / (before * after))

    def forward(self, fields: Float[Tensor, "batch before length"]) -> Float[Tensor, "batch after length"]:
        """Return the convolved fields, on the grid of the input."""
        length = fields.shape[-1]
        kept = min(len(self.weight), (length + 1) // 2)
        spectrum = torch.fft.rfft(fields, norm="forward")[..., :kept]
        turned = torch.einsum("bil,lio->bol", spectrum, torch.view_as_complex(self.weight)[:kept])
        return torch.fft.irfft(F.pad(turned, (0, length // 2 + 1 - kept)), n=length, norm="forward")


class SpectralConv2d(nn.Module):
    """A convolution with a band-limited periodic kernel: ``modes`` frequencies per axis get a complex matrix each (equation 4 of the paper).

    Kept are row frequencies ``-modes .. modes - 1`` and column frequencies ``0 .. modes - 1``; the others follow because outputs are real. Weights
    belong to frequencies and the transform is normalised by the grid, so the same layer acts on any resolution. A grid with fewer
    frequencies uses those that it has.
    """

    def __init__(self, before: int, after: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        # Real and imaginary parts in the last axis: every optimiser and counter of weights treats them as they are, two numbers.
        self.weight = nn.Parameter(torch.rand(2 * modes, modes, before, after, 2) / (before * after))

    def forward(self, fields: Float[Tensor, "batch before height width"]) -> Float[Tensor, "batch after height width"]:
        """Return the convolved fields, on the grid of the input."""
        height, width = fields.shape[-2:]
        rows, columns = min(self.modes, height // 2), min(self.modes, (width + 1) // 2)
        spectrum = torch.fft.rfft2(fields, norm="forward")
        kept = torch.cat([spectrum[:, :, :rows, :columns], spectrum[:, :, height - rows :, :columns]], 2)
        matrix = torch.view_as_complex(self.weight)
        matrix = torch.cat([matrix[:rows, :columns], matrix[2 * self.modes - rows :, :columns]], 0)
        turned = torch.einsum("bihw,hwio->bohw", kept, matrix)
        filled = turned.new_zeros(len(fields), matrix.shape[-1], height, width // 2 + 1)
        filled[:, :, :rows, :columns] = turned[:, :, :rows]
        filled[:, :, height - rows :, :columns] = turned[:, :, rows:]
        return torch.fft.irfft2(filled, s=(height, width), norm="forward")


class FourierOperator(nn.Module):
    """Lift to ``width`` channels, ``layers`` Fourier layers with a pointwise bypass, project to the target's fields (figure 2 of the paper).

    ``padding`` zeros after each axis make a field on a domain with a boundary periodic; they are given for ``inputs.grid`` and scale with the
    resolution. ``coordinates`` adds a channel per axis with the place of each point, for inputs that do not bring them.
    """

    def __init__(
        self, inputs: InputShape, target: Target, modes: int, width: int, layers: int, padding: int, hidden: int = 128, coordinates: bool = False
    ) -> None:
        super().__init__()
        axes = len(inputs.grid)
        spectral, pointwise = ((SpectralConv1d, nn.Conv1d), (SpectralConv2d, nn.Conv2d))[axes - 1]
        self.coordinates = coordinates
        self.padding_share = tuple(padding / side for side in inputs.grid)
        self.symmetric = isinstance(target, PairMap)
        self.lift = pointwise(inputs.channels + axes * coordinates, width, 1)
        self.spectral = nn.ModuleList(spectral(width, width, modes) for _ in range(layers))
        self.pointwise = nn.ModuleList(pointwise(width, width, 1) for _ in range(layers))
        self.project = nn.Sequential(pointwise(width, hidden, 1), nn.GELU(), pointwise(hidden, channels_of(target), 1))

    def forward(self, inputs: Float[Tensor, "batch channels *grid"]) -> Float[Tensor, "batch ..."]:
        """Return fields on the grid of the input, without a channel axis where there is one."""
        grid = inputs.shape[2:]
        if self.coordinates:
            inputs = torch.cat([inputs, _coordinates(inputs)], 1)
        # The last axis comes first in F.pad.
        pairs = [(0, round(share * side)) for share, side in zip(self.padding_share, grid, strict=True)]
        margins = [margin for pair in reversed(pairs) for margin in pair]
        fields = F.pad(self.lift(inputs), margins)
        for number, (spectral, pointwise) in enumerate(zip(self.spectral, self.pointwise, strict=True)):
            fields = spectral(fields) + pointwise(fields)
            if number + 1 < len(self.spectral):
                fields = F.gelu(fields)
        values = self.project(F.pad(fields, [-margin for margin in margins])).squeeze(1)
        return (values + values.transpose(1, 2)) / 2 if self.symmetric else values


def _coordinates(inputs: Tensor) -> Float[Tensor, "batch axes *grid"]:
    axes = [torch.linspace(0, 1, side, device=inputs.device, dtype=inputs.dtype) for side in inputs.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).expand(len(inputs), *[-1] * len(axes), -1)


FOURIER_OPERATOR = Expert(
    name="fourier_operator",
    citation="Li et al., Fourier Neural Operator for Parametric Partial Differential Equations, ICLR 2021",
    tasks=("darcy_flow",),
    build=FourierOperator,
    misfit=keeps_grid((1, 2)),
    sizes={
        "tiny": {"modes": 4, "width": 8, "layers": 2, "padding": 1, "hidden": 16},
        "small": {"modes": 8, "width": 16, "layers": 3, "padding": 5, "hidden": 64},
        "published": {"modes": 12, "width": 32, "layers": 4, "padding": 9},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.weight_decay": 1e-4, "recipe.batch_size": 20, "budget.epochs": 8},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 1e-3,
            "recipe.weight_decay": 1e-4,
            "recipe.decayed": "all",
            "recipe.batch_size": 20,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "budget.epochs": 500,
        },
    },
)
