"""Records: schema, migrations, seal, and a page that says what every field means."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import jsonschema
import pytest
from factories import make_record
from hypothesis import given, settings
from hypothesis import strategies as st

from pare_bench.records.migrations import NEWEST, UnknownSchemaError, migrated
from pare_bench.records.record import ALIGNMENT, CurveRecord, RecordFault, RunRecord, TrainingRecord
from pare_bench.records.schema import as_text, record_schema

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "leaderboard" / "schema"
GOLDEN = sorted((ROOT / "tests" / "golden" / "records").glob("*.json"))


def test_the_shipped_schema_is_the_generated_one():
    shipped = (SCHEMAS / f"record-{NEWEST}.json").read_text()
    assert shipped == as_text(record_schema()), f"pare-bench leaderboard schema > leaderboard/schema/record-{NEWEST}.json"


@pytest.mark.parametrize("number", range(1, NEWEST + 1))
def test_every_version_has_a_valid_schema_and_a_golden_record_that_follows_it(number):
    schema = json.loads((SCHEMAS / f"record-{number}.json").read_text())
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    found = [path for path in GOLDEN if path.name.startswith(f"record-{number}")]
    assert found
    for path in found:
        document = json.loads(path.read_text())
        assert list(validator.iter_errors(document)) == []
        assert list(validator.iter_errors({**document, "seed": "0"}))
        assert list(validator.iter_errors({**document, "surplus": 1}))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_records_of_every_version_are_read(path):
    document = json.loads(path.read_text())
    record = RunRecord.from_json(path.read_text())
    assert (record.run_id, record.seed, record.primary.value) == (document["run_id"], document["seed"], document["metrics"][0]["value"])
    again = json.loads(record.to_json())
    assert again["schema"] == f"pare-bench/record/{NEWEST}"
    # Facts stay as they are; only what the older version did not know is added.
    for name, value in document.items():
        if name not in ("schema", "content_sha256", "config", "training", "environment", "identity"):
            assert again[name] == value, name
    assert (again["identity"] or {}).items() >= (document.get("identity") or {}).items()
    # The run id keeps its meaning: that of its own version.
    assert record.identity is None or record.identity.run_id == document["run_id"]
    assert again["config"]["recipe"].items() >= document["config"]["recipe"].items()
    assert RunRecord.from_json(record.to_json()) == record


def test_the_newest_golden_record_stays_the_same_bytes():
    (path,) = [path for path in GOLDEN if path.stem == f"record-{NEWEST}"]
    assert RunRecord.from_json(path.read_text()).to_json() == path.read_text()


def test_records_follow_the_schema():
    validator = jsonschema.Draft202012Validator(record_schema())
    for record in (make_record(), make_record(status="failed"), make_record(status="skipped", reason="no field")):
        assert list(validator.iter_errors(json.loads(record.to_json()))) == []


@pytest.mark.parametrize("document", [None, [], {}, {"schema": 1}, {"schema": "pare-bench/record/0"}, {"schema": "pare-bench/leaderboard/1"}])
def test_what_is_no_record_is_not_migrated(document):
    with pytest.raises(UnknownSchemaError, match="not a pare-bench record"):
        migrated(document)


def test_a_newer_record_is_refused_with_its_number():
    text = json.dumps({**json.loads(make_record().to_json()), "schema": f"pare-bench/record/{NEWEST + 1}", "content_sha256": None})
    with pytest.raises(RecordFault, match=f"record/{NEWEST + 1}' is newer"):
        RunRecord.from_json(text)


def test_the_seal_is_the_digest_of_the_text_without_it():
    text = make_record().to_json()
    seal = json.loads(text)["content_sha256"]
    assert seal == hashlib.sha256(text.replace(f'"{seal}"', "null").encode()).hexdigest()


def test_another_layout_is_no_damage():
    record = make_record(command='pare-bench run -o \'x="content_sha256": "0"\' # \u00e9')
    assert RunRecord.from_json(json.dumps(json.loads(record.to_json()))) == record
    assert RunRecord.from_json(json.dumps(json.loads(record.to_json()), indent=4, ensure_ascii=False)) == record
    assert RunRecord.from_json(json.dumps(json.loads(record.to_json()), indent=2)) == record


TEXT = make_record(value=0.123456789).to_json()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.integers(1, 127))
def test_no_flipped_byte_goes_unnoticed(position, flip):
    content = bytearray(TEXT.encode())
    content[position] ^= flip
    try:
        record = RunRecord.from_json(content.decode())
    except (RecordFault, UnicodeDecodeError):
        return
    # White space between the parts of the file, or a letter of the seal's own name or value: the content must be the same.
    assert record == RunRecord.from_json(TEXT)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(TEXT) - 2))
def test_no_truncated_record_is_read(length):
    with pytest.raises(RecordFault):
        RunRecord.from_json(TEXT[:length])


def fields(schema, prefix=""):
    """Every field of the schema as a dotted path, with its description; lists and maps are followed into their entries."""
    definitions = record_schema()["$defs"]
    for name, field in schema.get("properties", {}).items():
        yield f"{prefix}{name}", field
        inner = [field, field.get("items", {}), field.get("additionalProperties", {}), *field.get("anyOf", [])]
        for each in [part for part in inner if isinstance(part, dict) and "$ref" in part]:
            definition = each["$ref"].rpartition("/")[2]
            if definition != "RunConfig":
                yield from fields(definitions[definition], f"{prefix}{name}.")


def test_the_page_names_every_field_with_its_meaning():
    page = (ROOT / "docs" / "records.md").read_text().partition("## Fields")[2]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", page, re.MULTILINE))
    wanted = {path: field.get("description") for path, field in fields(record_schema())}
    assert [path for path, meaning in wanted.items() if not meaning] == []
    assert {path: meaning.replace("|", "\\|") for path, meaning in wanted.items()} == rows


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100_000, '{"schema": ' * 50_000, '{"schema": ' + "9" * 5000 + "}"])
def test_text_that_json_itself_gives_up_on_is_no_record(text):
    """Seen, by fuzzing: a number of 5000 digits is a plain ValueError."""
    with pytest.raises(RecordFault, match=r"not JSON|too many levels"):
        RunRecord.from_json(text)


@pytest.mark.parametrize("number", [2, 3])
def test_a_record_without_its_seal_is_refused_and_one_from_before_there_were_seals_is_not(number):
    golden = Path(__file__).parents[1] / "golden" / "records"
    document = json.loads((golden / f"record-{number}.json").read_text())
    for bare in ({**document, "content_sha256": None}, {name: value for name, value in document.items() if name != "content_sha256"}):
        with pytest.raises(RecordFault, match="the seal that every record has since version 2 is missing"):
            RunRecord.from_json(json.dumps(bare))
    assert RunRecord.from_json((golden / "record-1.json").read_text()).status == "ok"


@pytest.mark.parametrize(("distances", "told"), [([16.4, 66.7, 16.5], True), ([16.4, 66.7, 16.3], False), ([16.4], False)])
def test_an_alignment_that_went_nowhere_is_said(distances, told):
    curve = tuple(CurveRecord(epoch=epoch, step=epoch, train_loss=loss, validation=loss) for epoch, loss in enumerate(distances, 1))
    stage = TrainingRecord(curve=curve, best_epoch=len(curve), steps=len(curve), stopped="epochs")
    record = make_record("orca").model_copy(update={"training": {ALIGNMENT: stage, "train": stage}})
    expected = [f"the alignment ended no nearer to the source than it began: {distances[0]:.3g}, then {distances[-1]:.3g}"]
    assert record.warnings() == (expected if told else [])
