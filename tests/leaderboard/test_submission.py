"""Submissions: the same bytes for the same records, every byte checked, records only ever added."""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from factories import make_grid, make_record

from pare_bench.cli import main
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.leaderboard.submission import add_bundle, read_bundle, write_bundle
from pare_bench.records.store import Store
from pare_bench.runs import reproduction, verification
from pare_bench.training.progress import Silent

RECORDS = make_grid({"pare": {"ecg": [0.2, 0.3]}, "orca": {"ecg": [0.4]}})


@pytest.fixture(autouse=True)
def _without_cross_checks(monkeypatch):
    # Records of the factory have stand-ins for digests of code.
    monkeypatch.setattr("pare_bench.records.validation.contradictions", lambda record: iter(()))


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    for record in RECORDS:
        made.save(record)
    return made


@pytest.fixture
def bundle(store, tmp_path):
    return write_bundle(store.root, tmp_path / "submission.zip")


def test_a_submission_holds_all_records_and_their_digests(store, bundle):
    with zipfile.ZipFile(bundle.path) as archive:
        assert archive.namelist()[0] == "manifest.json"
        assert archive.namelist()[1:] == sorted(path.relative_to(store.root).as_posix() for path in store.root.rglob("*.json"))
        manifest = json.loads(archive.read("manifest.json"))
        for name, entry in manifest["files"].items():
            assert entry["sha256"] == hashlib.sha256((store.root / name).read_bytes()).hexdigest()
    assert read_bundle(bundle.path).records == bundle.records
    assert {record.run_id for record in bundle.records} == {record.run_id for record in RECORDS}


def test_the_same_records_give_the_same_bytes(store, bundle, tmp_path):
    other = Store(tmp_path / "other")
    for record in reversed(RECORDS):
        other.save(record)
    assert write_bundle(other.root, tmp_path / "again.zip").path.read_bytes() == bundle.path.read_bytes()


def test_any_changed_byte_is_found_and_the_file_named(bundle):
    content = bundle.path.read_bytes()
    names = ["manifest.json", *bundle.files]
    positions = {*range(0, len(content), max(1, len(content) // 250)), *range(120), *range(len(content) - 200, len(content))}
    for position in sorted(positions):
        changed = bytearray(content)
        changed[position] ^= random.Random(position).randrange(1, 256)
        bundle.path.write_bytes(changed)
        with pytest.raises(IntegrityError) as caught:
            read_bundle(bundle.path)
        assert any(name in str(caught.value) for name in [*names, "its list of files"]), position
        assert caught.value.exit_code == 4


def test_a_changed_byte_of_a_record_names_that_record(bundle):
    content = bundle.path.read_bytes()
    for name, text in bundle.files.items():
        place = content.index(text) + len(text) // 2
        changed = bytearray(content)
        changed[place] ^= 1
        bundle.path.write_bytes(changed)
        with pytest.raises(IntegrityError, match=name):
            read_bundle(bundle.path)


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_a_truncated_or_lengthened_file_is_refused(bundle, cut):
    content = bundle.path.read_bytes()
    bundle.path.write_bytes(content[:cut])
    with pytest.raises(IntegrityError):
        read_bundle(bundle.path)
    for longer in (b"x" + content, content + b"x"):
        bundle.path.write_bytes(longer)
        with pytest.raises(IntegrityError):
            read_bundle(bundle.path)


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/records.json", "records/a.json", "records/a/b/../c/d.json", "other/a.npz", "records/a/b/c/.d.json"]
)
def test_files_that_a_submission_does_not_have_are_refused(tmp_path, name):
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "manifest.json", json.dumps({"schema": "pare-bench/bundle/1", "files": {name: {"sha256": hashlib.sha256(b"{}").hexdigest()}}})
        )
        archive.writestr(name, "{}")
    with pytest.raises(IntegrityError, match="not a file that a submission has"):
        read_bundle(path)


def test_a_compressed_bomb_is_refused_unread(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b" " * 10_000_000)
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        read_bundle(path)


def test_a_rewritten_manifest_does_not_hide_a_changed_score(store, bundle, tmp_path):
    """Whoever changes a score and its digests still has a record that contradicts its own seal."""
    name, text = next(iter(bundle.files.items()))
    (store.root / name).write_bytes(text.replace(b'"value": 0.', b'"value": 0.0', 1))
    with pytest.raises(IntegrityError, match=name):
        write_bundle(store.root, tmp_path / "forged.zip")


def test_an_empty_store_and_a_missing_file_say_what_to_do(tmp_path):
    with pytest.raises(DataMissingError) as caught:
        write_bundle(tmp_path, tmp_path / "a.zip")
    assert "pare-bench run" in caught.value.hint
    with pytest.raises(DataMissingError):
        read_bundle(tmp_path / "nothing.zip")


def test_adding_is_append_only(bundle, tmp_path):
    target = tmp_path / "target"
    assert add_bundle(bundle, target) == sorted(bundle.files)
    assert add_bundle(bundle, target) == []
    name = sorted(bundle.files)[0]
    other = make_record("pare", "ecg", 0.9, seed=7)
    (target / name).write_text(other.to_json())
    missing = sorted(bundle.files)[1]
    (target / missing).unlink()
    with pytest.raises(IntegrityError, match=r"added, never changed"):
        add_bundle(bundle, target)
    assert (target / name).read_text() == other.to_json()
    assert not (target / missing).exists()


def test_the_choice_of_runs_follows_the_seed_and_only_scored_ones_count():
    records = [*make_grid({"pare": {"ecg": [0.1] * 20}}), make_record("orca", status="failed")]
    first = verification.choose(records, 5, seed=1)
    assert first == verification.choose(list(reversed(records)), 5, seed=1)
    assert len({record.run_id for record in first}) == 5
    assert first != verification.choose(records, 5, seed=2)
    assert len(verification.choose(records, 100, seed=1)) == 20


def _again(record, **changes):
    return record.model_copy(update=changes)


@pytest.mark.parametrize(
    ("outcome", "same", "expected"),
    [
        ("identical", True, "identical"),
        ("within noise", False, "within noise"),
        ("within noise", True, "different"),
        ("different", False, "different"),
    ],
)
def test_equal_predictions_with_other_scores_are_different(monkeypatch, outcome, same, expected):
    record = make_record().model_copy(update={"predictions_sha256": "a" * 64})
    again = record.model_copy(update={"predictions_sha256": ("a" if same else "b") * 64})
    monkeypatch.setattr(reproduction, "reproduce", lambda *_, **__: SimpleNamespace(again=again, outcome=outcome, sentence="so"))
    (result,) = verification.rerun(None, [record], [record], lambda _: Silent(), command="")
    assert (result.verdict, result.same_predictions) == (expected, same)


def test_the_commands(store, tmp_path, capsys, monkeypatch):
    path = tmp_path / "made.zip"
    assert main(["leaderboard", "bundle", str(path), "--out", str(store.root)]) == 0
    digest = capsys.readouterr().out.split()[0]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert main(["leaderboard", "verify", str(path), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == digest
    result = verification.Rerun(RECORDS[0], "different", False, "different: other scores")
    monkeypatch.setattr(verification, "rerun", lambda *_, **__: [result])
    assert main(["leaderboard", "verify", str(path), "--rerun", "1", "--seed", "3"]) == 6
    assert "drawn with --seed 3" in capsys.readouterr().err
    assert main(["leaderboard", "add", str(path), "--out", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "leaderboard.json").is_file()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    capsys.readouterr()
    assert main(["leaderboard", "verify", str(path)]) == 4
    assert Path(str(path)).name in capsys.readouterr().err
