"""Which records are the same method: one label per method and setting, so that an ablation is never pooled with what it ablates."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pare_bench.config.run_config import SLOTS, RunConfig
from pare_bench.records.record import RunRecord

#: Fields that say what a run is scored on; divisions and data digests keep those apart.
DATA_FIELDS = frozenset({"suite", "task", "tier", "track", "preset", "data_seed", "size"})
#: Fields that make another run of the same method.
RUN_FIELDS = frozenset({"seed", "device"})
_OTHER_FIELDS = set(DATA_FIELDS | RUN_FIELDS)
#: Commands and settings that are remembered: many records share few of them.
_REMEMBERED = 1 << 14


class Division(NamedTuple):
    """Runs in different divisions are never compared."""

    suite: str
    tier: str
    track: str
    preset: str


class Data(NamedTuple):
    """What a score on a task is a score on."""

    version: int
    sha256: str


def division_of(record: RunRecord) -> Division:
    """Return the division of a record."""
    return Division(record.suite, record.task.tier, record.track, record.preset)


def data_of(record: RunRecord) -> Data:
    """Return the data of a record."""
    return Data(record.task.version, record.task.data_sha256)


def age(record: RunRecord) -> tuple[str, str]:
    """Return a sort key that puts the newest record last."""
    return record.finished, record.run_id


def options(command: str) -> list[str]:
    """Return the ``-o`` settings of a command as sorted ``path=value`` texts in the short form of paths, the last of each path."""
    try:
        words = iter(shlex.split(command))
    except ValueError:
        return []
    found: dict[str, str] = {}
    for word in words:
        text = next(words, "") if word in ("-o", "--option") else word.removeprefix("--option=") if word.startswith("--option=") else ""
        path, separator, value = text.partition("=")
        if separator:
            found[path.replace(".params.", ".", 1).removesuffix(".name")] = value
    return [f"{path}={value}" for path, value in sorted(found.items())]


@lru_cache(_REMEMBERED)
def data_options(command: str) -> tuple[str, ...]:
    """Return the ``-o`` settings that change the data."""
    return tuple(option for option in options(command) if _head(option) in DATA_FIELDS)


@lru_cache(_REMEMBERED)
def method_options(command: str) -> tuple[str, ...]:
    """Return the ``-o`` settings that change the method."""
    return tuple(option for option in options(command) if _head(option) not in DATA_FIELDS | RUN_FIELDS)


def _head(option: str) -> str:
    return option.partition("=")[0].partition(".")[0]


class Setting(NamedTuple):
    """What makes the method of a run: ``flat`` has the paths and values that ``-o`` takes, ``identity`` is their text."""

    identity: str
    flat: Mapping[str, str]


def setting(config: RunConfig) -> Setting:
    """Return what makes the method of a run."""
    return _setting(config.model_dump_json(exclude=_OTHER_FIELDS))


def settings(config: RunConfig) -> dict[str, str]:
    """Return what makes the method of a run, flat, as the paths and values that ``-o`` takes."""
    return dict(setting(config).flat)


@lru_cache(_REMEMBERED)
def _setting(fields: str) -> Setting:
    flat: dict[str, str] = {}
    for field, value in json.loads(fields).items():
        if (field in SLOTS or field == "method") and value is not None:
            flat[field] = _text(value["name"])
            _flatten(flat, field, value["params"])
        else:
            _flatten(flat, field, value)
    return Setting(json.dumps(flat, sort_keys=True), flat)


def _flatten(flat: dict[str, str], path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(flat, f"{path}.{key}", item)
    else:
        flat[path] = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        try:
            json.loads(value)
        except json.JSONDecodeError:
            return value
    return json.dumps(value, sort_keys=True)


def difference(own: Mapping[str, str], base: Mapping[str, str]) -> list[str]:
    """Return the settings in which ``own`` differs from ``base`` as ``path=value``; of a component that was exchanged only its name."""
    exchanged = {slot for slot in SLOTS if own.get(slot) != base.get(slot)}
    paths = sorted(path for path in own.keys() | base.keys() if own.get(path) != base.get(path))
    return [f"{path}={own.get(path, 'absent')}" for path in paths if path in exchanged or path.partition(".")[0] not in exchanged]


def label_records(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Return the records of one division by label, each list sorted by task, seed and age.

    A label is the method's name; where one task has records of a method with several settings, all but the base carry theirs:
    ``pare[mixer.curriculum=reversed]``. The base is what a command without ``-o`` made; where no such record of the method exists, what the
    ``-o`` settings with most records made. Between several of those it is the one whose differing settings most records of the method share,
    then the newest, then the first in alphabetical order. A task that has no record of the base gets labels from its own ``-o`` settings, so
    that one row never mixes settings.
    """
    # method -> task -> identity of the setting -> its records
    grouped: dict[str, dict[str, dict[str, list[RunRecord]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    flat: dict[str, Mapping[str, str]] = {}
    for record in records:
        own = setting(record.config)
        flat[own.identity] = own.flat
        grouped[record.method.name][record.task.name][own.identity].append(record)
    labelled: dict[str, list[RunRecord]] = defaultdict(list)
    for method, tasks in grouped.items():
        counts: Counter[tuple[str, ...]] = Counter()
        popular: Counter[tuple[str, str]] = Counter()
        for groups in tasks.values():
            for identity, group in groups.items():
                counts.update(method_options(record.command) for record in group)
                for item in flat[identity].items():
                    popular[item] += len(group)
        usual = () if () in counts else min(counts, key=lambda chosen: (-counts[chosen], chosen))
        for groups in tasks.values():
            for label, group in _label_task(method, groups, flat, usual, popular).items():
                labelled[label] += group
    return {label: sorted(labelled[label], key=lambda record: (record.task.name, record.seed, *age(record))) for label in sorted(labelled)}


def _label_task(
    method: str,
    groups: Mapping[str, list[RunRecord]],
    flat: Mapping[str, Mapping[str, str]],
    usual: tuple[str, ...],
    popular: Mapping[tuple[str, str], int],
) -> dict[str, list[RunRecord]]:
    made = {identity: {method_options(record.command) for record in group} for identity, group in groups.items()}
    newest = {identity: max(map(age, group)) for identity, group in groups.items()}
    candidates = [identity for identity in sorted(groups) if usual in made[identity]]
    base = candidates[0] if candidates else None
    if len(candidates) > 1:
        common = set.intersection(*(set(flat[identity].items()) for identity in candidates))
        score = {identity: sum(popular[item] for item in flat[identity].items() if item not in common) for identity in candidates}
        # max keeps the first of equals: the alphabetical order of the candidates decides last.
        base = max(candidates, key=lambda identity: (score[identity], len(groups[identity]), newest[identity]))
    labels: dict[str, list[RunRecord]] = {}
    for identity in sorted(groups, key=lambda identity: (newest[identity], identity), reverse=True):
        parts = list(min(made[identity])) if base is None else difference(flat[identity], flat[base])
        label = f"{method}[{','.join(parts)}]" if parts else method
        if label in labels:
            label = f"{method}[{','.join([*parts, 'settings=' + hashlib.sha256(identity.encode()).hexdigest()[:8]])}]"
        labels[label] = groups[identity]
    return labels


def counted(records: Iterable[RunRecord]) -> tuple[dict[tuple[str, Data, int], RunRecord], list[RunRecord]]:
    """Split the records of one label into those that count, by task, data and seed, and the superseded ones.

    The newest counts, whether it succeeded or not: an older success must not hide that the code of today fails.
    """
    newest: dict[tuple[str, Data, int], RunRecord] = {}
    superseded: list[RunRecord] = []
    for record in records:
        key = (record.task.name, data_of(record), record.seed)
        other = newest.setdefault(key, record)
        if other is not record:
            older, newest[key] = sorted((other, record), key=age)
            superseded.append(older)
    return newest, superseded


def preferred_data(records: Iterable[RunRecord]) -> Data:
    """Return the data that count among records of one task: the highest version, then the preset's own, then most records, then the newest."""
    groups: dict[Data, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[data_of(record)].append(record)

    def preference(data: Data) -> tuple[int, bool, int, tuple[str, str], str]:
        group = groups[data]
        return data.version, any(not data_options(record.command) for record in group), len(group), max(map(age, group)), data.sha256

    return max(groups, key=preference)
