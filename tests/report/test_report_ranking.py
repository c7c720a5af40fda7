"""What the page says of a whole division: the same as ``pare-bench compare``; and printed numbers beside the scores."""

from __future__ import annotations

import math
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from factories import make_grid, make_record

from pare_bench import statistics
from pare_bench.comparison.compare import compare
from pare_bench.comparison.printed import printed_numbers
from pare_bench.comparison.tables import as_markdown
from pare_bench.report import charts
from pare_bench.report.beside import beside
from pare_bench.report.content import sections
from pare_bench.report.ranking import overview

TASKS = [f"task{position}" for position in range(8)]
NAMES = ["pare", "orca", "full_finetune", "from_scratch"]
OFFICIAL = {"tier": "official", "track": "paper", "preset": "paper", "metric": "macro_f1_error"}


def scores(seeds=3, tasks=TASKS, names=NAMES):
    rng = np.random.default_rng(7)
    return {name: {task: (0.3 + 0.03 * place + 0.02 * rng.random(seeds)).tolist() for task in tasks} for place, name in enumerate(names)}


def section_of(records):
    (section,) = sections(records, {}, max_runs=0)
    return section


def made(records, **options):
    pytest.importorskip("jinja2", reason="jinja2 is not installed (extra report)")
    pytest.importorskip("vl_convert", reason="vl-convert-python is not installed (extra report)")
    from pare_bench.report.page import page

    return page(records, summaries={}, **{"pictures": {}, **options})


@pytest.mark.parametrize("names", [NAMES, NAMES[:2]])
def test_the_page_and_compare_have_the_same_numbers(names):
    records = make_grid(scores(names=names))
    section = section_of(records)
    seen = overview(section)
    result = compare(records, [row.label for row in section.ranked], "nas360", stats="all")
    assert seen.intervals == result.overall.rank_intervals
    assert len(seen.intervals) == len(names)
    assert {row.label: row.mean_rank for row in section.ranked} == result.mean_ranks
    assert [(pair.first, pair.second, pair.p_holm, pair.verdict, *pair.result) for pair in seen.pairs] == [
        (pair.first, pair.second, pair.p_holm, pair.verdict, *pair.result) for pair in result.pairs
    ]
    assert any(note.lower() == result.sentence.lower() + "." for note in seen.notes)
    for standing in seen.standings:
        gains = result.overall.gains[standing.label]
        assert (standing.gain, standing.interquartile) == (100 * gains.mean, 100 * gains.interquartile)
        assert standing.interval == tuple(100 * end for end in gains.interval)
        assert standing.area == statistics.profile_area(result.overall.ratios[standing.label])
        assert seen.profiles[standing.label] == statistics.profile_steps(result.overall.ratios[standing.label])
    if len(names) > 2:
        assert seen.critical.difference == result.overall.nemenyi
        assert list(seen.critical.groups) == [group for group in result.overall.rank_groups if len(group) > 1]
    else:
        assert seen.critical is None
    # As texts: the rank intervals and gains of the page stand in compare's table, too.
    text, page_text = as_markdown(result), made(records)
    for low, high in seen.intervals.values():
        assert f"{low:.2f} to {high:.2f}" in text
        assert f"{low:.2f} to {high:.2f}" in page_text
    for standing in seen.standings:
        assert f"| {standing.interquartile:.2f} | {standing.interval[0]:.2f} to {standing.interval[1]:.2f} |" in text
        assert f"{standing.interval[0]:.2f} to {standing.interval[1]:.2f}" in page_text
    assert "policy 'error'" in page_text.replace("&#39;", "'")


def test_who_has_no_score_or_a_failed_run_enters_no_statistic():
    records = [*make_grid(scores()), make_record("naive", "task0", 0.1), make_record("pare", "task1", seed=9, status="failed")]
    seen = overview(section_of(records))
    assert {standing.label for standing in seen.standings} == set(NAMES) - {"pare"}
    assert {name for pair in seen.pairs for name in (pair.first, pair.second)} == set(NAMES) - {"pare"}
    assert "naive" not in seen.intervals


def test_the_floor_itself_is_ranked_and_enters_no_test():
    alone = make_grid(scores(), floor=0.9)
    floor = make_grid({"constant": {task: [0.9] * 3 for task in TASKS}}, floor=0.9)
    section = section_of([*alone, *floor])
    seen, without = overview(section), overview(section_of(alone))
    assert section.ranked[-1].label == "constant"
    assert set(seen.intervals) == {*NAMES, "constant"}
    assert (seen.standings, seen.critical, seen.profiles) == (without.standings, without.critical, without.profiles)
    assert [(pair.first, pair.second, pair.p_holm) for pair in seen.pairs] == [(pair.first, pair.second, pair.p_holm) for pair in without.pairs]
    assert set(seen.notes) - set(without.notes) == {"In the ranking, but in no test, group or profile: constant, which is the floor itself."}


