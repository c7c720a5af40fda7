"""The page about observers: its plugin, installed as it stands there, does what the page says; links lead somewhere, and it ends in a checklist."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from pare_bench.records.store import Store

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "observers.md"
README = ROOT / "plugins" / "pare-bench-tracking" / "README.md"
SMALL = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")


def block(language, page=PAGE):
    found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
def test_the_diary_is_kept(jobs, install, pare_bench, tmp_path, monkeypatch):
    (points,) = [tomllib.loads(code)["project"]["entry-points"]["pare_bench"] for code in block("toml")]
    ((name, module),) = points.items()
    (source,) = block("python")
    install(name, source, module=module)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    words = ("run", "-m", "full_finetune", "-t", "ecg", *SMALL, "--out", str(tmp_path / "out"), *jobs)
    code, _, err = pare_bench(*words)
    assert code == 0, err
    (found,) = [each for each in json.loads(pare_bench("plugins", "--format", "json")[1]) if each["name"] == name]
    assert found["error"] is None
    # Off unless somebody has asked for it.
    monkeypatch.setenv("PARE_BENCH_DIARY", str(tmp_path / "diary.jsonl"))
    code, _, err = pare_bench(*words, "--seeds", "1-2")
    assert code == 0, err
    lines = [json.loads(line) for line in (tmp_path / "diary.jsonl").read_text().splitlines()]
    records = {record.run_id: record for record in Store(tmp_path / "out").records() if record.seed}
    assert {line["run"] for line in lines} == set(records)
    for run_id, record in records.items():
        first, *epochs, last = [line for line in lines if line["run"] == run_id]
        assert (first["what"], first["name"], first["tier"]) == ("started", f"full_finetune ecg seed {record.seed}", "generated")
        assert [(line["epoch"], line["loss"], line["score"]) for line in epochs] == [
            (point.epoch, point.train_loss, point.validation) for point in record.training["train"].curve
        ]
        assert (last["what"], last["score"], last["reason"]) == ("ok", record.primary.value, None)


@pytest.mark.parametrize("page", [PAGE, README], ids=["page", "plugin's README"])
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert "://" in link or page.parent.joinpath(link).exists(), link


def test_every_variable_of_the_plugin_is_documented_and_no_other():
    code = "".join(path.read_text() for path in sorted((README.parent / "pare_bench_tracking").glob("*.py")))
    assert set(re.findall(r"PARE_BENCH_TRACKING_[A-Z]+", code)) == set(re.findall(r"PARE_BENCH_TRACKING_[A-Z]+", README.read_text()))


def test_the_page_ends_in_a_checklist():
    title, _, items = PAGE.read_text().rstrip().rpartition("\n## ")[2].partition("\n")
    assert title == "Checklist"
    assert len(re.findall(r"^- \[ \] ", items, re.MULTILINE)) >= 5
