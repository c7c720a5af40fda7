"""The leaderboard: divisions, completeness, variants, superseded runs."""

from __future__ import annotations

import json

import pytest
from factories import make_grid, make_record

from pare_bench.config.run_config import Slot
from pare_bench.leaderboard.build import build, to_json

LINEAR = {"mixer": Slot(name="patch_replace", params={"curriculum": "linear"})}
REVERSED = {"mixer": Slot(name="patch_replace", params={"curriculum": "reversed"})}


def only(document):
    (division,) = document["divisions"]
    return division


def test_one_division_by_hand():
    division = only(build(make_grid({"pare": {"ecg": [0.2, 0.4], "satellite": [0.5]}, "orca": {"ecg": [0.5], "satellite": [0.5]}})))
    assert (division["suite"], division["tier"], division["track"], division["preset"]) == ("nas360", "generated", "clean", "cpu")
    ecg = division["tasks"]["ecg"]
    assert (ecg["metric"], ecg["direction"], ecg["floor"], ecg["version"]) == ("error_rate", "minimise", 0.9, 1)
    assert len(ecg["data_sha256"]) == 64
    pare = division["methods"]["pare"]
    assert pare["status"] == "complete"
    assert pare["tasks"]["ecg"]["mean"] == pytest.approx(0.3)
    assert pare["tasks"]["ecg"]["spread"] == pytest.approx(0.1414213562)
    assert pare["tasks"]["ecg"]["n"] == 2
    assert {seed: run["value"] for seed, run in pare["tasks"]["ecg"]["seeds"].items()} == {"0": 0.2, "1": 0.4}
    assert pare["tasks"]["satellite"]["spread"] is None
    # ecg: 1 and 2; satellite: a tie at 1.5.
    assert (pare["mean_rank"], division["methods"]["orca"]["mean_rank"]) == (1.25, 1.75)


def test_maximised_metrics_rank_the_other_way():
    records = make_grid({"a": {"ecg": [0.2]}, "b": {"ecg": [0.9]}}, direction="maximise", metric="accuracy")
    methods = only(build(records))["methods"]
    assert (methods["a"]["mean_rank"], methods["b"]["mean_rank"]) == (2.0, 1.0)


def test_tiers_and_presets_are_ranked_apart():
    records = [make_record(value=0.1), make_record(value=0.2, tier="official"), make_record(value=0.3, preset="smoke")]
    divisions = build(records)["divisions"]
    assert [(each["tier"], each["preset"]) for each in divisions] == [("generated", "cpu"), ("generated", "smoke"), ("official", "cpu")]
    assert [each["methods"]["pare"]["tasks"]["ecg"]["mean"] for each in divisions] == [0.1, 0.3, 0.2]


def test_missing_and_failed_tasks_make_a_method_partial_and_unranked():
    records = make_grid({"pare": {"ecg": [0.2], "satellite": [0.2]}, "orca": {"ecg": [0.1]}, "full": {"ecg": [0.1]}})
    records.append(make_record("full", "satellite", status="failed", reason="loss became nan"))
    methods = only(build(records))["methods"]
    assert (methods["pare"]["status"], methods["pare"]["mean_rank"]) == ("complete", 1.0)
    assert (methods["orca"]["status"], methods["orca"]["missing"], methods["orca"]["mean_rank"]) == ("partial", ["satellite"], None)
    assert (methods["full"]["status"], methods["full"]["missing"]) == ("partial", [])
    assert methods["full"]["failed"]["satellite"][0]["reason"] == "loss became nan"


def test_a_failed_seed_beside_a_good_one_is_not_hidden():
    records = [make_record(seed=0, value=0.1), make_record(seed=1, status="failed", reason="loss became nan")]
    pare = only(build(records))["methods"]["pare"]
    assert pare["status"] == "partial"
    assert pare["tasks"]["ecg"]["n"] == 1
    assert [failure["seed"] for failure in pare["failed"]["ecg"]] == [1]


def test_the_newest_run_of_a_setting_and_seed_counts():
    old = make_record(value=0.1, code="old", finished="2026-01-01T00:00:00+00:00")
    new = make_record(value=0.3, code="new", finished="2026-01-02T00:00:00+00:00")
    division = only(build([new, old]))
    assert division["methods"]["pare"]["tasks"]["ecg"]["seeds"] == {"0": {"value": 0.3, "run_id": new.run_id}}
    assert [mention["run_id"] for mention in division["superseded"]] == [old.run_id]


def test_a_mean_never_mixes_seeds_of_two_versions_of_a_method():
    first = [make_record(value=0.1, seed=seed) for seed in (0, 1, 2)]
    second = make_record(value=0.3, code="new").model_copy(update={"method_version": 2})
    other = make_record(task="satellite", value=0.2, seed=1)
    division = only(build([*first, second, other]))
    pare = division["methods"]["pare"]
    assert pare["tasks"]["ecg"]["seeds"] == {"0": {"value": 0.3, "run_id": second.run_id}}
    assert pare["tasks"]["satellite"]["n"] == 1
    assert {mention["run_id"] for mention in division["superseded"]} == {record.run_id for record in first}


def test_a_newer_failure_is_not_papered_over_by_an_older_success():
    old = make_record(value=0.1, code="old", finished="2026-01-01T00:00:00+00:00")
    new = make_record(status="failed", code="new", finished="2026-01-02T00:00:00+00:00")
    pare = only(build([old, new]))["methods"]["pare"]
    assert (pare["status"], pare["tasks"]) == ("partial", {})


