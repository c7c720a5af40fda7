"""Spherical CNNs (Cohen, Geiger, Koehler and Welling, ICLR 2018): correlations with all rotations of a filter.

``S2Conv`` takes signals on the sphere to signals on the rotation group, ``SO3Conv`` stays there; both are products of Fourier coefficients
(section 4 and appendix C of the paper). Filters live on few points near the identity ("localised" in the paper), one weight each. Rotating
the input rotates every feature map, and the integral over all rotations at the end forgets the rotation. See ``harmonics`` for conventions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float
from torch import Tensor, nn

from pare_bench.contracts.task import Classes, InputShape, Labels, Target
from pare_bench_baselines.experts.expert import Expert, needs
from pare_bench_baselines.experts.harmonics import quadrature, wigner_matrices, wigner_table

#: Points of a filter: rings of colatitude (as shares of ``reach``), and angles on each ring.
RINGS, ANGLES = 2, 6


def _ring_angles(reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return colatitudes up to ``reach`` and longitudes of the points of a filter."""
    colatitude, longitude = np.meshgrid(reach * np.arange(1, RINGS + 1) / RINGS, 2 * np.pi * np.arange(ANGLES) / ANGLES, indexing="ij")
    return colatitude.ravel(), longitude.ravel()


class S2Conv(nn.Module):
    """``out(R) = integral of filter(R^-1 x) signal(x)``: ``[n in 2B 2B]`` (colatitude, longitude) to ``[n out 2b 2b 2b]`` (colatitude, a, c)."""

    def __init__(self, before: int, after: int, bandwidth_in: int, bandwidth: int, reach: float) -> None:
        super().__init__()
        self.bandwidth = bandwidth
        self.filter_basis: Tensor
        self.analysis: Tensor
        self.synthesis: Tensor
        colatitude, longitude = _ring_angles(reach)
        # Coefficient n of a point filter is conj(Y^l_n(point)), and its conjugate enters; D_n0 is conj(Y_n).
        points = wigner_matrices(bandwidth, np.stack([longitude, colatitude, np.zeros_like(colatitude)], -1))[..., bandwidth - 1]
        degrees = np.sqrt((2 * np.arange(bandwidth) + 1) / (4 * np.pi))
        _constant(self, "filter_basis", (points.conj() * degrees[:, None])[..., bandwidth - 1 :])
        analysis = wigner_table(bandwidth, bandwidth_in)[..., bandwidth - 1, :] * degrees[:, None, None]
        _constant(self, "analysis", analysis * quadrature(bandwidth_in) * math.pi / bandwidth_in)
        _constant(self, "synthesis", wigner_table(bandwidth, bandwidth)[:, :, bandwidth - 1 :])
        self.weight = nn.Parameter(torch.randn(after, before, len(colatitude)) / math.sqrt(before * len(colatitude)))

    def coefficients(self, signals: Float[Tensor, "batch before rows columns"]) -> Complex[Tensor, "batch before degrees orders"]:
        """Return the spherical-harmonic coefficients of signals, degrees below ``bandwidth``, orders from 1 - bandwidth to bandwidth - 1."""
        spectrum = _kept(torch.fft.fft(signals), self.bandwidth)
        return torch.view_as_complex(torch.einsum("bcjmz,lmj->bclmz", torch.view_as_real(spectrum), self.analysis).contiguous())

    def filters(self) -> Complex[Tensor, "after before degrees orders"]:
        """Return the conjugate coefficients of the filters, orders from 0 up: outputs are real, the others follow."""
        return torch.einsum("ocp,pln->ocln", self.weight.to(self.filter_basis.dtype), self.filter_basis)

    def forward(self, signals: Float[Tensor, "batch before rows columns"]) -> Float[Tensor, "batch after colatitude a c"]:
        """Return the correlation with all rotations of the filters."""
        products = torch.einsum("bclm,ocln->bolmn", self.coefficients(signals), self.filters())
        return rotation_signal(products, self.synthesis)


