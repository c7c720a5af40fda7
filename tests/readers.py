"""Every reader of files that are kept or come from outside, as a function of bytes, for fuzzing: what it may raise is a PareBenchError, nothing else.

ARFF and CSV tables are fuzzed where they are read (tests/property/test_table_readers.py). Official files are read in a process of their own
(``datasets.sandbox``), where any exception is one line; what their readers raise here is what that process may see.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
import tempfile
import wave
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from factories import make_record, sealed

from pare_bench.config.resolution import Request
from pare_bench.config.run_config import apply_override, parse_overrides, validated
from pare_bench.contracts.models import ModelFile
from pare_bench.datasets import archive, bundle, cifar, convert, index, token_file, unpickle, wav, wheel
from pare_bench.datasets.cache import _read as read_cached
from pare_bench.datasets.cache import _write as write_cached
from pare_bench.datasets.npy import read_npy
from pare_bench.digests.sealed import opened
from pare_bench.digests.sealed import sealed as sealed_json
from pare_bench.errors import PareBenchError
from pare_bench.leaderboard.build import LeftOff, build, to_json
from pare_bench.leaderboard.counting import found_earlier
from pare_bench.leaderboard.submission import read_bundle, write_bundle
from pare_bench.records.glance import Glancer
from pare_bench.records.predictions import PredictionsFolder, _packed
from pare_bench.records.store import Store, read_record, sound_record
from pare_bench.records.validation import validate
from pare_bench.registry.names import Registry
from pare_bench.runs.marks import RunningRuns
from pare_bench.runs.plans import Plans
from pare_bench.training.checkpoint import CheckpointFile, TrainingState


@dataclass(frozen=True)
class Reader:
    """``read`` takes a folder and the bytes; ``seeds`` are whole files to be damaged; ``also`` are exceptions that its callers turn into one line."""

    read: Callable[[Path, bytes], Any]
    seeds: tuple[bytes, ...]
    also: tuple[type[BaseException], ...] = ()


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _bytes_of(write: Callable[[Path], Any], name: str = "file") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / name)
        return (Path(folder) / name).read_bytes()


REGISTRY = Registry.from_environment()
RECORD = make_record(value=0.25)
TEXT = RECORD.to_json().encode()
OUTPUTS = np.arange(12, dtype=np.float32).reshape(4, 3)


def _record(folder: Path, content: bytes) -> None:
    path = _file(folder, "out/records/nas360/ecg/pare/0123456789abcdef.json", content)
    for read in (read_record, sound_record, lambda path: Glancer().glance(str(path))):
        try:
            read(path)
        except PareBenchError:
            continue
    validate([folder / "out"])


def _sealed_record(folder: Path, content: bytes) -> None:
    """A document whose seal fits: what is behind the seal is reached."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        _record(folder, sealed(document).encode("utf-8", "surrogatepass"))


def _predictions(folder: Path, content: bytes) -> None:
    """A file whose digest fits the record."""
    store = PredictionsFolder(folder, "full")
    kept = store.save(RECORD.run_id, OUTPUTS, lambda _: True).model_copy(update={"file_sha256": hashlib.sha256(content).hexdigest()})
    store.path(RECORD.run_id).write_bytes(content)
    store.load(RECORD.model_copy(update={"predictions": kept}))


def _leaderboard(folder: Path, content: bytes) -> None:
    _file(folder, "leaderboard.json", content)
    store = Store(folder)
    found_earlier(store, [store.path("nas360", "ecg", "pare", RECORD.run_id)])


def _checkpoint(folder: Path, content: bytes) -> None:
    CheckpointFile(_file(folder, "train.safetensors", content)).load()


def _splits() -> Any:
    from pare_bench.contracts.task import Split, Splits

    def split(count: int) -> Split:
        return Split(np.ones((count, 1, 2), np.float32), np.zeros(count, np.int64), {"groups": np.zeros(count, np.int64)})

    return Splits(split(3), split(2), split(2))


def _cached(name: str) -> Callable[[Path, bytes], None]:
    def read(folder: Path, content: bytes) -> None:
        made = folder / "made"
        write_cached(made, _splits())
        (made / name).write_bytes(content)
        read_cached(made)

    return read


