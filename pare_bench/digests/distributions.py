"""Which installed distribution a package belongs to, and whether its files are still those that were installed. Imports none of them."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

#: Distributions that go by another name than their package; looking through all that is installed takes longer.
_KNOWN_AS = {"sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "ot": "POT"}
#: Seconds by which a file may be newer than the list of what was installed without having been changed afterwards.
_SLACK = 2.0
_CODE = (".py", ".so", ".pyd")


@dataclass(frozen=True)
class Place:
    """Where a top-level package or module stands: its own source or binary ("" for a namespace), and the folders of its modules."""

    origin: str
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Distribution:
    """What an installer has put into a folder.

    ``record`` has the promised (hash, size) of its files of code by path below ``root``; None where no list was kept. ``plugin``: it registers
    something with pare-bench.
    """

    name: str
    version: str
    root: Path
    information: Path
    plugin: bool
    record: dict[str, tuple[str, int]] | None = field(compare=False, hash=False)

    def holds(self, place: Place) -> bool:
        """Return whether a package is one of its files, or may be where no list of them was kept."""
        if self.record is None:
            return True
        names = [Path(place.origin)] if place.origin else [Path(folder) / "_" for folder in place.folders]
        for name in names:
            if name.is_relative_to(self.root):
                relative = name.relative_to(self.root).as_posix()
                if relative in self.record or (not place.origin and any(path.startswith(relative[:-1]) for path in self.record)):
                    return True
        return False

    def changed(self) -> dict[str, Path]:
        """Return the files of code that are no longer what was installed, by path below ``root``.

        A file of the promised size that is not newer than the list is taken to be unchanged; others are read.
        """
        try:
            installed = (self.information / "RECORD").stat().st_mtime + _SLACK
        except OSError:
            return {}
        found = {}
        for name, (promised, size) in (self.record or {}).items():
            try:
                # Thousands of files, so no Path for each.
                status = os.stat(f"{self.root}/{name}")  # noqa: PTH116
            except OSError:
                continue
            unchanged = status.st_size == size and status.st_mtime <= installed
            if not unchanged and _hash(self.root / name) != promised:
                found[name] = self.root / name
        return found


class Distributions:
    """The installed distributions, looked up by the packages they bring; each folder and each list is read once."""

    def __init__(self) -> None:
        self._places: dict[str, Place | None] = {}
        self._owners: dict[str, tuple[Distribution, ...]] = {}
        self._changed: dict[Path, dict[str, Path]] = {}

    def place(self, package: str) -> Place | None:
        """Return where a top-level package stands, None where Python does not find it."""
        if package not in self._places:
            try:
                spec = importlib.util.find_spec(package)
            except (ImportError, ValueError):
                spec = None
            folders = tuple(spec.submodule_search_locations or ()) if spec is not None else ()
            self._places[package] = None if spec is None else Place(spec.origin or "" if spec.has_location else "", folders)
        return self._places[package]

    def owners(self, package: str) -> tuple[Distribution, ...]:
        """Return what a top-level package was installed with: one distribution, several for a namespace that they share.

        Empty where it was found by path (an editable install is), or not at all.
        """
        if package not in self._owners:
            self._owners[package] = self._find(package)
        return self._owners[package]

    def changed(self, distribution: Distribution) -> dict[str, Path]:
        """Return :meth:`Distribution.changed`, looked up once."""
        if distribution.information not in self._changed:
            self._changed[distribution.information] = distribution.changed()
        return self._changed[distribution.information]

    def _find(self, package: str) -> tuple[Distribution, ...]:
        place = self.place(package)
        if place is None:
            return ()
        owners = []
        folders = {str(Path(place.origin).parent.parent if place.folders else Path(place.origin).parent)} if place.origin else set()
        folders |= {str(Path(folder).parent) for folder in place.folders}
        for folder in sorted(folders):
            informations = _informations(folder, _stamp(folder))
            guesses = [name for name in (_normal(_KNOWN_AS.get(package, package)),) if name in informations]
            for name in (*guesses, *sorted(informations.keys() - set(guesses))):
                if name in guesses or _brings(informations[name], package):
                    found = _distribution(informations[name])
                    if found.holds(place):
                        owners.append(found)
                        if place.origin:
                            return (found,)
        return tuple(owners)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _stamp(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - one call for each folder of a package
    except OSError:
        return 0


@lru_cache(64)
def _informations(folder: str, stamp: int) -> dict[str, Path]:  # noqa: ARG001 - a folder that has changed is read again
    try:
        with os.scandir(folder) as entries:
            return {_normal(entry.name.partition("-")[0]): Path(entry.path) for entry in entries if entry.name.endswith(".dist-info")}
    except OSError:
        return {}


def _brings(information: Path, package: str) -> bool:
    """Return whether the list of a distribution names a top-level package."""
    try:
        text = (information / "RECORD").read_text("utf-8")
    except OSError:
        return False
    return any(f"\n{start}" in text or text.startswith(start) for start in (f"{package}/", f"{package}.py,"))


def _distribution(information: Path) -> Distribution:
    return _read(information, _stamp(str(information)))


@lru_cache(512)
def _read(information: Path, stamp: int) -> Distribution:  # noqa: ARG001 - as above
    name, version = information.name.removesuffix(".dist-info").partition("-")[::2]
    with suppress(OSError), (information / "METADATA").open(encoding="utf-8", errors="replace") as stream:
        for line in iter(stream.readline, ""):
            if line.startswith("Name: "):
                name = line[6:].strip()
            elif line.startswith("Version: "):
                version = line[9:].strip()
            elif not line.strip():
                break  # a long description follows
    listed: dict[str, tuple[str, int]] = {}
    record: dict[str, tuple[str, int]] | None = listed
    try:
        # Ten thousand lines for torch; a path with a comma, which would be quoted, is no path of code.
        for line in (information / "RECORD").read_text("utf-8").split("\n"):
            if ".py," in line or ".so," in line or ".pyd," in line:
                path, promised, size = line.rsplit(",", 2)
                if promised and path.endswith(_CODE) and not path.startswith(".."):
                    listed[path] = (promised, int(size))
    except (OSError, ValueError):
        record = None
    try:
        plugin = "[pare_bench]" in (information / "entry_points.txt").read_text("utf-8")
    except OSError:
        plugin = False
    return Distribution(name, version, information.parent, information, plugin, record)


def _hash(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
