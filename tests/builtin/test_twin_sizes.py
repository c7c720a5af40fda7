"""Larger test and validation splits of the twins: what is cheap is large, what was there before is still where it was."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pare_bench.contracts.task import SPLIT_NAMES, TaskSize
from pare_bench.datasets.simulated import generate_splits
from pare_bench.registry.names import Registry
from pare_bench.seeds import stream

REGISTRY = Registry.from_environment()
#: Task -> the version of which it has the data, and more of them.
GROWN = {"cifar100": 1, "spherical": 2, "ninapro": 1, "fsd50k": 1, "ecg": 1, "satellite": 1, "deepsea": 1}
LARGE, SMALL = TaskSize(600, 400, 2000), TaskSize(600, 200, 400)
SIZES = {**dict.fromkeys(GROWN, LARGE), "spherical": TaskSize(2400, 400, 2000), "cosmic": SMALL, "darcy_flow": SMALL, "psicov": TaskSize(120, 30, 60)}


@pytest.mark.parametrize("task", sorted(GROWN))
def test_a_grown_task_draws_from_the_streams_of_the_version_before(task):
    """The first chunk of each split is what the earlier version drew, and training sees the same bytes."""
    built = REGISTRY.build("task", task)
    assert built.version > GROWN[task]
    splits = generate_splits(built, 0, TaskSize(20, 12, 12), workers=1)
    for name in SPLIT_NAMES:
        before = built.simulate(name, built.chunk, 0, stream(task, GROWN[task], 0, name, 0))
        own = getattr(splits, name)
        assert np.array_equal(own.inputs, before.inputs[: len(own)])
        assert np.array_equal(own.targets, before.targets[: len(own)])


@pytest.mark.parametrize("task", sorted(GROWN))
def test_more_test_examples_leave_the_others_alone(task):
    built = REGISTRY.build("task", task)
    small, large = (generate_splits(built, 0, size, workers=1) for size in (TaskSize(8, 4, 8), TaskSize(8, 8, built.chunk + 8)))
    assert np.array_equal(small.train.inputs, large.train.inputs)
    for name in ("val", "test"):
        before, after = getattr(small, name), getattr(large, name)
        assert np.array_equal(before.inputs, after.inputs[: len(before)])
        assert np.array_equal(before.targets, after.targets[: len(before)])


def test_sizes_are_those_of_the_page():
    suite = REGISTRY.spec("suite", "nas360").tasks
    assert {task: REGISTRY.component("task", task).sizes["cpu"] for task in suite} == SIZES
    page = (Path(__file__).parents[2] / "docs" / "suites" / "nas360.md").read_text()
    for task, size in SIZES.items():
        (row,) = re.findall(rf"^\| {task} \|.*$", page, re.MULTILINE)
        assert f" {size.train}/{size.val}/{size.test} |" in row