def _cached_file(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_cached(Path(folder) / "made", _splits())
        return (Path(folder) / "made" / name).read_bytes()


def _converted(folder: Path, content: bytes) -> None:
    """A copy whose manifest fits: the header of the arrays is reached."""
    _file(folder, "copy/arrays.safetensors", content)
    _file(folder, "copy/manifest.json", sealed_json({"sha256": hashlib.sha256(content).hexdigest()}).encode())
    for array in (convert._read(folder / "copy") or {}).values():
        array.sum()


def _manifest(folder: Path, content: bytes) -> None:
    _file(folder, "copy/arrays.safetensors", ARRAYS)
    _file(folder, "copy/manifest.json", content)
    convert._read(folder / "copy")


def _arrays(path: Path) -> None:
    from pare_bench.datasets.arrays_file import write_arrays

    write_arrays(path, {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(0, np.int64), "c": np.ones((2, 2), np.uint8)})


ARRAYS = _bytes_of(_arrays)


def _submission_bytes(predictions: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "out")
        kept = PredictionsFolder(store.root / "predictions").save(RECORD.run_id, OUTPUTS, lambda _: True)
        store.save(RECORD.model_copy(update={"predictions": kept}))
        write_bundle(store.root, Path(folder) / "a.zip", predictions=predictions)
        return (Path(folder) / "a.zip").read_bytes()


class _Quiet:
    def begin(self, *_: Any) -> None: ...

    def advance(self, *_: Any) -> None: ...

    def end(self) -> None: ...


def _tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as made:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


def _exported() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        _file(root, "task/a.bin", b"some bytes")
        _file(root, "task/b/c.bin", b"")
        bundle.export_files(root, ["task/a.bin", "task/b/c.bin"], Path(folder) / "x.tar", _Quiet())
        return (Path(folder) / "x.tar").read_bytes()


def _wave(channels: int, rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as made:
        made.setnchannels(channels)
        made.setsampwidth(2)
        made.setframerate(rate)
        made.writeframes(np.arange(50 * channels, dtype="<i2").tobytes())
    return buffer.getvalue()


def _sound(folder: Path, content: bytes) -> None:
    sound = wav.opened(_file(folder, "a.wav", content))
    wav.samples(sound, 0, min(sound.samples, 40))
    wav.resampled(sound, 0, max(1, min(sound.length, 40)))


def _pickles() -> tuple[bytes, ...]:
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}
    values = (batch, {b"data": np.ones((2, 3072), np.uint8), b"fine_labels": [5, 6]}, [np.float64(1), ("a", {1, 2})], np.array(["x", b"y"], object))
    return tuple(pickle.dumps(value, protocol) for value in values for protocol in (0, 2, 4))


def _cifar(folder: Path, content: bytes) -> None:
    path = _file(folder, "cifar-10-python.tar.gz", content)
    for read in (cifar.convert_cifar10, cifar.convert_cifar100):
        try:
            read([path])
        except PareBenchError:
            continue


def _cifar_batches() -> bytes:
    batch = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, 2)
    return _tar({f"cifar-10-batches-py/{name}": batch for name in cifar.CIFAR10}, "w:gz")


def _cifar_pickle(folder: Path, content: bytes) -> None:
    paths = [_file(folder, name, content) for name in cifar.CIFAR10]
    cifar.convert_cifar10(paths)


def _hdf5(task: str) -> bytes:
    import pdebench_files

    with tempfile.TemporaryDirectory() as folder:
        pdebench_files.write(Path(folder), task, samples=2)
        return pdebench_files.place(Path(folder), task).read_bytes()


def _frames(task: str) -> Callable[[Path, bytes], None]:
    def read(folder: Path, content: bytes) -> None:
        from pare_bench.builtin.suites.pdebench.published_reader import frames

        frames(_file(folder, f"{task}.hdf5", content), task, "published", 16, 2)

    return read


def _options(folder: Path, content: bytes) -> None:
    values = {
        "suite": "nas360", "preset": "cpu", "task": {"name": "ecg", "params": {}}, "method": {"name": "pare", "params": {}},
        "selector": {"name": "gate_topk", "params": {}}, "size": {"train": 6, "val": 2, "test": 4},
    }  # fmt: skip
    # As the operating system hands arguments over.
    for path, value in parse_overrides(content.decode("utf-8", "surrogateescape").split("\n")):
        apply_override(values, path, value, ("selector",))
    validated(values)


def _sealed_document(folder: Path, content: bytes) -> None:
    opened(content.decode("utf-8"), needs_seal=False)


def _memory(folder: Path, content: bytes) -> None:
    from pare_bench.digests import memory

    made = memory.Memory("facts", "1")
    made._file = _file(folder, "facts.json", content)
    made.get("key")
    made.put("key", 1)
    made.save()


def _plan(folder: Path, content: bytes) -> None:
    """A plan whose seal fits, found under the right key."""
    try:
        known = json.loads(content)
    except (ValueError, RecursionError):
        return
    plans = Plans()
    plans._memory = SimpleNamespace(get=lambda key: known, put=lambda key, fact: None)
    plans.one(REGISTRY, Request(method="constant", suite="nas360", tasks=("ecg",)), "ecg", 0, [])


def _planned() -> bytes:
    facts: list[Any] = []
    plans = Plans()
    plans._memory = SimpleNamespace(get=lambda key: None, put=lambda key, fact: facts.append(fact))
    plans.one(REGISTRY, Request(method="constant", suite="nas360", tasks=("ecg",)), "ecg", 0, [])
    return json.dumps(facts[0]).encode()


def _marks(folder: Path, content: bytes) -> None:
    _file(folder, "running/0123456789abcdef.json", content)
    for run in RunningRuns(folder).all():
        run.alive()


