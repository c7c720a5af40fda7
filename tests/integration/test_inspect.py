"""``pare-bench inspect`` through the command line: each kind of task, of tasks and of runs, and what is said where there is no picture."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pare_bench.cli import main
from pare_bench.records.store import Store

pytest.importorskip("matplotlib")

#: One task of each kind: photograph, curve, string, mask, pair map, field along a line, field on a plane, table.
TASKS = {
    "nas360": ("cifar100", "satellite", "deepsea", "cosmic", "psicov"),
    "pdebench": ("advection", "diffusion_reaction_2d"),
    "openml": ("openml_61",),
}
ALL = [(suite, task) for suite, tasks in TASKS.items() for task in tasks]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Runs of the constant predictor, which trains nothing, on each task; the predictions are kept."""
    root = tmp_path_factory.mktemp("store")
    for suite, tasks in TASKS.items():
        names = [word for task in tasks for word in ("-t", task)]
        assert main(["run", "--method", "constant", "--suite", suite, "--preset", "smoke", *names, "--predictions", "full", "--out", str(root)]) == 0
    return Store(root)


def record_of(store, task):
    (record,) = [record for record in store.records() if record.task.name == task]
    return record


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_a_sample_of_each_kind_of_task_is_drawn(pare_bench, tmp_path, suite, task):
    place = tmp_path / "sample.png"
    code, out, err = pare_bench("inspect", task, "--preset", "smoke", "--to", str(place), "--format", "json")
    assert code == 0, err
    (drawn,) = json.loads(out)["pictures"]
    tier = "bundled" if suite == "openml" else "generated"
    assert (drawn["task"], drawn["split"], drawn["index"], drawn["tier"], drawn["scores"]) == (task, "train", 0, tier, {})
    with Image.open(place) as picture:
        # Something is drawn, not an empty sheet.
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 8
    assert place.stat().st_size < 80_000
    assert str(place) in err


@pytest.mark.parametrize(("suite", "task"), ALL)
def test_a_run_is_drawn_with_its_predictions(pare_bench, tmp_path, store, suite, task):
    record = record_of(store, task)
    place = tmp_path / "run.png"
    code, out, err = pare_bench("inspect", record.run_id, "--out", str(store.root), "--index", "1", "--to", str(place), "--format", "json")
    assert code == 0, err
    (drawn,) = json.loads(out)["pictures"]
    assert (drawn["task"], drawn["split"], drawn["index"], drawn["run_id"]) == (task, "test", 1, record.run_id)
    assert (drawn["of"], drawn["method"]) == (record.task.sizes["test"], "constant")
    assert place.read_bytes().startswith(b"\x89PNG")


def test_the_scores_of_single_samples_make_up_the_score_of_the_run(store):
    """The score of advection is a mean over samples."""
    from pare_bench.pictures.inspection import samples_of_run
    from pare_bench.records.predictions import PredictionsFolder
    from pare_bench.registry.names import Registry

    record = record_of(store, "advection")
    count = record.task.sizes["test"]
    samples = samples_of_run(Registry.from_environment(), record, PredictionsFolder(store.root / "predictions"), range(count))
    values = [sample.prediction.scores["nrmse"] for sample in samples]
    assert np.mean(values) == pytest.approx(record.primary.value, rel=1e-5)
    own = [np.sqrt(np.mean(np.square(sample.error)) / np.mean(np.square(sample.truth))) for sample in samples]
    np.testing.assert_allclose(values, own, rtol=1e-5)


def test_what_is_drawn_is_the_sample_of_the_data_of_runs():
    """A sample of simulated data is made without all the others, and is the same; so is one of a task that needs them."""
    from pare_bench.pictures.inspection import Choice, chosen_data, samples_of_task, splits_of
    from pare_bench.registry.names import Registry

    registry = Registry.from_environment()
    for task, split, index in (("advection", "test", 45), ("satellite", "val", 3), ("darcy_flow", "train", 2)):
        data = chosen_data(registry, task, Choice(preset="smoke"))
        (sample,) = samples_of_task(data, split, [index])
        part = getattr(splits_of(data), split)
        np.testing.assert_array_equal(sample.inputs, part.inputs[index])
        np.testing.assert_array_equal(sample.truth, part.targets[index])
        assert sample.count == len(part)


def test_a_suite_becomes_a_folder_and_a_method_chooses_runs(pare_bench, tmp_path, store, install):
    install("two", SUITE)
    asked = ("inspect", "--suite", "two", "--out", str(store.root), "--to", str(tmp_path), "--format", "md")
    code, out, err = pare_bench(*asked, "--method", "constant")
    assert code == 0, err
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["advection.png", "satellite.png"]
    assert out.count("| test | 0 | generated | clean | constant |") == 2
    code, _, err = pare_bench(*asked, "--method", "pare")
    assert code == 3
    assert "pare-bench run --method pare" in err


SUITE = """
from pare_bench import hookimpl
from pare_bench.registry.specs import SuiteSpec
@hookimpl
def pare_bench_suites():
    return [SuiteSpec(name="two", summary="two tasks", tasks=("satellite", "advection"))]
"""


