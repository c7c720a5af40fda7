"""What generating PDEBench costs: seconds for 1, 2 and 4 times as many samples, on one core; twice the samples should take twice the time."""

import time
from importlib import import_module

import pytest

from pare_bench.builtin.plugin import pare_bench_suites, pare_bench_tasks
from pare_bench.contracts.task import TaskSize
from pare_bench.datasets.simulated import simulate_chunk

NAMES = next(suite.tasks for suite in pare_bench_suites() if suite.name == "pdebench")
TARGETS = {spec.name: spec.target for spec in pare_bench_tasks() if spec.name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_cost_of_samples(benchmark, name):
    module, _, owner = TARGETS[name].partition(":")
    task = getattr(import_module(module), owner)()
    simulate_chunk(task, 0, "train", 0)
    seconds = {}
    for chunks in (1, 2, 4):
        size = TaskSize(chunks * task.chunk, 0, 0)
        began = time.process_time()
        if chunks == 4:
            benchmark.pedantic(simulate, args=(task, size), rounds=1)
        else:
            simulate(task, size)
        seconds[size.train] = time.process_time() - began
    full = task.sizes["cpu"]
    total = full.train + full.val + full.test
    benchmark.extra_info["cpu_seconds"] = {count: round(spent, 3) for count, spent in seconds.items()}
    benchmark.extra_info["cpu_seconds_of_the_default_size"] = round(seconds[4 * task.chunk] / (4 * task.chunk) * total, 1)


def simulate(task, size):
    """Simulate the training split alone, in this process."""
    return [simulate_chunk(task, 0, "train", index) for index in range(size.train // task.chunk)]
