"""Which records are the same method: one label per method and setting, so that an ablation is never pooled with what it ablates."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pare_bench.config import SLOTS, RunConfig
from pare_bench.records import RunRecord

#: Fields that say what a run is scored on; divisions and data digests keep those apart.
DATA_FIELDS = frozenset({"suite", "task", "tier", "track", "preset", "data_seed", "size"})
#: Fields that make another run of the same method.
RUN_FIELDS = frozenset({"seed", "device"})


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


def data_options(command: str) -> list[str]:
    """Return the ``-o`` settings that change the data."""
    return [option for option in options(command) if _head(option) in DATA_FIELDS]


def method_options(command: str) -> list[str]:
    """Return the ``-o`` settings that change the method."""
    return [option for option in options(command) if _head(option) not in DATA_FIELDS | RUN_FIELDS]


def _head(option: str) -> str:
    return option.partition("=")[0].partition(".")[0]


def settings(config: RunConfig) -> dict[str, str]:
    """Return what makes the method of a run, flat, as the paths and values that ``-o`` takes."""
    flat: dict[str, str] = {}
    for field, value in config.model_dump(mode="json").items():
        if field in DATA_FIELDS | RUN_FIELDS:
            continue
        if (field in SLOTS or field == "method") and value is not None:
            flat[field] = _text(value["name"])
            _flatten(flat, field, value["params"])
        else:
            _flatten(flat, field, value)
    return flat


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
    by_method: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        by_method[record.method.name].append(record)
    labelled: dict[str, list[RunRecord]] = defaultdict(list)
    for method, own in by_method.items():
        counts = Counter(tuple(method_options(record.command)) for record in own)
        usual = () if () in counts else min(counts, key=lambda chosen: (-counts[chosen], chosen))
        popular = Counter(item for record in own for item in settings(record.config).items())
        for task in {record.task.name for record in own}:
            for label, group in _label_task(method, [record for record in own if record.task.name == task], usual, popular).items():
                labelled[label] += group
    return {label: sorted(labelled[label], key=lambda record: (record.task.name, record.seed, *age(record))) for label in sorted(labelled)}


def _label_task(
    method: str, records: Sequence[RunRecord], usual: tuple[str, ...], popular: Mapping[tuple[str, str], int]
) -> dict[str, list[RunRecord]]:
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[json.dumps(settings(record.config), sort_keys=True)].append(record)
    flat = {identity: settings(group[0].config) for identity, group in groups.items()}
    made = {identity: {tuple(method_options(record.command)) for record in group} for identity, group in groups.items()}
    candidates = [identity for identity in sorted(groups) if usual in made[identity]]
    base = None
    if candidates:
        common = set.intersection(*(set(flat[identity].items()) for identity in candidates))
        score = {identity: sum(popular[item] for item in flat[identity].items() if item not in common) for identity in candidates}
        # max keeps the first of equals: the alphabetical order of the candidates decides last.
        base = max(candidates, key=lambda identity: (score[identity], len(groups[identity]), max(map(age, groups[identity]))))
    labels: dict[str, list[RunRecord]] = {}
    for identity in sorted(groups, key=lambda identity: (max(map(age, groups[identity])), identity), reverse=True):
        parts = difference(flat[identity], flat[base]) if base is not None else list(min(made[identity]))
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
    for record in sorted(records, key=age):
        key = (record.task.name, data_of(record), record.seed)
        if key in newest:
            superseded.append(newest[key])
        newest[key] = record
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
