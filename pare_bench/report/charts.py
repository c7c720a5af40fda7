"""The charts of the page as Vega-Lite specifications. Each one has a table beside it on the page with the same numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pare_bench.comparison.contrasts import Pair
from pare_bench.comparison.table_parts import points_between, signed_points
from pare_bench.report.content import Row, Task
from pare_bench.report.numbers import number
from pare_bench.report.runs import RunGroup

Spec = dict[str, Any]
#: Colours of lines; after the last one they come again, dashed.
_COLOURS = tuple(f"var(--c{index})" for index in range(8))
_DASHES = ([1, 0], [5, 3], [2, 2], [8, 2, 2, 2])
_STEP = 18


def renamed(spec: Any, names: Mapping[str, str]) -> Any:
    """Return a specification, or a part of one, with names in place of labels; what tooltips say keeps the whole label."""
    if isinstance(spec, dict):
        return {key: value if key == "says" else renamed(value, names) for key, value in spec.items()}
    if isinstance(spec, list | tuple):
        return [renamed(each, names) for each in spec]
    if isinstance(spec, str):
        # A label may be the beginning of another one.
        for label in sorted(names, key=len, reverse=True):
            spec = spec.replace(label, names[label])
    return spec


def ranks(rows: Sequence[Row], intervals: Mapping[str, tuple[float, float]]) -> Spec:
    """Return the mean rank of each method, with its interval where there is one."""
    values = [
        {"method": row.label, "value": row.mean_rank, "says": f"{row.label}: mean rank {row.mean_rank:.2f}", **_ends(intervals.get(row.label))}
        for row in rows
    ]
    return _dots(values, "mean rank (1 is best)")


def forest(pair: Pair) -> Spec:
    """Return the gain of the first of two methods on each task in points, with its interval over seeds, and last the effect over tasks."""
    rows = [
        (
            task,
            detail.gain,
            None if detail.gain is None or detail.gain_half is None else (detail.gain - detail.gain_half, detail.gain + detail.gain_half),
        )
        for task, detail in pair.details.items()
    ]
    if pair.effect is not None:
        rows.append(("over tasks", pair.effect.mean, pair.effect.interval))
    values = [
        {
            "method": name,
            "value": 100 * gain,
            "says": f"{name}: {signed_points(gain)} points" + ("" if interval is None else f", {points_between(interval)}"),
            **_ends(None if interval is None else (100 * interval[0], 100 * interval[1])),
        }
        for name, gain, interval in rows
        if gain is not None
    ]
    zero: Spec = {
        "data": {"values": [{"zero": 0.0}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": "var(--muted)", "aria": False},
        "encoding": {"x": {"field": "zero", "type": "quantitative"}},
    }
    return _dots(values, f"points of gain of {pair.first} over {pair.second}", [zero])


def task_scores(task: Task, rows: Sequence[Row]) -> Spec:
    """Return the scores of a task: mean and interval, the single seeds, and the floor as a dashed line."""
    values, seeds = [], []
    for row in rows:
        cell = row.cells[task.name]
        says = f"{row.label}: {number(cell.mean)}" + (f" ± {number(cell.half)}" if cell.half is not None else "")
        values.append({"method": row.label, "value": cell.mean, "says": says, **_ends(cell.interval)})
        seeds += [{"method": row.label, "value": value} for value in cell.seeds.values()]
    tick: Spec = {
        "data": {"values": seeds},
        "mark": {"type": "tick", "color": "var(--muted)", "thickness": 1, "aria": False},
        "encoding": {"x": {"field": "value", "type": "quantitative"}, "y": {"field": "method", "type": "nominal", "sort": None}},
    }
    extra = [tick]
    if task.floor is not None:
        floor: Spec = {
            "data": {"values": [{"floor": task.floor, "says": f"floor: {number(task.floor)}"}]},
            "mark": {"type": "rule", "strokeDash": [4, 3], "color": "var(--bad)"},
            "encoding": {"x": {"field": "floor", "type": "quantitative"}, "description": {"field": "says"}},
        }
        extra.append(floor)
    return _dots(values, f"{task.metric} ({task.direction_text})", extra)


def _dots(values: Sequence[Spec], title: str, extra: Sequence[Spec] = ()) -> Spec:
    method = {"field": "method", "type": "nominal", "sort": [each["method"] for each in values], "title": None, "axis": {"labelPadding": 8}}
    x = {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False, "nice": True}, "axis": {"tickCount": 5}}
    bar: Spec = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 2, "color": "var(--c0)", "aria": False},
        "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}, "y": method},
    }
    point: Spec = {
        "mark": {"type": "point", "filled": True, "size": 60, "color": "var(--c0)"},
        "encoding": {"x": x, "y": method, "description": {"field": "says"}},
    }
    return {"data": {"values": list(values)}, "height": _STEP * len(values) + 50, "layer": [*extra, bar, point]}


def _ends(interval: tuple[float, float] | None) -> Spec:
    return {} if interval is None else {"low": interval[0], "high": interval[1]}


def cost(points: Mapping[str, tuple[float, float]], front: Sequence[str], cost_title: str, score_title: str) -> Spec:
    """Return cost against score, both better when lower: ``points[method]`` is (cost, score); the methods of ``front`` are joined.

    They are named first, then the others as far as no name would stand on another.
    """
    named = _named(points, front)
    values = [
        {
            "method": label,
            "cost": spent,
            "score": score,
            "says": f"{label}: {number(spent)}, {number(score)}",
            "front": label in front,
            "named": label in named,
        }
        for label, (spent, score) in points.items()
    ]
    x = {"field": "cost", "type": "quantitative", "title": cost_title, "scale": {"type": "log"}, "axis": {"tickCount": 4, "format": "~s"}}
    y = {"field": "score", "type": "quantitative", "title": score_title, "scale": {"zero": False, "reverse": True, "padding": 12}}
    line: Spec = {
        "transform": [{"filter": "datum.front"}],
        "mark": {"type": "line", "interpolate": "step-after", "color": "var(--c0)", "strokeDash": [3, 3], "aria": False},
        "encoding": {"x": x, "y": y, "order": {"field": "cost", "type": "quantitative"}},
    }
    point: Spec = {
        "mark": {"type": "point", "filled": True, "size": 60},
        "encoding": {
            "x": x,
            "y": y,
            "color": {"condition": {"test": "datum.front", "value": "var(--c0)"}, "value": "var(--muted)"},
            "description": {"field": "says"},
        },
    }
    text: Spec = {
        "mark": {"type": "text", "dy": -9, "fontSize": 10, "color": "var(--ink)", "limit": 110, "aria": False},
        "transform": [{"filter": "datum.named"}],
        "encoding": {"x": x, "y": y, "text": {"field": "method"}},
    }
    return {"data": {"values": values}, "height": 260, "layer": [line, point, text]}


def _named(points: Mapping[str, tuple[float, float]], front: Sequence[str]) -> list[str]:
    """Return the methods whose names have room: a name is about a third of the chart wide and a fifteenth high."""
    places = {label: (math.log(spent), score) for label, (spent, score) in points.items()}
    wide, high = (max(axis) - min(axis) or 1.0 for axis in zip(*places.values(), strict=True))
    named: list[str] = []
    for label in [*front, *(label for label in points if label not in front)]:
        (x, y) = places[label]
        if all(abs(x - places[other][0]) > 0.34 * wide or abs(y - places[other][1]) > 0.07 * high for other in named):
            named.append(label)
    return named


def fractions(task: Task) -> Spec:
    """Return the score of each method over the number of training examples."""
    values = [{"line": label, "x": size, "y": score} for label, curve in task.fractions.items() for size, score in curve]
    return _lines(values, list(task.fractions), "training examples", f"{task.metric} ({task.direction_text})", log=True, points=True)


def profiles(curves: Mapping[str, Sequence[tuple[float, float]]], x_title: str, y_title: str) -> Spec:
    """Return step curves, one for each method: ``curves[method]`` are pairs (x, share)."""
    values = [{"line": label, "x": x, "y": y} for label, curve in curves.items() for x, y in curve]
    return _lines(values, list(curves), x_title, y_title, log=True, interpolate="step-after")


def training(group: RunGroup, stage: str, field: str, title: str) -> Spec:
    """Return a curve over epochs, one line for each seed; of several runs of a seed the last."""
    lines = {f"seed {run.seed}": run for run in group.runs if stage in run.training}
    values = [{"line": name, "x": each.epoch, "y": getattr(each, field)} for name, run in lines.items() for each in run.training[stage].curve]
    return {**_lines(values, list(lines), "epoch", title), "height": 200}


def _lines(
    values: Sequence[Spec], names: Sequence[str], x: str, y: str, *, log: bool = False, points: bool = False, interpolate: str = "linear"
) -> Spec:
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
    dashes = [_DASHES[index // len(_COLOURS) % len(_DASHES)] for index in range(len(names))]
    mark: Spec = {"type": "line", "interpolate": interpolate, "strokeWidth": 2}
    if points:
        mark["point"] = {"filled": True, "size": 30}
    scale: Spec = {"type": "log", "nice": False} if log else {"nice": False, "zero": False}
    return {
        "data": {"values": list(values)},
        "height": 240 + 9 * len(names),
        "mark": mark,
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": x, "scale": scale, "axis": {"tickCount": 5, "format": "~s"}},
            "y": {"field": "y", "type": "quantitative", "title": y, "scale": {"zero": False}, "axis": {"tickCount": 5}},
            "color": {"field": "line", "type": "nominal", "sort": list(names), "title": None, "scale": {"domain": list(names), "range": colours}},
            "strokeDash": {"field": "line", "type": "nominal", "sort": list(names), "title": None, "scale": {"domain": list(names), "range": dashes}},
        },
    }


def critical_difference(mean_ranks: Mapping[str, float], groups: Sequence[Sequence[str]], difference: float | None) -> Spec:
    """Return Demsar's picture: mean ranks on a line, below them a bar over each group of methods that the test cannot tell apart."""
    names = sorted(mean_ranks, key=lambda name: (mean_ranks[name], name))
    values = [{"row": name, "value": mean_ranks[name], "one": 1, "says": f"{name}: mean rank {mean_ranks[name]:.2f}"} for name in names]
    bars = [
        # Rows without a label: blanks of different length are different rows.
        {"row": " " * (index + 1), "low": min(mean_ranks[name] for name in group), "high": max(mean_ranks[name] for name in group), "says": says}
        for index, group in enumerate(groups)
        for says in [f"not told apart: {', '.join(group)}"]
    ]
    title = "mean rank (1 is best)" + (f"; critical difference {difference:.2f}" if difference is not None else "")
    scale = {"zero": False, "domain": [1, max(2.0, float(len(names)))]}
    x = {"field": "value", "type": "quantitative", "title": title, "scale": scale, "axis": {"orient": "top", "tickCount": 6}}
    axis = {"ticks": False, "labelPadding": 8}
    y = {"field": "row", "type": "nominal", "title": None, "scale": {"domain": [*names, *(bar["row"] for bar in bars)]}, "axis": axis}
    stem: Spec = {
        "mark": {"type": "rule", "color": "var(--line)", "aria": False},
        "encoding": {"x": {**x, "field": "one"}, "x2": {"field": "value"}, "y": y},
    }
    point: Spec = {
        "mark": {"type": "point", "filled": True, "size": 60, "color": "var(--c0)"},
        "encoding": {"x": x, "y": y, "description": {"field": "says"}},
    }
    bar: Spec = {
        "data": {"values": bars},
        "mark": {"type": "rule", "strokeWidth": 4, "color": "var(--ink)"},
        "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y, "description": {"field": "says"}},
    }
    return {"data": {"values": values}, "height": _STEP * (len(names) + len(bars)) + 50, "layer": [stem, point, *([bar] if bars else [])]}
