"""Protein chains, real and simulated, and the sequence features from which their residue distances are predicted.

Real chains: C-beta coordinates of wwPDB entries, grouped into families by shared 3-residue words so that homologues never lie in two splits.
Simulated chains: alpha helices (3.8 angstrom steps, bond angle 91, torsion 50 degrees), beta strands (124, -170) and loops are joined one after
the other; of many random loop conformations the one is kept that gives contacts, strand pairing and a small radius without clashes
(a Rosenbluth-like growth of a compact self-avoiding chain). C-beta atoms are put where an L-amino acid has them, from three C-alphas.

Features: what a pipeline computes from a multiple sequence alignment (secondary structure, profile, solvent access, entropy, two
coevolution maps, a contact potential), here drawn from the true structure with errors that grow as the alignment gets shallower.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Real chains.
CHAINS = Path(__file__).parents[1] / "data" / "protein_chains.npz"
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
#: Share of each amino acid in proteins, hydropathy (Kyte and Doolittle 1982), residue volume in cubic angstrom (Zamyatnin 1972), charge at
#: pH 7, and propensities for helix and strand (Chou and Fasman 1978), in the order of ``AMINO_ACIDS``.
SHARE = np.array([8.3, 1.4, 5.5, 6.7, 3.9, 7.1, 2.3, 5.9, 5.8, 9.7, 2.4, 4.1, 4.7, 3.9, 5.5, 6.6, 5.3, 6.9, 1.1, 2.9]) / 100
HYDROPATHY = np.array([1.8, 2.5, -3.5, -3.5, 2.8, -0.4, -3.2, 4.5, -3.9, 3.8, 1.9, -3.5, -1.6, -3.5, -4.5, -0.8, -0.7, 4.2, -0.9, -1.3])
VOLUME = np.array([89, 109, 111, 138, 190, 60, 153, 167, 169, 167, 163, 114, 113, 144, 174, 89, 116, 140, 228, 194.0])
CHARGE = np.array([0, 0, -1, -1, 0, 0, 0.1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.0])
HELIX = np.array([1.42, 0.70, 1.01, 1.51, 1.13, 0.57, 1.00, 1.08, 1.16, 1.21, 1.45, 0.67, 0.57, 1.11, 0.98, 0.77, 0.83, 1.06, 1.08, 0.69])
STRAND = np.array([0.83, 1.19, 0.54, 0.37, 1.38, 0.75, 0.87, 1.60, 0.74, 1.30, 1.05, 0.89, 0.55, 1.10, 0.93, 0.75, 1.19, 1.70, 1.37, 1.47])

STEP = 3.8
CONTACT = 8.0
FAMILY_WORDS = 0.2
CHANNELS = 57
#: Rounds of trial conformations of a segment before a clash is accepted.
ATTEMPTS = 6


@dataclass(frozen=True)
class Chain:
    """``sequence`` index into ``AMINO_ACIDS`` ``[L]``, ``xyz`` C-beta coordinates ``[L 3]`` in angstrom, ``family`` (-1: simulated), ``name``."""

    sequence: NDArray[np.int64]
    xyz: Floats
    family: int
    name: str

    def __len__(self) -> int:
        return len(self.sequence)

    def window(self, start: int, size: int) -> Chain:
        """Return residues ``start .. start + size - 1``."""
        return Chain(self.sequence[start : start + size], self.xyz[start : start + size], self.family, self.name)

    def distances(self) -> Floats:
        """Return all C-beta distances ``[L L]`` in angstrom."""
        return pairwise(self.xyz, self.xyz)


def pairwise(first: Floats, second: Floats) -> Floats:
    """Return the distances between points ``[... n 3]`` and ``[... m 3]``: ``[... n m]``."""
    difference = first[..., :, None, :] - second[..., None, :, :]
    result: Floats = np.sqrt(np.einsum("...d,...d->...", difference, difference))
    return result


@cache
def real_chains() -> tuple[Chain, ...]:
    """Read the bundled chains, without the normal-mode ensemble of ubiquitin; families numbered in order of first appearance."""
    with np.load(CHAINS, allow_pickle=False) as file:
        sequences, names, ends, xyz = file["seq"].tolist(), file["name"].tolist(), np.cumsum(file["n"]), file["xyz"].astype(np.float64)
    kept = [index for index, name in enumerate(names) if not name.startswith("1ubi_anmd")]
    families = family_ids([sequences[index] for index in kept])
    return tuple(
        Chain(
            np.array([AMINO_ACIDS.index(letter) for letter in sequences[index]]),
            xyz[ends[index] - len(sequences[index]) : ends[index]],
            family,
            names[index],
        )
        for index, family in zip(kept, families, strict=True)
    )


def family_ids(sequences: list[str]) -> list[int]:
    """Single-linkage families: two sequences are related when they share at least 20 % of the shorter one's 3-residue words."""
    words = [{sequence[place : place + 3] for place in range(len(sequence) - 2)} for sequence in sequences]
    family = list(range(len(sequences)))
    for second in range(len(sequences)):
        for first in range(second):
            shared = len(words[first] & words[second])
            if shared >= FAMILY_WORDS * min(len(words[first]), len(words[second])) and family[first] != family[second]:
                old, new = max(family[first], family[second]), min(family[first], family[second])
                family = [new if member == old else member for member in family]
    return family


