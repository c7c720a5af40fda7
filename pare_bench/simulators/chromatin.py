"""DNA with transcription-factor binding sites, and the chromatin peaks that they cause.

Sequence: bases are drawn with a GC content that drifts along the sequence around the mean of a regulatory state (closed, enhancer, promoter,
insulator); methylated CpG decays to TpG or CpA (Bird, Nucleic Acids Res. 8, 1980) except in CpG islands at promoters; copies of interspersed
and tandem repeats are pasted in; then binding sites drawn from real JASPAR matrices on either strand.

Peaks: the thermodynamic picture of Berg and von Hippel (J. Mol. Biol. 193, 1987): a site with log-odds S is occupied with probability
1 / (1 + exp(threshold - S)). A feature needs a number of occupied copies, or two factors at a given spacing and order, in the central 200 base
pairs; what lies outside does not count. The labels are drawn from the resulting probabilities, which are therefore the Bayes-optimal scores.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.seeds import stream

#: Motifs of JASPAR.
LIBRARY = Path(__file__).parents[1] / "data" / "jaspar_motifs.json"
BASES = "ACGT"
LENGTH = 1000
BIN = (400, 600)
SLOT = 40
MAX_WIDTH = 20

STATES = ("closed", "enhancer", "promoter", "insulator")
STATE_SHARE = np.array([0.35, 0.30, 0.25, 0.10])
STATE_GC = np.array([0.40, 0.47, 0.64, 0.50])
STATE_DECAY = np.array([0.80, 0.75, 0.15, 0.65])

MISSED_PEAKS = 0.10
FALSE_PEAKS = 0.05


@dataclass(frozen=True)
class Grammar:
    """What makes one chromatin feature: ``copies`` of ``motif``, or ``motif`` followed by ``partner`` after a gap of ``gap`` base pairs.

    ``share`` is the share of sequences in which it is planted, ``state`` the regulatory state in which 85 % of those lie.
    """

    motif: str
    state: str
    share: float
    copies: int = 1
    partner: str | None = None
    gap: tuple[int, int] = (0, 4)


FEATURES = (
    Grammar("CTCF", "insulator", 0.09),
    Grammar("REST", "promoter", 0.03),
    Grammar("Spi1", "enhancer", 0.09, partner="Irf1", gap=(0, 3)),
    Grammar("GATA1", "enhancer", 0.12, copies=4),
    Grammar("EBF1", "enhancer", 0.05, copies=2),
    Grammar("PAX5", "enhancer", 0.04, copies=3),
    Grammar("Nrf1", "promoter", 0.12, copies=2),
    Grammar("Yy1", "promoter", 0.09, copies=3),
    Grammar("SP1", "promoter", 0.14, copies=2),
    Grammar("KLF4", "promoter", 0.10, copies=3),
    Grammar("E2F1", "promoter", 0.08, copies=2),
    Grammar("E2F4", "promoter", 0.05),
    Grammar("MYC", "promoter", 0.07, copies=2),
    Grammar("MAX", "promoter", 0.06, copies=3),
    Grammar("USF1", "promoter", 0.06, copies=2),
    Grammar("USF2", "promoter", 0.05),
    Grammar("JUN", "enhancer", 0.10, copies=2),
    Grammar("FOS", "enhancer", 0.14, copies=3),
    Grammar("ATF3", "promoter", 0.03),
    Grammar("CREB1", "promoter", 0.06, copies=2),
    Grammar("STAT1", "enhancer", 0.05),
    Grammar("STAT3", "enhancer", 0.06, copies=2),
    Grammar("Irf1", "enhancer", 0.05, copies=2),
    Grammar("RELA", "enhancer", 0.06, copies=2),
    Grammar("NFKB1", "enhancer", 0.02),
    Grammar("FOXA1", "enhancer", 0.14, copies=3),
    Grammar("FOXA2", "enhancer", 0.08, partner="HNF4A", gap=(0, 6)),
    Grammar("HNF4A", "enhancer", 0.05, copies=2),
    Grammar("CEBPB", "enhancer", 0.10, copies=2),
    Grammar("Runx1", "enhancer", 0.07, partner="ETS1", gap=(0, 4)),
    Grammar("ETS1", "promoter", 0.06, copies=2),
    Grammar("GABPA", "promoter", 0.08, copies=2),
    Grammar("ELK1", "promoter", 0.04),
    Grammar("TP53", "closed", 0.02),
    Grammar("POU5F1", "enhancer", 0.06, partner="SOX2", gap=(0, 3)),
    Grammar("SOX2", "enhancer", 0.04, copies=3),
)
MOTIFS = tuple(grammar.motif for grammar in FEATURES)


@dataclass(frozen=True)
class Library:
    """The motif matrices on both strands, left-aligned and padded to ``MAX_WIDTH`` columns.

    ``widths`` int ``[motifs]``; ``cumulative`` of the base probabilities ``[strands motifs MAX_WIDTH 4]``, of slightly sharpened matrices;
    ``log_odds`` in nats against equal bases ``[strands motifs MAX_WIDTH 4]``, 0 in the padding; ``thresholds`` ``[motifs]`` in nats.
    """

    widths: NDArray[np.int64]
    cumulative: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    thresholds: NDArray[np.float64]


@cache
def library() -> Library:
    """Read the 36 JASPAR matrices; a pseudocount of 0.5 % keeps every base possible, half occupancy lies 1 nat below the mean true site."""
    text = LIBRARY.read_text(encoding="utf-8")
    counts = json.loads(text)["motifs"]
    widths = np.zeros(len(MOTIFS), np.int64)
    probability = np.full((2, len(MOTIFS), MAX_WIDTH, 4), 0.25)
    for index, name in enumerate(MOTIFS):
        matrix = np.array([counts[name]["counts"][base] for base in BASES]).T
        matrix = 0.98 * matrix / matrix.sum(axis=1, keepdims=True) + 0.005
        widths[index] = len(matrix)
        probability[0, index, : len(matrix)] = matrix
        probability[1, index, : len(matrix)] = matrix[::-1, ::-1]
    log_odds = np.log(probability / 0.25)
    thresholds = np.sum(probability[0] * log_odds[0], axis=(1, 2)) - 1.0
    # Bound sites are better than the average site of a matrix, which also counts weak ones.
    sharp = probability**1.5
    return Library(widths, np.cumsum(sharp / sharp.sum(axis=-1, keepdims=True), axis=-1), log_odds, thresholds)


@dataclass(frozen=True)
class Loci:
    """``bases`` int8 ``[n 1000]`` (0..3 = A, C, G, T), ``state`` index into ``STATES`` ``[n]``, ``planted`` features bool ``[n 36]``."""

    bases: NDArray[np.int8]
    state: NDArray[np.int64]
    planted: NDArray[np.bool_]


def simulate_loci(count: int, rng: np.random.Generator) -> Loci:
    """Draw ``count`` loci: background by state, repeats, then binding sites in the central bin and decoys beside it."""
    state = rng.choice(len(STATES), size=count, p=STATE_SHARE)
    bases = background(state, rng)
    paste_repeats(bases, rng)
    share = np.array([grammar.share for grammar in FEATURES])
    home = np.array([STATES.index(grammar.state) for grammar in FEATURES])
    preferred = state[:, None] == home
    chance = np.where(preferred, 0.85 * share / STATE_SHARE[home], 0.15 * share / (1 - STATE_SHARE[home]))
    planted = rng.random((count, len(FEATURES))) < chance
    # Neighbouring sites: copies of what is planted, and decoys of what is not; neither counts for the label.
    copies = rng.poisson(0.8 * planted + 0.03)
    flanks = np.concatenate([np.arange(0, BIN[0], SLOT), np.arange(BIN[1], LENGTH, SLOT)])
    plant(bases, *_slots(copies, flanks, rng), rng)
    plant(bases, *_slots(planted.astype(np.int64), np.arange(*BIN, SLOT), rng), rng)
    return Loci(bases, state, planted)


def background(state: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Draw bases ``[n 1000]``: state-dependent GC content inside the element, that of closed chromatin outside, drift, CpG decay."""
    count = len(state)
    half_width = rng.uniform(200, 500, size=(count, 1))
    inside = np.abs(np.arange(LENGTH) - LENGTH / 2) < half_width
    where = np.where(inside, state[:, None], 0)
    knots = rng.normal(0, 0.3, size=(count, 9)) + rng.normal(0, 0.2, size=(count, 1))
    left, weight = np.divmod(np.arange(LENGTH) / 125, 1)
    drift = knots[:, left.astype(int)] * (1 - weight) + knots[:, left.astype(int) + 1] * weight
    gc = 1 / (1 + np.exp(-np.log(STATE_GC / (1 - STATE_GC))[where] - drift))
    strong = rng.random((count, LENGTH)) < gc
    second = rng.random((count, LENGTH)) < 0.5
    # Strong bases are C = 1 and G = 2, weak ones A = 0 and T = 3.
    bases = np.where(strong, 1 + second, 3 * second).astype(np.int8)
    island = (bases[:, :-1] == 1) & (bases[:, 1:] == 2)
    decays = island & (rng.random(island.shape) < STATE_DECAY[where[:, :-1]])
    forward = rng.random(island.shape) < 0.5
    bases[:, :-1][decays & forward] = 3
    bases[:, 1:][decays & ~forward] = 0
    return bases


