"""Results for model repositories on the Hugging Face Hub.

Two forms: ``.eval_results/*.yaml`` (dataset id, task id, value, date, notes), which the Hub's documentation recommends, and ``model-index`` in the
front matter of a model card, which older tools read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pare_bench.exports.scores import MethodScores, Score, method_scores, slugs
from pare_bench.records.record import RunRecord

#: What stands for the suite's dataset on the Hub where none is named.
DATASET = "pare-bench/{suite}"


def files(records: Iterable[RunRecord], dataset: str = DATASET) -> dict[str, str]:
    """Return the files of the export by path: a folder for each method, with ``.eval_results/DIVISION.yaml`` and ``model-index.yaml``.

    ``dataset`` is the id of the benchmark's dataset on the Hub; ``{suite}`` in it is replaced.
    """
    methods = list(method_scores(records))
    folders = slugs(method.label for method in methods)
    made: dict[str, str] = {}
    cards: dict[str, list[dict[str, Any]]] = {}
    for method in methods:
        hub = dataset.replace("{suite}", method.division.suite)
        folder = folders[method.label]
        made[f"{folder}/.eval_results/{'-'.join(method.division)}.yaml"] = _yaml([_entry(method, score, hub) for score in method.scores])
        cards.setdefault(method.label, []).extend(_card(method, score, hub) for score in method.scores)
    for label, results in cards.items():
        made[f"{folders[label]}/model-index.yaml"] = _yaml({"model-index": [{"name": label, "results": results}]})
    return dict(sorted(made.items()))


def _entry(method: MethodScores, score: Score, hub: str) -> dict[str, Any]:
    dataset = {"id": hub, "task_id": _task_id(method, score)}
    return {"dataset": dataset, "value": score.mean, "date": max(run.finished for run in score.runs), "notes": _notes(method, score)}


def _card(method: MethodScores, score: Score, hub: str) -> dict[str, Any]:
    name = f"{score.task} ({', '.join(method.division)})"
    return {
        "task": {"type": "other", "name": score.task},
        "dataset": {"type": hub, "name": name, "config": _task_id(method, score), "split": "test"},
        "metrics": [{"type": score.metric, "value": score.mean, "name": _notes(method, score)}],
    }


def _task_id(method: MethodScores, score: Score) -> str:
    """Return a name that no other division shares: scores of different divisions are not comparable."""
    return "_".join((score.task, *method.division[1:]))


def _notes(method: MethodScores, score: Score) -> str:
    spread = "" if score.spread is None else f", standard deviation {score.spread:.6g}"
    better = "higher" if score.direction == "maximise" else "lower"
    floor = "".join(f", {name} {value:.6g}" for name, value in score.floors.items())
    suite, tier, track, preset = method.division
    return f"{score.metric}, {better} is better; mean of {len(score.runs)} seeds{spread}{floor}; {suite}, {tier} data, {track} track, preset {preset}"


def _yaml(content: Any) -> str:
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000))