class SO3Conv(nn.Module):
    """``out(R) = integral of filter(R^-1 Q) signal(Q)`` over rotations Q: ``[n in 2B 2B 2B]`` to ``[n out 2b 2b 2b]``, b at most B."""

    def __init__(self, before: int, after: int, bandwidth_in: int, bandwidth: int, reach: float) -> None:
        super().__init__()
        self.bandwidth = bandwidth
        self.filter_basis: Tensor
        self.analysis: Tensor
        self.synthesis: Tensor
        colatitude, longitude = _ring_angles(reach)
        turns = 2 * np.pi * np.arange(ANGLES) / ANGLES
        # Near the identity the sum of the outer angles is the turn in the plane.
        euler = np.array([(a, b, turn - a) for b, a in zip(colatitude, longitude, strict=True) for turn in turns])
        _constant(self, "filter_basis", wigner_matrices(bandwidth, euler).conj()[..., bandwidth - 1 :, :])
        weights = (2 * np.arange(bandwidth)[:, None] + 1) / (8 * np.pi**2) * quadrature(bandwidth_in) * (math.pi / bandwidth_in) ** 2
        _constant(self, "analysis", wigner_table(bandwidth, bandwidth_in) * weights[:, None, None])
        _constant(self, "synthesis", wigner_table(bandwidth, bandwidth)[:, :, bandwidth - 1 :])
        self.weight = nn.Parameter(torch.randn(after, before, len(euler)) / math.sqrt(before * len(euler)))

    def coefficients(self, signals: Float[Tensor, "batch before colatitude a c"]) -> Complex[Tensor, "batch before degrees m n"]:
        """Return coefficients of signals in the functions conj(D^l_mn)."""
        spectrum = _kept(_kept(torch.fft.fft2(signals), self.bandwidth), self.bandwidth, -2)
        return torch.view_as_complex(torch.einsum("bcjmnz,lmnj->bclmnz", torch.view_as_real(spectrum), self.analysis).contiguous())

    def filters(self) -> Complex[Tensor, "after before degrees k n"]:
        """Return the conjugate coefficients of the filters, k from 0 up: outputs are real, the others follow."""
        return torch.einsum("ocp,plkn->oclkn", self.weight.to(self.filter_basis.dtype), self.filter_basis)

    def forward(self, signals: Float[Tensor, "batch before colatitude a c"]) -> Float[Tensor, "batch after rows a2 c2"]:
        """Return the correlation with all rotations of the filters."""
        products = torch.einsum("bclmn,oclkn->bolmk", self.coefficients(signals), self.filters())
        return rotation_signal(products, self.synthesis)


def rotation_signal(coefficients: Complex[Tensor, "batch maps degrees m half"], synthesis: Tensor) -> Float[Tensor, "batch maps colatitude a c"]:
    """Return the real signal ``sum of c^l_mn conj(D^l_mn)`` on the grid of rotations, given ``c^l_mn`` for n from 0 up.

    ``synthesis`` is :func:`harmonics.wigner_table` for those n.
    """
    bandwidth = synthesis.shape[0]
    columns = torch.view_as_complex(torch.einsum("bclmnz,lmnj->bcjmnz", torch.view_as_real(coefficients), synthesis).contiguous())
    orders = torch.arange(1 - bandwidth, bandwidth, device=columns.device) % (2 * bandwidth)
    spectrum = columns.new_zeros(*columns.shape[:3], 2 * bandwidth, bandwidth)
    spectrum[..., orders, :] = columns
    # Column n = 0 holds its own conjugate pairs; irfft takes the others twice, once conjugated, and pads the highest frequency with zero.
    return torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2, norm="forward"), n=2 * bandwidth, norm="forward")