@cache
def _repeat_families() -> NDArray[np.int8]:
    """Five interspersed-repeat consensus sequences of 300 bp, the same in every data set, as a genome's families are."""
    return stream("chromatin", "repeat families", 1).integers(0, 4, size=(5, 300)).astype(np.int8)


def paste_repeats(bases: NDArray[np.int8], rng: np.random.Generator) -> None:
    """Overwrite parts of ``bases`` with diverged repeats: 30 % of loci get a fragment of an interspersed family, 20 % a tandem repeat."""
    complement = np.array([3, 2, 1, 0], np.int8)
    for row in np.flatnonzero(rng.random(len(bases)) < 0.3):
        size = int(rng.integers(80, 301))
        fragment = _repeat_families()[rng.integers(5), -size:]
        fragment = complement[fragment[::-1]] if rng.random() < 0.5 else fragment
        _paste(bases[row], fragment, 0.15, rng)
    for row in np.flatnonzero(rng.random(len(bases)) < 0.2):
        unit = rng.integers(0, 4, size=rng.integers(1, 7)).astype(np.int8)
        _paste(bases[row], np.resize(unit, int(rng.integers(15, 61))), 0.05, rng)


def _paste(row: NDArray[np.int8], fragment: NDArray[np.int8], divergence: float, rng: np.random.Generator) -> None:
    start = int(rng.integers(0, LENGTH - len(fragment) + 1))
    mutated = rng.random(len(fragment)) < divergence
    row[start : start + len(fragment)] = np.where(mutated, rng.integers(0, 4, size=len(fragment)), fragment)


