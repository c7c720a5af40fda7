"""Registers the proxy tasks."""

from __future__ import annotations

from pare_bench.registry.specs import TaskSpec

_HERE = "pare_bench.builtin.sources"
TASKS = (
    TaskSpec(
        name="fractals", summary="proxy: images of iterated-function systems", target=f"{_HERE}.fractals:Fractals", proxy=True, modality="image"
    ),
    TaskSpec(
        name="textures",
        summary="proxy: images of textures, whose class survives mixing",
        target=f"{_HERE}.textures:Textures",
        proxy=True,
        modality="image",
    ),
    TaskSpec(
        name="docstrings",
        summary="proxy: 32-token sentences of the standard library",
        target=f"{_HERE}.docstrings:Docstrings",
        proxy=True,
        modality="sequence",
    ),
    *(
        TaskSpec(name=name, summary=f"proxy: {summary}", target=f"{_HERE}.{name}:{owner}", proxy=True, modality=modality, tiers=("official",))
        for name, summary, owner, modality in (
            ("cifar10", "images of 10 classes (published files)", "Cifar10", "image"),
            ("tiny_imagenet", "images of 200 classes (published files)", "TinyImagenet", "image"),
            ("pascal_voc", "photographs with foreground masks, 20 classes (published files)", "PascalVoc", "image"),
            ("conll2003", "32-token news sentences, 8 classes of entities (published files)", "Conll2003", "sequence"),
            ("conll2003_features", "sentences embedded beforehand, 8 classes (published or built)", "Conll2003Features", "sequence"),
        )
    ),
)
