"""What of a suite is there: plain runs, variants, runs on other data, read at a glance from the files."""

from __future__ import annotations

import json

import pytest
from factories import make_record

from pare_bench.records.glance import Glancer
from pare_bench.records.record import RunRecord
from pare_bench.records.store import Store, read_record
from pare_bench.registry.names import Registry
from pare_bench.runs.inventory import Asked, inventory


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def cells(store, **asked):
    skipped = []
    found = inventory(
        Registry.from_environment(), Glancer().of_suite(store, "nas360", lambda *each: skipped.append(each)), [], Asked("nas360", **asked)
    )
    return found, skipped


def test_runs_on_other_data_do_not_stand_for_the_plain_ones(store):
    """Seen: status said ok for runs that the plain command would have trained."""
    sizes = {"size": {"train": 200, "val": 4, "test": 4}}
    store.save(make_record("pare", "ecg", command="pare-bench run --method pare -o size.train=200", config=sizes, data="small"))
    found, _ = cells(store, methods=("pare",), tasks=("ecg",), seeds=(0,))
    assert {(cell.method, cell.state != "missing") for cell in found} == {("pare", False), ("pare[size.train=200]", True)}
    store.save(make_record("pare", "ecg", command="pare-bench run --method pare -o mixer=none -o size.train=200", config=sizes, data="none", seed=1))
    found, _ = cells(store, tasks=("ecg",))
    assert {cell.method for cell in found} == {"pare[size.train=200]", "pare[mixer=none,size.train=200]"}


@pytest.mark.parametrize("golden", ["record-1-first", "record-1", "record-2", "record-3"])
def test_a_glance_says_what_the_record_says(golden, tmp_path):
    from pathlib import Path

    source = Path(__file__).parents[1] / "golden" / "records" / f"{golden}.json"
    record = RunRecord.from_json(source.read_text())
    other_layout = tmp_path / "other.json"
    other_layout.write_text(json.dumps(json.loads(source.read_text())))
    for path in (source, other_layout):
        seen = Glancer().glance(str(path))
        for name in ("run_id", "suite", "track", "preset", "seed", "status", "finished", "command", "variant", "code_sha256", "setting"):
            assert getattr(seen, name) == getattr(record, name), name
        assert (seen.method.name, seen.task.name, seen.tier, seen.reason) == (
            record.method.name,
            record.task.name,
            record.task.tier,
            record.reason or "",
        )
        assert dict(seen.components) == {
            "method": record.method.name,
            "task": record.task.name,
            **{n: s.name for n, s in record.config.slots().items()},
        }
        assert (seen.keeps_identity, seen.identity()) == (record.identity is not None, record.identity)


def test_damage_is_told_and_left_out(store):
    path = store.save(make_record("pare", "ecg"))
    store.save(make_record("pare", "ecg", seed=1))
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    found, skipped = cells(store, tasks=("ecg",))
    assert [cell.seed for cell in found] == [1]
    assert [str(where) for where, _ in skipped] == [str(path)]
    assert read_record(store.path("nas360", "ecg", "pare", found[0].run_id)).seed == 1


def test_what_runs_have_in_common_is_parsed_once(store, monkeypatch):
    from pare_bench.records import glance

    for seed in range(5):
        store.save(make_record("pare", "ecg", seed=seed))
    parsed = []
    known = glance.Configured.of.__func__
    monkeypatch.setattr(glance.Configured, "of", classmethod(lambda kind, config: parsed.append(config) or known(kind, config)))
    assert len(cells(store)[0]) == 50
    assert len(parsed) == 1
