"""``compare --fail-if``: what is a condition, what meets it, and the exit code."""

from __future__ import annotations

import contextlib

import pytest
from factories import make_grid, make_record
from hypothesis import given
from hypothesis import strategies as st

from pare_bench.comparison.compare import compare
from pare_bench.comparison.gate import Condition, parse_condition, passed_sentence, violations
from pare_bench.errors import UsageError
from pare_bench.records.store import Store

TASKS = [f"task{position}" for position in range(10)]


def of(new, old, tasks=TASKS, **options):
    return compare(make_grid({"new": {task: [new] for task in tasks}, "old": {task: [old] for task in tasks}}), ["new", "old"], "nas360", **options)


def test_conditions_are_read():
    assert parse_condition("worse(p=0.05, effect=0.01)") == Condition("worse", 0.05, 0.01)
    assert parse_condition("  worse ( effect = 1e-2 ) ") == Condition("worse", 0.05, 0.01)
    assert parse_condition("worse()") == Condition("worse", 0.05, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a condition"),
        ("worse", "is not a condition"),
        ("worse(p=0.05", "is not a condition"),
        ("worse(p=0.05))", "is not a condition"),
        ("wors(p=0.05)", "no condition 'wors'; did you mean 'worse'"),
        ("worse(q=0.05)", "no setting 'q'; it has p and effect"),
        ("worse(p)", "'p' in 'worse.p.' is not a setting"),
        ("worse(p=0.05,)", "'' in .* is not a setting"),
        ("worse(p=1e)", "is not a setting"),
        ("worse(p=nan)", "is not a setting"),
        ("worse(p=0.05, p=0.1)", "'p' of .* is given twice"),
        ("worse(p=2)", "must be from 0 to 1, got '2'"),
        ("worse(effect=-1)", "must be from 0 to 1"),
        ("__import__('os').system('true')", "is not a condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_an_example(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse_condition(text)
    assert "worse(p=0.05, effect=0.01)" in caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_a_usage_error(text):
    with contextlib.suppress(UsageError):
        assert isinstance(parse_condition(text), Condition)


def test_worse_needs_both_a_small_p_and_the_effect():
    condition = parse_condition("worse(p=0.05, effect=0.05)")
    (found,) = violations(condition, of(0.5, 0.3))
    assert found.startswith("new is worse than old: p = 0 (Student's t on the mean gain")  # all tasks show the same
    assert "mean loss 0.2222" in found
    assert violations(condition, of(0.3, 0.5)) == []  # better
    assert violations(condition, of(0.3, 0.3)) == []  # the same
    assert violations(condition, of(0.32, 0.3)) == []  # worse by 0.022 of the way only
    assert violations(parse_condition("worse(p=0.001)"), of(0.5, 0.3, tasks=[*TASKS, "more"])) != []


def test_a_gate_that_could_never_close_is_refused():
    with pytest.raises(UsageError, match=r"no scores could meet 'worse\(p=0.05\)': with 1 task and 1 pair the smallest possible p is 1"):
        violations(parse_condition("worse(p=0.05)"), of(0.5, 0.3, tasks=TASKS[:1]))
    # Without a common scale the sign test is left, whose p has a least value.
    unscaled = make_grid({name: {task: [score] for task in TASKS[:5]} for name, score in (("new", 0.5), ("old", 0.3))}, floor=0.0)
    with pytest.raises(UsageError, match=r"no scores could meet 'worse\(p=0.05\)': with 5 tasks and 1 pair the smallest possible p is 0.062"):
        violations(parse_condition("worse(p=0.05)"), compare(unscaled, ["new", "old"], "nas360"))
    assert violations(parse_condition("worse(p=1, effect=0.01)"), of(0.5, 0.3, tasks=TASKS[:1])) != []


def test_a_method_that_fails_does_not_pass():
    records = make_grid({"new": {task: [0.3] for task in TASKS[:1]}, "old": {task: [0.3] for task in TASKS}})
    result = compare(records, ["new", "old"], "nas360", missing="worst-rank")
    assert violations(parse_condition("worse(p=0.05, effect=0.5)"), result) != []


def test_a_gate_says_what_passing_leaves_open():
    assert passed_sentence(of(0.3, 0.32)) == (
        "gate passed on 10 tasks, 1 seed: new against old p = 0, mean gain +0.0222. "
        "Not shown to be worse is not shown to be as good; with one seed a difference may be seed noise"
    )
    records = make_grid({name: {task: [0.3, 0.3] for task in TASKS} for name in ("new", "old")})
    failed = make_record("new", TASKS[0], seed=2, status="failed")
    gone = [record for record in records if (record.method.name, record.task.name) != ("new", TASKS[1])]
    text = passed_sentence(compare([*gone, failed], ["new", "old"], "nas360", missing="drop-task"))
    assert text.startswith("gate passed on 9 tasks, 2 seeds: new against old p = 1, mean gain +0.0000.")
    assert text.endswith("tasks left out: task1; 1 failed run left out of means (--missing worst-rank counts them as losses)")
    # Under worst-rank the failed run is a loss of the whole way, and nothing is left out.
    assert "left out" not in passed_sentence(compare([*records, failed], ["new", "old"], "nas360", missing="worst-rank"))


def test_an_effect_needs_a_scale():
    records = make_grid({"new": {task: [0.5] for task in TASKS}, "old": {task: [0.3] for task in TASKS}}, floor=0.0)
    result = compare(records, ["new", "old"], "nas360")
    assert violations(parse_condition("worse(p=0.05)"), result) != []
    with pytest.raises(UsageError, match="an effect needs tasks with a floor"):
        violations(parse_condition("worse(effect=0.01)"), result)


def test_three_methods_need_a_reference():
    records = make_grid({name: {task: [score] for task in TASKS} for name, score in (("a", 0.3), ("b", 0.2), ("c", 0.4))})
    with pytest.raises(UsageError, match="three or more methods") as caught:
        violations(parse_condition("worse()"), compare(records, ["a", "b", "c"], "nas360"))
    assert caught.value.hint == "--reference 'c'"
    found = violations(parse_condition("worse()"), compare(records, ["a", "b", "c"], "nas360", reference="a"))
    assert [each.split(":")[0] for each in found] == ["c is worse than a"]


def test_the_command_has_exit_code_6_and_still_prints_the_table(pare_bench, tmp_path):
    store = Store(tmp_path)
    tasks = ["cifar100", "spherical", "ninapro", "fsd50k", "darcy_flow", "psicov", "cosmic", "ecg", "satellite", "deepsea"]
    for record in make_grid({"pare": {task: [0.5] for task in tasks}, "orca": {task: [0.3] for task in tasks}}):
        store.save(record)
    code, out, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--fail-if", "worse(p=0.05, effect=0.01)")
    assert code == 6
    assert "error: gate not met: pare is worse than orca" in err
    assert "| ecg |" in out
    code, out, err = pare_bench("compare", "orca", "pare", "--out", str(tmp_path), "--fail-if", "worse(p=0.05, effect=0.01)")
    assert code == 0
    assert "gate passed on 10 tasks, 1 seed: orca against pare" in err
    code, out, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path), "--fail-if", "worse(p=0.05")
    assert (code, out) == (2, "")
    assert "hint: --fail-if 'worse(p=0.05, effect=0.01)'" in err
    options = ("--stats", "all", "--reference", "orca", "--missing", "drop-task", "--rope", "0.02", "--published", "--format", "latex")
    code, out, err = pare_bench("compare", "pare", "orca", "--out", str(tmp_path), *options)
    assert code == 0, err
    assert r"\toprule" in out