def secondary_structure(xyz: Floats) -> NDArray[np.int64]:
    """Return 0 helix, 1 strand, 2 other for each residue ``[L]`` from its C-beta distances to residues 2, 3 and 4 further on."""
    size = len(xyz)
    state = np.full(size, 2)
    distance = pairwise(xyz, xyz)
    two, three, four = (np.diagonal(distance, step)[: size - 4] for step in (2, 3, 4))
    helix = (np.abs(two - 7.2) < 0.9) & (np.abs(three - 5.7) < 1.0) & (np.abs(four - 6.4) < 1.1)
    strand = (two < 7.5) & (three > 9.2) & (four > 12.0)
    for begin in np.flatnonzero(strand):
        state[begin : begin + 5] = 1
    for begin in np.flatnonzero(helix):
        state[begin : begin + 5] = 0
    return state


def burial(distance: Floats) -> Floats:
    """Return how buried each residue is ``[L]``: 0 exposed, 1 with 24 or more other C-beta atoms within 10 angstrom."""
    neighbours = np.sum(distance < 10.0, axis=1) - 1
    return np.asarray(np.minimum(neighbours / 24.0, 1.0))


# --- simulated chains ---------------------------------------------------------------------------------------------------------------------


def simulate_chain(size: int, rng: np.random.Generator, trials: int = 64) -> Chain:
    """Grow a compact chain of ``size`` residues, segment by segment, keeping the best of ``trials`` conformations, of more where all clash."""
    state = _draw_segments(size, rng)
    edges = np.flatnonzero(np.diff(state)) + 1
    # A segment is a loop with the helix or strand behind it.
    begins = [0, *[int(edge) for edge in edges if state[edge] == 2 and edge > 3]]
    placed = STEP * np.array([[0, 0, 0], [1, 0, 0], [1.5, np.sqrt(0.75), 0]])
    for begin, end in zip(begins, [*begins[1:], size], strict=True):
        best, lowest, clashes = placed, np.inf, 1
        for _ in range(ATTEMPTS):
            candidates = _extend(placed, *_internal(state[max(begin, 3) : end], trials, rng))
            energy, clash = _energy(placed, candidates, state[: len(placed)], state[len(placed) : end])
            winner = int(np.argmin(energy))
            if energy[winner] < lowest:
                best, lowest, clashes = candidates[winner], float(energy[winner]), int(clash[winner])
            if clashes == 0:
                break
        placed = np.concatenate([placed, best])
    xyz = beta_carbons(placed)
    return Chain(draw_sequence(state, burial(pairwise(xyz, xyz)), rng), xyz, -1, "simulated")


