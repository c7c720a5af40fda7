"""Results in the schema of Every Eval Ever, version 0.3.0: one JSON file for each method and division."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pare_bench import statistics
from pare_bench.exports.scores import MethodScores, Score, method_scores, slugs
from pare_bench.records.record import RunRecord
from pare_bench.registry.versions import __version__

VERSION = "0.3.0"


def files(records: Iterable[RunRecord], organisation: str = "unknown") -> dict[str, str]:
    """Return the files of the export by path, ``DIVISION/METHOD.json``; ``organisation`` is who made the runs."""
    methods = list(method_scores(records))
    names = slugs(method.label for method in methods)
    return {
        f"{'-'.join(method.division)}/{names[method.label]}.json": json.dumps(_document(method, organisation), sort_keys=True, indent=2) + "\n"
        for method in sorted(methods, key=lambda method: (method.division, method.label))
    }


def _document(method: MethodScores, organisation: str) -> dict[str, Any]:
    # The time comes from the records, so that the same records give the same bytes.
    when = _epoch(method.newest)
    division = "-".join(method.division)
    component = method.scores[0].runs[0].method
    return {
        "schema_version": VERSION,
        "evaluation_id": f"pare-bench-{division}/{method.label}/{when}",
        "evaluation_timestamp": method.newest,
        "retrieved_timestamp": when,
        "source_metadata": {
            "source_name": "pare-bench",
            "source_type": "evaluation_run",
            "source_organization_name": organisation,
            "evaluator_relationship": "other",
            "additional_details": {**method.division._asdict(), "complete": str(method.complete).lower()},
        },
        "eval_library": {"name": "pare-bench", "version": __version__},
        "model_info": {
            "name": method.label,
            "id": f"pare-bench/{method.label}",
            "additional_details": {
                "deployment_type": "self_deployed", "model_availability": "unknown", "method": component.name, "plugin": component.plugin,
                "distribution": component.distribution, "distribution_version": component.version,
            },
        },
        "evaluation_results": [_result(method, score) for score in method.scores],
    }  # fmt: skip


def _result(method: MethodScores, score: Score) -> dict[str, Any]:
    values = [run.primary.value for run in score.runs]
    task = score.runs[0].task
    details = {f"seed_{run.seed}": repr(run.primary.value) for run in score.runs} | {f"seed_{run.seed}_run_id": run.run_id for run in score.runs}
    details |= {name: repr(value) for name, value in score.floors.items()}
    result: dict[str, Any] = {"score": score.mean, "details": details}
    interval = statistics.t_interval(values)
    if score.spread is not None and interval is not None:
        result["uncertainty"] = {
            "standard_error": {"value": score.spread / math.sqrt(len(values)), "method": "standard deviation over seeds / sqrt(seeds)"},
            "confidence_interval": {"lower": interval[0], "upper": interval[1], "confidence_level": 0.95, "method": "Student's t over seeds"},
            "num_samples": len(values),
        }
    return {
        "evaluation_result_id": "/".join((*method.division, score.task, method.label)),
        "evaluation_name": f"{method.division.suite}/{score.task}",
        "source_data": {
            "dataset_name": score.task,
            "source_type": "other",
            "additional_details": {
                "tier": task.tier, "task_version": str(task.version), "data_sha256": task.data_sha256, "split": "test",
                **{f"size_{split}": str(size) for split, size in sorted(task.sizes.items())},
            },
        },
        "evaluation_timestamp": max(run.finished for run in score.runs),
        "metric_config": {"metric_id": score.metric, "metric_name": score.metric, "lower_is_better": score.direction == "minimise"},
        "score_details": result,
    }  # fmt: skip


def _epoch(finished: str) -> str:
    moment = datetime.fromisoformat(finished)
    return str(int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