def test_a_task_of_a_plugin_is_drawn_by_what_it_declares(pare_bench, tmp_path, install):
    install("blobs", BLOBS)
    code, out, err = pare_bench("inspect", "blobs", "--to", str(tmp_path / "blobs.svg"), "--index", "2", "--format", "json")
    assert code == 0, err
    assert json.loads(out)["pictures"][0]["target_shape"] == [2, 6, 6]
    assert (tmp_path / "blobs.svg").read_text().startswith("<?xml")


BLOBS = """
import numpy as np
from pare_bench import hookimpl
from pare_bench.contracts.task import Field, InputShape, Metric, Split, Splits, Task, TaskSize
from pare_bench.registry.specs import TaskSpec
class Blobs(Task):
    name, version = "blobs", 1
    inputs, target = InputShape(3, (6, 6)), Field((6, 6), channels=2)
    metrics = (Metric("distance", lambda outputs, split: float(np.abs(outputs - split.targets).mean())),)
    sizes = {"cpu": TaskSize(4, 2, 2)}
    def generated(self, seed, size):
        def part(count):
            values = np.random.default_rng(count).normal(size=(count, 5, 6, 6)).astype(np.float32)
            return Split(values[:, :3], values[:, 3:])
        return Splits(part(size.train), part(size.val), part(size.test))
@hookimpl
def pare_bench_tasks():
    return [TaskSpec(name="blobs", summary="blobs", target="plugin_of_blobs:Blobs", modality="image", dense=True)]
"""


def test_splits_are_summarised_without_a_picture(pare_bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = pare_bench("inspect", "satellite", "--preset", "smoke", "--summary", "--format", "json")
    assert code == 0
    train, val, test = json.loads(out)["splits"]
    assert [(part["split"], part["samples"]) for part in (train, val, test)] == [("train", 96), ("val", 48), ("test", 96)]
    assert (train["input_shape"], train["target_shape"]) == ([1, 46], [])
    assert sum(train["classes"].values()) == 96
    assert (min(map(int, train["classes"])), max(map(int, train["classes"]))) == tuple(map(int, train["target_range"]))
    assert not list(tmp_path.iterdir())


def test_without_to_the_picture_goes_to_this_folder_and_is_named(pare_bench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = pare_bench("inspect", "satellite", "--preset", "smoke")
    assert code == 0
    assert (tmp_path / "inspect-satellite.png").is_file()
    assert "inspect-satellite.png" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("cosmik",), 2, "did you mean 'cosmic'"),
        (("satellite", "--index", "600"), 2, "has 600 samples, there is no sample 600"),
        (("satellite", "--index", "-1"), 2, "there is no sample -1"),
        (("satellite", "--split", "tst"), 2, "tst"),
        (("satellite", "--preset", "smok"), 2, "did you mean 'smoke'"),
        (("satellite", "--tier", "bundled"), 2, "has no tier 'bundled'"),
        (("burgers", "-o", "pints=64"), 2, "did you mean 'points'"),
        (("satellite", "--to", "picture.bmp"), 2, "neither a .png nor an .svg file"),
        ((), 2, "one of them"),
        (("satellite", "--suite", "nas360"), 2, "one of them"),
        (("--suite", "nas36"), 2, "did you mean 'nas360'"),
        (("abcd", "--out", "."), 2, "there is no run 'abcd'"),
        (("satellite", "--method", "pere"), 2, "did you mean 'pare'"),
    ],
)
def test_wrong_calls_end_in_one_line_and_a_hint(pare_bench, tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    found, out, err = pare_bench("inspect", *arguments)
    assert found == code
    assert words in err
    assert out == ""
    assert len(err.strip().splitlines()) == 2
    assert not list(tmp_path.iterdir())


def test_of_a_run_only_its_own_test_split_is_drawn(pare_bench, tmp_path, store):
    run = record_of(store, "satellite").run_id
    assert pare_bench("inspect", run, "--out", str(store.root), "--split", "train", "--to", str(tmp_path / "a.png"))[0] == 2
    code, _, err = pare_bench("inspect", run, "--out", str(store.root), "--tier", "official")
    assert (code, "is a run" in err) == (2, True)
    assert pare_bench("inspect", run, "--out", str(store.root), "--index", "96", "--to", str(tmp_path / "a.png"))[0] == 2


def test_predictions_that_were_not_kept_lead_to_the_command_that_keeps_them(pare_bench, tmp_path):
    run = ["run", "--method", "constant", "-t", "satellite", "--preset", "smoke", "--predictions", "none", "--out", str(tmp_path)]
    assert main(run) == 0
    (path,) = (tmp_path / "records").rglob("*.json")
    code, _, err = pare_bench("inspect", str(path), "--to", str(tmp_path / "a.png"))
    assert code == 3
    problem, hint = err.strip().splitlines()[-2:]
    assert "has no stored predictions" in problem
    assert hint.startswith(f"hint: rm '{path}' && ")
    assert hint.endswith("--predictions full")


def test_inspecting_imports_no_torch(tmp_path):
    call = f"main(['inspect', 'satellite', '--to', {str(tmp_path / 'a.png')!r}])"
    code = f"import sys; from pare_bench.cli import main; {call}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False"
