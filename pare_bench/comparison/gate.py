"""``--fail-if``: a condition on a comparison at which a script or CI job stops."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pare_bench import statistics
from pare_bench.comparison.compare import Comparison
from pare_bench.comparison.contrasts import Pair
from pare_bench.comparison.table_parts import many, many_between
from pare_bench.errors import UsageError, nearest

_EXAMPLE = "--fail-if 'worse(p=0.05, effect=0.01)'"
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([^()]*)\)\s*")
_SETTING = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*([0-9.eE+-]+)\s*")
#: Conditions by name, with their settings: the value without one, and the values allowed.
_CONDITIONS = {"worse": {"p": (0.05, (0.0, 1.0)), "effect": (0.0, (0.0, 1.0))}}


@dataclass(frozen=True)
class Condition:
    """``worse(p, effect)``: a method is worse than the reference with a corrected p of at most ``p`` and a mean loss of at least ``effect``.

    The loss is the mean over tasks of the difference as a share of the way from floor to perfect score, and p is that of this mean, as in the
    verdict.
    """

    name: str
    p: float
    effect: float


def parse_condition(text: str) -> Condition:
    """Return the condition that ``text`` describes.

    Raises:
        UsageError: it describes none; the message says where it goes wrong.
    """
    call = _CALL.fullmatch(text)
    if call is None:
        raise UsageError(f"'{text}' is not a condition: a name and its settings in brackets are expected", hint=_EXAMPLE)
    name, inside = call.groups()
    if name not in _CONDITIONS:
        close = nearest(name, _CONDITIONS)
        raise UsageError(f"there is no condition '{name}'" + (f"; did you mean '{close}'?" if close else ""), hint=_EXAMPLE)
    allowed, given = _CONDITIONS[name], dict[str, float]()
    for part in inside.split(",") if inside.strip() else ():
        key, value = _setting(part, text)
        if key not in allowed:
            raise UsageError(f"condition '{name}' has no setting '{key}'; it has {' and '.join(allowed)}", hint=_EXAMPLE)
        low, high = allowed[key][1]
        if key in given or not low <= value <= high:
            problem = "is given twice" if key in given else f"must be from {low:g} to {high:g}, got '{value:g}'"
            raise UsageError(f"setting '{key}' of '{text}' {problem}", hint=_EXAMPLE)
        given[key] = value
    return Condition(name, **{key: given.get(key, default) for key, (default, _) in allowed.items()})


def _setting(part: str, text: str) -> tuple[str, float]:
    match = _SETTING.fullmatch(part)
    try:
        if match is not None:
            return match[1], float(match[2])
    except ValueError:
        pass
    raise UsageError(f"'{part.strip()}' in '{text}' is not a setting: name=number is expected", hint=_EXAMPLE)


def violations(condition: Condition, comparison: Comparison) -> list[str]:
    """Return a sentence for each method that meets the condition: it is worse than the reference, or, of two methods, the first than the second.

    Raises:
        UsageError: there is no reference, or the condition could not be met by any scores, so that passing would mean nothing.
    """
    pairs = _against(comparison)
    smallest = _smallest_p(comparison, pairs)
    if smallest > condition.p:
        raise UsageError(
            f"no scores could meet '{condition.name}(p={condition.p:g})': with {many(len(comparison.tasks), 'task')} and {many(len(pairs), 'pair')} "
            f"the smallest possible p is {min(1.0, smallest):.2g}",
            hint="compare on more tasks, or look at the effect alone: --fail-if 'worse(p=1, effect=0.01)'",
        )
    found = []
    for pair in pairs:
        if pair.effect is None and condition.effect > 0:
            raise UsageError("an effect needs tasks with a floor that is worse than perfect; here one has none", hint="--fail-if 'worse(p=0.05)'")
        loss = None if pair.effect is None else 0.0 - pair.effect.mean
        # A single task gives no p: only a condition that asks for none gets here.
        p = 1.0 if pair.p_holm is None else pair.p_holm
        if pair.favours == pair.second and p <= condition.p and (loss is None or loss >= condition.effect):
            size = "" if loss is None else f", mean loss {loss:.4f} of the way from floor to perfect"
            found.append(f"{pair.first} is worse than {pair.second}: {_p_text(pair)} ({pair.test}, Holm for {len(pairs)}){size}")
    return found


def _smallest_p(comparison: Comparison, pairs: Sequence[Pair]) -> float:
    """Return the smallest p that any scores could give: 1 for the effect on a single task, which says nothing of others, else none is too small."""
    if all(pair.effect is not None for pair in pairs):
        return 1.0 if len(comparison.tasks) < 2 else 0.0
    return statistics.smallest_possible_p(len(comparison.tasks)) * len(pairs)


def _p_text(pair: Pair) -> str:
    return "no p" if pair.p_holm is None else f"p = {pair.p_holm:.3g}"


def passed_sentence(comparison: Comparison) -> str:
    """Return what was looked at where no method met the condition, and what that leaves open: a gate must not pass in silence."""
    counts = [cell.n for row in comparison.tasks for cell in row.cells.values() if cell.n]
    seen = []
    for pair in _against(comparison):
        size = "" if pair.effect is None else f", mean gain {pair.effect.mean:+.4f}"
        seen.append(f"{pair.first} against {pair.second} {_p_text(pair)}{size}")
    design = f"{many(len(comparison.tasks), 'task')}, {many_between(counts, 'seed')}"
    text = f"gate passed on {design}: {'; '.join(seen)}. Not shown to be worse is not shown to be as good"
    if min(counts) < 2:
        text += "; with one seed a difference may be seed noise"
    if comparison.dropped:
        text += f"; tasks left out: {', '.join(comparison.dropped)}"
    failed = sum(len(cell.failed) for row in comparison.tasks for cell in row.cells.values() if not cell.last)
    if failed:
        text += f"; {many(failed, 'failed run')} left out of means (--missing worst-rank counts them as losses)"
    return text


def _against(comparison: Comparison) -> Sequence[Pair]:
    if comparison.reference is not None:
        return comparison.against
    if len(comparison.methods) > 2:
        message = "--fail-if with three or more methods needs the one they are measured against"
        raise UsageError(message, hint=f"--reference '{comparison.methods[-1]}'")
    return comparison.pairs
