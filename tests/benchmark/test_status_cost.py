"""Cost of an overview: linear in the number of records, at a small part of what reading the records whole takes."""

from __future__ import annotations

import shutil
import time

import pytest
from factories import make_record

from pare_bench.records.glance import Glancer
from pare_bench.records.store import Store, read_record
from pare_bench.registry.names import Registry
from pare_bench.runs.inventory import Asked, inventory

TASKS = ("ecg", "satellite", "deepsea", "cifar100", "ninapro")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Stores of 2,500, 5,000 and 10,000 records, each for the other's beginning."""
    root = tmp_path_factory.mktemp("stores")
    paths, made = {}, []
    for count in (2500, 5000, 10000):
        store = Store(root / str(count))
        for number in range(len(made), count):
            task, method = TASKS[number % 5], ("pare", "orca", "constant")[number % 3]
            made.append(make_record(method, task, 0.5, seed=number // 15))
        for record in made:
            path = store.path(record.suite, record.task.name, record.method.name, record.run_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(record.to_json())
        paths[count] = store
    yield paths
    shutil.rmtree(root)


def seconds(store):
    began = time.process_time()
    cells = inventory(Registry.from_environment(), Glancer().of_suite(store, "nas360", lambda *_: None), [], Asked("nas360"))
    assert cells
    return time.process_time() - began


@pytest.mark.benchmark
def test_status_is_linear_and_a_glance_is_cheap(stores, capsys):
    seconds(stores[2500])
    cost = {count: min(seconds(store) for _ in range(3)) for count, store in stores.items()}
    began = time.process_time()
    for path in stores[2500].paths():
        read_record(path)
    whole = time.process_time() - began
    with capsys.disabled():
        shown = ", ".join(f"{count} records {value:.2f} s" for count, value in cost.items())
        print(f"\nstatus: {shown}; reading 2500 records whole: {whole:.2f} s")
    # Twice the records take twice as long, with room for what does not grow and for noise.
    assert cost[10000] < 2.6 * cost[5000]
    assert cost[5000] < 2.6 * cost[2500]
