"""A comparison as one JSON document."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from pare_bench import statistics
from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import ALPHA, Pair
from pare_bench.comparison.lead import Lead
from pare_bench.comparison.overall import Overall
from pare_bench.comparison.printed import Card
from pare_bench.comparison.task_rows import TaskRow
from pare_bench.statistics import POWER, smallest_seen

SCHEMA = "pare-bench/comparison/3"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as one JSON document, schema ``pare-bench/comparison/3``; what was not asked for is null."""
    return {
        "schema": SCHEMA,
        **comparison.division._asdict(),
        "methods": list(comparison.methods),
        "missing": comparison.missing,
        "policy": comparison.policy,
        "dropped": list(comparison.dropped),
        "rope": comparison.rope,
        "alpha": ALPHA,
        "test_sampling": comparison.sampled,
        "answer": list(comparison.answer),
        "lead": None if comparison.lead is None else _lead(comparison.lead),
        "sentence": comparison.sentence,
        "tasks": [_row(row) for row in comparison.tasks],
        "mean_ranks": dict(comparison.mean_ranks),
        "pairs": [_pair(pair) for pair in comparison.pairs],
        "reference": comparison.reference,
        "against": [_pair(pair) for pair in comparison.against],
        "overall": None if comparison.overall is None else _overall(comparison.overall),
        "optimism": [asdict(gap) for gap in comparison.optimism],
        "printed": None if comparison.printed is None else [asdict(number) for number in comparison.printed],
        "cards": [_card(card) for card in comparison.cards],
        "notes": list(comparison.notes),
    }


def _row(row: TaskRow) -> dict[str, Any]:
    return {
        "task": row.task,
        "version": row.version,
        "data_sha256": row.data_sha256,
        "real": row.real,
        "metric": row.metric,
        "direction": row.direction,
        "floor": row.floor,
        "persistence": row.persistence,
        "other_floors": list(row.other_floors),
        "perfect": row.perfect,
        "leaders": list(row.leaders),
        "best": row.best,
        "tied": list(row.tied),
        "verdict": row.verdict,
        "methods": {
            method: {
                "mean": cell.mean,
                "spread": cell.spread,
                "interval": _interval(cell.interval),
                "gain": None if cell.mean is None else row.gain(cell.mean),
                "diverged": [seed for seed, value in cell.seeds.items() if row.diverged(value)],
                "n": cell.n,
                "seeds": {str(seed): value for seed, value in cell.seeds.items()},
                "failed": {str(seed): reason for seed, reason in cell.failed.items()},
                "rank": row.ranks[method],
                "last": cell.last,
                "run_ids": list(cell.run_ids),
            }
            for method, cell in row.cells.items()
        },
    }


def _interval(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "effect": None if pair.effect is None else _effect(pair),
        "test": pair.test,
        "p": pair.p,
        "p_holm": pair.p_holm,
        "family": pair.family,
        "favours": pair.favours,
        "significant": pair.significant,
        "alone": pair.alone,
        "practically_equal": pair.equal,
        "reachable": pair.reachable,
        "verdict": pair.verdict,
        "disagreement": pair.disagreement,
        **pair.result._asdict(),
        "differences": pair.differences,
        "intervals": {task: _interval(detail.interval) for task, detail in pair.details.items()},
        "seeds": {task: detail.seeds for task, detail in pair.details.items()},
        "sampling_errors": {task: detail.sampling for task, detail in pair.details.items()},
        "paired": {task: detail.paired for task, detail in pair.details.items()},
        "gains": {task: detail.gain for task, detail in pair.details.items()},
        "signed_rank": None if pair.ranked_p is None else {"p": pair.ranked_p, "favours": pair.ranked_favours},
        "posterior": None if pair.posterior is None else dict(zip(("worse", "equal", "better"), pair.posterior, strict=True)),
    }


def _effect(pair: Pair) -> dict[str, Any]:
    """Return the effect, in shares of the way from floor to perfect score, and what its design sees."""
    effect = pair.effect
    assert effect is not None  # noqa: S101 - for the reader of types
    return {
        "mean": effect.mean,
        "interval": _interval(effect.interval),
        "standard_error": effect.error,
        "degrees_of_freedom": effect.freedom,
        "variance_between_tasks": effect.between,
        "variance_within_tasks": effect.within,
        "tasks": effect.tasks,
        "power": POWER,
        "smallest_seen": smallest_seen(effect),
    }


def _lead(found: Lead) -> dict[str, Any]:
    return {"leader": found.leader, "sure": found.sure, "nearest": found.pairs[0].second, "not_told_from": list(found.untold)}


def _overall(found: Overall) -> dict[str, Any]:
    return {
        "friedman": None if found.friedman is None else found.friedman._asdict(),
        "rank_intervals": {method: _interval(interval) for method, interval in found.rank_intervals.items()},
        "nemenyi_difference": found.nemenyi,
        "nemenyi_groups": [list(group) for group in found.rank_groups],
        "holm_groups": [list(group) for group in found.pair_groups],
        "resamples": found.resamples,
        "gains": {
            method: {"mean": gains.mean, "interquartile_mean": gains.interquartile, "interval": _interval(gains.interval)}
            for method, gains in found.gains.items()
        },
        "profile_range": [1.0, statistics.LARGEST_FACTOR],
        "profiles": {
            method: {
                "ratios": [ratio if math.isfinite(ratio) else None for ratio in ratios],
                "steps": [list(point) for point in statistics.profile_steps(ratios)],
                "area": statistics.profile_area(ratios),
            }
            for method, ratios in found.ratios.items()
        },
    }


def _card(card: Card) -> dict[str, Any]:
    return {
        "task": card.task,
        "method": card.method,
        "printed": asdict(card.printed),
        "mean": card.mean,
        "interval": _interval(card.interval),
        "seeds": card.seeds,
        "budget": card.budget,
        "verdict": card.verdict,
    }
