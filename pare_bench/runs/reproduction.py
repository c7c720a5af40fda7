"""A run built again from its record, and what became of its numbers: identical, within noise, or different."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pare_bench import statistics
from pare_bench.config.run_config import RunConfig
from pare_bench.errors import UsageError
from pare_bench.provenance.explanation import Difference, Run, differences, sentence
from pare_bench.records.record import RunRecord
from pare_bench.registry.names import Registry
from pare_bench.runs.preparation import prepare
from pare_bench.runs.runner import run
from pare_bench.training.progress import Reporter

Outcome = Literal["identical", "within noise", "different"]
#: Seeds from which the spread of a score is taken for its noise.
FEWEST_SEEDS = 3
#: A difference counts as noise up to so many standard deviations over seeds.
SPREADS = 2.0
#: Without enough seeds: share of the recorded value.
TOLERANCE = 0.01


@dataclass(frozen=True)
class Noise:
    """The largest difference that is taken for noise, and where it comes from."""

    width: float
    origin: str


@dataclass(frozen=True)
class Reproduction:
    """What came out. ``again`` is the new record, None where no run was made because the data are others."""

    record: RunRecord
    again: RunRecord | None
    changed: list[Difference]
    outcome: Outcome
    noise: Noise | None
    sentence: str


def reproduce(
    registry: Registry,
    record: RunRecord,
    others: Iterable[RunRecord],
    reporter: Reporter,
    *,
    command: str,
    device: str | None = None,
    tolerance: float | None = None,
) -> Reproduction:
    """Do a run again as its record says and compare; nothing is saved. ``others`` are stored runs of its method on its task.

    ``identical`` means the same predictions to the last bit, or the same failure. ``within noise`` means that the primary metric differs by no more
    than ``tolerance`` times the recorded value or, without one, twice the standard deviation over the seeds in the store (1% of the recorded value
    where there are fewer than three). A run on other data is ``different`` whatever it would score, and is not made.

    Raises:
        UsageError: the record is of a run that could not begin.
    """
    if not record.begun:
        raise UsageError(f"run '{record.run_id}' could not begin, so there is nothing to do again: {record.reason}", hint=record.command)
    config = record.config if device is None else record.config.model_copy(update={"device": device})
    prepared = prepare(registry, config)
    changed = differences(Run.of(record), Run.now(config, prepared.identity))
    if prepared.identity.data != record.task.data_sha256:
        return Reproduction(record, None, changed, "different", None, f"different, and not run: {sentence(changed)}")
    again = run(registry, prepared, reporter, command)
    noise = _noise(record, others, tolerance) if record.status == again.status == "ok" else None
    outcome, words = _judge(record, again, noise)
    reason = f"; changed since: {sentence(changed)}" if changed else "; nothing that counts has changed" if outcome != "identical" else ""
    return Reproduction(record, again, changed, outcome, noise, words + reason)


def _judge(record: RunRecord, again: RunRecord, noise: Noise | None) -> tuple[Outcome, str]:
    if noise is None:
        if (record.status, record.reason) == (again.status, again.reason):
            return "identical", f"identical: {record.status} again, for the same reason"
        return "different", f"different: {_state(record)} before, {_state(again)} now"
    if record.predictions_sha256 == again.predictions_sha256 and _scores(record) == _scores(again):
        return "identical", f"identical: the same predictions to the last bit, {record.primary.name} {record.primary.value:.6g}"
    before, now = record.primary, again.primary
    if before.name != now.name:
        return "different", f"different: scored by {before.name} before, by {now.name} now"
    away = abs(now.value - before.value)
    words = f"{before.name} {before.value:.6g} before, {now.value:.6g} now; {away:.3g} apart, noise up to {noise.width:.3g} ({noise.origin})"
    if record.predictions_sha256 == again.predictions_sha256:
        words = f"the same predictions with other scores: {words}"
    return ("within noise", f"within noise: {words}") if away <= noise.width else ("different", f"different: {words}")


def _noise(record: RunRecord, others: Iterable[RunRecord], tolerance: float | None) -> Noise:
    value = abs(record.primary.value)
    if tolerance is not None:
        return Noise(tolerance * value, f"{tolerance:g} of the recorded value")
    values = _other_seeds(record, others)
    spread = statistics.sample_sd(values) if len(values) >= FEWEST_SEEDS else None
    if spread:
        return Noise(SPREADS * spread, f"{SPREADS:g} standard deviations over {len(values)} seeds")
    return Noise(TOLERANCE * value, f"{TOLERANCE:g} of the recorded value, for want of {FEWEST_SEEDS} different seeds")


def _other_seeds(record: RunRecord, others: Iterable[RunRecord]) -> Sequence[float]:
    """Return the newest score of each seed of the same setting, on the same data and by the same metric; the record speaks for its own seed."""
    newest = {record.seed: record}
    for other in sorted(others, key=lambda each: (each.finished, each.run_id)):
        same = other.status == "ok" and _setting(other.config) == _setting(record.config) and other.task.data_sha256 == record.task.data_sha256
        if same and other.seed != record.seed and other.primary.name == record.primary.name:
            newest[other.seed] = other
    return [newest[seed].primary.value for seed in sorted(newest)]


def _setting(config: RunConfig) -> str:
    return config.model_copy(update={"seed": 0, "device": ""}).canonical()


def _scores(record: RunRecord) -> list[tuple[str, float]]:
    return [(metric.name, metric.value) for metric in record.metrics]


def _state(record: RunRecord) -> str:
    return record.status if record.reason is None else f"{record.status} ({record.reason})"
