"""The hooks. Registering hooks are called once and yield specs; observing hooks get copies and can neither change nor fail a run.

A plugin is any module that implements some of these with :data:`pare_bench.hookimpl` and is named in the entry-point group ``pare_bench``::

    # pyproject.toml                          # margin_plugin.py
    [project.entry-points.pare_bench]         @hookimpl
    margin = "margin_plugin"                  def pare_bench_selectors():
                                                  yield SelectorSpec(name="margin", summary="...", target="margin_plugin:Margin")
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from pare_bench.registry import specs

PROJECT = "pare_bench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
#: Hooks that are told what happens; all others register.
OBSERVING = ("pare_bench_run_started", "pare_bench_epoch", "pare_bench_run_finished")


@hookspec
def pare_bench_tasks() -> Iterable[specs.TaskSpec]:
    """Yield tasks: ``TaskSpec(name="ecg2", summary="...", target="my_tasks:Ecg2", modality="sequence")``."""
    return ()


@hookspec
def pare_bench_suites() -> Iterable[specs.SuiteSpec]:
    """Yield suites: ``SuiteSpec(name="mine", summary="...", tasks=("ecg2", "ecg"))``."""
    return ()


@hookspec
def pare_bench_backbones() -> Iterable[specs.BackboneSpec]:
    """Yield backbones: ``BackboneSpec(name="tiny", summary="...", target="my_bodies:Tiny", modality="image")``."""
    return ()


@hookspec
def pare_bench_embedders() -> Iterable[specs.EmbedderSpec]:
    """Yield embedders: ``EmbedderSpec(name="spline", summary="...", target="my_embedders:Spline", modality="sequence")``."""
    return ()


@hookspec
def pare_bench_selectors() -> Iterable[specs.SelectorSpec]:
    """Yield selectors: ``SelectorSpec(name="margin", summary="...", target="my_selectors:Margin")``."""
    return ()


@hookspec
def pare_bench_mixers() -> Iterable[specs.MixerSpec]:
    """Yield mixers: ``MixerSpec(name="cutmix", summary="...", target="my_mixers:CutMix")``."""
    return ()


@hookspec
def pare_bench_aligners() -> Iterable[specs.AlignerSpec]:
    """Yield aligners: ``AlignerSpec(name="coral", summary="...", target="my_aligners:Coral")``."""
    return ()


@hookspec
def pare_bench_methods() -> Iterable[specs.MethodSpec]:
    """Yield methods: ``MethodSpec(name="mine", summary="...", target="my_methods:Mine", slots=("backbone", "embedder"))``."""
    return ()


@hookspec
def pare_bench_executors() -> Iterable[specs.ExecutorSpec]:
    """Yield executors: ``ExecutorSpec(name="queue", summary="...", target="my_executors:Queue")``."""
    return ()


@hookspec
def pare_bench_run_started(config: Any, run_id: str) -> None:
    """Be told that a run begins, before its first training step; ``config`` is a :class:`pare_bench.config.run_config.RunConfig`."""


@hookspec
def pare_bench_epoch(run_id: str, stage: str, epoch: int, loss: float, score: float | None, rate: float) -> None:
    """Be told that an epoch (from 1) of a stage (``align``, ``train``) has ended.

    ``loss`` is its mean training loss, ``score`` the primary metric on the validation split (None where the stage has none), ``rate`` the learning
    rate of its last step. The training waits for it: one that takes long is named with its seconds.
    """


@hookspec
def pare_bench_run_finished(record: Any) -> None:
    """Be told that a run has ended and its record, a :class:`pare_bench.records.record.RunRecord`, is on disk."""
