"""Registers the mixers."""

from __future__ import annotations

from pare_bench.registry.specs import MixerSpec

_HERE = "pare_bench.builtin.mixers.patch_replace"
MIXERS = (
    MixerSpec(name="patch_replace", summary="whole source tokens in freed places, by a curriculum (PaRe)", target=f"{_HERE}:PatchReplace"),
    MixerSpec(name="none", summary="no source tokens at all (control)", target=f"{_HERE}:NoMixing"),
)
