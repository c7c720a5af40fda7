"""Tie groups: which methods a test cannot tell apart, as sets and as letters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from string import ascii_letters

from pare_bench.statistics.friedman import nemenyi_difference


def tie_groups(names: Sequence[str], different: Collection[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Return the largest sets of names of which no two are in ``different``, by their first member, members in the order of ``names``.

    These are the columns of a compact letter display (Piepho 2004, insert and absorb). Sets may overlap, and need not be neighbours in rank:
    a test on differences can part two neighbours and not their outer ones.
    """
    groups = [frozenset(names)] if names else []
    for first, second in different:
        split: list[frozenset[str]] = []
        for group in groups:
            split += [group - {first}, group - {second}] if first in group and second in group else [group]
        groups = [each for each in dict.fromkeys(split) if not any(each < other for other in split)]
    ordered = [tuple(name for name in names if name in group) for group in groups]
    return tuple(sorted(ordered, key=lambda group: [names.index(name) for name in group]))


def letters(names: Sequence[str], groups: Sequence[Collection[str]]) -> Mapping[str, str]:
    """Return the letters of each name, one letter per group: two names that share a letter have not been told apart."""
    marks = [ascii_letters[index] if index < len(ascii_letters) else f"({index})" for index in range(len(groups))]
    return {name: "".join(mark for mark, group in zip(marks, groups, strict=True) if name in group) for name in names}


def nemenyi_groups(ranks: Mapping[str, float], num_tasks: int, alpha: float = 0.05) -> tuple[float, tuple[tuple[str, ...], ...]]:
    """Return the critical difference of mean ranks, and the groups of methods that it does not tell apart, by mean rank."""
    critical = nemenyi_difference(len(ranks), num_tasks, alpha)
    order = sorted(ranks, key=lambda name: (ranks[name], name))
    return critical, tie_groups(order, {(better, worse) for better, worse in combinations(order, 2) if ranks[worse] - ranks[better] >= critical})
