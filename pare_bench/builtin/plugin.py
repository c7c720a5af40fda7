"""The built-in plugin: joins what the folders of suites and components declare, through the same hooks as everybody.

Light, because targets are named and not imported.
"""

from __future__ import annotations

from pare_bench.builtin.aligners import specs as aligners
from pare_bench.builtin.backbones import specs as backbones
from pare_bench.builtin.embedders import specs as embedders
from pare_bench.builtin.executors import specs as executors
from pare_bench.builtin.methods import specs as methods
from pare_bench.builtin.mixers import specs as mixers
from pare_bench.builtin.selectors import specs as selectors
from pare_bench.builtin.sources import specs as sources
from pare_bench.builtin.suites.nas360 import specs as nas360
from pare_bench.builtin.suites.openml import specs as openml
from pare_bench.builtin.suites.pdebench import specs as pdebench
from pare_bench.registry.hookspecs import hookimpl
from pare_bench.registry.specs import AlignerSpec, BackboneSpec, EmbedderSpec, ExecutorSpec, MethodSpec, MixerSpec, SelectorSpec, SuiteSpec, TaskSpec


@hookimpl
def pare_bench_suites() -> tuple[SuiteSpec, ...]:
    """Return the built-in suites."""
    return (*nas360.SUITES, *pdebench.SUITES, *openml.SUITES)


@hookimpl
def pare_bench_tasks() -> tuple[TaskSpec, ...]:
    """Return the tasks of the suites, then the proxy tasks."""
    return (*nas360.TASKS, *pdebench.TASKS, *openml.TASKS, *sources.TASKS)


@hookimpl
def pare_bench_backbones() -> tuple[BackboneSpec, ...]:
    """Return the bundled backbones and the adapters to timm and transformers."""
    return backbones.BACKBONES


@hookimpl
def pare_bench_embedders() -> tuple[EmbedderSpec, ...]:
    """Return ORCA's two embedders, and one for tables."""
    return embedders.EMBEDDERS


@hookimpl
def pare_bench_selectors() -> tuple[SelectorSpec, ...]:
    """Return the selectors."""
    return selectors.SELECTORS


@hookimpl
def pare_bench_mixers() -> tuple[MixerSpec, ...]:
    """Return the mixers."""
    return mixers.MIXERS


@hookimpl
def pare_bench_aligners() -> tuple[AlignerSpec, ...]:
    """Return the alignment distances."""
    return aligners.ALIGNERS


@hookimpl
def pare_bench_methods() -> tuple[MethodSpec, ...]:
    """Return PaRe; every other method is a baseline."""
    return methods.METHODS


@hookimpl
def pare_bench_executors() -> tuple[ExecutorSpec, ...]:
    """Return the local executor."""
    return executors.EXECUTORS
