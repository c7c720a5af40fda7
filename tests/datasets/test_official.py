"""The one way to published files: found in both layouts, refused when they are not what they promise, counted into the digest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pickle

import numpy as np
import pytest

from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.params import Params
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Task
from pare_bench.datasets import index, official
from pare_bench.datasets.official import OfficialFiles, official_data, state_of
from pare_bench.digests import files as digests
from pare_bench.errors import DataMissingError, IntegrityError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


def put(root, name, content):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_the_folder_of_the_task_comes_before_the_flat_one(root):
    flat = put(root, "a.csv", b"flat")
    files = OfficialFiles(root, "toy")
    assert files.path("a.csv") == flat
    own = put(root, "toy/a.csv", b"own")
    assert files.path("a.csv") == own
    assert files.find("b.csv", "a.csv") == own
    assert files.find("b.csv") is None


def test_a_missing_file_says_where_and_how(root):
    with pytest.raises(DataMissingError, match=r"task 'toy' needs official file 'a\.csv', not found below '.*root/toy'") as caught:
        OfficialFiles(root, "toy").path("a.csv")
    assert caught.value.hint == "pare-bench data fetch toy"
    (root / "toy" / "a.csv").mkdir(parents=True)
    with pytest.raises(DataMissingError):
        OfficialFiles(root, "toy").path("a.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        *(
            (f"a{suffix}", b"\xef\xbb\xbf \n<!DOCTYPE HTML><html>denied</html>", "is a web page")
            for suffix in (".npz", ".gz", ".mat", ".npy", ".pkl", ".csv")
        ),
        ("a.npz", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is a web page"),
        ("a.npz", b"PK\x03\x04 and then nothing", "is truncated"),
        ("a.zip", b"\x89HDF\r\n", "is no .zip file"),
        ("a.npy", b"PK\x03\x04", "is no .npy file"),
        ("a.tar.gz", b"ustar", "is no .gz file"),
    ],
)
def test_files_that_are_not_what_their_name_says(root, name, content, words):
    path = put(root, f"toy/{name}", content)
    with pytest.raises(IntegrityError) as caught:
        OfficialFiles(root, "toy").path(name)
    assert f"'{path}' {words}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == f"rm '{path}' && pare-bench data fetch toy"


def test_declared_digests_are_checked(root):
    put(root, "toy/a", b"content")
    good_md5 = hashlib.md5(b"content", usedforsecurity=False).hexdigest()
    for sha, md5, bad in (
        (sha256(b"content"), good_md5, None),
        (sha256(b"content").upper(), None, None),
        (None, good_md5, None),
        (sha256(b"other"), None, "sha256"),
        (None, "0" * 32, "md5"),
        (sha256(b"content"), "0" * 32, "md5"),
    ):
        files = OfficialFiles(root, "toy", [OfficialFile("a", sha256=sha, md5=md5)])
        if bad is None:
            files.path("a")
        else:
            with pytest.raises(IntegrityError, match=rf"has {bad} [0-9a-f]+, published is"):
                files.path("a")


def test_a_file_that_changed_since_it_was_fetched(root):
    put(root, "toy/a", b"content")
    index.record(root, {"toy/a": index.IndexEntry(7, sha256(b"content"), "http://somewhere/a")})
    OfficialFiles(root, "toy").path("a")
    put(root, "toy/a", b"changed")
    with pytest.raises(IntegrityError, match="recorded when it came was"):
        OfficialFiles(root, "toy").path("a")


def test_the_digest_covers_everything_that_was_read(root):
    put(root, "toy/a", b"a")
    put(root, "toy/b", b"b")
    files, others = OfficialFiles(root, "toy"), OfficialFiles(root, "toy")
    empty = files.sha256
    files.path("a")
    one = files.sha256
    files.path("a")
    assert files.sha256 == one != empty
    files.path("b")
    others.path("b")
    others.path("a")
    assert files.sha256 == others.sha256 == sha256(f"toy/a\0{sha256(b'a')}\ntoy/b\0{sha256(b'b')}\n".encode())
    files.find("c")
    put(root, "toy/c", b"c")
    files.find("c")
    assert files.sha256 == others.sha256
    put(root, "toy/b", b"B")
    again = OfficialFiles(root, "toy")
    again.path("a")
    again.path("b")
    assert again.sha256 != files.sha256


def test_files_of_another_task_count_here(root):
    put(root, "other/a", b"a")
    files = OfficialFiles(root, "toy")
    before = files.sha256
    assert files.of("other").path("a") == root / "other" / "a"
    assert files.sha256 != before
    with pytest.raises(DataMissingError, match="task 'other'"):
        files.of("other").path("b")


def test_a_tree_is_sorted_and_counts_names_and_sizes(root):
    for name in ("b/2.npy", "b/10.npy", "a/1.npy", "a/1.txt"):
        put(root, f"toy/things/{name}", name.encode())
    files = OfficialFiles(root, "toy")
    found = files.tree("things", "*.npy")
    assert [path.relative_to(root / "toy" / "things").as_posix() for path in found] == ["a/1.npy", "b/10.npy", "b/2.npy"]
    first = files.sha256
    put(root, "toy/things/a/1.npy", b"another size")
    other = OfficialFiles(root, "toy")
    other.tree("things", "*.npy")
    assert other.sha256 != first
    with pytest.raises(DataMissingError, match="folder 'nothing'"):
        files.tree("nothing", "*")
    with pytest.raises(DataMissingError, match=r"any file '\*\.wav' in folder 'things'"):
        files.tree("things", "*.wav")


def test_digests_are_remembered_until_a_file_changes(root, monkeypatch):
    path = put(root, "a", b"one")
    monkeypatch.setattr(digests, "SMALL", 0)
    hashed = []
    original = digests._hash
    monkeypatch.setattr(digests, "_hash", lambda *args: hashed.append(args) or original(*args))
    assert digests.sha256_of(path) == digests.sha256_of(path) == sha256(b"one")
    assert len(hashed) == 1
    assert digests.file_digests(path, md5=True)["md5"] == hashlib.md5(b"one", usedforsecurity=False).hexdigest()
    assert len(hashed) == 2
    digests.file_digests(path, fresh=True)
    assert len(hashed) == 3
    before = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # same size, same time of change: the inode's own time differs
    assert digests.sha256_of(path) == sha256(b"two")


def test_digests_of_small_files_are_not_kept(root, tmp_path):
    assert digests.sha256_of(put(root, "a", b"one")) == sha256(b"one")
    assert not (tmp_path / "cache").exists()


def test_a_file_outside_the_root_is_read(root, tmp_path):
    root.mkdir()
    path = put(tmp_path, "elsewhere/a", b"one")
    assert OfficialFiles(root, "toy").path(str(path)) == path


def test_converted_reads_both_layouts_and_counts(root):
    put(root, "toy/a.pkl", pickle.dumps({"x": np.arange(3)}))
    files = OfficialFiles(root, "toy")
    before = files.sha256
    assert files.converted("a.pkl", "converters:pickled")["x"].tolist() == [0, 1, 2]
    assert files.sha256 != before
    put(root, "toy/b.pkl", gzip.compress(b"<html>", mtime=0))
    assert files.converted(["a.pkl", "b.pkl"], "converters:noisy")["sizes"].tolist() == [
        (root / "toy" / n).stat().st_size for n in ("a.pkl", "b.pkl")
    ]


A, B = OfficialFile("a"), OfficialFile("b")
ALTERNATIVES = (OfficialFile("a", optional=True), OfficialFile("b.tar", members=("b1", "b2"), optional=True))


@pytest.mark.parametrize(
    ("declared", "there", "state"),
    [
        ((), (), "none"),
        ((A, B), (), "missing"),
        ((A, B), ("toy/a",), "partial"),
        ((A, B), ("toy/a", "b"), "present"),
        ((A, OfficialFile("b", optional=True)), ("toy/a",), "present"),
        ((A, OfficialFile("b", optional=True)), ("toy/b",), "partial"),
        (ALTERNATIVES, ("toy/b1",), "missing"),
        (ALTERNATIVES, ("toy/b1", "toy/b2"), "present"),
        (ALTERNATIVES, ("toy/a",), "present"),
        ((OfficialFile("b.tar", members=("b1", "b2")),), ("toy/b1", "b2"), "present"),
    ],
)
def test_states(root, declared, there, state):
    for name in there:
        put(root, name, b"x")
    assert state_of(root, "toy", declared) == state


class Toy(Task):
    class Params(Params):
        scale: float = 1.0

    name = "toy"
    version = 1
    inputs = InputShape(1, (2,))
    target = Classes(2)
    metrics = ()
    sizes = {}  # noqa: RUF012 - a double
    official_files = (A,)

    def official(self, files, track):
        numbers = np.frombuffer(files.path("a").read_bytes(), np.uint8).astype(np.float32)
        split = Split(numbers.reshape(-1, 1, 2) * self.params.scale, np.zeros(len(numbers) // 2, np.int64))
        return self.in_track(Splits(split, split, split), track)

    def generated(self, seed, size):
        raise NotImplementedError


def test_official_data_and_their_identity(root, monkeypatch):
    put(root, "toy/a", b"\x01\x02\x03\x04")
    data = official_data(Toy(), root, "clean")
    np.testing.assert_array_equal(data.splits.train.inputs, [[[1, 2]], [[3, 4]]])
    assert data.sha256 == official_data(Toy(), root, "clean").sha256
    others = {official_data(Toy(), root, "paper").sha256, official_data(Toy(Toy.Params(scale=2.0)), root, "clean").sha256}
    monkeypatch.setattr(Toy, "version", 2)
    others.add(official_data(Toy(), root, "clean").sha256)
    monkeypatch.setattr(Toy, "version", 1)
    put(root, "toy/a", b"\x01\x02\x03\x05")
    others.add(official_data(Toy(), root, "clean").sha256)
    assert len(others | {data.sha256}) == 5


def test_the_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    assert official.data_root() == tmp_path
    monkeypatch.delenv("PARE_BENCH_DATA")
    assert official.data_root().name == "pare-bench"


def test_the_index(root):
    entry = index.IndexEntry(3, "a" * 64, "http://x")
    assert index.read_index(root) == {}
    index.record(root, {"toy/b": entry, "toy/a": entry})
    index.record(root, {"toy/c": entry}, forget=["toy/b"])
    assert index.read_index(root) == {"toy/a": entry, "toy/c": entry}
    assert index.dump_index({"b": entry, "a": entry}) == index.dump_index({"a": entry, "b": entry})


def index_of(files):
    return json.dumps({"schema": "pare-bench/data-index/1", "files": files})


GOOD = {"size": 1, "sha256": "a" * 64, "source": ""}
PATHS_OUT = ("/etc/passwd", "../a", "a/../../b", "a//b", "", ".", "C:/x", "a\\..\\b", "index.json", "quarantine/x", "partial/x")


def test_a_sound_index_is_read(root):
    put(root, "index.json", index_of({"toy/a": GOOD}).encode())
    assert list(index.read_index(root)) == ["toy/a"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"schema": "other", "files": {}}', index_of([]), index_of({"a": 1})),
        *(index_of({"a": GOOD | wrong}) for wrong in ({"size": -1}, {"size": "1"}, {"sha256": "abc"}, {"source": None})),
        *(index_of({name: GOOD}) for name in PATHS_OUT),
    ],
)
def test_a_damaged_index_is_refused(root, text):
    put(root, "index.json", text.encode())
    with pytest.raises(IntegrityError):
        index.read_index(root)
