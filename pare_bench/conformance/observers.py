"""Checks of an observer: it is told of pretended runs that end well, fail and are skipped, and must neither raise nor keep them waiting."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from pare_bench.config.run_config import RunConfig
from pare_bench.conformance.reporting import collect
from pare_bench.records.record import ComponentRecord, EnvironmentRecord, MetricRecord, RunRecord, TaskRecord
from pare_bench.registry.hookspecs import OBSERVING
from pare_bench.registry.names import Registry
from pare_bench.registry.versions import __version__
from pare_bench.runs.observed import SLOW_SECONDS

_RUN = "0123456789abcdef"
_WHEN = "2026-01-01T00:00:00+00:00"


def observers(registry: Registry) -> tuple[str, ...]:
    """Return the plugins that implement an observing hook, in the order in which they are told."""
    hooks = registry.plugins.manager.hook
    return tuple(dict.fromkeys(each.plugin_name for hook in OBSERVING for each in getattr(hooks, hook).get_hookimpls()))


def check_observer(registry: Registry, name: str) -> list[str]:
    """Return what keeps plugin ``name`` from being an observer; it is told of what has not happened, so it should be given a place to try things."""
    return collect(_observer(registry, name))


def _observer(registry: Registry, name: str) -> Iterator[str]:
    alone = registry.plugins.only(name)
    for hook, arguments, where in _told():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            seconds = alone.notify(hook, **arguments)
        for warning in caught:
            if str(warning.message).startswith(f"plugin '{name}' failed in {hook}: "):
                yield f"raises in {hook}: {str(warning.message).partition(': ')[2]} [{where}]"
        if seconds.get(name, 0.0) > SLOW_SECONDS:
            yield f"takes {seconds[name]:.1f} s in {hook}, for which a run waits [{where}]"


def _told() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield (hook, its arguments, what happens) of three short runs."""
    config = RunConfig.model_validate({"suite": "conformance", "preset": "smoke", "task": {"name": "pretended"}, "method": {"name": "pretended"}})
    yield "pare_bench_run_started", {"config": config, "run_id": _RUN}, "a run begins"
    epoch = {"run_id": _RUN, "stage": "train", "epoch": 1, "loss": 0.5, "score": 0.25, "rate": 1e-3}
    yield "pare_bench_epoch", epoch, "an epoch ends"
    yield "pare_bench_epoch", {**epoch, "stage": "align", "score": None}, "an epoch without validation"
    yield "pare_bench_epoch", {**epoch, "loss": float("nan")}, "an epoch whose loss is NaN"
    for status, reason in (("ok", None), ("failed", "the loss became NaN"), ("skipped", "the method cannot do the task")):
        yield "pare_bench_run_finished", {"record": _record(config, status, reason)}, f"a run is {status}"


def _record(config: RunConfig, status: str, reason: str | None) -> RunRecord:
    ok = status == "ok"
    sizes = {"train": 2, "val": 1, "test": 1}
    return RunRecord.model_validate(
        {
            "run_id": _RUN,
            "status": status,
            "reason": reason,
            "suite": config.suite,
            "task": TaskRecord(name="pretended", version=1, tier="generated", data_sha256="0" * 64, sizes=sizes, real=None),
            "method": ComponentRecord(name="pretended", params={}, plugin="conformance", distribution="pare-bench", version=__version__),
            "slots": {},
            "track": config.track,
            "preset": config.preset,
            "seed": config.seed,
            "metrics": (MetricRecord(name="error_rate", value=0.25, direction="minimise", primary=True),) if ok else (),
            "floor": 0.5 if ok else None,
            "environment": EnvironmentRecord(pare_bench=__version__, python="", platform="", device="cpu", threads=1, libraries={}),
            "started": _WHEN,
            "finished": _WHEN,
            "command": "pare-bench check",
            "config": config,
            "code_sha256": "0" * 64,
        }
    )
