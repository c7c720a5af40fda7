"""What a large leaderboard costs: 100,000 records in seconds, twice the records in twice the time. Reading the files is not included."""

from __future__ import annotations

import random
import time

import pytest
from factories import make_record

from pare_bench.config.run_config import RunConfig
from pare_bench.leaderboard.build import build, to_json

METHODS, TASKS, SEEDS = 20, 10, 5


def synthetic(count):
    """Records of 20 methods on 10 tasks with 5 seeds, in as many presets as it takes; each has its own configuration, as if from a file."""
    base = [make_record(f"method_{method}", f"task_{task}") for method in range(METHODS) for task in range(TASKS)]
    records = []
    for number in range(count):
        record = base[number // SEEDS % len(base)]
        changes = {"seed": number % SEEDS, "preset": f"preset_{number // (SEEDS * len(base))}"}
        config = RunConfig.model_construct(**{**record.config.__dict__, **changes})
        metric = record.metrics[0].model_copy(update={"value": (number * 7919 % 1000) / 1000})
        records.append(record.model_copy(update={"run_id": f"{number:016x}", "config": config, "metrics": (metric,), **changes}))
    return records


def processor_seconds(records):
    """The smaller of two, in seconds of the processor: the wall clock measures what else the machine does."""
    taken = []
    for _ in range(2):
        began = time.process_time()
        text = to_json(build(records))
        taken.append(time.process_time() - began)
    return min(taken), text


@pytest.mark.slow
def test_a_hundred_thousand_records_in_seconds_and_linearly():
    records = synthetic(100_000)
    (quarter, _), (half, _), (whole, text) = (processor_seconds(records[:count]) for count in (25_000, 50_000, 100_000))
    print(f"25,000: {quarter:.2f} s, 50,000: {half:.2f} s, 100,000: {whole:.2f} s")
    # Twice 3 s: the bound is for an idle machine, this one may be slower.
    assert whole < 6
    assert whole / quarter < 4 * 1.6
    random.Random(0).shuffle(records)
    assert to_json(build(records)) == text