def _slots(
    copies: NDArray[np.int64], starts: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Give each of the ``copies[row, feature]`` elements its own slot; return (row, feature, slot start), without those that find no slot."""
    row, feature = (np.repeat(index, copies[copies > 0]) for index in np.nonzero(copies))
    order = rng.permutation(len(row))
    order = order[np.argsort(row[order], kind="stable")]
    row, feature = row[order], feature[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    shuffled = rng.permuted(np.tile(starts, (len(copies), 1)), axis=1)
    fits = rank < len(starts)
    return row[fits], feature[fits], shuffled[row[fits], rank[fits]]


def plant(bases: NDArray[np.int8], row: NDArray[np.int64], feature: NDArray[np.int64], slot: NDArray[np.int64], rng: np.random.Generator) -> None:
    """Write one element per entry into ``bases``: the sites of ``feature``, gaps by its grammar, in the 40 base pairs from ``slot``.

    Copies of one motif lie on either strand each; a pair keeps its order and orientation and lies on either strand as a whole.
    """
    known = library()
    sites = np.full((len(FEATURES), 4), -1)
    for index, grammar in enumerate(FEATURES):
        members = [grammar.motif, grammar.partner] if grammar.partner else [grammar.motif] * grammar.copies
        sites[index, : len(members)] = [MOTIFS.index(name) for name in members]
    motif = sites[feature]
    used = motif >= 0
    width = np.where(used, known.widths[motif], 0)
    low, high = np.array([grammar.gap for grammar in FEATURES])[feature].T[:, :, None]
    gap = np.where(used, rng.integers(low, high + 1, size=motif.shape), 0)
    gap[:, 0] = 0
    end = np.cumsum(gap + width, axis=1)
    total = end[:, -1:]
    pair = np.array([grammar.partner is not None for grammar in FEATURES])[feature][:, None]
    whole = rng.random((len(row), 1)) < 0.5
    reverse = np.where(pair, whole, rng.random(motif.shape) < 0.5)
    start = np.where(pair & whole, total - end, end - width)
    start = start + slot[:, None] + np.floor(rng.random((len(row), 1)) * (SLOT + 1 - total)).astype(np.int64)
    draws = rng.random((len(row), 4, MAX_WIDTH, 1))
    element, place = np.nonzero(used)
    chosen = known.cumulative[reverse[element, place].astype(np.int64), motif[element, place]]
    letters = np.sum(draws[element, place] > chosen[..., :3], axis=-1)
    site, column = np.nonzero(np.arange(MAX_WIDTH) < width[element, place][:, None])
    bases[row[element[site]], start[element, place][site] + column] = letters[site, column]


def occupancy(bases: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the occupancy of each site that starts in the central bin and ends in it: ``[n strands motifs 200]``, in [0, 1]."""
    known = library()
    first, last = BIN
    window = np.lib.stride_tricks.sliding_window_view(bases[:, first : last + MAX_WIDTH], MAX_WIDTH, axis=1)[:, : last - first]
    one_hot = np.eye(4)[window].reshape(len(bases), last - first, -1)
    scores = np.einsum("nlf,kf->nkl", one_hot, known.log_odds.reshape(2 * len(MOTIFS), -1), optimize=True)
    scores = scores.reshape(len(bases), 2, len(MOTIFS), last - first)
    filled: NDArray[np.float64] = 1 / (1 + np.exp(np.clip(known.thresholds[:, None] - scores, -50, 50)))
    fits = np.arange(last - first) + known.widths[:, None] <= last - first
    filled *= fits
    return filled


def peak_probabilities(bases: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return P(label = 1 | sequence) ``[n 36]``: the grammar on the occupied sites of the central bin, then missed and false peaks."""
    filled = occupancy(bases)
    known = library()
    result = np.empty((len(bases), len(FEATURES)))
    for index, grammar in enumerate(FEATURES):
        if grammar.partner is None:
            # A palindrome matches on both strands at one place and is one site.
            present = filled[:, :, index].max(axis=1).sum(axis=-1)
        else:
            present = _pairs(filled, index, MOTIFS.index(grammar.partner), grammar.gap, known.widths)
        satisfied = 1 / (1 + np.exp(-12 * (present - grammar.copies + 0.5)))
        false = FALSE_PEAKS * grammar.share
        result[:, index] = false + (1 - MISSED_PEAKS - false) * satisfied
    return result


def _pairs(filled: NDArray[np.float64], first: int, second: int, gap: tuple[int, int], widths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the expected number of ``first`` followed downstream by ``second`` after ``gap`` base pairs, on either strand."""
    size = filled.shape[-1]
    total = np.zeros(len(filled))
    for space in range(gap[0], gap[1] + 1):
        step = widths[first] + space
        total += np.sum(filled[:, 0, first, : size - step] * filled[:, 0, second, step:], axis=-1)
        step = widths[second] + space
        total += np.sum(filled[:, 1, second, : size - step] * filled[:, 1, first, step:], axis=-1)
    return total


def one_hot(bases: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return ``[n 4 length]`` with one 1 per position, rows A, C, G, T."""
    return np.ascontiguousarray(np.moveaxis(np.eye(4, dtype=np.float32)[bases], -1, 1))
