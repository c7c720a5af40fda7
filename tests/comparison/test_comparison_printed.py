"""Printed numbers: where each comes from, that they are never ranked with ours, and what a reproduction card says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from factories import make_grid

from pare_bench.comparison import printed
from pare_bench.comparison.compare import compare
from pare_bench.comparison.printed import printed_numbers
from pare_bench.comparison.tables import as_json, as_markdown
from pare_bench.config.run_config import Recipe
from pare_bench.errors import IntegrityError
from pare_bench.records.record import TrainingRecord
from pare_bench.registry.names import Registry

ROOT = Path(__file__).resolve().parents[2]
OFFICIAL = {"tier": "official", "track": "paper", "preset": "paper"}


def of(scores, fields=None, **options):
    records = make_grid(scores, **(fields or {}))
    return compare(records, list(scores), "nas360", track=(fields or {}).get("track", "clean"), published=printed_numbers(), **options)


def test_every_number_says_where_it_was_read():
    numbers = printed_numbers()
    assert len(numbers) == 149
    assert sum(number.verified for number in numbers) == 125
    for number in numbers:
        assert number.source
        assert number.table
        assert number.checked
        assert number.tier == "official"
        assert number.task is None or number.rounding > 0
        # Nothing unverified calls itself otherwise, nothing believed calls itself verified.
        assert number.status.startswith("verified: " if number.verified else "UNVERIFIED: ")
        assert not (number.verified and number.evidence in {"believed, not read", "aggregator", "notes of others"})


def test_names_and_metrics_are_ours():
    registry = Registry.from_environment()
    for number in printed_numbers():
        assert number.suite in registry.names("suite")
        assert number.method is None or number.method in registry.names("method")
        if number.task is not None and number.metric is not None:
            metric = registry.component("task", number.task).metrics[0]
            assert (metric.name, metric.direction) == (number.metric, number.direction)


def test_values_are_the_printed_ones_in_our_unit():
    by_key = {(number.label, number.task, number.evidence): number for number in printed_numbers()}
    table = "authors' table"
    assert by_key["ORCA", "cifar100", table].value == 0.0653
    assert by_key["ORCA", "cifar100", table].rounding == pytest.approx(0.00005)
    assert by_key["ORCA", "psicov", table].value == 1.91
    # The column has two decimals, so 0.3 was printed as 0.30.
    assert by_key["Hand-designed expert", "deepsea", table].rounding == pytest.approx(0.005)
    assert by_key["Hand-designed expert", "darcy_flow", table].rounding == pytest.approx(0.0005)
    # Read off a figure to two digits.
    assert by_key["ORCA", "darcy_2d", "authors' figure, digitised"].rounding == pytest.approx(0.0005)


def test_generated_scores_stand_beside_printed_ones_without_any_verdict():
    result = of({"pare": {"ecg": [0.3, 0.31]}, "orca": {"ecg": [0.4, 0.41]}}, {"metric": "macro_f1_error"})
    assert {number.task for number in result.printed} == {"ecg"}
    assert result.cards == ()
    # Ranks are among ours alone.
    assert result.mean_ranks == {"pare": 1.0, "orca": 2.0}
    text = as_markdown(result)
    assert "not ranked with the scores above" in text
    assert "which are other data: the two must not be compared" in text
    assert "| ecg | PaRe | 0.28 | macro_f1_error | 0.3050 ± 0.0071 (2) | UNVERIFIED: believed, not read | nas360 released |" in text
    assert "| ecg | ORCA | 0.28 | macro_f1_error | 0.4050 ± 0.0071 (2) | verified: authors' table | nas360 released |" in text
    without = compare(make_grid({"pare": {"ecg": [0.3]}, "orca": {"ecg": [0.4]}}), ["pare", "orca"], "nas360")
    assert without.printed is None
    assert "printed" not in as_markdown(without).lower()
    assert as_json(without)["printed"] is None


def cards(result):
    return {(card.method, card.printed.evidence): card.verdict for card in result.cards}


def test_reproduction_cards_say_inside_or_outside_and_never_for_unverified_numbers():
    fields = {**OFFICIAL, "metric": "macro_f1_error"}
    inside = of({"pare": {"ecg": [0.27, 0.29, 0.285]}, "orca": {"ecg": [0.27, 0.29, 0.285]}}, fields)
    assert cards(inside) == {("orca", "authors' table"): "inside", ("pare", "believed, not read"): "no verdict: the printed number is unverified"}
    outside = of({"pare": {"ecg": [0.40, 0.41, 0.405]}, "orca": {"ecg": [0.40, 0.41, 0.405]}}, fields)
    assert cards(outside)["orca", "authors' table"] == "outside"
    # 0.28 may have been 0.2849: an interval that ends there contains it.
    rounded = of({"pare": {"ecg": [0.2845, 0.2845]}, "orca": {"ecg": [0.2845, 0.2845]}}, fields)
    assert cards(rounded)["orca", "authors' table"] == "inside"
    assert cards(of({"pare": {"ecg": [0.2855] * 2}, "orca": {"ecg": [0.2855] * 2}}, fields))["orca", "authors' table"] == "outside"
    assert "| ecg | orca | 0.28 |" in as_markdown(inside)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"track": "clean"}, "another definition"), ({"preset": "cpu"}, "preset cpu is not the published configuration")],
)
def test_cards_of_other_protocols_have_no_verdict(changes, reason):
    result = of({"pare": {"ecg": [0.28, 0.28]}, "orca": {"ecg": [0.28, 0.28]}}, {**OFFICIAL, "metric": "macro_f1_error", **changes})
    assert cards(result)["orca", "authors' table"].startswith(f"no verdict: {reason}")


def trained(records, steps, batch):
    """The records with a stage of so many steps each, after an alignment."""
    recipe = Recipe(batch_size=batch)
    return [
        record.model_copy(
            update={"training": {"align": stage(999), "train": stage(count)}, "config": record.config.model_copy(update={"recipe": recipe})}
        )
        for record, count in zip(records, steps, strict=True)
    ]


def stage(steps):
    return TrainingRecord(curve=(), best_epoch=1, steps=steps, stopped="epochs")


def test_runs_with_other_settings_have_a_card_that_names_them_and_what_they_cost_but_no_verdict():
    """Before, a run with any option stood beside nothing: it has another label than the printed method."""
    fields = {**OFFICIAL, "metric": "macro_f1_error", "command": "pare-bench run -o budget.epochs=10"}
    records = trained(make_grid({"orca": {"ecg": [0.28, 0.28]}}, **fields), [3000, 3000], 16)
    records += trained(make_grid({"orca": {"ecg": [0.3, 0.3]}}, **{**fields, "command": "pare-bench run", "code": "other"}), [4000, 4500], 16)
    labels = ["orca", "orca[budget.epochs=10]"]
    result = compare(records, labels, "nas360", track="paper", published=printed_numbers())
    found = {card.method: card for card in result.cards}
    assert set(found) == set(labels)
    assert found["orca"].verdict == "outside"
    assert found["orca[budget.epochs=10]"].verdict == "no verdict: other settings than the published configuration's"
    # 8 training examples; the alignment's steps are none of the training's.
    assert found["orca[budget.epochs=10]"].budget == "3,000 steps of 16 examples: 6,000.00 passes"
    assert found["orca"].budget == "4,000 to 4,500 steps of 16 examples: 8,000.00 to 9,000.00 passes"
    text = as_markdown(result)
    assert "| 0.3000 ± 0.0000 (2); orca[budget.epochs=10]: 0.2800 ± 0.0000 (2) |" in text
    assert "| ecg | orca[budget.epochs=10] | 0.28 | 0.2800 | " in text
    assert {card["method"]: card["budget"] for card in as_json(result)["cards"]} == {label: card.budget for label, card in found.items()}


def test_one_seed_has_no_verdict_and_another_metric_no_card():
    one = of({"pare": {"ecg": [0.28]}, "orca": {"ecg": [0.28]}}, {**OFFICIAL, "metric": "macro_f1_error"})
    assert cards(one)["orca", "authors' table"] == "no verdict: one seed gives no interval"
    assert of({"pare": {"ecg": [0.28]}, "orca": {"ecg": [0.28]}}, OFFICIAL).cards == ()


def test_numbers_that_are_quoted_or_of_another_definition_have_no_verdict():
    number = next(each for each in printed_numbers() if each.task == "ecg" and each.method == "orca")
    records = make_grid({"pare": {"ecg": [0.28, 0.28]}, "orca": {"ecg": [0.28, 0.28]}}, metric="macro_f1_error", **OFFICIAL)
    for change, reason in (
        ({"evidence": "quoted by a later paper"}, "quoted by a later paper"),
        ({"definition": "not stated"}, "another definition"),
    ):
        result = compare(records, ["pare", "orca"], "nas360", track="paper", published=[replace(number, **change)])
        assert reason in result.cards[0].verdict
        assert result.cards[0].verdict.startswith("no verdict")


def pdebench(task, **fields):
    records = make_grid({"orca": {task: [0.0098, 0.0098]}, "pare": {task: [0.012, 0.012]}}, suite="pdebench", metric="nrmse", **OFFICIAL | fields)
    return compare(records, ["orca", "pare"], "pdebench", track="paper", published=printed_numbers())


@pytest.mark.parametrize(("task", "issue", "printed_value"), [("advection", 46, "0.0098"), ("burgers", 51, "0.012")])
def test_numbers_of_files_that_pdebench_replaced_stand_beside_no_score(task, issue, printed_value):
    numbers = [number for number in printed_numbers() if number.suite == "pdebench" and number.task == task]
    assert numbers
    assert all(f"issue {issue}" in number.not_comparable for number in numbers)
    assert all(number.not_comparable.startswith("of the file") == number.source.startswith("ORCA") for number in numbers)
    result = pdebench(task)
    assert result.cards == ()
    lines = [line for line in as_markdown(result).splitlines() if line.startswith(f"| {task} | ORCA | {printed_value} | nrmse |")]
    assert lines
    for line in lines:
        assert "| not comparable |" in line
        assert "NOT COMPARABLE: " in line
    # The other tasks keep theirs.
    assert pdebench("shallow_water").cards
    others = [number for number in printed_numbers() if number.task not in {"advection", "burgers"}]
    assert not any(number.not_comparable for number in others)


def test_a_suite_without_printed_numbers_says_so():
    records = make_grid({"pare": {"openml_37": [0.1]}, "orca": {"openml_37": [0.2]}}, suite="openml")
    assert "no printed numbers of these tasks" in as_markdown(compare(records, ["pare", "orca"], "openml", published=printed_numbers()))


def test_a_damaged_file_is_named(monkeypatch, tmp_path):
    file = tmp_path / "data" / "published.json"
    file.parent.mkdir()
    monkeypatch.setattr(printed, "files", lambda _: tmp_path)
    for text in (
        "{",
        "[]",
        json.dumps({"schema": "pare-bench/published/9"}),
        json.dumps({"schema": printed.SCHEMA, "definitions": {}, "numbers": [{}]}),
    ):
        file.write_text(text)
        printed_numbers.cache_clear()
        with pytest.raises(IntegrityError, match=r"published.json' does not have the printed numbers"):
            printed_numbers()
    monkeypatch.undo()
    printed_numbers.cache_clear()
    assert len(printed_numbers()) == len(json.loads((ROOT / "leaderboard" / "published.json").read_text())["numbers"])
