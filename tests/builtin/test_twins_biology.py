"""The generated twins of DeepSEA and PSICOV: contract, determinism, disjoint splits, and the biology of both simulators."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from pare_bench.builtin.suites.nas360 import psicov as psicov_module
from pare_bench.builtin.suites.nas360.deepsea import Deepsea
from pare_bench.builtin.suites.nas360.psicov import Psicov, long_range_contacts, real_windows
from pare_bench.contracts.task import SPLIT_NAMES, Split, Splits, TaskSize
from pare_bench.datasets.simulated import SimulatedTask, generate_splits, simulate_chunk
from pare_bench.metrics import mae_8
from pare_bench.seeds import stream
from pare_bench.simulators import chromatin, protein


def digest(split: Split) -> str:
    parts = [split.inputs, split.targets, *(split.extras[name] for name in sorted(split.extras))]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


@pytest.fixture(scope="module")
def proteins() -> Splits:
    return generate_splits(Psicov(), 0, TaskSize(8, 8, 32), workers=1)


@pytest.fixture(scope="module")
def loci() -> chromatin.Loci:
    return chromatin.simulate_loci(600, np.random.default_rng(3))


@pytest.fixture(scope="module")
def probabilities(loci: chromatin.Loci) -> np.ndarray:
    return chromatin.peak_probabilities(loci.bases)


@pytest.fixture(scope="module")
def simulated() -> list[protein.Chain]:
    rng = np.random.default_rng(5)
    return [protein.simulate_chain(int(rng.integers(70, 119)), rng) for _ in range(12)]


@pytest.mark.parametrize("task_class", [Deepsea, Psicov])
def test_bytes_follow_the_stream(task_class: type[SimulatedTask]) -> None:
    task = task_class()
    first = simulate_chunk(task, 0, "train", 0)
    assert digest(first) == digest(simulate_chunk(task_class(), 0, "train", 0))
    others = [simulate_chunk(task, 1, "train", 0), *(simulate_chunk(task, 0, *place) for place in (("train", 1), ("val", 0), ("test", 0)))]
    assert len({digest(split) for split in (first, *others)}) == 5
    assert {len(split) for split in (first, *others)} == {task.chunk}


# --- deepsea


def test_deepsea_fits_its_contract_and_splits_share_no_sequence() -> None:
    task = Deepsea()
    splits = generate_splits(task, 0, TaskSize(96, 48, 49), workers=1)
    assert splits.test.inputs.shape == (49, 4, 1000)
    assert splits.test.inputs.dtype == splits.test.targets.dtype == np.float32
    assert (splits.train.inputs.sum(axis=1) == 1).all()
    assert splits.train.targets.shape == (96, 36)
    assert set(np.unique(splits.train.targets)) == {0.0, 1.0}
    everything = np.concatenate([splits.train.inputs, splits.val.inputs, splits.test.inputs])
    assert len({row.tobytes() for row in everything}) == len(everything)
    assert 0.2 < splits.train.inputs[:, 1:3].sum() / splits.train.inputs.sum() < 0.8


def test_peak_rates_are_those_of_rare_chromatin_features(probabilities: np.ndarray) -> None:
    rates = probabilities.mean(axis=0)
    assert rates.min() > 0.01
    assert rates.max() < 0.20


def test_bayes_scores_lie_well_below_the_floor_and_the_constant_is_the_floor(probabilities: np.ndarray) -> None:
    task, scores = Deepsea(), probabilities
    labels = (np.random.default_rng(1).random(scores.shape) < scores).astype(np.float32)
    split = Split(scores, labels)
    assert task.metrics[0].compute(np.zeros_like(labels), split) == 0.5
    assert 0.01 < task.metrics[0].compute(scores, split) < 0.07


def test_matrices_keep_their_consensus_and_their_reverse_complement() -> None:
    known = chromatin.library()
    max_site = chromatin.MOTIFS.index("MAX")
    for strand in (0, 1):
        best = known.log_odds[strand, max_site, : known.widths[max_site]].argmax(axis=1)
        assert "".join(chromatin.BASES[letter] for letter in best) == "CACGTG"
    fos = chromatin.MOTIFS.index("FOS")
    forward, reverse = (known.log_odds[strand, fos, : known.widths[fos]].argmax(axis=1) for strand in (0, 1))
    assert "".join(chromatin.BASES[letter] for letter in forward) == "TGACTCAT"
    assert "".join(chromatin.BASES[letter] for letter in reverse) == "ATGAGTCA"


def naive_occupancy(sequence: np.ndarray, feature: int, start: int, strand: int) -> float:
    known = chromatin.library()
    letters = sequence[start : start + known.widths[feature]]
    score = sum(known.log_odds[strand, feature, column, letter] for column, letter in enumerate(letters))
    return float(1 / (1 + np.exp(known.thresholds[feature] - score)))


def test_occupancy_equals_a_site_by_site_scan(loci: chromatin.Loci) -> None:
    filled = chromatin.occupancy(loci.bases[:20])
    rng = np.random.default_rng(0)
    known = chromatin.library()
    assert filled.shape == (20, 2, 36, 200)
    for _ in range(60):
        row, strand, feature = rng.integers(20), rng.integers(2), rng.integers(36)
        place = int(rng.integers(0, 201 - known.widths[feature]))
        assert filled[row, strand, feature, place] == pytest.approx(naive_occupancy(loci.bases[row], feature, 400 + place, strand), abs=1e-12)
        # A site that leaves the central bin does not count.
        assert filled[row, strand, feature, 201 - known.widths[feature]] == 0


def test_only_the_central_bin_and_the_grammar_decide() -> None:
    bases = np.zeros((4, chromatin.LENGTH), np.int8)
    spi1, irf1 = (np.array(["ACGT".index(letter) for letter in text]) for text in ("AAAGAGGAAGTGG", "TGAAACTGAAA"))
    feature = chromatin.MOTIFS.index("Spi1")
    together = np.concatenate([spi1, [1, 2], irf1])
    for row, (start, sites) in enumerate([(480, together), (480, 3 - together[::-1]), (250, together), (480, np.concatenate([irf1, [1, 2], spi1]))]):
        bases[row, start : start + len(sites)] = sites
    probability = chromatin.peak_probabilities(bases)[:, feature]
    assert (probability[:2] > 0.85).all()
    assert (probability[2:] < 0.05).all()


def test_planting_makes_peaks_and_promoters_are_islands(loci: chromatin.Loci, probabilities: np.ndarray) -> None:
    probability = probabilities
    found = np.array([probability[loci.planted[:, feature], feature].mean() for feature in range(36)])
    missing = np.array([probability[~loci.planted[:, feature], feature].mean() for feature in range(36)])
    assert (found > 0.3).all()
    assert found.mean() > 0.6
    assert missing.max() < 0.15
    centre = loci.bases[:, 350:650]
    gc = np.isin(centre, (1, 2)).mean(axis=1)
    cpg = ((centre[:, :-1] == 1) & (centre[:, 1:] == 2)).mean(axis=1)
    promoter, closed = loci.state == chromatin.STATES.index("promoter"), loci.state == chromatin.STATES.index("closed")
    assert gc[promoter].mean() > gc[closed].mean() + 0.15
    # Observed over expected CpG: near 1 in islands, depleted elsewhere (Gardiner-Garden and Frommer's criterion is 0.6).
    assert (cpg[promoter] / (gc[promoter] / 2) ** 2).mean() > 0.6
    assert (cpg[closed] / (gc[closed] / 2) ** 2).mean() < 0.45


# --- psicov


def test_psicov_fits_its_contract(proteins: Splits) -> None:
    task = Psicov()
    for split in (proteins.train, proteins.val, proteins.test):
        assert split.inputs.shape[1:] == (57, 128, 128)
        assert split.inputs.dtype == np.float16
        assert split.targets.dtype == np.float32
        assert split.extras["lengths"].dtype == np.int64
        assert np.isfinite(split.inputs).all()
        assert np.abs(split.inputs).max() < 100
        assert split.extras["lengths"].max() <= task.target.size - task.target.padding


def test_the_canvas_is_padded_as_published(proteins: Splits) -> None:
    split = proteins.train
    for row, size in enumerate(split.extras["lengths"]):
        outside = np.ones((128, 128), bool)
        outside[5 : 5 + size, 5 : 5 + size] = False
        assert (split.targets[row][outside] == 100).all()
        assert (split.inputs[row][:, outside] == 0).all()
        inside = split.targets[row, 5 : 5 + size, 5 : 5 + size]
        assert inside.min() >= 1
        off = ~np.eye(size, dtype=bool)
        assert np.array_equal(inside[off], inside.T[off])


def test_channels_follow_the_published_order(proteins: Splits) -> None:
    chain = protein.real_chains()[0].window(0, 80)
    features = protein.simulate_features(chain, np.random.default_rng(0))
    maps = protein.channels(features)
    assert maps.shape == (57, 80, 80)
    tracks = [*features.ss, *features.pssm.T, features.sa, features.entropy]
    assert len(tracks) == 27
    for number, track in enumerate(tracks):
        assert np.array_equal(maps[2 * number, 11], track.astype(np.float32))
        assert np.array_equal(maps[2 * number + 1, :, 11], track.astype(np.float32))
    for number, field in ((54, features.ccmpred), (55, features.freecon), (56, features.potential)):
        assert np.array_equal(maps[number], field.astype(np.float32))
        assert np.allclose(field, field.T)
    np.testing.assert_allclose(features.ss.sum(axis=0), 1)
    np.testing.assert_allclose((np.exp(features.pssm[:, :20]) * protein.SHARE).sum(axis=1), 1, atol=0.01)


def test_cleaning_matches_a_loop() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.normal(size=(9, 3))
    distance = protein.pairwise(xyz, xyz)
    expected = distance.copy()
    expected[expected < 1] = 1
    for place in range(9):
        neighbours = [expected[place, other] for other in (place - 1, place + 1) if 0 <= other < 9]
        expected[place, place] = np.mean(neighbours)
    np.testing.assert_allclose(protein.clean_distances(distance), expected)


def test_homologues_share_a_split_and_windows_do_not_overlap() -> None:
    chains = protein.real_chains()
    assert len(chains) == 94
    families = {chain.name: chain.family for chain in chains}
    assert families["mmcif_3o21.cif:A"] == families["pdb3hsy.pdb:A"] == families["pdb6flr.pdb:B"]
    assert families["pdb1r19_dssp.pdb:A"] == families["pdb1r19_dssp.pdb:D"]
    assert 70 < len(set(families.values())) < 94
    for limit in (118, 502):
        windows = real_windows(limit)
        seen = {split: {chains[index].family for index, _ in windows[split]} for split in SPLIT_NAMES}
        assert sum(map(len, seen.values())) == len(set.union(*seen.values()))
        assert min(map(len, seen.values())) >= 10
        places = [place for split in SPLIT_NAMES for place in windows[split]]
        assert len(places) == len(set(places))
        for index, start in places:
            assert all(abs(start - other) >= limit for owner, other in places if owner == index and other != start)


def test_real_chains_come_first_and_give_real_distances(proteins: Splits) -> None:
    index, start = real_windows(118)["test"][3]
    chain = protein.real_chains()[index].window(start, 118)
    size = len(chain)
    assert proteins.test.extras["lengths"][3] == size
    expected = np.linalg.norm(chain.xyz[7] - chain.xyz[20])
    assert proteins.test.targets[3, 5 + 7, 5 + 20] == pytest.approx(max(expected, 1), rel=1e-6)


def test_every_protein_has_pairs_to_score(proteins: Splits) -> None:
    for split in (proteins.train, proteins.val, proteins.test):
        for row, size in enumerate(split.extras["lengths"]):
            inside = split.targets[row, 5 : 5 + size, 5 : 5 + size]
            assert np.triu(inside <= 8, 24).sum() >= psicov_module.MIN_LONG_RANGE_CONTACTS


def test_a_perfect_map_scores_zero_and_floors_lie_high(proteins: Splits) -> None:
    task, split = Psicov(), proteins.test
    score = task.metrics[0].compute
    assert score(split.targets, split) == 0
    mean_map = np.minimum(proteins.train.targets, 16).mean(axis=0)
    assert score(np.broadcast_to(mean_map, split.targets.shape), split) > 7
    assert score(split.targets + 1, split) == pytest.approx(1, abs=1e-5)
    assert mae_8(split.targets + 1, split.targets, split.extras["lengths"]) == score(split.targets + 1, split)


def test_simulated_chains_have_protein_geometry(simulated: list[protein.Chain]) -> None:
    rng = np.random.default_rng(0)
    state = np.zeros(30, np.int64)
    start = 3.8 * np.array([[0, 0, 0], [1, 0, 0], [1.5, np.sqrt(0.75), 0]])
    helix = protein._extend(start, *protein._internal(state, 1, rng))[0]
    np.testing.assert_allclose(np.linalg.norm(np.diff(helix, axis=0), axis=1), 3.8, atol=1e-9)
    # An alpha helix rises 1.5 angstrom per residue and is right-handed: positive triple product of consecutive steps.
    assert np.linalg.norm(helix[25] - helix[5]) / 20 == pytest.approx(1.5, abs=0.1)
    steps = np.diff(helix, axis=0)
    assert (np.einsum("nd,nd->n", np.cross(steps[:-2], steps[1:-1]), steps[2:]) > 0).all()
    beta = protein.beta_carbons(helix)
    np.testing.assert_allclose(np.linalg.norm(beta - helix, axis=1), 1.53, atol=0.02)
    assert (protein.secondary_structure(beta) == 0).mean() > 0.9
    radius: list[float] = []
    for chain in simulated:
        size = len(chain)
        distance = chain.distances()
        apart = np.triu(np.ones((size, size), bool), 3)
        # Self-avoiding up to a rare clash that no trial conformation avoids.
        assert (distance[apart] < 3.5).sum() <= 4
        radius.append(np.sqrt(np.mean(np.sum((chain.xyz - chain.xyz.mean(axis=0)) ** 2, axis=1))) / (2.2 * size**0.38))
    # In units of a folded globule; windows of the real chains, with their tails, average 1.39. An ideal random walk of 95 steps has 1.8.
    assert np.mean(radius) < 1.45
    assert np.mean([long_range_contacts(chain) >= 5 for chain in simulated]) > 0.8


def test_coevolution_points_at_contacts_but_not_perfectly(proteins: Splits) -> None:
    hits, base = [], []
    for row, size in enumerate(proteins.test.extras["lengths"]):
        inside = slice(5, 5 + size)
        coupling, distance = proteins.test.inputs[row, 54, inside, inside], proteins.test.targets[row, inside, inside]
        far = np.triu(np.ones((size, size), bool), 24)
        best = np.argsort(coupling[far])[::-1][: size // 5]
        hits.append((distance[far][best] <= 8).mean())
        base.append((distance[far] <= 8).mean())
    # Precision of the best L/5 long-range pairs: direct coupling analysis reaches 0.3 to 0.9 by depth of the alignment.
    assert 0.3 < np.mean(hits) < 0.95
    assert np.std(hits) > 0.05
    assert np.mean(base) < 0.1


def test_predicted_secondary_structure_is_mostly_right() -> None:
    rng = np.random.default_rng(2)
    right = []
    for chain in protein.real_chains()[::6]:
        features = protein.simulate_features(chain, rng)
        right.append((features.ss.argmax(axis=0) == protein.secondary_structure(chain.xyz)).mean())
    # Three-state accuracy of sequence predictors is about 0.75 to 0.85.
    assert 0.65 < np.mean(right) < 0.92


def test_the_published_canvas_keeps_whole_chains() -> None:
    task = Psicov(Psicov.Params(canvas=512))
    split = task.simulate("val", 2, 0, stream("test", 1))
    assert task.inputs.grid == (512, 512)
    assert task.target.size == 512
    assert split.inputs.shape == (2, 57, 512, 512)
    assert split.targets.shape == (2, 512, 512)
    assert Psicov().inputs.grid == (128, 128)
    assert max(len(chain) for chain in protein.real_chains()) + task.target.padding <= 512
