"""Registers suite ``nas360`` and its tasks."""

from __future__ import annotations

from pare_bench.registry.specs import SuiteSpec, TaskSpec

_HERE = "pare_bench.builtin.suites.nas360"
TASKS = tuple(
    TaskSpec(name=name, summary=summary, target=f"{_HERE}.{name}:{owner}", modality=modality, dense=dense, tiers=("generated", "official"))
    for name, summary, owner, modality, dense in (
        ("cifar100", "images of 100 classes", "Cifar100", "image", False),
        ("spherical", "the same kind of images projected on a sphere, 100 classes", "Spherical", "image", False),
        ("ninapro", "surface EMG of the forearm, 18 gestures", "Ninapro", "image", False),
        ("fsd50k", "sound events in mel spectrograms, 200 labels", "Fsd50k", "image", False),
        ("darcy_flow", "pressure field of flow through a porous medium", "DarcyFlow", "image", True),
        ("psicov", "distances between the residues of a protein", "Psicov", "image", True),
        ("cosmic", "cosmic-ray hits in telescope images", "Cosmic", "image", True),
        ("ecg", "single-lead ECG windows, 4 rhythm classes", "Ecg", "sequence", False),
        ("satellite", "vegetation-index series, 24 land-cover classes", "Satellite", "sequence", False),
        ("deepsea", "DNA sequence, 36 chromatin features", "Deepsea", "sequence", False),
    )
)
SUITES = (
    SuiteSpec(
        name="nas360",
        summary="NAS-Bench-360: ten tasks far from natural images and text (Tu et al., NeurIPS 2022)",
        tasks=tuple(task.name for task in TASKS),
    ),
)
