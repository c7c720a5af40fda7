"""What ``pare-bench doctor`` finds out; nothing is changed, no connection is opened, and no secret is told: the home folder is ``~``."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from pare_bench.errors import PareBenchError
from pare_bench.registry.versions import __version__

State = Literal["ok", "note", "problem"]

#: Bytes that a folder should have left for records and generated data, and below which hardly anything can be written.
_ROOM, _NO_ROOM = 2_000_000_000, 100_000_000
_DISTRIBUTION = "pare-bench"
_NETWORK = ("PARE_BENCH_OFFLINE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_OWN = ("PARE_BENCH_PLUGINS", "PARE_BENCH_DATA", "PARE_BENCH_CACHE")
#: Names of which only that they are set is told.
_SECRET = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")


@dataclass(frozen=True)
class Fact:
    """One line: ``state`` is ``problem`` where runs would not work, ``note`` where they would, but it is worth knowing."""

    topic: str
    name: str
    value: str
    state: State = "ok"
    hint: str | None = None


def all_facts(out: Path) -> Iterator[Fact]:
    """Yield everything, topic by topic; what cannot be found out is a problem and keeps nothing else away."""
    topics: dict[str, Callable[[], Iterator[Fact]]] = {
        "versions": _versions,
        "machine": _machine,
        "torch": _torch,
        "plugins": _plugins,
        "folders": lambda: _folders(out),
        "weights": _weights,
        "network": _network,
    }
    for topic, find in topics.items():
        try:
            yield from map(_without_secrets, find())
        except Exception as error:  # noqa: BLE001 - a broken installation may fail in any way; that is what this is for
            hint = (error.hint if isinstance(error, PareBenchError) else None) or "pip install --force-reinstall pare-bench"
            yield _without_secrets(Fact(topic, "looking", f"{type(error).__name__}: {error}", "problem", hint))


def _without_secrets(fact: Fact) -> Fact:
    def plain(text: str) -> str:
        home = str(Path.home())
        shown = _CREDENTIALS.sub("***@", text)
        return re.sub(rf"{re.escape(home)}(?=[/\\]|\W|$)", "~", shown) if len(home) > 1 else shown

    return replace(fact, value=plain(fact.value), hint=None if fact.hint is None else plain(fact.hint))


def _versions() -> Iterator[Fact]:
    from pare_bench.provenance.revision import revision

    commit = revision()
    where = f", commit {commit[:12]}{'+' if commit.endswith('+') else ''}" if commit else ""
    yield Fact("versions", "pare-bench", f"{__version__}{where}, in {Path(str(files('pare_bench'))).parent}")
    supported = sys.version_info >= (3, 11)
    yield Fact("versions", "python", f"{platform.python_version()} ({sys.executable})", *_unless(supported, "pare-bench needs Python 3.11 or newer"))
    for requirement in importlib.metadata.requires(_DISTRIBUTION) or []:
        if "extra ==" not in requirement:
            yield _library(requirement)


def _library(text: str) -> Fact:
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Fact("versions", requirement.name, "not installed", "problem", f"pip install '{requirement}'")
    fits = requirement.specifier.contains(version, prereleases=True)
    return Fact("versions", requirement.name, version, *_unless(fits, f"pip install '{requirement}'"))


def _unless(fine: bool, hint: str, otherwise: State = "problem") -> tuple[State, str | None]:
    return ("ok", None) if fine else (otherwise, hint)


def _machine() -> Iterator[Fact]:
    import psutil

    from pare_bench.runs.workers import usable_cores

    yield Fact("machine", "platform", platform.platform())
    yield Fact("machine", "processor", f"{platform.processor() or platform.machine()}, {usable_cores()} of {os.cpu_count()} cores usable")
    memory = psutil.virtual_memory()
    value = f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} available"
    yield Fact("machine", "memory", value, *_unless(memory.available > 2**30, "runs of preset cpu take up to 2 GB", "note"))
    yield Fact("machine", "encoding", f"{sys.stdout.encoding}, file names {sys.getfilesystemencoding()}")


def _torch() -> Iterator[Fact]:
    import torch

    from pare_bench.training.numerics import numerics, pinned

    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}" if torch.version.hip else "CPU"
    yield Fact("torch", "build", f"{torch.__version__}, {build}")
    driver = Path("/proc/driver/nvidia/version")
    found = driver.read_text("utf-8", "replace").partition("\n")[0] if driver.is_file() else None
    usable = torch.cuda.is_available()
    hint = "there is a GPU driver, and this build of torch does not use it: install a build with CUDA (https://pytorch.org)"
    yield Fact("torch", "GPU driver", found or "none", *_unless(usable or found is None, hint, "note"))
    for number in range(torch.cuda.device_count() if usable else 0):
        properties = torch.cuda.get_device_properties(number)
        yield Fact("torch", f"cuda:{number}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Fact("torch", "mps", "available, untested", "note", "--device mps is taken, and no score of pare-bench has been checked on it")
    yield Fact("torch", "threads", f"{torch.get_num_threads()} of a process")
    yield Fact("torch", "numerics", ", ".join(f"{name}={value}" for name, value in numerics().items()))
    try:
        with pinned():
            yield Fact("torch", "float32", "in full precision")
    except PareBenchError as error:
        yield Fact("torch", "float32", str(error), "problem", error.hint)


def _plugins() -> Iterator[Fact]:
    from pare_bench.registry.names import Registry
    from pare_bench.registry.plugins import load_plugins

    for info in load_plugins().infos:
        hint = f"pip install --upgrade {info.distribution}, or leave it out: PARE_BENCH_PLUGINS=none"
        value = f"{info.distribution} {info.version}" + (f": {info.error}" if info.error else "")
        yield Fact("plugins", info.name, value, *_unless(info.error is None, hint))
    registry = Registry.from_environment()
    yield Fact("plugins", "registered", ", ".join(f"{len(registry.names(kind))} {kind}s" for kind in registry.kinds()))


def _folders(out: Path) -> Iterator[Fact]:
    from pare_bench.digests.files import cache_root, data_root

    # Files that others put there can be read only.
    for name, folder, needed in (("data", data_root(), False), ("cache", cache_root(), True), ("--out", out, True)):
        yield _folder(name, folder, needed=needed)


def _folder(name: str, folder: Path, *, needed: bool) -> Fact:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    hint = f"ls -ld '{there}'; df -h '{there}'; or choose another: " + {"data": "PARE_BENCH_DATA", "cache": "PARE_BENCH_CACHE"}.get(name, "--out DIR")
    try:
        free = shutil.disk_usage(there).free
        _try_writing(there, probe=there == folder)
    except OSError as error:
        return Fact("folders", name, f"{folder}: cannot be written: {error.strerror or error}", "problem" if needed else "note", hint)
    value = f"{folder}: {'writable' if there == folder else 'not there yet, can be made'}, {free / 1e9:.1f} GB free"
    if free < _NO_ROOM:
        return Fact("folders", name, value, "problem" if needed else "note", f"hardly any room: {hint}")
    return Fact("folders", name, value, *_unless(free >= _ROOM, f"little room: {hint}", "note"))


def _try_writing(folder: Path, *, probe: bool) -> None:
    """Raise OSError where nothing can be written; in a folder that is not ours nothing is tried."""
    if not folder.is_dir():
        raise NotADirectoryError(20, "it is, or lies below, a file that is no folder")
    if probe:
        with tempfile.TemporaryFile(dir=folder):
            return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, f"'{folder}' cannot be written")


def _weights() -> Iterator[Fact]:
    folder = Path(str(files("pare_bench") / "data" / "weights"))
    for weights in sorted(folder.glob("*.safetensors")):
        card = weights.with_suffix(".json")
        promised = json.loads(card.read_text("utf-8"))["sha256"] if card.is_file() else None
        found = _sha256(weights)
        value = f"sha256 {found[:16]}, " + ("as its card says" if found == promised else f"its card says {str(promised)[:16]}")
        yield Fact("weights", weights.stem, value, *_unless(found == promised, f"'{weights}' is damaged: pip install --force-reinstall pare-bench"))
    yield from _fetched()


def _fetched() -> Iterator[Fact]:
    """Yield the published bodies; of those that are here every file is read."""
    from pare_bench.cli.backbones import published_models

    for name, (backbone, model) in published_models().items():
        state = model.state()
        wrong = [file.name for file in model.files if state != "missing" and not _is_whole(model.folder / file.name, file.sha256)]
        value = f"{backbone}: {'not fetched' if state == 'missing' else state}" + (f", {', '.join(wrong)} not as pinned" if wrong else "")
        yield Fact("weights", name, value, *_unless(not wrong, f"pare-bench backbones fetch {name}"))


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    """Return the digest of a file as it is now; nothing is remembered, since nothing is to be written."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _network() -> Iterator[Fact]:
    from pare_bench.datasets.fetch import is_offline

    yield Fact("network", "connections", "none is opened (PARE_BENCH_OFFLINE)" if is_offline() else "data fetch, backbones fetch and hub models may")
    for name in (*_OWN, *_NETWORK):
        value = os.environ.get(name, os.environ.get(name.lower(), "") if name.endswith("PROXY") else "")
        if value:
            yield Fact("network" if name in _NETWORK else "folders", name, value)
    for name in _SECRET:
        if os.environ.get(name):
            yield Fact("network", name, "set")