def _draw_segments(size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a state per residue ``[size]``: loops of 2 to 7, helices of 8 to 18, strands of 4 to 9 residues; a chain leans to one fold class."""
    helices = float(rng.choice([0.1, 0.5, 0.9]))
    states: list[int] = [2] * int(rng.integers(3, 6))
    while len(states) < size:
        helix = rng.random() < helices
        states += [0] * int(rng.integers(8, 19)) if helix else [1] * int(rng.integers(4, 10))
        states += [2] * int(rng.integers(2, 8))
    return np.array(states[:size])


def _internal(state: NDArray[np.int64], trials: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return bond angles and torsions ``[trials residues]`` in radians; loops are free, helices and strands nearly ideal."""
    shape = (trials, len(state))
    loop = state == 2
    angles = np.array([91.0, 124.0, 0.0])[state] + rng.normal(0, 2.5, shape)
    torsions = np.array([50.0, -170.0, 0.0])[state] + rng.normal(0, 1, shape) * np.where(state == 1, 12.0, 3.5)
    angles = np.where(loop, rng.uniform(85, 140, shape), angles)
    torsions = np.where(loop, rng.uniform(-180, 180, shape), torsions)
    return np.radians(angles), np.radians(torsions)


def _extend(placed: Floats, angles: Floats, torsions: Floats) -> Floats:
    """Place residues behind the last three of ``placed`` by bond length, angle and torsion: ``[trials residues 3]``."""
    trials, size = angles.shape
    a, b, c = (np.broadcast_to(placed[index], (trials, 3)) for index in (-3, -2, -1))
    local = STEP * np.stack([-np.cos(angles), np.sin(angles) * np.cos(torsions), np.sin(angles) * np.sin(torsions)], axis=-1)
    result = np.empty((trials, size, 3))
    for index in range(size):
        along = (c - b) / STEP
        normal = np.cross(b - a, along)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        frame = np.stack([along, np.cross(normal, along), normal], axis=-1)
        a, b, c = b, c, c + np.einsum("tij,tj->ti", frame, local[:, index])
        result[:, index] = c
    return result


def _energy(placed: Floats, new: Floats, old_state: NDArray[np.int64], new_state: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return energy and number of clashes per trial.

    The energy adds up clashes, minus C-beta contacts, minus strand pairs at 4.2 to 5.6 angstrom, plus the excess radius of gyration.
    """
    first = len(placed)
    alpha = np.concatenate([np.broadcast_to(placed, (len(new), *placed.shape)), new], axis=1)
    beta = beta_carbons(alpha)
    alpha_distance, beta_distance = pairwise(alpha[:, first:], alpha), pairwise(beta[:, first:], beta)
    place = np.arange(alpha.shape[1])
    apart = place[None, :] < place[first:, None] - 2
    clash = np.sum(((alpha_distance < 4.0) | (beta_distance < 3.7)) & apart, axis=(1, 2))
    contact = np.sum((beta_distance < 8.0) & apart, axis=(1, 2))
    states = np.concatenate([old_state, new_state])
    strands = (new_state[:, None] == 1) & (states[None, :] == 1)
    pairs = np.sum((alpha_distance > 4.2) & (alpha_distance < 5.6) & apart & strands, axis=(1, 2))
    # The radius of gyration of a folded protein grows as 2.2 L^0.38 angstrom (Skolnick, Kolinski and Ortiz 1997).
    ideal = 2.2 * alpha.shape[1] ** 0.38
    centre = alpha.mean(axis=1, keepdims=True)
    radius = np.sqrt(np.mean(np.sum((alpha - centre) ** 2, axis=-1), axis=-1))
    return np.asarray(20.0 * clash - contact - 6.0 * pairs + 0.6 * np.maximum(radius - ideal, 0) * len(new_state)), clash


def beta_carbons(alpha: Floats) -> Floats:
    """Return C-beta positions ``[... L 3]`` from C-alpha ones: 1.53 angstrom outward of the bend and to the side of an L-amino acid."""
    steps = np.diff(alpha, axis=-2)
    steps = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    before, behind = steps[..., :-1, :], steps[..., 1:, :]
    outward, side = before - behind, np.cross(before, behind)
    outward, side = outward / np.linalg.norm(outward, axis=-1, keepdims=True), side / np.linalg.norm(side, axis=-1, keepdims=True)
    inner = 1.53 * (0.70 * outward - 0.714 * side)
    # The ends have one neighbour only and take the direction of the residue beside them.
    offset = np.concatenate([inner[..., :1, :], inner, inner[..., -1:, :]], axis=-2)
    return np.asarray(alpha + offset)


def draw_sequence(state: NDArray[np.int64], buried: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw amino acids ``[L]`` by their share, propensity for the secondary structure and hydropathy where buried."""
    logits = np.log(SHARE) + 0.3 * (2 * buried[:, None] - 0.8) * HYDROPATHY
    propensity = np.stack([np.log(HELIX), np.log(STRAND), -np.log(HELIX * STRAND) / 2])
    logits += propensity[state]
    return np.asarray(np.argmax(logits + rng.gumbel(size=logits.shape), axis=1))


# --- features -----------------------------------------------------------------------------------------------------------------------------


def _descriptors() -> Floats:
    """Return standardised hydropathy, volume and charge of the amino acids ``[20 3]``."""
    table = np.stack([HYDROPATHY, VOLUME, 2 * CHARGE], axis=1)
    return np.asarray((table - table.mean(axis=0)) / table.std(axis=0))


@dataclass(frozen=True)
class Features:
    """The published feature set of one chain.

    ``ss`` ``[3 L]``, ``pssm`` ``[L 22]``, ``sa`` and ``entropy`` ``[L]``, ``ccmpred``, ``freecon`` and ``potential`` ``[L L]``.
    """

    ss: Floats
    pssm: Floats
    sa: Floats
    entropy: Floats
    ccmpred: Floats
    freecon: Floats
    potential: Floats


def simulate_features(chain: Chain, rng: np.random.Generator) -> Features:
    """Draw what a sequence pipeline would report for ``chain``; ``depth`` in [0, 1] is how informative its alignment is."""
    distance = chain.distances()
    buried = burial(distance)
    size = len(chain)
    depth = float(rng.beta(2.0, 1.5))
    logits = 2.5 * np.eye(3)[secondary_structure(chain.xyz)] + _smooth(rng.normal(0, 2.2 - 0.8 * depth, (size, 3)))
    ss = _softmax(logits).T
    sa = np.clip(1 - buried + rng.normal(0, 0.15, size), 0, 1)
    profile = _profile(chain.sequence, buried, depth, rng)
    entropy = -np.sum(profile * np.log(profile), axis=1)
    gaps = rng.beta(1, 6, size) * (1.2 - depth)
    pssm = np.concatenate([np.log(profile / SHARE), gaps[:, None], (np.log(20) - entropy)[:, None]], axis=1)
    signal = _coupling_signal(distance, depth, rng)
    ccmpred = _couplings(signal, 0.9, rng)
    freecon = _couplings(signal, 0.6, rng)
    contact = profile @ _contact_energies() @ profile.T
    return Features(ss, pssm, sa, entropy, ccmpred, freecon, contact)


def _softmax(logits: Floats) -> Floats:
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Floats = weights / weights.sum(axis=-1, keepdims=True)
    return result


def _smooth(noise: Floats) -> Floats:
    """Average over three neighbouring residues and keep the variance: errors of predictors come in runs."""
    padded = np.pad(noise, ((1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / np.sqrt(3))


def _profile(sequence: NDArray[np.int64], buried: Floats, depth: float, rng: np.random.Generator) -> Floats:
    """Return amino-acid frequencies ``[L 20]`` of an alignment: similar residues replace each other, the buried stay hydrophobic and conserved."""
    table = _descriptors()
    dissimilar = np.sum((table[sequence][:, None] - table[None]) ** 2, axis=-1)
    tightness = (0.4 + 0.6 * buried * depth + rng.gamma(2.0, 0.15, len(sequence)))[:, None]
    logits = np.log(SHARE) - tightness * dissimilar + 0.12 * (2 * buried[:, None] - 0.8) * HYDROPATHY + rng.normal(0, 0.4, dissimilar.shape)
    logits[np.arange(len(sequence)), sequence] += 1.2
    return 0.95 * _softmax(logits) + 0.05 * SHARE


def _coupling_signal(distance: Floats, depth: float, rng: np.random.Generator) -> Floats:
    """Return symmetric coevolution strengths ``[L L]``: contacts couple, some do not, and chains of contacts couple weakly.

    Shallow alignments show fewer of the contacts; pairs beyond the C-beta contact distance fade out within 2 angstrom.
    """
    size = len(distance)
    close = 1 / (1 + np.exp((distance - CONTACT) / 0.6))
    shown = _symmetric(rng.random((size, size))) < 0.3 + 0.6 * depth
    strength = _symmetric(rng.gamma(2.5, 0.4, (size, size)))
    direct = close * shown * strength
    np.fill_diagonal(direct, 0)
    indirect = direct @ direct
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return np.asarray(direct + 0.08 * np.minimum(indirect, 3.0) + 0.15 * np.exp(-apart / 3))


def _couplings(signal: Floats, quality: float, rng: np.random.Generator) -> Floats:
    """Return one method's coupling map ``[L L]``: signal, heavy-tailed noise, row effects of conserved columns; average-product corrected."""
    size = len(signal)
    noise = _symmetric(rng.standard_t(4, (size, size))) * 0.22 / quality
    bias = np.abs(rng.normal(0, 0.3, size))
    raw = quality * signal + noise + np.add.outer(bias, bias) + 1.0
    corrected: Floats = raw - np.outer(raw.mean(axis=1), raw.mean(axis=0)) / raw.mean()
    np.fill_diagonal(corrected, 0)
    return corrected


def _symmetric(values: Floats) -> Floats:
    """Copy the upper triangle to the lower one."""
    upper = np.triu(values)
    return upper + np.triu(values, 1).T


def _contact_energies() -> Floats:
    """Return a contact potential ``[20 20]``: hydrophobic pairs attract, like charges repel, opposite charges attract."""
    attraction = (HYDROPATHY + 4.5) / 9
    return np.asarray(np.outer(CHARGE, CHARGE) - 2.0 * np.outer(attraction, attraction))


def channels(features: Features) -> NDArray[np.float32]:
    """Stack the 57 maps ``[57 L L]`` in the published order.

    Each 1-D track (3 ss, 22 pssm, sa, entropy) gives two maps, first the track along the columns (equal rows), then its transpose; then ccmpred,
    freecon and potential.
    """
    tracks = np.concatenate([features.ss, features.pssm.T, features.sa[None], features.entropy[None]])
    size = tracks.shape[1]
    result = np.empty((CHANNELS, size, size), np.float32)
    result[0:54:2] = tracks[:, None, :]
    result[1:54:2] = tracks[:, :, None]
    result[54:] = np.stack([features.ccmpred, features.freecon, features.potential])
    return result


def clean_distances(distance: Floats) -> Floats:
    """Apply the published cleaning: distances under 1 become 1; the diagonal becomes the mean of its two neighbours in the row, or the one."""
    result = np.maximum(distance, 1.0)
    size = len(result)
    place = np.arange(size)
    left, right = result[place, np.maximum(place - 1, 0)], result[place, np.minimum(place + 1, size - 1)]
    left[0], right[-1] = right[0], left[-1]
    result[place, place] = (left + right) / 2
    return result
