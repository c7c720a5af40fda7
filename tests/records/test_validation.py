"""leaderboard validate: every kind of fault, named by file, field and line, exit code 4; and nothing wrong where nothing is."""

from __future__ import annotations

import json

import pytest
from factories import make_record, sealed

from pare_bench.records.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "out")


def change(path, **fields):
    """Rewrite a record by hand and seal it again, as somebody does who edits and knows how."""
    path.write_text(sealed({**json.loads(path.read_text()), **fields}))


def test_valid_records(store, pare_bench):
    for seed in range(3):
        store.save(make_record(task="satellite", seed=seed))
    store.save(make_record("orca", status="failed"))
    code, out, err = pare_bench("leaderboard", "validate", str(store.root))
    assert (code, out) == (0, "")
    assert "4 records checked, all valid" in err


@pytest.mark.parametrize(
    ("field", "fields", "words"),
    [
        ("seed", {"seed": "zero"}, "integer"),
        ("seed", {"seed": 7}, "configuration says 0"),
        ("surplus", {"surplus": 1}, "not permitted"),
        ("run_id", {"run_id": "0" * 16}, "parts of the identity give"),
        ("metrics", {"metrics": []}, "one primary metric, this one has 0"),
        ("metrics", {"status": "failed", "reason": "x"}, "no scores"),
        ("reason", {"status": "skipped", "metrics": [], "floor": None}, "says why"),
        ("finished", {"finished": "yesterday"}, "ISO 8601"),
        ("finished", {"finished": "2025-01-01T00:00:00+00:00"}, "before it started"),
        ("preset", {"preset": "paper"}, "configuration says 'cpu'"),
        ("code_sha256", {"code_sha256": "0" * 64}, "parts of the identity give"),
        ("weights_sha256", {"weights_sha256": "0" * 64}, "parts of the identity give None"),
        ("schema", {"schema": "pare-bench/record/99"}, "newer"),
    ],
)
def test_a_fault_is_named_with_file_field_and_line(field, fields, words, store, pare_bench):
    path = store.save(make_record())
    change(path, **fields)
    code, out, _ = pare_bench("leaderboard", "validate", str(store.root), "--format", "json")
    assert code == 4
    problems = [problem for problem in json.loads(out)["problems"] if problem["field"] == field]
    assert problems, out
    assert problems[0]["path"] == str(path)
    assert any(words in problem["message"] for problem in problems)
    assert f'"{field}":' in path.read_text().splitlines()[problems[0]["line"] - 1]


def test_an_edited_record_that_kept_its_seal(store, pare_bench):
    path = store.save(make_record(value=0.25))
    path.write_text(path.read_text().replace("0.25", "0.24"))
    code, out, _ = pare_bench("leaderboard", "validate", str(path), "--format", "md")
    assert code == 4
    assert "changed since it was written" in out


def test_a_record_in_the_wrong_place_and_one_that_is_there_twice(store, pare_bench):
    path = store.save(make_record())
    wrong = path.parents[1] / "orca" / path.name
    wrong.parent.mkdir()
    wrong.write_bytes(path.read_bytes())
    code, out, _ = pare_bench("leaderboard", "validate", str(store.root), "--format", "json")
    messages = [problem["message"] for problem in json.loads(out)["problems"]]
    assert code == 4
    assert any(f"belongs at 'records/nas360/ecg/pare/{path.name}'" in message for message in messages)
    assert any("is also the run id of" in message for message in messages)


def test_github_annotations_escape_what_they_must(store, pare_bench):
    path = store.save(make_record())
    change(path, status="failed", metrics=[], reason="", floor=None)
    code, out, _ = pare_bench("leaderboard", "validate", str(store.root), "--format", "github")
    assert code == 4
    assert all(line.startswith(f"::error file={path},line=") for line in out.splitlines())
    from pare_bench.cli.leaderboard import annotation
    from pare_bench.records.validation import Problem

    assert annotation(Problem(path, "a:b,c", "50%\nof it", 3)).endswith(",line=3,title=record%3A a%3Ab%2Cc::50%25%0Aof it")


def test_what_is_not_there_is_missing_data(tmp_path, pare_bench):
    assert pare_bench("leaderboard", "validate", str(tmp_path / "none"))[0] == 3
    (tmp_path / "empty").mkdir()
    assert pare_bench("leaderboard", "validate", str(tmp_path / "empty"))[0] == 3


def test_the_printed_schema_is_the_shipped_one(pare_bench):
    from pare_bench.records.schema import as_text, record_schema

    assert pare_bench("leaderboard", "schema")[1] == as_text(record_schema())
