"""What is known of a run before any training, and without torch: its data and its identity."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pare_bench.config.run_config import RunConfig
from pare_bench.contracts.task import Task
from pare_bench.datasets.cache import Data
from pare_bench.datasets.run_data import SourceData, source_data, target_data
from pare_bench.errors import PluginError
from pare_bench.provenance.body import body_digests
from pare_bench.provenance.identity import identity_of
from pare_bench.records.record import IdentityRecord
from pare_bench.registry.declared import contradictions
from pare_bench.registry.names import Registry


@dataclass(frozen=True)
class Prepared:
    """A run whose data are there and whose identity is known, before any training."""

    config: RunConfig
    task: Task
    data: Data
    source: SourceData | None
    identity: IdentityRecord
    seconds: float

    @property
    def run_id(self) -> str:
        """The run id."""
        return self.identity.run_id


def prepare(registry: Registry, config: RunConfig) -> Prepared:
    """Load or make the data of a run and work out its identity.

    Raises:
        DataMissingError: the official files are not there.
        IntegrityError: an official file is not what its format or digest promises.
        PluginError: the task is registered as something else than it is.
    """
    began = time.perf_counter()
    task: Task = registry.build("task", config.task.name, config.task.params)
    wrong = next(contradictions(task, registry.spec("task", config.task.name)), None)
    if wrong is not None:
        raise PluginError(f"task '{config.task.name}': {wrong}", hint="correct its TaskSpec: docs/add-a-task.md#register-it")
    data = target_data(task, config, registry.code)
    source = source_data(registry, config)
    body = body_digests(registry, config)
    identity = identity_of(
        registry,
        config,
        data=data.sha256,
        source=source.data.sha256 if source else None,
        weights=body.weights or None,
        architecture=body.architecture or None,
    )
    return Prepared(config, task, data, source, identity, time.perf_counter() - began)
