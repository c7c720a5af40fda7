"""Registers suite ``nas360`` and its tasks."""

from __future__ import annotations

from pare_bench.registry.specs import SuiteSpec, TaskSpec

_HERE = "pare_bench.builtin.suites.nas360"
TASKS = (
    TaskSpec(
        name="cifar100", summary="images of 100 classes", target=f"{_HERE}.cifar100:Cifar100", modality="image", tiers=("generated", "official")
    ),
    TaskSpec(
        name="spherical",
        summary="the same kind of images projected on a sphere, 100 classes",
        target=f"{_HERE}.spherical:Spherical",
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="ninapro",
        summary="surface EMG of the forearm, 18 gestures",
        target=f"{_HERE}.ninapro:Ninapro",
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="fsd50k",
        summary="sound events in mel spectrograms, 200 labels",
        target=f"{_HERE}.fsd50k:Fsd50k",
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="darcy_flow",
        summary="pressure field of flow through a porous medium",
        target=f"{_HERE}.darcy_flow:DarcyFlow",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="psicov",
        summary="distances between the residues of a protein",
        target=f"{_HERE}.psicov:Psicov",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="cosmic",
        summary="cosmic-ray hits in telescope images",
        target=f"{_HERE}.cosmic:Cosmic",
        dense=True,
        modality="image",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="ecg",
        summary="single-lead ECG windows, 4 rhythm classes",
        target=f"{_HERE}.ecg:Ecg",
        modality="sequence",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="satellite",
        summary="vegetation-index series, 24 land-cover classes",
        target=f"{_HERE}.satellite:Satellite",
        modality="sequence",
        tiers=("generated", "official"),
    ),
    TaskSpec(
        name="deepsea",
        summary="DNA sequence, 36 chromatin features",
        target=f"{_HERE}.deepsea:Deepsea",
        modality="sequence",
        tiers=("generated", "official"),
    ),
)
SUITES = (
    SuiteSpec(
        name="nas360",
        summary="NAS-Bench-360: ten tasks far from natural images and text (Tu et al., NeurIPS 2022)",
        tasks=tuple(task.name for task in TASKS),
    ),
)
