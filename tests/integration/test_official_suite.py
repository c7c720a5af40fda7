"""The whole of nas360 on small files in the official formats, with the published preset, for two steps from random weights."""

from __future__ import annotations

import importlib
import json

import pytest
from official_files import ninapro

from pare_bench.builtin.suites.nas360.ninapro import Ninapro
from pare_bench.builtin.suites.nas360.specs import SUITES

KEYS = SUITES[0].tasks
PROXIES = ("cifar10", "tiny_imagenet", "pascal_voc", "conll2003_features")
SEQUENCES = ("ecg", "satellite", "deepsea")
#: One task of each kind keeps a published architecture (Swin-T for Swin-B: the same code, a quarter of the work); the others take one layer a stage.
PUBLISHED = {"spherical": "microsoft/swin-tiny-patch4-window7-224", "darcy_flow": "microsoft/swin-tiny-patch4-window7-224", "ecg": "roberta-base"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """All official files, small."""
    root = tmp_path_factory.mktemp("official")
    for name in (*KEYS, *PROXIES):
        importlib.import_module(f"official_files.{name}").write(root)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("task", KEYS)
def test_two_steps_of_the_published_preset(task, files, shallow, pare_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(files))
    # The published digests are those of the published files.
    monkeypatch.setattr(Ninapro, "official_files", ninapro.undigested())
    model = PUBLISHED.get(task, str(shallow / ("roberta" if task in SEQUENCES else "swin")))
    options = [f"backbone.model={model}", "backbone.pretrained=false", "budget.max_steps=2", "recipe.batch_size=2", "recipe.accumulation=1"]
    command = ["run", "--method", "pare", "--suite", "nas360", "--task", task, "--tier", "official", "--preset", "paper", "--out", str(tmp_path)]
    code, out, err = pare_bench(*command, *(word for option in options for word in ("-o", option)), "--format", "json")
    assert code == 0, err
    (record,) = json.loads(out)
    assert record["status"] == "ok", record["reason"]
    assert record["training"]["train"]["steps"] == 2
    assert (record["task"]["tier"], record["source"]["tier"]) == ("official", "official")
    assert record["task"]["real"] == "all of it: the published files"
    # What the record says of the weights: none were loaded.
    assert record["weights_sha256"] is None
    assert record["slots"]["backbone"]["params"]["pretrained"] is False
    assert [metric["primary"] for metric in record["metrics"]].count(True) == 1
    if task in PUBLISHED:
        assert record["parameters_total"] > 25e6