def _mark() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        RunningRuns(Path(folder)).claim(RECORD.run_id, RECORD.config)
        return next(Path(folder).rglob("*.json")).read_bytes()


def _state(path: Path) -> None:
    CheckpointFile(path).save(TrainingState({"objective/a": torch.ones(2, 2), "best/a": torch.zeros(0)}, {"history": {"curve": []}}))


def _npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _tokens(path: Path) -> None:
    token_file.write_tokens(path, token_file.TokenFile(np.ones((3, 2, 4), np.float32), np.arange(3), 3, {"task": "x"}))


def _wheel(folder: Path, content: bytes) -> None:
    wanted = {name: ModelFile(Path(name).name, len(text), hashlib.sha256(text).hexdigest()) for name, text in _ARCHIVED.items()}
    (folder / "taken").mkdir()
    try:
        wheel.take(_file(folder, "a.whl", content), wanted, folder / "taken")
    finally:
        assert {path.name for path in folder.iterdir()} == {"a.whl", "taken"}
    assert all((folder / "taken" / file.name).stat().st_size == file.size for file in wanted.values())


_ARCHIVED = {"folder/a.txt": b"a" * 100, "folder/b.bin": bytes(50)}
_ZIPS = tuple(_zip(_ARCHIVED, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
READERS: dict[str, Reader] = {
    "record": Reader(_record, (TEXT,)),
    "record, sealed": Reader(_sealed_record, (TEXT,)),
    "predictions": Reader(_predictions, (_packed(OUTPUTS), _packed(OUTPUTS.astype(np.float16)))),
    "leaderboard": Reader(_leaderboard, (to_json(build([RECORD], [LeftOff("records/nas360/ecg/pare/x.json", "y", "0" * 64)])).encode(),)),
    "checkpoint": Reader(_checkpoint, (_bytes_of(_state),)),
    "cache manifest": Reader(_cached("manifest.json"), (_cached_file("manifest.json"),)),
    "cache array": Reader(_cached("train.inputs.npy"), (_cached_file("train.inputs.npy"), _npy(np.array([{}], object)))),
    "npy": Reader(lambda folder, content: read_npy(io.BytesIO(content), len(content)), (_npy(np.ones((2, 3))), _npy(np.array("x"))), (ValueError,)),
    "sealed JSON": Reader(_sealed_document, (sealed_json({"reader": "1", "facts": {"key": 1}}).encode(),), (ValueError,)),
    "memory": Reader(_memory, (sealed_json({"reader": "1", "facts": {"key": 1}}).encode(),)),
    "plan": Reader(_plan, (_planned(),)),
    "mark": Reader(_marks, (_mark(),)),
    "data index": Reader(
        lambda folder, content: (_file(folder, "index.json", content), index.read_index(folder)),
        (index.dump_index({"task/a": index.IndexEntry(3, "0" * 64, "import")}).encode(),),
    ),
    "submission": Reader(lambda folder, content: read_bundle(_file(folder, "a.zip", content)), tuple(map(_submission_bytes, (False, True)))),
    "exported data": Reader(lambda folder, content: bundle.import_files(folder / "root", _file(folder, "a.tar", content), _Quiet()), (_exported(),)),
    "converted arrays": Reader(_converted, (ARRAYS,)),
    "converted manifest": Reader(_manifest, (sealed_json({"sha256": hashlib.sha256(ARRAYS).hexdigest()}).encode(),)),
    "archive": Reader(
        lambda folder, content: archive.unpack(_file(folder, "a.zip", content), folder / "unpacked"),
        (_tar(_ARCHIVED), _tar(_ARCHIVED, "w:gz"), _tar(_ARCHIVED, "w:xz"), *_ZIPS),
    ),
    "wheel": Reader(_wheel, _ZIPS),
    "pickle": Reader(
        lambda folder, content: unpickle.load(io.BytesIO(content)), _pickles(), (pickle.UnpicklingError, EOFError, ValueError, MemoryError)
    ),
    "pickle in npy": Reader(
        lambda folder, content: unpickle.load_npy(_file(folder, "a.npy", content)),
        (_npy(np.array(["x", None], object)), _npy(np.ones(3))),
        (pickle.UnpicklingError, EOFError, ValueError, MemoryError),
    ),
    "wav": Reader(_sound, (_wave(1, 44_100), _wave(2, 22_050))),
    "source tokens": Reader(lambda folder, content: token_file.read_tokens(_file(folder, "a", content)), (_bytes_of(_tokens),)),
    "cifar archive": Reader(_cifar, (_cifar_batches(),), (MemoryError,)),
    **{f"hdf5, {task}": Reader(_frames(task), (_hdf5(task),)) for task in ("burgers", "darcy_2d", "diffusion_sorption")},
    "cifar pickles": Reader(_cifar_pickle, _pickles()[:6], (MemoryError,)),
    "options": Reader(
        _options, (b"recipe.learning_rate=0.1\nselector.temperature=1", b'size={"train": 3}', b"recipe.optimiser=sgd\nselector=random")
    ),
}