def test_a_method_that_equals_the_floor_on_all_tasks_but_one_is_no_floor():
    almost = {task: [0.9] * 3 for task in TASKS[1:]} | {TASKS[0]: [0.9, 0.9, 0.89]}
    seen = overview(section_of([*make_grid(scores(), floor=0.9), *make_grid({"naive": almost}, floor=0.9)]))
    assert "naive" in {standing.label for standing in seen.standings}


@pytest.mark.parametrize(
    ("names", "values", "fields"),
    [
        (["a", "b"], [0.3], {}),  # one task and seed, identical
        (["a", "b", "c"], [0.0, 0.0], {"floor": 0.0}),  # no scale
        (["a", "b", "c"], [1.0], {"direction": "maximise", "floor": 0.5}),  # all perfect
        (["a"], [0.3, 0.4], {}),  # nobody to compare with
    ],
)
def test_degenerate_divisions_have_a_page_and_no_best(names, values, fields):
    records = make_grid({name: {"ecg": values} for name in names}, **fields)
    seen = overview(section_of(records))
    assert all(pair.verdict == "cannot be significant" for pair in seen.pairs)
    assert all(interval == ((len(names) + 1) / 2,) * 2 for interval in seen.intervals.values())
    assert seen.critical is None or {frozenset(group) for group in seen.critical.groups} == {frozenset(names)}
    assert "nan" not in re.sub(r"<script>.*?</script>", "", made(records).lower(), flags=re.DOTALL).replace("nano", "")


def test_rank_intervals_are_quantiles_of_all_resamples_of_tasks():
    # One seed, three tasks: 27 equally likely resamples, ranks of the first method 1, 1 and 2.5.
    costs = {"a": [[0.1], [0.1], [0.5]], "b": [[0.2], [0.3], [0.1]], "c": [[0.3], [0.2], [0.5]]}
    found = statistics.rank_intervals(costs, ["minimise"] * 3, "test")
    ranks = [1.0, 1.0, 2.5]
    everything = np.repeat([np.mean([ranks[place] for place in places]) for places in product(range(3), repeat=3)], 1000)
    assert found["a"] == pytest.approx(tuple(np.quantile(everything, [0.025, 0.975])))
    turned = {name: [[-value for value in seeds] for seeds in tasks] for name, tasks in costs.items()}
    assert statistics.rank_intervals(turned, ["maximise"] * 3, "test") == found


def test_rank_intervals_draw_seeds_within_tasks():
    # One task: a is ahead of b with three of four seeds of its own against b's one, so the mean of draws is ahead nearly always, not always.
    found = statistics.rank_intervals({"a": [[0.1, 0.1, 0.1, 0.9]], "b": [[0.4]]}, ["minimise"], "test")
    # Two or more draws of 0.9 among four put a behind: 26% of all.
    assert found == {"a": (1.0, 2.0), "b": (1.0, 2.0)}
    assert statistics.rank_intervals({"a": [[0.1]], "b": [[0.4]]}, ["minimise"], "test") == {}
    # The same mean but for rounding is the same rank; no score is the last one.
    assert statistics.rank_intervals({"a": [[0.3, 0.3]], "b": [[0.3, 0.3, 0.3]]}, ["minimise"], "test") == {"a": (1.5, 1.5), "b": (1.5, 1.5)}
    gone = statistics.rank_intervals({"a": [[0.3], [0.2]], "b": [[], []]}, ["minimise"] * 2, "test")
    assert gone == {"a": (1.0, 1.0), "b": (2.0, 2.0)}


def test_printed_numbers_stand_beside_scores_and_are_never_ranked():
    section = section_of(make_grid({"pare": {"ecg": [0.3, 0.31]}, "orca": {"ecg": [0.4, 0.41]}}, metric="macro_f1_error"))
    found = beside(section, printed_numbers())["ecg"]
    assert found.cards == []
    assert "generated data: the two must not be compared" in found.says
    assert {each.label for each, _ in found.rows} >= {"ORCA", "PaRe", "DASH"}
    assert {mark for _, mark in found.rows} == {mark for mark, _ in found.sources}
    assert [row.label for row in section.ranked] == ["pare", "orca"]
    text = made(make_grid({"pare": {"ecg": [0.3]}}, metric="macro_f1_error"), printed=printed_numbers())
    part = text[text.index('<details class="printed">') : text.index("</details>", text.index('<details class="printed">'))]
    for each, _ in found.rows:
        row = next(row for row in re.findall(r"<tr>.*?</tr>", part, re.DOTALL) if f">{each.label}<" in row)
        assert ("UNVERIFIED" in row) != each.verified
    assert "Printed numbers" not in made(make_grid({"pare": {"ecg": [0.3]}}, metric="macro_f1_error"))


