"""The data that a resolved run is trained and scored on."""

from __future__ import annotations

from dataclasses import dataclass

from pare_bench.config.run_config import RunConfig, Tier
from pare_bench.contracts.task import Task
from pare_bench.datasets.cache import Data, digest, generated_data, is_cached, splits_of
from pare_bench.datasets.official import data_root, official_data
from pare_bench.digests.closure import Code
from pare_bench.registry.names import Registry


@dataclass(frozen=True)
class SourceData:
    """The proxy task of a run, its tier and its data."""

    task: Task
    tier: Tier
    data: Data


def target_data(task: Task, config: RunConfig, code: Code | None = None) -> Data:
    """Return the data of a run's task, split as its track splits them; ``code`` reads the sources by which cached data are known.

    Raises:
        DataMissingError: the official files are not there.
        IntegrityError: an official file is not what its format or digest promises.
    """
    if config.tier == "bundled":
        splits = splits_of(task, task.bundled(config.data_seed, config.track))
        return Data.of(splits, digest(splits))
    if config.tier == "official" or config.size is None:
        return official_data(task, data_root(), config.track, config.data_seed)
    data = generated_data(task, config.data_seed, config.size.task_size(), code=code)
    return Data(lambda: task.in_track(data.load(), config.track), data.sha256, data.folder)


def is_at_hand(task: Task, config: RunConfig, code: Code | None = None) -> bool:
    """Return whether the data of a run can be had at once: they ship with a package, or are generated and in the cache."""
    if config.tier == "bundled":
        return True
    return config.tier == "generated" and config.size is not None and is_cached(task, config.data_seed, config.size.task_size(), code=code)


def source_data(registry: Registry, config: RunConfig) -> SourceData | None:
    """Return the proxy data: generated where the task has such a tier, whatever the target's tier; a proxy is the same for both."""
    if config.source is None:
        return None
    task: Task = registry.build("task", config.source.name, config.source.params)
    if config.source_size is None:
        return SourceData(task, "official", official_data(task, data_root(), "clean"))
    return SourceData(task, "generated", generated_data(task, config.data_seed, config.source_size.task_size(), code=registry.code))
