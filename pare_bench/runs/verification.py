"""Some runs of a submission done again: the only evidence that its numbers come from its commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pare_bench.records.record import RunRecord
from pare_bench.registry.names import Registry
from pare_bench.seeds import stream
from pare_bench.training.progress import Reporter

Verdict = Literal["identical", "within noise", "different"]


@dataclass(frozen=True)
class Rerun:
    """A run done again. ``same_predictions`` compares the digests of the outputs on the test split."""

    record: RunRecord
    verdict: Verdict
    same_predictions: bool
    sentence: str


def choose(records: Sequence[RunRecord], count: int, seed: int) -> list[RunRecord]:
    """Return ``count`` of the runs that have scores (all, if there are fewer), drawn by ``seed``, in the order of their run ids."""
    scored = sorted((record for record in records if record.status == "ok"), key=lambda record: record.run_id)
    chosen = stream("verify", seed).permutation(len(scored))[:count]
    return [scored[index] for index in sorted(chosen)]


def rerun(
    registry: Registry, chosen: Sequence[RunRecord], records: Sequence[RunRecord], reporter: Callable[[RunRecord], Reporter], *, command: str
) -> list[Rerun]:
    """Do the ``chosen`` runs again, each as its record says, and compare; ``records`` are all of the submission, for the spread over seeds.

    Equal predictions with other scores are ``different``, however small the difference: the scores are not those of the predictions.
    """
    from pare_bench.runs.reproduction import reproduce

    results = []
    for record in chosen:
        others = [
            other for other in records if (other.method.name, other.task.name, other.suite) == (record.method.name, record.task.name, record.suite)
        ]
        result = reproduce(registry, record, others, reporter(record), command=command)
        same = result.again is not None and record.predictions_sha256 is not None and result.again.predictions_sha256 == record.predictions_sha256
        verdict: Verdict = "different" if same and result.outcome != "identical" else result.outcome
        results.append(Rerun(record, verdict, same, result.sentence))
    return results