def integrate_rotations(signals: Float[Tensor, "batch maps colatitude a c"]) -> Float[Tensor, "batch maps"]:
    """Return the mean over all rotations."""
    weights = torch.from_numpy(quadrature(signals.shape[2] // 2) / 2).to(signals)
    return torch.einsum("bcjxy,j->bc", signals, weights) / (signals.shape[-1] * signals.shape[-2])


class SphericalCnn(nn.Module):
    """A convolution on the sphere, then ``len(widths) - 1`` on the rotation group, each with batch norm and ReLU; their integral classifies.

    ``bandwidths`` and ``widths`` are those after each convolution; the filters reach further the coarser the grid (``reach`` grid steps).
    Differs from the released network: batch norm after every convolution, filters of two rings, one dense layer less, layer norm in the classifier.
    """

    def __init__(
        self, inputs: InputShape, target: Classes | Labels, bandwidths: Sequence[int], widths: Sequence[int], reach: float = 2.0, hidden: int = 64
    ) -> None:
        super().__init__()
        bandwidth_in = inputs.grid[0] // 2
        layers: list[nn.Module] = []
        before, wide = inputs.channels, bandwidth_in
        for number, (wanted, width) in enumerate(zip(bandwidths, widths, strict=True)):
            convolution = SO3Conv if number else S2Conv
            bandwidth = min(wanted, wide)
            # One step of a grid of bandwidth b is pi / 2 b.
            layers += [convolution(before, width, wide, bandwidth, reach * math.pi / (2 * bandwidth)), nn.BatchNorm3d(width)]
            before, wide = width, bandwidth
        self.layers = nn.ModuleList(layers)
        self.classify = nn.Sequential(nn.Linear(before, hidden), nn.LayerNorm(hidden), nn.ReLU(), nn.Linear(hidden, target.num))

    def features(self, inputs: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch maps"]:
        """Return features that a rotation of the input leaves unchanged, up to what ReLU adds beyond the bandwidth."""
        signals = inputs
        for convolution, norm in zip(self.layers[::2], self.layers[1::2], strict=True):
            signals = F.relu(norm(convolution(signals)))
        return integrate_rotations(signals)

    def forward(self, inputs: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch outputs"]:
        """Return logits."""
        return self.classify(self.features(inputs))


def _constant(module: nn.Module, name: str, values: np.ndarray) -> None:
    """Give ``module`` a table in single precision that moves with it and is not part of its state."""
    tensor = torch.from_numpy(values)
    module.register_buffer(name, tensor.to(torch.complex64 if tensor.is_complex() else torch.float32), persistent=False)


def _kept(spectrum: Tensor, bandwidth: int, axis: int = -1) -> Tensor:
    """Return the orders from 1 - bandwidth to bandwidth - 1 of a Fourier transform along ``axis``, in this order."""
    orders = torch.arange(1 - bandwidth, bandwidth, device=spectrum.device) % spectrum.shape[axis]
    return spectrum.index_select(axis, orders)


def _misfit(inputs: InputShape, target: Target) -> str | None:
    reason = needs(2, Classes, Labels)(inputs, target)
    if reason is None and (inputs.grid[0] != inputs.grid[1] or inputs.grid[0] % 2 or inputs.grid[0] < 20):
        return f"takes a Driscoll-Healy grid of 2B x 2B points, B at least 6, got {inputs.grid}"
    return reason


SPHERICAL_CNN = Expert(
    name="spherical_cnn",
    citation="Cohen, Geiger, Koehler and Welling, Spherical CNNs, ICLR 2018",
    tasks=("spherical",),
    build=SphericalCnn,
    misfit=_misfit,
    sizes={
        "tiny": {"bandwidths": (6, 4), "widths": (4, 8), "hidden": 16},
        "small": {"bandwidths": (10, 6), "widths": (12, 32)},
        "published": {"bandwidths": (30, 15, 15, 7, 7, 3, 3), "widths": (8, 16, 16, 24, 24, 32, 64)},
    },
    recipes={
        "tiny": {"recipe.learning_rate": 5e-3, "budget.epochs": 2},
        "small": {"recipe.learning_rate": 5e-3, "recipe.batch_size": 32, "budget.epochs": 12},
        "published": {
            "recipe.optimiser": "adam",
            "recipe.learning_rate": 5e-3,
            "recipe.weight_decay": 0.0,
            "recipe.batch_size": 32,
            "recipe.clip_norm": None,
            "recipe.warmup": 0.0,
            "recipe.schedule": "constant",
            "budget.epochs": 100,
        },
    },
)
