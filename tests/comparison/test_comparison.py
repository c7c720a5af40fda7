"""Comparisons: tables by hand, no false best, and what is missing named with the command that makes it."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest
import scipy.stats
from factories import make_grid, make_record
from statsmodels.stats.multitest import multipletests

from pare_bench.comparison.compare import compare
from pare_bench.comparison.tables import as_csv, as_json, as_markdown, as_table
from pare_bench.config.run_config import Slot
from pare_bench.errors import DataMissingError, ExitCode, UnknownNameError, UsageError
from pare_bench.records.store import Store

BOTH = ["pare", "orca"]


def of(scores, **fields):
    return compare(make_grid(scores, **fields), list(scores), "nas360")


def test_two_methods_by_hand():
    result = of({"pare": {"ecg": [0.10, 0.12], "satellite": [0.5, 0.5]}, "orca": {"ecg": [0.30, 0.32], "satellite": [0.5, 0.5]}})
    ecg, satellite = result.tasks
    assert (ecg.task, ecg.metric, ecg.direction_text, ecg.floor) == ("ecg", "error_rate", "lower is better", 0.9)
    assert ecg.cells["pare"].mean == pytest.approx(0.11)
    assert ecg.cells["pare"].spread == pytest.approx(0.0141421356)
    assert ecg.cells["pare"].n == 2
    assert (ecg.best, ecg.verdict) == (None, "pare leads, two seeds")  # two differences are often equal by chance
    assert (satellite.best, satellite.leaders, satellite.verdict) == (None, ("pare", "orca"), "tie: pare, orca")
    (pair,) = result.pairs
    assert pair.result == (1, 1, 0)
    assert pair.differences["ecg"] == pytest.approx(-0.2)
    assert pair.ranked_p == 1.0  # one difference that is not zero: 2^(1 - 1)
    assert pair.p == pytest.approx(scipy.stats.ttest_1samp([0.2 / 0.9, 0.0], 0).pvalue)
    assert pair.effect.mean == pytest.approx(0.1 / 0.9)
    assert result.mean_ranks == {"pare": 1.25, "orca": 1.75}


def test_one_seed_is_never_called_best():
    result = of({"pare": {"ecg": [0.0]}, "orca": {"ecg": [1.0]}})
    assert result.tasks[0].best is None
    assert result.tasks[0].leaders == ("pare",)
    assert result.tasks[0].verdict == "pare leads, one seed"
    assert "1 has too few seeds or runs for a verdict (3 seeds each)" in result.answer[-1]


def test_a_lead_within_the_noise_of_the_seeds_is_not_called_best():
    # Paired differences -0.02, 0.01, -0.02: mean -0.01, sd 0.01732, t(0.975, 2) = 4.303, half width 0.0430.
    result = of({"pare": {"ecg": [0.30, 0.31, 0.32]}, "orca": {"ecg": [0.32, 0.30, 0.34]}})
    assert (result.tasks[0].best, result.tasks[0].verdict) == (None, "pare leads, within noise")


def test_pairing_by_seed_removes_what_the_seeds_share():
    # The spread of each method is ten times the difference, yet every seed shows the same difference.
    result = of({"pare": {"ecg": [0.1, 0.3, 0.5]}, "orca": {"ecg": [0.12, 0.321, 0.519]}})
    assert result.tasks[0].best == "pare"


def test_best_must_beat_every_rival():
    scores = {"pare": {"ecg": [0.10, 0.11, 0.12]}, "orca": {"ecg": [0.11, 0.10, 0.13]}, "constant": {"ecg": [0.9, 0.9, 0.9]}}
    assert of(scores).tasks[0].best is None


def test_a_failed_seed_forbids_best_and_is_noted():
    records = make_grid({"pare": {"ecg": [0.10, 0.11]}, "orca": {"ecg": [0.5, 0.51]}})
    records.append(make_record("pare", "ecg", seed=2, status="failed", reason="loss became nan"))
    result = compare(records, BOTH, "nas360")
    assert (result.tasks[0].best, result.tasks[0].verdict) == (None, "pare leads, runs failed")
    assert any("pare seed 2 failed: loss became nan" in note for note in result.notes)
    assert "(2, 1 failed)" in as_markdown(result)


def test_higher_is_better_where_the_metric_says_so():
    result = of({"pare": {"ecg": [0.8, 0.81, 0.82]}, "orca": {"ecg": [0.6, 0.61, 0.6]}}, direction="maximise", metric="accuracy")
    assert result.tasks[0].best == "pare"
    assert result.tasks[0].direction_text == "higher is better"
    assert result.pairs[0].result == (1, 0, 0)


def test_identical_methods_tie_everywhere():
    tasks = {"ecg": [0.3, 0.3], "satellite": [0.1, 0.2], "deepsea": [0.0, 0.0]}
    result = of({"pare": tasks, "orca": tasks, "third": tasks})
    assert all(row.best is None and len(row.leaders) == 3 for row in result.tasks)
    assert set(result.mean_ranks.values()) == {2.0}
    assert all(pair.result == (0, 3, 0) and pair.p == pair.p_holm == pair.ranked_p == 1.0 for pair in result.pairs)


def test_the_sentence_says_what_the_design_can_show():
    tasks = {f"task{position}": [0.1] for position in range(10)}
    two = of({"pare": tasks, "orca": {task: [0.2] for task in tasks}})
    assert "with 10 tasks the smallest possible two-sided p" in two.sentence
    assert "0.002" in two.sentence
    assert "could reach" not in two.sentence
    assert two.pairs[0].ranked_p == pytest.approx(2**-9)
    few = of({name: {f"task{position}": [0.1, 0.2] for position in range(5)} for name in ("a", "b", "c")})
    assert "0.062" in few.sentence
    assert "0.19 after Holm's correction for 3 pairs" in few.sentence
    assert "no scores whatever could reach 0.05" in few.sentence


def test_three_methods_are_corrected_for_three_pairs():
    tasks = [f"task{position}" for position in range(10)]
    result = of({name: {task: [base] for task in tasks} for name, base in (("a", 0.1), ("b", 0.2), ("c", 0.3))})
    assert [(pair.first, pair.second) for pair in result.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.ranked_p for pair in result.pairs] == pytest.approx([2**-9] * 3)
    # Not all differences alike: p of each pair by scipy, corrected by statsmodels.
    scores = {
        name: {task: [base + 0.02 * place * index] for place, task in enumerate(tasks)}
        for index, (name, base) in enumerate(zip("abc", [0.1, 0.2, 0.15], strict=True))
    }
    pairs = of(scores).pairs
    plain = [scipy.stats.ttest_rel(*([values[0] for values in scores[name].values()] for name in (pair.first, pair.second))).pvalue for pair in pairs]
    assert [pair.p for pair in pairs] == pytest.approx(plain)
    assert [pair.p_holm for pair in pairs] == pytest.approx(list(multipletests(plain, method="holm")[1]))
    assert {pair.family for pair in pairs} == {3}


def test_a_task_with_a_large_unit_does_not_outweigh_the_others():
    # Raw differences rank the first task highest; as shares of the way from floor to perfect score (8, 1, 1) it is the smallest: ranks 1, 2, 3.
    records = [make_record("pare", "psicov", 4.0, floor=8.0, metric="mae_8"), make_record("orca", "psicov", 3.9, floor=8.0, metric="mae_8")]
    for task, lead in (("ecg", 0.05), ("satellite", 0.04)):
        records += [make_record("pare", task, 0.1, floor=1.0), make_record("orca", task, 0.1 + lead, floor=1.0)]
    (pair,) = compare(records, BOTH, "nas360").pairs
    assert pair.ranked_p == 0.5  # rank sums 1 and 5 of 6: P(sum <= 1) = 2 / 8, twice


def test_a_floor_of_zero_falls_back_to_the_sign_test():
    result = of({"pare": {"ecg": [0.1]}, "orca": {"ecg": [0.2]}}, floor=0.0)
    assert result.pairs[0].test == "exact sign test"
    assert any("no better than the constant floor" in note for note in result.notes)


def test_missing_records_name_the_command():
    records = make_grid({"pare": {"ecg": [0.1, 0.2, 0.3], "satellite": [0.1]}, "orca": {"satellite": [0.1]}}, preset="smoke")
    with pytest.raises(DataMissingError, match="'orca' has no score on ecg") as caught:
        compare(records, BOTH, "nas360", out="results of mine")
    assert caught.value.exit_code is ExitCode.DATA_MISSING
    expected = "pare-bench run --method orca --suite nas360 --task ecg --seeds 0-2 --preset smoke --out 'results of mine'"
    assert caught.value.hint == expected


def test_no_records_at_all_name_a_command_for_each():
    with pytest.raises(DataMissingError, match="no records of 'pare' and 'orca'") as caught:
        compare([], BOTH, "nas360")
    assert caught.value.hint == "pare-bench run --method pare --suite nas360 --seeds 0 && pare-bench run --method orca --suite nas360 --seeds 0"


def test_all_tasks_of_the_suite_need_no_task_options():
    with pytest.raises(DataMissingError) as caught:
        compare(make_grid({"pare": {"ecg": [0.1], "satellite": [0.1]}}), BOTH, "nas360", suite_tasks=("satellite", "ecg"))
    assert caught.value.hint == "pare-bench run --method orca --suite nas360 --seeds 0"


def test_a_failed_run_is_missing_and_gives_its_reason():
    records = [make_record("pare"), make_record("orca", status="failed", reason="out of memory")]
    with pytest.raises(DataMissingError, match=r"ecg \(failed: out of memory\)") as caught:
        compare(records, BOTH, "nas360")
    assert "--method orca" in caught.value.hint


def test_a_skipped_run_is_not_asked_for_again():
    records = [*make_grid({"pare": {"ecg": [0.1], "satellite": [0.1]}, "orca": {"satellite": [0.2]}})]
    records.append(make_record("orca", "ecg", status="skipped", reason="needs images"))
    with pytest.raises(DataMissingError, match=r"ecg \(skipped: needs images\)") as caught:
        compare(records, BOTH, "nas360")
    assert caught.value.hint == "pare-bench compare pare orca --suite nas360 --task satellite"
    assert [row.task for row in compare(records, BOTH, "nas360", tasks=["satellite"]).tasks] == ["satellite"]


def test_the_command_repeats_the_options_that_made_the_data():
    records = [make_record("pare", data="tiny", command="pare-bench run --method pare -o size.train=32 -o mixer.begin=0.1")]
    with pytest.raises(DataMissingError) as caught:
        compare(records, BOTH, "nas360")
    assert "-o size.train=32" in caught.value.hint
    assert "mixer" not in caught.value.hint


def test_a_method_without_a_plain_run_is_not_compared_as_if_it_had_one():
    option = "pare-bench run --method pare -o backbone.pretrained=false -o size.train=32"
    sizes = {"size": {"train": 32, "val": 4, "test": 4}}
    records = [make_record("pare", command=option, config=sizes), make_record("orca", command=option.replace("pare ", "orca "), config=sizes)]
    with pytest.raises(DataMissingError, match=r"'pare' has no plain run in preset cpu; there are: 'pare\[backbone.pretrained=false\]'") as caught:
        compare(records, BOTH, "nas360")
    # The command that is proposed runs on the same data.
    assert caught.value.hint.endswith("--seeds 0 -o size.train=32")
    labels = ["pare[backbone.pretrained=false]", "orca[backbone.pretrained=false]"]
    assert [row.task for row in compare(records, labels, "nas360").tasks] == ["ecg"]
    # And that for a variant keeps its options.
    with pytest.raises(DataMissingError) as caught:
        compare(records, labels, "nas360", tasks=["ecg", "satellite"])
    assert "--task satellite --seeds 0 -o backbone.pretrained=false" in caught.value.hint


def test_mixed_versions_of_libraries_are_noted_once():
    def of(method, task, version):
        record = make_record(method, task)
        return record.model_copy(update={"identity": record.identity.model_copy(update={"libraries": {"torch": version, "numpy": "2"}})})

    alike = [of(method, task, "2.6") for method in BOTH for task in ("ecg", "satellite")]
    assert not [note for note in compare(alike, BOTH, "nas360").notes if "versions" in note]
    mixed = [of("pare", "ecg", "2.6"), of("pare", "satellite", "2.14"), of("orca", "ecg", "2.6"), of("orca", "satellite", "2.14")]
    (note,) = [note for note in compare(mixed, BOTH, "nas360").notes if "versions" in note]
    assert note.startswith("the runs were made with different versions of libraries (torch 2.14, 2.6)")


def test_different_presets_are_refused_by_name():
    records = [make_record("pare", preset="cpu"), make_record("orca", preset="smoke")]
    with pytest.raises(UsageError, match=r"'pare' was run with preset cpu.*'orca' was run with preset smoke") as caught:
        compare(records, BOTH, "nas360")
    assert "--preset" in caught.value.hint
    assert "pare-bench run --method orca --suite nas360 --seeds 0" in caught.value.hint


def test_different_tiers_are_refused_by_name():
    with pytest.raises(UsageError, match=r"tier official.*tier generated"):
        compare([make_record("pare", tier="official"), make_record("orca")], BOTH, "nas360")


def test_several_common_presets_must_be_chosen_from():
    records = [make_record(method, preset=preset, value=value) for method in BOTH for preset, value in (("cpu", 0.1), ("smoke", 0.7))]
    with pytest.raises(UsageError, match="preset cpu, tier generated and for preset smoke, tier generated") as caught:
        compare(records, BOTH, "nas360")
    assert "--preset cpu --tier generated" in caught.value.hint
    assert compare(records, BOTH, "nas360", preset="smoke").tasks[0].cells["pare"].mean == 0.7


def test_runs_with_other_settings_on_other_data_leave_plain_names_clear():
    """A first official run with a smaller budget must not take ``compare pare orca`` away from who has the generated suite."""
    option = "budget.epochs=10"
    records = [make_record(method, value=0.1) for method in BOTH]
    records += [make_record(method, value=0.7, tier="official", command=f"pare-bench run -o {option}") for method in BOTH]
    assert compare(records, BOTH, "nas360").division.tier == "generated"
    assert compare(records, [f"{method}[{option}]" for method in BOTH], "nas360").division.tier == "official"
    plain = [*records, *(make_record(method, value=0.7, tier="official", code="other") for method in BOTH)]
    with pytest.raises(UsageError, match="tier generated and for preset cpu, tier official"):
        compare(plain, BOTH, "nas360")


@pytest.mark.parametrize("fields", [{"version": 2, "data": "v2"}, {"data": "other bytes"}])
def test_different_data_are_refused_by_digest(fields):
    pare, orca = make_record("pare"), make_record("orca", **fields)
    with pytest.raises(UsageError, match="never compared") as caught:
        compare([pare, orca], BOTH, "nas360")
    assert pare.task.data_sha256[:12] in str(caught.value)
    assert orca.task.data_sha256[:12] in str(caught.value)


def test_common_data_are_found_among_several():
    records = [make_record("pare", value=0.3), make_record("pare", value=0.1, data="new", version=2), make_record("orca", value=0.4)]
    row = compare(records, BOTH, "nas360").tasks[0]
    assert (row.version, row.cells["pare"].mean) == (1, 0.3)


def test_different_metrics_are_refused():
    with pytest.raises(UsageError, match=r"'error_rate' .* and by 'mae'"):
        compare([make_record("pare"), make_record("orca", metric="mae")], BOTH, "nas360")


def test_variants_are_compared_by_their_labels():
    curricula = {name: {"mixer": Slot(name="patch_replace", params={"curriculum": name})} for name in ("linear", "reversed")}
    ablation = "pare-bench run --method pare -o mixer.curriculum=reversed"
    records = [make_record(value=0.2, config=curricula["linear"]), make_record(value=0.4, config=curricula["reversed"], command=ablation)]
    records += make_grid({"orca": {"ecg": [0.3], "satellite": [0.3]}})
    label = "pare[mixer.curriculum=reversed]"
    result = compare(records, ["pare", label, "orca"], "nas360", tasks=["ecg"])
    assert [result.tasks[0].cells[method].mean for method in ("pare", label, "orca")] == [0.2, 0.4, 0.3]
    with pytest.raises(DataMissingError) as caught:
        compare(records, [label, "orca"], "nas360")
    assert caught.value.hint == "pare-bench run --method pare --suite nas360 --task satellite --seeds 0 -o mixer.curriculum=reversed"
    with pytest.raises(UsageError, match=r"no records of 'pare\[x=1\]'.*'pare\[mixer.curriculum=reversed\]'"):
        compare(records, ["pare[x=1]", "orca"], "nas360")


def test_wrong_calls_are_refused():
    records = [make_record("pare"), make_record("orca")]
    with pytest.raises(UsageError, match="two or more different methods"):
        compare(records, ["pare"], "nas360")
    with pytest.raises(UsageError, match="two or more different methods"):
        compare(records, ["pare", "pare"], "nas360")
    with pytest.raises(UnknownNameError, match="did you mean 'orca'"):
        compare(records, ["pare", "orka"], "nas360", known_methods=("pare", "orca"))
    with pytest.raises(UnknownNameError, match="unknown preset 'cup'; did you mean 'cpu'"):
        compare(records, BOTH, "nas360", preset="cup")
    with pytest.raises(UsageError, match="no task 'egc'; did you mean 'ecg'"):
        compare(records, BOTH, "nas360", tasks=["egc"], suite_tasks=("ecg",))


def test_different_seeds_are_noted_and_tasks_keep_the_order_of_the_suite():
    records = make_grid({"pare": {"ecg": [0.1, 0.2], "deepsea": [0.1]}, "orca": {"ecg": [0.3], "deepsea": [0.3]}})
    result = compare(records, BOTH, "nas360", suite_tasks=("satellite", "ecg", "deepsea"))
    assert [row.task for row in result.tasks] == ["ecg", "deepsea"]
    assert any("ecg: the methods have different seeds" in note for note in result.notes)
    assert any("2 of the 3 tasks" in note and "satellite" in note for note in result.notes)


def test_the_order_of_the_records_changes_nothing():
    records = make_grid({name: {task: [0.1, 0.2, 0.4] for task in ("ecg", "satellite")} for name in ("pare", "orca", "third")})
    expected = as_json(compare(records, BOTH, "nas360"))
    for seed in range(5):
        random.Random(seed).shuffle(records)
        assert as_json(compare(records, BOTH, "nas360")) == expected


def test_json_and_csv_carry_the_numbers_in_full():
    result = of({"pare": {"ecg": [0.1, 0.2]}, "orca": {"ecg": [0.3]}})
    document = json.loads(json.dumps(as_json(result), allow_nan=False))
    assert document["schema"] == "pare-bench/comparison/3"
    assert document["tasks"][0]["methods"]["pare"]["seeds"] == {"0": 0.1, "1": 0.2}
    assert document["tasks"][0]["methods"]["orca"]["interval"] is None
    rows = list(csv.DictReader(io.StringIO(as_csv(result))))
    assert [(row["method"], row["n"], row["spread"] == "") for row in rows] == [("pare", "2", False), ("orca", "1", True)]
    assert float(rows[0]["mean"]) == result.tasks[0].cells["pare"].mean


def test_markdown_and_table_show_the_same_cells():
    from rich.console import Console

    curricula = {"mixer": Slot(name="patch_replace", params={"curriculum": "reversed"})}
    records = [make_record(value=0.25), make_record(value=0.5, config=curricula, command="pare-bench run -o mixer.curriculum=reversed")]
    label = "pare[mixer.curriculum=reversed]"
    result = compare(records, ["pare", label], "nas360")
    screen = io.StringIO()
    Console(file=screen, width=200).print(as_table(result))
    markdown = as_markdown(result)
    for cell in ("ecg", "error_rate", "lower is better", label, "**0.2500 (1)**", "0.5000 (1)", "0.9000", "pare leads, one seed", "mean rank"):
        assert cell in markdown
    for cell in ("ecg", "lower is better", label, ".250", ".500", ".900", "mean rank", "one seed"):
        assert cell in screen.getvalue()
    # The brackets of a label are not markup, and no cell breaks its row.
    assert "\x1b" not in screen.getvalue()
    table = [line for line in markdown[markdown.index("| task |") :].splitlines() if line.startswith("| ")]
    assert {line.count(" | ") for line in table[:4]} == {6}


def test_the_command_prints_each_format(pare_bench, tmp_path):
    store = Store(tmp_path)
    for record in make_grid({"pare": {"ecg": [0.1, 0.2]}, "orca": {"ecg": [0.3, 0.4]}}):
        store.save(record)
    code, out, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path))
    assert code == 0, err
    assert "| ecg | error_rate | lower is better | **0.1500 ± 0.0707 (2)** | 0.3500 ± 0.0707 (2) |" in out
    assert json.loads(pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--format", "json")[1])["methods"] == BOTH
    assert pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--format", "csv")[1].startswith("suite,tier,")
    assert "ecg" in pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--format", "table")[1]
    code, out, err = pare_bench("compare", "pare", "from_scratch", "--out", str(tmp_path))
    assert (code, out) == (3, "")
    assert f"hint: pare-bench run --method from_scratch --suite nas360 --task ecg --seeds 0-1 --out {tmp_path}" in err
    assert pare_bench("compare", "pare", "orka", "--out", str(tmp_path))[0] == 2