def test_variants_are_not_pooled_and_carry_their_settings():
    ablation = "pare-bench run --method pare -o mixer.curriculum=reversed"
    records = [make_record(value=0.2, config=LINEAR), *(make_record(value=0.4, seed=s, config=REVERSED, command=ablation) for s in range(3))]
    methods = only(build(records))["methods"]
    assert set(methods) == {"pare", "pare[mixer.curriculum=reversed]"}
    # Three runs of the ablation do not make it the base: the command of the other had no -o.
    assert methods["pare"]["tasks"]["ecg"]["mean"] == 0.2
    assert methods["pare[mixer.curriculum=reversed]"]["tasks"]["ecg"]["n"] == 3


def test_a_plain_name_means_the_plain_run_whatever_else_is_in_the_store():
    """Seen: a run with ``-o backbone.pretrained=false`` stood as the plain method where no plain run existed."""
    random = make_record("full_finetune", command="pare-bench run --method full_finetune -o backbone.pretrained=false")
    assert set(only(build([random]))["methods"]) == {"full_finetune[backbone.pretrained=false]"}
    plain = make_record("full_finetune", code="plain", value=0.1)
    assert set(only(build([random, plain]))["methods"]) == {"full_finetune", "full_finetune[backbone.pretrained=false]"}


def test_what_a_record_says_of_itself_wins_over_its_command():
    """An option that sets what the preset gives anyway is no difference; records before version 3 have the command alone."""
    idle = make_record(command="pare-bench run --method pare -o budget.epochs=10").model_copy(update={"variant": ()})
    other = make_record(seed=1, command="some script").model_copy(update={"variant": ("mixer.curriculum=reversed", "size.train=200")})
    assert set(only(build([idle, other]))["methods"]) == {"pare", "pare[mixer.curriculum=reversed]"}


def test_without_telling_commands_the_setting_of_most_records_is_the_base():
    records = [make_record(seed=seed, config=REVERSED) for seed in range(2)] + [make_record(value=0.1, config=LINEAR)]
    assert set(only(build(records))["methods"]) == {"pare", "pare[mixer.curriculum=linear]"}


def test_a_row_never_mixes_an_ablation_of_one_task_with_the_default_of_others():
    ablation = "pare-bench run --method pare --option=mixer.params.curriculum=reversed"
    records = [make_record(task="satellite", config=LINEAR), make_record(task="ecg", config=REVERSED, command=ablation)]
    methods = only(build(records))["methods"]
    assert {label: list(method["tasks"]) for label, method in methods.items()} == {
        "pare": ["satellite"],
        "pare[mixer.curriculum=reversed]": ["ecg"],
    }
    assert {method["status"] for method in methods.values()} == {"partial"}


def test_an_exchanged_component_is_named_without_its_parameters():
    other = {"mixer": Slot(name="none", params={})}
    records = [make_record(config=LINEAR), make_record(config=other, command="pare-bench run --method pare -o mixer=none")]
    assert set(only(build(records))["methods"]) == {"pare", "pare[mixer=none]"}


def test_seed_and_device_do_not_make_a_variant():
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, config={"device": "cuda"})]
    methods = only(build(records))["methods"]
    assert methods["pare"]["tasks"]["ecg"]["n"] == 3


def test_scores_on_other_data_are_set_aside():
    tiny = "pare-bench run --method orca -o size.train=32"
    sizes = {"size": {"train": 32, "val": 4, "test": 4}}
    own, other = make_record(value=0.5), make_record("orca", value=0.1, data="tiny", command=tiny, config=sizes)
    division = only(build([own, other]))
    assert set(division["methods"]) == {"pare"}
    assert [mention["run_id"] for mention in division["other_data"]] == [other.run_id]
    assert division["tasks"]["ecg"]["data_sha256"] == own.task.data_sha256


def test_a_higher_task_version_replaces_the_lower_one():
    division = only(build([*(make_record(seed=s, version=1) for s in range(3)), make_record(version=2, data="v2", value=0.7)]))
    assert division["tasks"]["ecg"]["version"] == 2
    assert division["methods"]["pare"]["tasks"]["ecg"]["mean"] == 0.7
    assert len(division["other_data"]) == 3


def test_a_metric_exchanged_without_a_version_is_not_pooled():
    old = make_record(value=0.1, metric="mae", finished="2025-01-01T00:00:00+00:00")
    division = only(build([old, make_record("orca", value=0.2)]))
    assert division["tasks"]["ecg"]["metric"] == "error_rate"
    assert [mention["run_id"] for mention in division["other_data"]] == [old.run_id]


def test_no_records_make_an_empty_leaderboard():
    assert build([]) == {"schema": "pare-bench/leaderboard/1", "divisions": []}


def test_text_is_sorted_one_line_for_all_seeds_and_ends_with_a_newline():
    document = build([make_record(), make_record("orca"), make_record("full", status="failed", reason='"\n</script> ü')])
    text = to_json(document)
    assert json.loads(text) == document
    assert list(json.loads(text)["divisions"][0]["methods"]) == ["full", "orca", "pare"]
    assert text.endswith("\n}\n")
    assert text.isascii()
    lines = [line.strip() for line in text.splitlines() if '"seeds"' in line]
    assert lines == [f'"seeds": {{"0": {{"run_id": "{make_record(name).run_id}", "value": 0.5}}}},' for name in ("orca", "pare")]
    assert to_json({"divisions": [], "schema": 1}) == '{\n  "divisions": [],\n  "schema": 1\n}\n'
