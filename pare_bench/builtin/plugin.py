"""The built-in plugin: registers through the same hooks as everybody; light, because targets are named and not imported."""

from __future__ import annotations

from collections.abc import Iterator

from pare_bench.builtin.suites.openml.catalogue import CATALOGUE
from pare_bench.registry.hookspecs import hookimpl
from pare_bench.registry.specs import (
    AlignerSpec,
    BackboneSpec,
    EmbedderSpec,
    ExecutorSpec,
    MethodSpec,
    MixerSpec,
    SelectorSpec,
    SuiteSpec,
    TaskSpec,
)

_NAS360 = "pare_bench.builtin.suites.nas360"
_PDEBENCH = "pare_bench.builtin.suites.pdebench"
_OPENML = "pare_bench.builtin.suites.openml"
#: Tasks of PDEBench: name, summary, class, modality.
_PDEBENCH_TASKS = (
    ("advection", "a wave carried along a circle", "Advection", "sequence"),
    ("burgers", "waves that steepen into shocks", "Burgers", "sequence"),
    ("diffusion_reaction_1d", "a population that spreads and grows", "DiffusionReaction1d", "sequence"),
    ("diffusion_sorption", "a solute that seeps into the ground and sticks", "DiffusionSorption", "sequence"),
    ("navier_stokes_1d", "gas in a tube: density, velocity, pressure", "NavierStokes1d", "sequence"),
    ("darcy_2d", "pressure in a porous medium of two kinds", "Darcy2d", "image"),
    ("shallow_water", "height of the water after a round dam breaks", "ShallowWater", "image"),
    ("diffusion_reaction_2d", "activator and inhibitor grown out of noise", "DiffusionReaction2d", "image"),
    ("navier_stokes_2d", "stirred gas: density, two velocities, pressure", "NavierStokes2d", "image"),
)