def test_official_runs_have_reproduction_cards_on_the_page():
    records = make_grid({"orca": {"ecg": [0.27, 0.29, 0.285]}, "pare": {"ecg": [0.40, 0.41, 0.42]}}, **OFFICIAL)
    cards = beside(section_of(records), printed_numbers())["ecg"].cards
    assert {card.method: card.verdict for card in cards} == {"orca": "inside", "pare": "no verdict: the printed number is unverified"}
    text = made(records, printed=printed_numbers())
    assert '<details class="printed" open>' in text
    # The pictures that come with the package are of the generated data.
    ecg = Path(__file__).parents[2] / "docs/suites/pictures/ecg.png"
    assert 'class="sample"' not in made(records, pictures={"ecg": ecg})
    assert 'class="sample"' in made(make_grid({"pare": {"ecg": [0.3]}}), pictures={"ecg": ecg})
    assert re.search(r'orca</th><td class="num" data-value="0.28">0.28</td>.*?<td>inside</td>', text)


def test_numbers_of_replaced_files_are_marked_on_the_page_and_have_no_card():
    records = make_grid({"orca": {"burgers": [0.012, 0.012]}}, suite="pdebench", **OFFICIAL | {"metric": "nrmse"})
    found = beside(section_of(records), printed_numbers())["burgers"]
    assert found.cards == []
    assert "Those marked as not comparable" in found.says
    assert "NOT COMPARABLE: of the file that PDEBench replaced in April 2024 (issue 51)" in made(records, printed=printed_numbers())


def test_names_in_the_chart_of_costs_do_not_stand_on_each_other():
    points = {"cheap": (1.0, 3.0), "twin": (1.01, 2.99), "dear": (100.0, 1.0), "middle": (10.0, 2.0)}
    spec = charts.cost(points, ["cheap", "dear"], "seconds", "mean rank")
    assert {each["method"] for each in spec["data"]["values"] if each["named"]} == {"cheap", "dear", "middle"}
    assert charts.cost({"a": (1.0, 1.0), "b": (1.0, 1.0)}, ["a"], "seconds", "mean rank")["data"]["values"][0]["named"]


def test_the_interval_of_no_rank_is_empty_for_one_run_each():
    result = compare(make_grid({"a": {"ecg": [0.3]}, "b": {"ecg": [0.4]}}), ["a", "b"], "nas360", stats="all")
    assert result.overall.rank_intervals == {}
    assert all(not math.isnan(value) for value in result.mean_ranks.values())


def test_the_forest_has_every_task_and_the_effect():
    records = make_grid(scores(names=NAMES[:3]))
    (nearest, _) = overview(section_of(records)).ahead
    (pair,) = compare(records, [nearest.first, nearest.second], "nas360").pairs
    values = charts.forest(nearest)["data"]["values"]
    assert [each["method"] for each in values] == [*TASKS, "over tasks"]
    for each, detail in zip(values, pair.details.values(), strict=False):
        assert each["value"] == pytest.approx(100 * detail.gain)
        assert (each["low"], each["high"]) == pytest.approx(tuple(100 * (detail.gain + sign * detail.gain_half) for sign in (-1, 1)))
    assert (values[-1]["low"], values[-1]["high"]) == pytest.approx(tuple(100 * end for end in pair.effect.interval))
    assert f"Gain of {nearest.first} over {nearest.second}: each task" in made(records)


def test_the_page_answers_first():
    records = make_grid(scores())
    seen, text = overview(section_of(records)), made(records)
    result = compare(records, NAMES, "nas360")
    assert tuple(seen.answer) == result.answer
    place = text.index('<p class="answer">')
    assert all(place < text.index(word) for word in ("<h3>Ranking", "<h3>How much ahead", '<p class="note">'))
    for pair in seen.ahead:
        low, high = pair.effect.interval
        assert f"{100 * low:.1f} to {100 * high:.1f}" in text
    assert as_markdown(result).startswith(result.answer[0])
