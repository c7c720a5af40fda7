"""The tables of scores: tasks as rows, with the difference where there are two methods; on a screen methods as rows where there are many."""

from __future__ import annotations

from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import Difference
from pare_bench.comparison.overall import mean_gains
from pare_bench.comparison.table_parts import Table, cell_text, many, number, points, points_between, short, short_cell, signed_points
from pare_bench.comparison.task_rows import TaskRow

#: Up to this many methods tasks are the rows.
FEW = 3
#: Width of the drawing of differences in a terminal.
_FOREST = 21


def title(comparison: Comparison) -> str:
    """Return what is compared with what."""
    suite, tier, track, preset = comparison.division
    return f"{' vs '.join(comparison.methods)} on {suite}, tier {tier}, track {track}, preset {preset}"


def scores(comparison: Comparison) -> Table:
    """Return all scores in full, one row for each task."""
    # The second floor has a column where any task has one.
    second = any(row.persistence is not None for row in comparison.tasks)
    rows, bold = [], set()
    for place, row in enumerate(comparison.tasks):
        cells = (cell_text(row.cells[method]) for method in comparison.methods)
        floors = [number(row.floor), *([number(row.persistence)] if second else [])]
        rows.append((row.task, row.metric, row.direction_text, *cells, *floors, row.verdict))
        bold |= {(place, 3 + comparison.methods.index(leader)) for leader in row.leaders}
    ranks = (f"{comparison.mean_ranks[method]:.2f}" for method in comparison.methods)
    foot = [("mean rank", "", "lower is better", *ranks, "", *([""] if second else []), "")]
    if gains := mean_gains(comparison.tasks, comparison.methods):
        texts = (points(gains[method]) for method in comparison.methods)
        foot.append(("mean gain", "points", "higher is better", *texts, "0.0", *([""] if second else []), ""))
    return Table(
        title(comparison),
        ("task", "metric", "direction", *comparison.methods, "floor", *(["persistence"] if second else []), "verdict"),
        (*rows, *foot),
        ("task", "metric", "direction", "verdict"),
        f"cells: mean ± sample standard deviation over seeds (their number), best mean bold; missing: {comparison.missing}; verdict: best where the "
        "plain 95% interval over seeds excludes 0 against every other method (an intersection: nothing to correct); gain: hundredths of the way from "
        "floor to perfect score" + ("; floor: the mean field, persistence: that nothing changes" if second else ""),
        frozenset(bold),
    )


def short_scores(comparison: Comparison) -> Table:
    """Return the scores for a screen."""
    return _tasks_as_rows(comparison) if len(comparison.methods) <= FEW else _methods_as_rows(comparison)


def _tasks_as_rows(comparison: Comparison) -> Table:
    two = comparison.lead is not None and len(comparison.methods) == 2
    seeds = _seeds(comparison)
    details = comparison.pairs[0].details
    reach = max((_reach(details[row.task]) for row in comparison.tasks), default=0.0) if two else 0.0
    rows, bold = [], set()
    for place, row in enumerate(comparison.tasks):
        cells = [_marked(row, method, seeds) for method in comparison.methods]
        bold |= {(place, 1 + comparison.methods.index(leader)) for leader in row.leaders}
        last = [short(row.floor)]
        if two:
            detail = details[row.task]
            interval = None if detail.gain is None or detail.gain_half is None else (detail.gain - detail.gain_half, detail.gain + detail.gain_half)
            last = [signed_points(detail.gain), points_between(interval), _forest(detail, reach), *last]
        rows.append((_name(row, comparison), *cells, *last))
    blank = ["", "", "", ""] if two else [""]
    rows.append(("mean rank", *(f"{comparison.mean_ranks[method]:.2f}" for method in comparison.methods), *blank))
    columns = ("gain", "95% interval", "drawn", "floor") if two else ("floor",)
    legend = _legend(comparison, seeds)
    if two:
        first, second = comparison.pairs[0].first, comparison.pairs[0].second
        legend += f"; gain: {first} over {second}, in points of the way from floor to perfect score; drawn: -{points(reach)} to +{points(reach)}"
    return Table(None, ("task", *comparison.methods, *columns), tuple(rows), ("task", "drawn"), legend, frozenset(bold), ("floor", "drawn"))


def _methods_as_rows(comparison: Comparison) -> Table:
    seeds = _seeds(comparison)
    gains = mean_gains(comparison.tasks, comparison.methods)
    order = sorted(comparison.methods, key=lambda method: (-gains[method] if gains else 0.0, comparison.mean_ranks[method], method))
    rows, bold = [], set()
    for place, method in enumerate(order):
        head = [points(gains[method]) if gains else "-", f"{comparison.mean_ranks[method]:.2f}"]
        rows.append((method, *head, *(_marked(row, method, seeds) for row in comparison.tasks)))
        bold |= {(place, 3 + column) for column, row in enumerate(comparison.tasks) if method in row.leaders}
    floors = ("(floor)", "0.0" if gains else "-", "", *(short(row.floor) for row in comparison.tasks))
    columns = ("method", "gain", "rank", *(_name(row, comparison) for row in comparison.tasks))
    legend = _legend(comparison, seeds) + "; gain: mean, in points of the way from floor to perfect score; rank: mean"
    return Table(None, columns, (*rows, floors), ("method",), legend, frozenset(bold))


def _seeds(comparison: Comparison) -> int | None:
    counts = {cell.n for row in comparison.tasks for cell in row.cells.values()}
    return counts.pop() if len(counts) == 1 else None


def _name(row: TaskRow, comparison: Comparison) -> str:
    one = len({each.direction for each in comparison.tasks}) == 1
    return row.task if one else f"{row.task} {'↑' if row.direction == 'maximise' else '↓'}"


def _marked(row: TaskRow, method: str, seeds: int | None) -> str:
    return short_cell(row.cells[method], seeds) + ("*" if row.best == method else "")


def _legend(comparison: Comparison, seeds: int | None) -> str:
    directions = {row.direction_text for row in comparison.tasks}
    said = "mean ± sd over " + (many(seeds, "seed") if seeds is not None else "seeds (their number)") if seeds != 1 else "one seed"
    where = f", {directions.pop()}" if len(directions) == 1 else ", ↓ lower and ↑ higher is better"
    return f"{said}{where}; bold: best mean, *: by more than its 95% interval over every other"


def _reach(detail: Difference) -> float:
    return abs(detail.gain or 0.0) + min(detail.gain_half or 0.0, 1.0)


def _forest(detail: Difference, reach: float) -> str:
    """Draw a gain and its interval on a line around zero."""
    if detail.gain is None or not reach:
        return ""
    middle = _FOREST // 2

    def place(value: float) -> int:
        return max(0, min(_FOREST - 1, middle + round(value / reach * middle)))

    line = [" "] * _FOREST
    if detail.gain_half is not None:
        for each in range(place(detail.gain - detail.gain_half), place(detail.gain + detail.gain_half) + 1):
            line[each] = "-"
    line[middle] = "|"
    line[place(detail.gain)] = "o"
    return "".join(line)
