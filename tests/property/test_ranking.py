"""Properties of ranking: order of records is nothing, ranks add up, swapping methods mirrors the result."""

from __future__ import annotations

import math

from factories import make_record
from hypothesis import given, settings
from hypothesis import strategies as st

from pare_bench import statistics
from pare_bench.comparison.compare import compare
from pare_bench.comparison.tables import as_json
from pare_bench.config.run_config import Slot
from pare_bench.leaderboard.build import build, to_json

FINITE = st.floats(-1e300, 1e300)
# Few distinct values make ties common.
SCORES = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.30000000000000004, 1.0])
DIRECTIONS = st.sampled_from(["minimise", "maximise"])


@given(st.lists(SCORES, min_size=1, max_size=8), DIRECTIONS)
def test_ranks_add_up_and_turn_round(values, direction):
    ranks = statistics.shared_ranks(values, direction)
    assert sum(ranks) == len(values) * (len(values) + 1) / 2
    other = statistics.shared_ranks(values, "maximise" if direction == "minimise" else "minimise")
    assert [a + b for a, b in zip(ranks, other, strict=True)] == [len(values) + 1] * len(values)


@given(st.lists(FINITE, min_size=2, max_size=8), st.randoms())
def test_mean_and_spread_are_finite_and_ignore_order(values, random):
    centre, spread = statistics.mean(values), statistics.sample_sd(values)
    assert math.isfinite(centre)
    assert math.isfinite(spread)
    shuffled = values[:]
    random.shuffle(shuffled)
    assert (statistics.mean(shuffled), statistics.sample_sd(shuffled)) == (centre, spread)
    assert min(values) <= centre <= max(values) or math.isclose(centre, min(values), rel_tol=1e-12)


@given(st.lists(st.floats(-1, 1), max_size=12))
def test_p_values_are_bounded_and_symmetric(differences):
    for test in (statistics.signed_rank_p, statistics.sign_test_p):
        p = test(differences)
        assert statistics.smallest_possible_p(len(differences)) <= p <= 1
        assert test([-value for value in differences]) == p


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(p_values):
    adjusted = statistics.holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    assert [adjusted[position] for position in order] == sorted(adjusted)


@st.composite
def _records(draw):
    curricula = [{}, {"mixer": Slot(name="patch_replace", params={"curriculum": "reversed"})}, {"mixer": Slot(name="none")}]
    commands = ["pare-bench run --method pare", "pare-bench run -o mixer=none", 'not a "command']
    return draw(
        st.lists(
            st.builds(
                make_record,
                st.sampled_from(["pare", "orca"]),
                st.sampled_from(["ecg", "satellite"]),
                SCORES,
                seed=st.integers(0, 2),
                preset=st.sampled_from(["cpu", "smoke"]),
                data=st.sampled_from(["a", "b"]),
                version=st.sampled_from([1, 1, 2]),
                status=st.sampled_from(["ok", "ok", "failed", "skipped"]),
                code=st.sampled_from(["old", "new"]),
                finished=st.sampled_from(["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]),
                config=st.sampled_from(curricula),
                command=st.sampled_from(commands),
            ),
            max_size=12,
        )
    )


@settings(max_examples=60, deadline=None)
@given(_records(), st.randoms())
def test_the_leaderboard_has_the_same_bytes_in_any_order(records, random):
    text = to_json(build(records))
    shuffled = [*records, *records[:2]]
    random.shuffle(shuffled)
    assert to_json(build(shuffled)) == text


@settings(max_examples=60, deadline=None)
@given(_records())
def test_every_record_is_counted_or_named_once(records):
    named = []
    for division in build(records)["divisions"]:
        named += [mention["run_id"] for part in ("superseded", "other_data") for mention in division[part]]
        for method in division["methods"].values():
            named += [run["run_id"] for task in method["tasks"].values() for run in task["seeds"].values()]
            named += [failure["run_id"] for failures in method["failed"].values() for failure in failures]
    assert sorted(named) == sorted({record.run_id for record in records})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=4), st.integers(1, 3), DIRECTIONS)
def test_swapping_two_methods_mirrors_the_comparison(scores, num_seeds, direction):
    records = []
    for position, pair in enumerate(scores):
        for method, value in zip(("pare", "orca"), pair, strict=True):
            records += [make_record(method, f"task{position}", value + 0.01 * seed, seed=seed, direction=direction) for seed in range(num_seeds)]
    there, back = (as_json(compare(records, methods, "nas360")) for methods in (["pare", "orca"], ["orca", "pare"]))
    first, second = there["pairs"][0], back["pairs"][0]
    assert (first["wins"], first["ties"], first["losses"]) == (second["losses"], second["ties"], second["wins"])
    assert first["p"] == second["p"]
    assert there["mean_ranks"] == back["mean_ranks"]
    for mine, yours in zip(there["tasks"], back["tasks"], strict=True):
        assert mine["best"] == yours["best"]
        if mine["best"] is not None:
            assert num_seeds >= 2
            assert mine["leaders"] == [mine["best"]]
