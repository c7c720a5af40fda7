"""Registers suite ``pdebench`` and its tasks."""

from __future__ import annotations

from pare_bench.registry.specs import SuiteSpec, TaskSpec

_HERE = "pare_bench.builtin.suites.pdebench"
TASKS = tuple(
    TaskSpec(name=name, summary=summary, target=f"{_HERE}.{name}:{owner}", dense=True, modality=modality, tiers=("generated", "official"))
    for name, summary, owner, modality in (
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
)
SUITES = (
    SuiteSpec(
        name="pdebench",
        summary="PDEBench: nine physical processes from their start to their end (Takamoto et al., NeurIPS 2022)",
        tasks=tuple(task.name for task in TASKS),
    ),
)
