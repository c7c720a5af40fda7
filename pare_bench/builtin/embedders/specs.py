"""Registers ORCA's two embedders, and one for tables."""

from __future__ import annotations

from pare_bench.registry.specs import EmbedderSpec

_HERE = "pare_bench.builtin.embedders"
EMBEDDERS = (
    EmbedderSpec(
        name="patch2d", summary="patch convolution from the pretrained kernel, for 2-D grids", target=f"{_HERE}.patch2d:Patch2d", modality="image"
    ),
    EmbedderSpec(name="patch1d", summary="strided convolution with positions, for sequences", target=f"{_HERE}.patch1d:Patch1d", modality="sequence"),
    EmbedderSpec(
        name="tabular", summary="a token per feature with weights of its own, for tables", target=f"{_HERE}.tabular:Tabular", modality="table"
    ),
)
