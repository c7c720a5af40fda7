"""Exports: read back by the libraries and schemas that they are written for."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest
import yaml
from factories import make_grid, make_record
from huggingface_hub import parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from pare_bench.cli import main
from pare_bench.errors import EnvironmentFault
from pare_bench.exports import every_eval_ever, hub, table
from pare_bench.exports.scores import slugs
from pare_bench.records.store import Store

RECORDS = [
    *make_grid({"pare": {"ecg": [0.2, 0.4], "satellite": [0.5]}, "orca": {"ecg": [0.5]}}),
    make_record("orca", "satellite", status="failed", reason='=cmd|" /c calc"!A1, out of "memory"'),
    make_record("pare", "ecg", 0.9, tier="official"),
    make_record("pare", "ecg", 0.7, code="old", finished="2025-01-01T00:00:00+00:00"),
]


def test_csv_has_a_row_for_each_run():
    rows = list(csv.DictReader(io.StringIO(table.as_csv(RECORDS))))
    assert len(rows) == len(RECORDS)
    assert list(rows[0]) == list(table.COLUMNS)
    by_id = {row["run_id"]: row for row in rows}
    first = by_id[RECORDS[0].run_id]
    assert (first["label"], first["task"], first["seed"], first["value"], first["counts"]) == ("pare", "ecg", "0", "0.2", "true")
    failed = by_id[RECORDS[4].run_id]
    assert (failed["status"], failed["value"], failed["metric"]) == ("failed", "", "")
    # A spreadsheet must not take a reason for a formula.
    assert failed["reason"] == "'" + RECORDS[4].reason
    assert by_id[RECORDS[6].run_id]["counts"] == "false"
    assert table.as_csv(RECORDS) == table.as_csv(RECORDS[::-1])


def test_hub_results_are_read_back_by_the_hubs_library():
    files = hub.files(RECORDS, "someone/{suite}")
    assert set(files) == {
        "orca/.eval_results/nas360-generated-clean-cpu.yaml",
        "orca/model-index.yaml",
        "pare/.eval_results/nas360-generated-clean-cpu.yaml",
        "pare/.eval_results/nas360-official-clean-cpu.yaml",
        "pare/model-index.yaml",
    }
    entries = parse_eval_result_entries(yaml.safe_load(files["pare/.eval_results/nas360-generated-clean-cpu.yaml"]))
    assert [(entry.dataset_id, entry.task_id) for entry in entries] == [
        ("someone/nas360", "ecg_generated_clean_cpu"),
        ("someone/nas360", "satellite_generated_clean_cpu"),
    ]
    assert [entry.value for entry in entries] == [pytest.approx(0.3), 0.5]
    assert entries[0].date == "2026-01-01T00:00:00+00:00"
    assert "lower is better; mean of 2 seeds" in entries[0].notes
    name, results = model_index_to_eval_results(yaml.safe_load(files["pare/model-index.yaml"])["model-index"])
    assert name == "pare"
    assert [(result.metric_type, result.metric_value) for result in results] == [
        ("error_rate", pytest.approx(0.3)),
        ("error_rate", 0.5),
        ("error_rate", 0.9),
    ]
    assert files == hub.files(RECORDS[::-1], "someone/{suite}")


def test_every_eval_ever_has_scores_direction_and_interval():
    files = every_eval_ever.files(RECORDS, "someone")
    assert set(files) == {"nas360-generated-clean-cpu/orca.json", "nas360-generated-clean-cpu/pare.json", "nas360-official-clean-cpu/pare.json"}
    document = json.loads(files["nas360-generated-clean-cpu/pare.json"])
    ecg = document["evaluation_results"][0]
    assert ecg["evaluation_name"] == "nas360/ecg"
    assert ecg["metric_config"]["lower_is_better"] is True
    assert ecg["score_details"]["score"] == pytest.approx(0.3)
    uncertainty = ecg["score_details"]["uncertainty"]
    assert uncertainty["standard_error"]["value"] == pytest.approx(0.1)
    # Student's t with one degree of freedom: 12.706 standard errors.
    assert uncertainty["confidence_interval"]["lower"] == pytest.approx(0.3 - 1.2706, abs=1e-3)
    assert document["retrieved_timestamp"] == "1767225600"
    assert files == every_eval_ever.files(RECORDS[::-1], "someone")


def test_every_eval_ever_fits_its_schema():
    """The package that has the schema needs Python 3.12; elsewhere what the schema requires is checked by hand above."""
    schemas = pytest.importorskip("every_eval_ever.schemas", reason="every-eval-ever is not installed")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    from importlib.resources import files

    schema = json.loads((files(schemas) / "eval.schema.json").read_text("utf-8"))
    for text in every_eval_ever.files(RECORDS).values():
        jsonschema.validate(json.loads(text), schema)


def test_parquet_holds_the_rows_or_says_what_is_missing(monkeypatch):
    try:
        from pyarrow import parquet
    except ImportError:
        parquet = None
    if parquet is not None:
        read = parquet.read_table(io.BytesIO(table.as_parquet(RECORDS))).to_pylist()
        assert read == table.rows(RECORDS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(EnvironmentFault, match="pyarrow") as caught:
        table.as_parquet(RECORDS)
    assert "pare-bench[parquet]" in caught.value.hint


def test_labels_that_look_alike_get_different_folders():
    names = slugs(["pare", "pare[a=1]", "pare[a-1]", "../..", "ü"])
    assert len(set(names.values())) == 5
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") and name for name in names.values())


@pytest.mark.parametrize("form", ["csv", "hf", "eee"])
def test_the_command_writes_below_the_store_or_where_it_is_told(tmp_path, capsys, form):
    store = Store(tmp_path / "store")
    for record in RECORDS:
        store.save(record)
    assert main(["leaderboard", "export", form, "--out", str(store.root)]) == 0
    written = capsys.readouterr().out.split()
    assert written
    assert all(str(store.root / "exports") in path for path in written)
    assert main(["leaderboard", "export", form, "--out", str(store.root), "--to", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there").exists()
    assert main(["leaderboard", "export", form, "--out", str(tmp_path / "empty")]) == 3