@hookimpl
def pare_bench_suites() -> Iterator[SuiteSpec]:
    """Yield the built-in suites."""
    tasks = ("cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "psicov", "cosmic", "ecg", "satellite", "deepsea")
    yield SuiteSpec(name="nas360", summary="NAS-Bench-360: ten tasks far from natural images and text (Tu et al., NeurIPS 2022)", tasks=tasks)
    yield SuiteSpec(
        name="pdebench",
        summary="PDEBench: nine physical processes from their start to their end (Takamoto et al., NeurIPS 2022)",
        tasks=tuple(name for name, *_ in _PDEBENCH_TASKS),
    )
    yield SuiteSpec(
        name="openml",
        summary="the 12 of ORCA's OpenML tables that are on every machine (Shen et al., ICML 2023)",
        tasks=tuple(entry.name for entry in CATALOGUE if entry.source),
    )
    yield SuiteSpec(
        name="openml_full", summary="all 42 OpenML tables of ORCA; 30 of them need OpenML's files", tasks=tuple(entry.name for entry in CATALOGUE)
    )


@hookimpl
def pare_bench_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks of nas360 and the proxy tasks."""
    yield TaskSpec(
        name="cifar100", summary="images of 100 classes", target=f"{_NAS360}.cifar100:Cifar100", modality="image", tiers=("generated", "official")
    )
    yield TaskSpec(
        name="spherical",
        summary="the same kind of images projected on a sphere, 100 classes",
        target=f"{_NAS360}.spherical:Spherical",
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="ninapro",
        summary="surface EMG of the forearm, 18 gestures",
        target=f"{_NAS360}.ninapro:Ninapro",
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="fsd50k",
        summary="sound events in mel spectrograms, 200 labels",
        target=f"{_NAS360}.fsd50k:Fsd50k",
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="darcy_flow",
        summary="pressure field of flow through a porous medium",
        target=f"{_NAS360}.darcy_flow:DarcyFlow",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="psicov",
        summary="distances between the residues of a protein",
        target=f"{_NAS360}.psicov:Psicov",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="cosmic",
        summary="cosmic-ray hits in telescope images",
        target=f"{_NAS360}.cosmic:Cosmic",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="ecg",
        summary="single-lead ECG windows, 4 rhythm classes",
        target=f"{_NAS360}.ecg:Ecg",
        modality="sequence",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="satellite",
        summary="vegetation-index series, 24 land-cover classes",
        target=f"{_NAS360}.satellite:Satellite",
        modality="sequence",
        tiers=("generated", "official"),
    )
    yield TaskSpec(
        name="deepsea",
        summary="DNA sequence, 36 chromatin features",
        target=f"{_NAS360}.deepsea:Deepsea",
        modality="sequence",
        tiers=("generated", "official"),
    )
    for name, summary, owner, modality in _PDEBENCH_TASKS:
        yield TaskSpec(
            name=name, summary=summary, target=f"{_PDEBENCH}.{name}:{owner}", dense=True, modality=modality, tiers=("generated", "official")
        )
    for entry in CATALOGUE:
        yield TaskSpec(
            name=entry.name,
            summary=entry.summary,
            target=f"{_OPENML}.tasks:Openml{entry.id}",
            modality="table",
            tiers=("bundled", "official") if entry.source else ("official",),
        )
    yield TaskSpec(
        name="causal_table",
        summary="tables of any size and shape from a random causal model",
        target=f"{_OPENML}.causal_table:CausalTable",
        modality="table",
    )
    sources = "pare_bench.builtin.sources"
    yield TaskSpec(
        name="fractals", summary="proxy: images of iterated-function systems", target=f"{sources}.fractals:Fractals", proxy=True, modality="image"
    )
    yield TaskSpec(
        name="docstrings",
        summary="proxy: 32-token sentences of the standard library",
        target=f"{sources}.docstrings:Docstrings",
        proxy=True,
        modality="sequence",
    )
    published = (
        ("cifar10", "images of 10 classes (published files)", "Cifar10", "image"),
        ("tiny_imagenet", "images of 200 classes (published files)", "TinyImagenet", "image"),
        ("pascal_voc", "photographs with foreground masks, 20 classes (published files)", "PascalVoc", "image"),
        ("conll2003", "32-token news sentences, 8 classes of entities (published files)", "Conll2003", "sequence"),
        ("conll2003_features", "sentences embedded beforehand, 8 classes (published or built)", "Conll2003Features", "sequence"),
    )
    for name, summary, target, modality in published:
        yield TaskSpec(
            name=name, summary=f"proxy: {summary}", target=f"{sources}.{name}:{target}", proxy=True, modality=modality, tiers=("official",)
        )


@hookimpl
def pare_bench_backbones() -> Iterator[BackboneSpec]:
    """Yield the bundled backbones and the adapters to timm and transformers."""
    backbones = "pare_bench.builtin.backbones"
    yield BackboneSpec(
        name="nano_swin", summary="bundled Swin of 0.5 M weights, pretrained on fractals", target=f"{backbones}.swin:NanoSwin", modality="image"
    )
    yield BackboneSpec(
        name="hf_swin", summary="Swin from transformers (hub id or folder)", target=f"{backbones}.swin:HuggingFaceSwin", modality="image"
    )
    yield BackboneSpec(name="timm", summary="any Swin or ViT of timm", target=f"{backbones}.vision_transformer:TimmVision", modality="image")
    yield BackboneSpec(
        name="nano_text",
        summary="bundled RoBERTa-like encoder, pretrained on documentation prose",
        target=f"{backbones}.language:NanoText",
        modality="sequence",
    )
    yield BackboneSpec(
        name="hf_text", summary="BERT- or RoBERTa-like encoder from transformers", target=f"{backbones}.language:HuggingFaceText", modality="sequence"
    )


@hookimpl
def pare_bench_embedders() -> Iterator[EmbedderSpec]:
    """Yield ORCA's two embedders."""
    embedders = "pare_bench.builtin.embedders"
    yield EmbedderSpec(
        name="patch2d", summary="patch convolution from the pretrained kernel, for 2-D grids", target=f"{embedders}.patch2d:Patch2d", modality="image"
    )
    yield EmbedderSpec(
        name="patch1d", summary="strided convolution with positions, for sequences", target=f"{embedders}.patch1d:Patch1d", modality="sequence"
    )
    yield EmbedderSpec(
        name="tabular", summary="a token per feature with weights of its own, for tables", target=f"{embedders}.tabular:Tabular", modality="table"
    )


@hookimpl
def pare_bench_selectors() -> Iterator[SelectorSpec]:
    """Yield the selectors."""
    selectors = "pare_bench.builtin.selectors"
    yield SelectorSpec(
        name="gate_gumbel", summary="gate with Gumbel noise while learning, then plain top-k (PaRe)", target=f"{selectors}.gate:GateGumbel"
    )
    yield SelectorSpec(name="gate_topk", summary="gate with plain top-k", target=f"{selectors}.gate:GateTopK")
    yield SelectorSpec(name="random", summary="uniformly random tokens (control)", target=f"{selectors}.random:RandomSelector")


@hookimpl
def pare_bench_mixers() -> Iterator[MixerSpec]:
    """Yield the mixers."""
    mixers = "pare_bench.builtin.mixers.patch_replace"
    yield MixerSpec(name="patch_replace", summary="whole source tokens in freed places, by a curriculum (PaRe)", target=f"{mixers}:PatchReplace")
    yield MixerSpec(name="none", summary="no source tokens at all (control)", target=f"{mixers}:NoMixing")


@hookimpl
def pare_bench_aligners() -> Iterator[AlignerSpec]:
    """Yield the alignment distances."""
    aligners = "pare_bench.builtin.aligners"
    yield AlignerSpec(name="otdd_exact", summary="optimal-transport data-set distance, exact label distances", target=f"{aligners}.otdd:OtddExact")
    yield AlignerSpec(
        name="otdd_gaussian", summary="optimal-transport data-set distance, Gaussian label distances", target=f"{aligners}.otdd:OtddGaussian"
    )
    yield AlignerSpec(name="mmd", summary="maximum mean discrepancy, five RBF bandwidths", target=f"{aligners}.mmd:Mmd")
    yield AlignerSpec(name="l2", summary="distance of the feature means", target=f"{aligners}.l2:L2")
    yield AlignerSpec(name="none", summary="no alignment (control)", target=f"{aligners}.none:NoAlignment")


@hookimpl
def pare_bench_methods() -> Iterator[MethodSpec]:
    """Yield PaRe; every other method is a baseline."""
    yield MethodSpec(
        name="pare",
        summary="gradual replacement of target patches by source patches (Cai et al., ICML 2024)",
        target="pare_bench.builtin.methods.pare:Pare",
        slots=("backbone", "embedder", "selector", "mixer", "source"),
    )


@hookimpl
def pare_bench_executors() -> Iterator[ExecutorSpec]:
    """Yield the local executor."""
    yield ExecutorSpec(name="local", summary="one run after the other in this process", target="pare_bench.builtin.executors.local:Local")
