"""Which records are the same method on the same data: one label per method and setting, so that an ablation is never pooled with what it ablates."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeVar

from pare_bench.config.settings import DATA_FIELDS, RUN_FIELDS, Setting, difference, field_of, options_of
from pare_bench.records.record import RunRecord


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


class Labelled(Protocol):
    """The part of a record that labels follow from; a :class:`RunRecord` is one."""

    @property
    def run_id(self) -> str: ...  # noqa: D102

    @property
    def method(self) -> Named: ...  # noqa: D102

    @property
    def task(self) -> Named: ...  # noqa: D102

    @property
    def seed(self) -> int: ...  # noqa: D102

    @property
    def finished(self) -> str: ...  # noqa: D102

    @property
    def command(self) -> str: ...  # noqa: D102

    @property
    def variant(self) -> tuple[str, ...] | None: ...  # noqa: D102

    @property
    def setting(self) -> Setting: ...  # noqa: D102

    @property
    def begun(self) -> bool: ...  # noqa: D102


Run = TypeVar("Run", bound=Labelled)


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


class AskedData(NamedTuple):
    """Which data a run asked for, whatever its track makes of them: what must be alike where runs of two tracks stand side by side."""

    version: int
    data_seed: int
    size: str
    changes: tuple[str, ...]


def division_of(record: RunRecord) -> Division:
    """Return the division of a record."""
    return Division(record.suite, record.task.tier, record.track, record.preset)


def data_of(record: RunRecord) -> Data:
    """Return the data of a record."""
    return Data(record.task.version, record.task.data_sha256)


def asked_data(record: RunRecord) -> AskedData:
    """Return the data that a record's run asked for."""
    size = json.dumps(None if record.config.size is None else vars(record.config.size.task_size()))
    return AskedData(record.task.version, record.config.data_seed, size, data_changes(record))


def age(record: Labelled) -> tuple[str, str]:
    """Return a sort key that puts the newest record last."""
    return record.finished, record.run_id


def changes(record: Labelled) -> tuple[str, ...]:
    """Return the settings in which a run differs from what its preset gives, as ``path=value``.

    A record of before version 3 did not keep them; the ``-o`` options of its command stand for them.
    """
    return options_of(record.command) if record.variant is None else record.variant


def data_changes(record: Labelled) -> tuple[str, ...]:
    """Return those of the :func:`changes` that change the data."""
    return tuple(change for change in changes(record) if field_of(change) in DATA_FIELDS)


def method_changes(record: Labelled) -> tuple[str, ...]:
    """Return those of the :func:`changes` that change the method."""
    return tuple(change for change in changes(record) if field_of(change) not in DATA_FIELDS | RUN_FIELDS)


def label_of(method: str, settings: Iterable[str]) -> str:
    """Return the label of a method with settings that differ from its preset's: ``pare[mixer.curriculum=reversed]``."""
    inside = ",".join(settings)
    return f"{method}[{inside}]" if inside else method


def method_name(label: str) -> str:
    """Return the method of a label: ``pare`` of ``pare[mixer.curriculum=reversed]``."""
    return label.partition("[")[0]


def settings_of(label: str) -> list[str]:
    """Return the settings that a label names, as ``path=value``."""
    inside = label.removeprefix(method_name(label))[1:-1]
    # A comma ends a setting only where the next one begins: values may be lists.
    return re.split(r",(?=[a-z_][\w.]*=)", inside) if inside else []


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """Return a name for each label that tells it from the others: without the settings that all labels of its method have."""
    by_method: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        by_method[method_name(label)].append(label)
    names: dict[str, str] = {}
    for method, own in by_method.items():
        shared = set.intersection(*(set(settings_of(label)) for label in own))
        names |= {label: label_of(method, [setting for setting in settings_of(label) if setting not in shared]) for label in own}
    return names


def extended(label: str, settings: Iterable[str]) -> str:
    """Return a label with more settings after those that it names already."""
    return label_of(method_name(label), [*settings_of(label), *settings])


def overcome(records: Sequence[Run]) -> list[Run]:
    """Return those runs of one division that could not begin and that say nothing: another one of the same method, task and seed did begin.

    Files that are missing here and now do not hide a score that was made elsewhere or before.
    """
    without = [record for record in records if not record.begun]
    if not without:
        return []
    begun = {(record.method.name, record.task.name, record.seed) for record in records if record.begun}
    return [record for record in without if (record.method.name, record.task.name, record.seed) in begun]


