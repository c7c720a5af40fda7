"""Data and records on disk: made once, whole or not at all, checked when read."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from pare_bench import metrics
from pare_bench.contracts.task import Classes, InputShape, Metric, Split, Splits, TaskSize
from pare_bench.datasets.cache import digest, generated_data
from pare_bench.datasets.simulated import SimulatedTask, generate_splits
from pare_bench.digests import files
from pare_bench.digests.sealed import opened, sealed
from pare_bench.errors import EnvironmentFault, IntegrityError
from pare_bench.records.store import Store, read_record, write_atomically


class Toy(SimulatedTask):
    name = "toy"
    version = 1
    inputs = InputShape(1, (4,))
    target = Classes(3)
    metrics = (Metric("error_rate", lambda outputs, split: metrics.error_rate(outputs, split.targets)),)
    sizes: ClassVar = {"cpu": TaskSize(10, 5, 5)}
    chunk = 4
    calls = 0

    def simulate(self, split, count, index, rng):
        type(self).calls += 1
        return Split(rng.normal(size=(count, 1, 4)).astype(np.float32), rng.integers(0, 3, count), {"groups": np.full(count, index)})


SIZE = TaskSize(10, 5, 6)


def test_chunks_do_not_depend_on_size_or_workers():
    small, large = generate_splits(Toy(), 0, SIZE, workers=1), generate_splits(Toy(), 0, TaskSize(21, 5, 6), workers=1)
    assert np.array_equal(large.train.inputs[:10], small.train.inputs)
    assert [len(small.train), len(small.val), len(small.test)] == [10, 5, 6]
    assert not np.array_equal(small.val.inputs, small.test.inputs[:5])
    assert np.array_equal(small.train.extras["groups"], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])


def test_worker_processes_give_the_same_bytes():
    from pare_bench.builtin.suites.nas360.satellite import Satellite

    size = TaskSize(120, 30, 30)
    assert digest(generate_splits(Satellite(), 0, size, workers=2)) == digest(generate_splits(Satellite(), 0, size, workers=1))


def test_seed_and_version_change_the_bytes():
    first = digest(generate_splits(Toy(), 0, SIZE, workers=1))
    assert digest(generate_splits(Toy(), 1, SIZE, workers=1)) != first

    class Newer(Toy):
        version = 2

    assert digest(generate_splits(Newer(), 0, SIZE, workers=1)) != first


@pytest.fixture
def one_process(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def test_data_are_made_once_and_read_back_equal(tmp_path, one_process):
    Toy.calls = 0
    made = generated_data(Toy(), 0, SIZE, tmp_path)
    calls = Toy.calls
    again = generated_data(Toy(), 0, SIZE, tmp_path)
    assert (calls, Toy.calls) == (7, 7)
    assert made.sha256 == again.sha256 == digest(again.splits) == digest(generate_splits(Toy(), 0, SIZE, workers=1))


def test_damaged_data_are_set_aside_and_made_again(tmp_path, one_process):
    made = generated_data(Toy(), 0, SIZE, tmp_path)
    (path,) = tmp_path.glob("generated/toy/v1*/train.inputs.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    again = generated_data(Toy(), 0, SIZE, tmp_path)
    assert again.sha256 == made.sha256 == digest(again.splits)
    assert list(tmp_path.glob("generated/toy/*.damaged"))
    path.write_bytes(bytes(content[:50]))
    again = generated_data(Toy(), 0, SIZE, tmp_path)
    assert again.sha256 == made.sha256 == digest(again.splits)
    # A manifest that was damaged promises nothing.
    manifest = path.with_name("manifest.json")
    whole = manifest.read_text()
    manifest.write_text(whole.replace(made.sha256, "0" * 64))
    with pytest.warns(UserWarning, match=r"changed since it was written; it is now '.*\.damaged', and the data are made again"):
        again = generated_data(Toy(), 0, SIZE, tmp_path)
    assert again.sha256 == made.sha256
    # One that is whole and promises something else than can be made is an error, not other data under the digest of these.
    manifest.write_text(sealed({**opened(whole), "sha256": "0" * 64}))
    with pytest.raises(IntegrityError, match="made again with other bytes"):
        generated_data(Toy(), 0, SIZE, tmp_path).splits  # noqa: B018 - reading is the point


def test_a_cache_that_is_emptied_while_it_is_used_is_no_damage(tmp_path, one_process, monkeypatch):
    from pare_bench.datasets import cache

    write = cache._write

    def and_remove(folder, splits):
        write(folder, splits)
        shutil.rmtree(folder)

    monkeypatch.setattr(cache, "_write", and_remove)
    with pytest.raises(EnvironmentFault, match="changes while it is used"):
        generated_data(Toy(), 0, SIZE, tmp_path)


def test_an_interrupted_generation_leaves_nothing_behind(tmp_path, one_process, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        generated_data(Toy(), 0, SIZE, tmp_path)
    assert [path.name for path in tmp_path.glob("generated/toy/*") if path.suffix != ".lock"] == []


def test_an_unusable_cache_is_an_environment_fault(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be used"):
        generated_data(Toy(), 0, SIZE, blocked)


def test_digest_sees_names_types_and_values():
    def splits(value=0.0, dtype=np.float32, extra="groups"):
        part = Split(np.full((2, 1, 4), value, dtype), np.zeros(2, np.int64), {extra: np.zeros(2)})
        return Splits(part, part, part)

    assert len({digest(splits()), digest(splits(1.0)), digest(splits(dtype=np.float64)), digest(splits(extra="ignore"))}) == 4


def test_atomic_writing_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "record.json"
    write_atomically(path, b"old")

    def stop(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="file permissions differ")
@pytest.mark.parametrize("durable", [True, False])
def test_others_may_read_what_is_written(tmp_path, monkeypatch, durable):
    """One data folder serves a whole group; and what lasts is flushed with the folder that names it."""
    flushed = []
    flush = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(str(Path(f"/proc/self/fd/{handle}").readlink())) or flush(handle))
    for content in ("é", "é".encode()):
        files.write_atomically(tmp_path / "index.json", content, durable=durable)
        assert (tmp_path / "index.json").read_bytes() == "é".encode()
        assert stat.S_IMODE((tmp_path / "index.json").stat().st_mode) == 0o644
    assert len(flushed) == (4 if durable else 0)
    assert (str(tmp_path) in flushed) == durable


@pytest.mark.skipif(sys.platform == "win32", reason="folder permissions differ")
def test_store_checks_that_it_can_write(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        Store(blocked).check_writable()
    Store(tmp_path / "new").check_writable()
    assert (tmp_path / "new" / "records").is_dir()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"schema": "pare-bench/record/9"}), '{"schema": NaN}', "\udcff"])
def test_what_is_not_a_record_is_refused_by_name(tmp_path, text):
    path = tmp_path / "bad.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(IntegrityError, match=r"bad\.json"):
        read_record(path)
