"""PDEBench on small files in the published format, with the published preset, for two steps from random weights of one layer a stage."""

from __future__ import annotations

import importlib
import json

import pdebench_files as written
import pytest

from pare_bench.registry.names import Registry

#: One task of each kind, with the released cells a side: a line, a line of three fields, a plane, a plane of four fields.
GRIDS = {"advection": (256,), "navier_stokes_1d": (1024,), "darcy_2d": (64, 64), "navier_stokes_2d": (64, 64)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """All files that these tasks and their proxies need, small."""
    root = tmp_path_factory.mktemp("official")
    for task, grid in GRIDS.items():
        written.write(root, task, samples=10, grid=grid)
    for name in ("cifar10", "pascal_voc", "conll2003_features"):
        importlib.import_module(f"official_files.{name}").write(root)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("task", GRIDS)
@pytest.mark.parametrize("track", ["clean", "paper"])
def test_two_steps_of_the_published_preset(task, track, files, shallow, pare_bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PARE_BENCH_DATA", str(files))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(files / "cache"))
    owner = Registry.from_environment().component("task", task)
    monkeypatch.setattr(owner, "official_files", written.undigested(owner))
    model = str(shallow / ("roberta" if len(GRIDS[task]) == 1 else "swin"))
    options = [f"backbone.model={model}", "backbone.pretrained=false", "budget.max_steps=2", "recipe.batch_size=2"]
    command = ["run", "--method", "pare", "--suite", "pdebench", "--task", task, "--tier", "official", "--preset", "paper", "--track", track]
    code, out, err = pare_bench(*command, "--out", str(tmp_path), *(word for option in options for word in ("-o", option)), "--format", "json")
    assert code == 0, err
    (record,) = json.loads(out)
    assert record["status"] == "ok", record["reason"]
    assert record["training"]["train"]["steps"] == 2
    assert (record["task"]["tier"], record["source"]["tier"]) == ("official", "official")
    assert record["task"]["real"] == "all of it: the published files"
    names = [metric["name"] for metric in record["metrics"]]
    # As released: one score; the others are ours.
    assert names == ["nrmse"] if track == "paper" else names[:2] == ["nrmse", "nrmse_median"]