def label_records(records: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the records of one division by label, each list sorted by task, seed and age.

    A label is the method's name with the settings in which the run differs from what its preset gives: ``pare[mixer.curriculum=reversed]``. A plain
    name means the plain run, whatever else is in the store.

    A preset may change between versions. Where one task has records of one label with several settings, all but one group carry what sets them
    apart, so that one row never mixes settings: the group keeps the label whose settings most records of that label share, then the one with
    most records, then the newest, then the first in alphabetical order.

    A run that could not begin goes by what was asked for, since what its preset would have given is not known; those that are :func:`overcome` are
    left out.
    """
    records = list(records)
    labelled = _not_begun(records)
    # label -> task -> identity of the setting -> its records
    grouped: dict[str, dict[str, dict[str, list[Run]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    flat: dict[str, Mapping[str, str]] = {}
    for record in filter(_begun, records):
        own = record.setting
        flat[own.identity] = own.flat
        grouped[label_of(record.method.name, method_changes(record))][record.task.name][own.identity].append(record)
    for label, tasks in grouped.items():
        popular: Counter[tuple[str, str]] = Counter()
        if any(len(groups) > 1 for groups in tasks.values()):
            for groups in tasks.values():
                for identity, group in groups.items():
                    for item in flat[identity].items():
                        popular[item] += len(group)
        for groups in tasks.values():
            for each, group in _apart(label, groups, flat, popular).items():
                labelled[each] += group
    return {label: sorted(labelled[label], key=lambda record: (record.task.name, record.seed, *age(record))) for label in sorted(labelled)}


def _begun(record: Labelled) -> bool:
    return record.begun


def _not_begun(records: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs that could not begin, without those that are overcome, by what was asked for."""
    left_out = {record.run_id for record in overcome(records)}
    labelled: dict[str, list[Run]] = defaultdict(list)
    for record in records:
        if not record.begun and record.run_id not in left_out:
            labelled[label_of(record.method.name, method_changes(record))].append(record)
    return labelled


def _apart(
    label: str, groups: Mapping[str, list[Run]], flat: Mapping[str, Mapping[str, str]], popular: Mapping[tuple[str, str], int]
) -> dict[str, list[Run]]:
    """Return the groups of one label on one task by labels of their own."""
    if len(groups) == 1:
        return {label: next(iter(groups.values()))}
    newest = {identity: max(map(age, group)) for identity, group in groups.items()}
    common = set.intersection(*(set(flat[identity].items()) for identity in groups))
    score = {identity: sum(popular[item] for item in flat[identity].items() if item not in common) for identity in groups}
    # max keeps the first of equals: the alphabetical order decides last.
    base = max(sorted(groups), key=lambda identity: (score[identity], len(groups[identity]), newest[identity]))
    labels: dict[str, list[Run]] = {}
    for identity in sorted(groups, key=lambda identity: (newest[identity], identity), reverse=True):
        name = extended(label, difference(flat[identity], flat[base]))
        if name in labels:
            name = extended(name, ["settings=" + hashlib.sha256(identity.encode()).hexdigest()[:8]])
        labels[name] = groups[identity]
    return labels


def counted(records: Iterable[RunRecord]) -> tuple[dict[tuple[str, Data, int], RunRecord], list[RunRecord]]:
    """Split the records of one label into those that count, by task, data and seed, and the superseded ones.

    The newest counts, whether it succeeded or not: an older success must not hide that the code of today fails. Where a task has runs of several
    versions of the method, those of the highest count alone: a mean never mixes seeds of two versions.
    """
    records = list(records)
    highest: dict[tuple[str, Data], int] = {}
    for record in records:
        place = (record.task.name, data_of(record))
        highest[place] = max(record.method_version, highest.get(place, 0))
    newest: dict[tuple[str, Data, int], RunRecord] = {}
    superseded: list[RunRecord] = []
    for record in records:
        if record.method_version < highest[record.task.name, data_of(record)]:
            superseded.append(record)
            continue
        key = (record.task.name, data_of(record), record.seed)
        other = newest.setdefault(key, record)
        if other is not record:
            older, newest[key] = sorted((other, record), key=age)
            superseded.append(older)
    return newest, superseded


def preferred_data(records: Iterable[RunRecord]) -> Data:
    """Return the data that count among records of one task: the highest version, then the preset's own, then most records, then the newest.

    A run that could not begin has no data: where there are no others, its own are those of no version.
    """
    groups: dict[Data, list[RunRecord]] = defaultdict(list)
    for record in records:
        groups[data_of(record)].append(record)

    def preference(data: Data) -> tuple[int, bool, int, tuple[str, str], str]:
        group = groups[data]
        return data.version, any(not data_changes(record) for record in group), len(group), max(map(age, group)), data.sha256

    return max(groups, key=preference)
