"""Why a run was carried out or served: its identity beside that of the nearest stored run, part by part, field by field, module by module."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pare_bench.config.run_config import RunConfig
from pare_bench.errors import UnknownNameError
from pare_bench.provenance.identity import closure_of, components_of, libraries_of
from pare_bench.records.record import IdentityRecord, RunRecord
from pare_bench.records.variants import age
from pare_bench.registry.names import Registry

Part = Literal["config", "code", "data", "source", "weights", "architecture", "libraries"]
PARTS: tuple[Part, ...] = ("config", "code", "data", "source", "weights", "architecture", "libraries")
#: How many differences a sentence names.
_NAMED = 6


@dataclass(frozen=True)
class Difference:
    """One thing in which two runs differ: ``name`` is a field of the configuration, a module or a library, empty where a part is one digest."""

    part: Part
    name: str
    stored: str
    now: str

    def __str__(self) -> str:
        return " ".join(word for word in (self.part, self.name) if word) + f": {self.stored} -> {self.now}"


@dataclass(frozen=True)
class Run:
    """What a run is: its configuration and, unless an old record did not keep it, its identity."""

    config: RunConfig
    identity: IdentityRecord | None
    code_sha256: str
    data: str
    source: str | None
    weights: str | None

    @classmethod
    def of(cls, record: RunRecord) -> Run:
        """Return what a stored run was."""
        source = record.source.data_sha256 if record.source else None
        return cls(record.config, record.identity, record.code_sha256, record.task.data_sha256, source, record.weights_sha256)

    @classmethod
    def now(cls, config: RunConfig, identity: IdentityRecord) -> Run:
        """Return what a run would be now."""
        return cls(config, identity, identity.code_sha256, identity.data, identity.source, identity.weights)


def differences(stored: Run, now: Run) -> list[Difference]:
    """Return in what two runs differ; empty where one would be served for the other.

    Parts that an old record did not keep are compared by the digests that it has, and not at all where it has none.
    """
    found = _entries("config", _flat(stored.config.model_dump(mode="json")), _flat(now.config.model_dump(mode="json")))
    found += _code_differences(stored, now)
    digests: tuple[tuple[Part, str | None, str | None], ...] = (
        ("data", stored.data, now.data),
        ("source", stored.source, now.source),
        ("weights", stored.weights, now.weights),
    )
    found += [Difference(part, "", _short(before), _short(after)) for part, before, after in digests if before != after]
    if stored.identity is not None and now.identity is not None:
        if _comparable(stored.identity, now.identity) and stored.identity.architecture != now.identity.architecture:
            found.append(Difference("architecture", "", _short(stored.identity.architecture), _short(now.identity.architecture)))
        found += _entries("libraries", stored.identity.libraries, now.identity.libraries)
    return found


def _code_differences(stored: Run, now: Run) -> list[Difference]:
    if stored.code_sha256 == now.code_sha256:
        return []
    if stored.identity is None or now.identity is None:
        return [Difference("code", "", f"{stored.code_sha256[:12]} (modules not kept)", now.code_sha256[:12])]
    return _code(stored.identity, stored.code_sha256, now.identity.code, now.identity.wiring, now.code_sha256)


def _code(stored: IdentityRecord, stored_sha256: str, code: Mapping[str, str], wiring: str | None, sha256: str) -> list[Difference]:
    """Return the modules that changed; one that was only moved or renamed has not."""
    if (stored.wiring is None) != (wiring is None):
        return [Difference("code", "", f"{stored_sha256[:12]} (digests of an earlier kind)", sha256[:12])]
    before, after = dict(stored.code), dict(code)
    for name in stored.code.keys() - code.keys():
        moved = next((other for other in sorted(after.keys() - stored.code.keys()) if after[other] == before[name]), None)
        if moved is not None:
            del before[name], after[moved]
    changed = _entries("code", before, after)
    return changed or [Difference("code", "what imported names stand for", stored.wiring or "", wiring or "")]


def _comparable(stored: IdentityRecord, now: IdentityRecord) -> bool:
    return (stored.wiring is None) == (now.wiring is None)


def nearest(now: Run, records: Iterable[RunRecord]) -> tuple[RunRecord, list[Difference]] | None:
    """Return the stored run that differs least, and in what: fewest fields of the configuration first, then fewest other things, newest last.

    None where there is no record.
    """
    begun = [record for record in records if record.begun]
    candidates = [(record, differences(Run.of(record), now)) for record in sorted(begun, key=age, reverse=True)]
    return min(candidates, key=_distance, default=None)


def _distance(candidate: tuple[RunRecord, list[Difference]]) -> tuple[int, int]:
    settings = sum(difference.part == "config" for difference in candidate[1])
    return settings, len(candidate[1]) - settings


def cause(now: Run, records: Sequence[RunRecord]) -> str:
    """Return why a run is carried out, given the stored runs of its method on its task."""
    found = nearest(now, records)
    if found is None:
        return "no run of this method on this task is in the store"
    record, differing = found
    if not differing:
        return f"the stored run {record.status}: {record.reason}"
    return f"nearest stored run {record.run_id} differs in {sentence(differing)}"


def sentence(differing: Sequence[Difference]) -> str:
    """Return the first few differences in one line."""
    more = f", and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    return ", ".join(map(str, differing[:_NAMED])) + more


def outdated(differing: Iterable[Difference]) -> list[Difference]:
    """Return the differences for which a run is done again: all but versions of libraries."""
    return [difference for difference in differing if difference.part != "libraries"]


def by_part(differing: Iterable[Difference]) -> dict[Part, list[Difference]]:
    """Return differences by part, all parts present, in the order of :data:`PARTS`."""
    grouped: dict[Part, list[Difference]] = {part: [] for part in PARTS}
    for difference in differing:
        grouped[difference.part].append(difference)
    return grouped


def _entries(part: Part, stored: Mapping[str, str], now: Mapping[str, str]) -> list[Difference]:
    names = sorted(name for name in {*stored, *now} if stored.get(name) != now.get(name))
    return [Difference(part, name, stored.get(name, "absent"), now.get(name, "absent")) for name in names]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        # ``mixer.params.begin`` goes by the path that -o takes: ``mixer.begin``.
        path = prefix.rstrip(".") + "." if name == "params" and prefix else f"{prefix}{name}"
        if isinstance(value, Mapping):
            flat |= _flat(value, path if path.endswith(".") else f"{path}.")
        else:
            flat[path] = json.dumps(value)
    return flat


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"


@dataclass(frozen=True)
class Explanation:
    """A stored run beside the code and libraries that are here now, and beside its nearest neighbour in the store.

    ``changed`` is what has changed since, None where that cannot be said (``unknown`` tells why): code and libraries, for configuration and data
    are known when the run is called for. ``neighbour`` is the nearest other run of the same method on the same task.
    """

    record: RunRecord
    changed: list[Difference] | None
    unknown: str | None
    neighbour: tuple[RunRecord, list[Difference]] | None

    @property
    def verdict(self) -> str:
        """What the same command would do now."""
        run = f"run {self.record.run_id}"
        if not self.record.begun:
            return f"{run} could not begin ({self.record.reason}); the same command tries it again"
        if self.changed is None:
            return f"{run}: whether it would be served cannot be said: {self.unknown}"
        again = outdated(self.changed)
        if again:
            return f"{run} would be done again: {sentence(again)}"
        if self.record.status == "failed":
            return f"{run} would be done again: it failed ({self.record.reason})"
        if self.changed:
            return f"{run} would be served, with a line that says so: {sentence(self.changed)} (--fresh libraries runs it again)"
        return f"{run} would be served: code and libraries are what they were; the data are compared when it is called for"


def explain(registry: Registry, record: RunRecord, others: Iterable[RunRecord]) -> Explanation:
    """Explain a stored run; ``others`` are the stored runs of its method on its task."""
    neighbour = nearest(Run.of(record), [other for other in others if other.run_id != record.run_id])
    if not record.begun:
        return Explanation(record, None, "it could not begin", neighbour)
    changed, unknown = changes_since(registry, components_of(record.config), record.code_sha256, record.identity)
    return Explanation(record, changed, unknown, neighbour)


def changes_since(
    registry: Registry, components: Iterable[tuple[str, str]], code_sha256: str, identity: IdentityRecord | None
) -> tuple[list[Difference] | None, str | None]:
    """Return which code and libraries have changed since a run of ``components`` (slot, name), or None and why that cannot be said."""
    if identity is None:
        return None, "its record is of version 1, which did not keep the parts"
    try:
        closure = closure_of(registry, components)
    except UnknownNameError as error:
        return None, str(error)
    libraries = libraries_of(registry.code, closure)
    found: list[Difference] = []
    if code_sha256 != closure.sha256:
        found = _code(identity, code_sha256, closure.code, closure.wiring, closure.sha256)
    return [*found, *_entries("libraries", identity.libraries, libraries)], None
