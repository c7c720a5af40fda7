"""plugins/pare-bench-tracking as a user has it: installed by pip, switched on by variables; MLflow and TensorBoard read back what it writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import socket_guard
from factories import make_record

from pare_bench.records.store import Store

PLUGIN = Path(__file__).parents[2] / "plugins" / "pare-bench-tracking"
MLFLOW, TENSORBOARD = "PARE_BENCH_TRACKING_MLFLOW", "PARE_BENCH_TRACKING_TENSORBOARD"
SMALL = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")
SOURCE = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1")
#: A package of each, on which all of it hangs.
NEEDED = ("mlflow", "sqlalchemy", "alembic", "tensorboard")
MOODY = """
from pare_bench import MethodSpec, SuiteSpec, TaskSpec, hookimpl

@hookimpl
def pare_bench_methods():
    yield MethodSpec(name="moody", summary="A method.", target="method_of_moody:Moody", slots=())

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="broken", summary="A task.", target="method_of_moody:Broken", modality="image")

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mine", summary="A suite.", tasks=("satellite", "ecg", "broken"))
"""
#: Tells two epochs; in between it does what the seed says, the first time only where that ends the process. It skips one task.
METHOD = """
import os, time
from pathlib import Path
from pare_bench.contracts.method import Method
from pare_bench.training.progress import EpochReport

class Moody(Method):
    def skip_reason(self, data):
        return "no heart" if data.task == "ecg" else None

    def fit(self, data, context):
        mood = ("good", "raises", "dies once", "dies", "hangs once")[context.config.seed]
        tries = Path(os.environ["MOODY_FOLDER"]) / f"tries of {mood}"
        with tries.open("a") as file:
            file.write("x")
        first = tries.read_text() == "x"
        context.reporter.epoch(EpochReport("align", 1, 1, 1, 2.5, None, "", 0.5))
        context.reporter.epoch(EpochReport("train", 1, 2, 1, 0.5, 0.25, "error_rate", 0.125))
        if mood == "raises":
            raise RuntimeError("no idea")
        if mood == "dies" or (mood == "dies once" and first):
            os._exit(7)
        if mood == "hangs once" and first:
            tries.with_name("hangs").touch()
            time.sleep(600)
        context.reporter.epoch(EpochReport("train", 2, 2, 2, 0.25, 0.125, "error_rate", 0.0625))
        return context.registry.build("method", "constant").fit(data, context)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder into which pip has installed the plugin from a copy, without network, beside a plugin with a method of moods."""
    for package in NEEDED:
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("tracking")
    copy = shutil.copytree(PLUGIN, folder / "copy", ignore=shutil.ignore_patterns("build", "dist", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(copy)], check=True, capture_output=True, text=True, timeout=180)
    (folder / "site" / "plugin_of_moody.py").write_text(MOODY)
    (folder / "site" / "method_of_moody.py").write_text(METHOD)
    information = folder / "site" / "moody-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[pare_bench]\nmoody = plugin_of_moody\n")
    return folder / "site"


@pytest.fixture(scope="module")
def tables(site, tmp_path_factory):
    """Return an SQLite file with MLflow's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("tables") / "runs.db"
    assert read_mlflow(path) == []
    return path


class Desk:
    """A folder in which commands are given, in this process or in one of its own, with both trackers switched on."""

    def __init__(self, folder, call):
        self.folder, self.call = folder, call
        self.out, self.mlflow, self.tensorboard = folder / "out", folder / "runs.db", folder / "events"

    def words(self, *words, out=None):
        return ("run", *words, *SMALL, "--out", str(out or self.out))

    def run(self, *words, expect=0, out=None):
        code, _, err = self.call(*self.words(*words, out=out))
        assert code == expect, err
        return err

    def start(self, *words, **environment):
        argv = [sys.executable, "-m", "pare_bench", *self.words(*words)]
        return subprocess.Popen(argv, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def records(self, out=None):
        return {record.run_id: record for record in Store(out or self.out).records()}

    def wait_for(self, name):
        end = time.monotonic() + 300
        while not (self.folder / name).exists():
            assert time.monotonic() < end
            time.sleep(0.05)


def forget():
    for name in [name for name in sys.modules if name.startswith(("pare_bench_tracking", "method_of_moody", "plugin_of_moody"))]:
        del sys.modules[name]


@pytest.fixture
def desk(site, tables, tmp_path, pare_bench, monkeypatch):
    made = Desk(tmp_path, pare_bench)
    shutil.copy(tables, made.mlflow)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MOODY_FOLDER", str(tmp_path))
    monkeypatch.setenv(MLFLOW, str(made.mlflow))
    monkeypatch.setenv(TENSORBOARD, str(made.tensorboard))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield made
    assert not list((tmp_path / "here").iterdir()), "nothing is left in the current folder"
    forget()


def read_mlflow(path, experiment="pare-bench"):
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{path}")
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id]) if found else []
    for run in runs:
        run.curves = {name: [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)] for name in run.data.metrics}
    return runs


def read_tensorboard(folder):
    """Return, by folder below ``folder``, scalars as (step, value), texts, and TensorBoard's own reading of settings and status."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = {}
    for path in sorted({file.parent for file in Path(folder).rglob("events.out.tfevents.*")}):
        events = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        tags = events.Tags()
        told = {name: events.Tensors(name)[-1].tensor_proto.string_val for name in tags["tensors"] if not name.startswith("_")}
        content = {name: events.SummaryMetadata(name).plugin_data.content for name in tags["tensors"] if name.startswith("_")}
        started = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
        ended = content.get(metadata.SESSION_END_INFO_TAG)
        found[str(path.relative_to(folder))] = {
            "curves": {name: [(each.step, each.value) for each in events.Scalars(name)] for name in tags["scalars"]},
            "texts": {name: value[0].decode() for name, value in told.items()},
            "settings": {name: value.number_value or value.string_value or value.bool_value for name, value in started.hparams.items()},
            "status": None if ended is None else metadata.parse_session_end_info_plugin_data(ended).status,
        }
    return found


def test_without_a_variable_nothing_happens(desk, tmp_path):
    code = (
        "import sys; from pare_bench.cli import main\n"
        f"assert main({list(desk.words('-m', 'constant', '-t', 'satellite'))!r}) == 0\n"
        "assert 'pare_bench_tracking.mlflow_plugin' in sys.modules\n"
        "assert not {'mlflow', 'tensorboard', 'pare_bench_tracking.mlflow_store', 'pare_bench_tracking.tensorboard_files'} & set(sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in (MLFLOW, TENSORBOARD)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "racking" not in done.stderr
    assert not desk.tensorboard.exists()


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
def test_both_have_what_the_records_say_whatever_became_of_a_run(jobs, desk):
    """Good, raised, skipped, and those that could not begin."""
    from tensorboard.plugins.hparams import api_pb2

    desk.run("-m", "moody", "-s", "mine", "--seeds", "0-1", *jobs, expect=1)
    records, runs, events = desk.records(), read_mlflow(desk.mlflow), read_tensorboard(desk.tensorboard)
    assert sorted((record.task.name, record.seed, record.status) for record in records.values()) == [
        ("broken", 0, "failed"), ("broken", 1, "failed"), ("ecg", 0, "skipped"), ("ecg", 1, "skipped"), ("satellite", 0, "ok"),
        ("satellite", 1, "failed"),
    ]  # fmt: skip
    assert sorted(run.data.tags["pare_bench.run_id"] for run in runs) == sorted(records)
    assert len(events) == 6
    first = {
        "align/loss": [(1, 2.5)],
        "align/rate": [(1, 0.5)],
        "train/loss": [(1, 0.5)],
        "train/validation": [(1, 0.25)],
        "train/rate": [(1, 0.125)],
    }
    second = {"train/loss": (2, 0.25), "train/validation": (2, 0.125), "train/rate": (2, 0.0625)}
    both = {name: [*points, second[name]] if name in second else points for name, points in first.items()}
    for run in runs:
        record = records[run.data.tags["pare_bench.run_id"]]
        config, tags, params = record.config, run.data.tags, run.data.params
        event = events[f"mine/{record.task.name}/generated/moody-seed{record.seed}-{record.run_id}"]
        curves = {"ok": both, "failed": first, "skipped": {}}[record.status] if record.task.name != "broken" else {}
        for found in (run.curves, event["curves"]):
            assert {name: points for name, points in found.items() if name.startswith(("align", "train"))} == curves
        assert run.info.status == {"ok": "FINISHED", "skipped": "FINISHED", "failed": "FAILED"}[record.status]
        assert event["status"] == (api_pb2.STATUS_FAILURE if record.status == "failed" else api_pb2.STATUS_SUCCESS)
        assert run.info.run_name == event["texts"]["run"] == f"moody {record.task.name} seed {record.seed} (generated)"
        assert tags["pare_bench.tier"] == params["tier"] == event["settings"]["tier"] == "generated"
        assert [tags[f"pare_bench.{name}"] for name in ("suite", "task", "method", "seed", "status")] == [
            "mine", record.task.name, "moody", str(record.seed), record.status,
        ]  # fmt: skip
        assert params["recipe.learning_rate"] == str(config.recipe.learning_rate)
        assert event["settings"]["recipe.learning_rate"] == config.recipe.learning_rate
        assert params["method"] == event["settings"]["method"] == "moody"
        assert "selector" not in params
        assert f"- status: {record.status}\n" in event["texts"]["outcome"]
        if record.status == "ok":
            assert tags["pare_bench.metric"] == record.primary.name
            assert run.data.metrics["test/floor"] == record.floor
            for metric in record.metrics:
                assert run.data.metrics[f"test/{metric.name}"] == metric.value
                # Event files hold single precision.
                assert event["curves"][f"test/{metric.name}"] == [(0, pytest.approx(metric.value, rel=1e-6))]
        else:
            assert tags["pare_bench.reason"] == record.reason
            assert record.reason in tags["mlflow.note.content"]
            assert record.reason in event["texts"]["outcome"]
            assert "test/floor" not in run.data.metrics


@pytest.mark.slow
def test_curves_are_those_of_the_record(desk):
    """A real run with an alignment, under an experiment of its own name."""
    os.environ["PARE_BENCH_TRACKING_EXPERIMENT"] = "winter"
    try:
        desk.run("-m", "orca", "-t", "satellite", *SOURCE)
    finally:
        del os.environ["PARE_BENCH_TRACKING_EXPERIMENT"]
    ((record,), (run,), (event,)) = (
        desk.records().values(), read_mlflow(desk.mlflow, experiment="winter"), read_tensorboard(desk.tensorboard).values(),
    )  # fmt: skip
    assert read_mlflow(desk.mlflow) == []
    assert sorted(record.training) == ["align", "train"]
    for stage, training in record.training.items():
        losses = [(point.epoch, point.train_loss) for point in training.curve]
        assert len(losses) == 2
        assert run.curves[f"{stage}/loss"] == losses
        assert event["curves"][f"{stage}/loss"] == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in losses]
        assert [step for step, _ in run.curves[f"{stage}/rate"]] == [1, 2]
    assert run.curves["train/validation"] == [(point.epoch, point.validation) for point in record.training["train"].curve]
    assert "align/validation" not in run.curves
    assert run.data.params["method.align_epochs"] == "2"
    assert (run.data.params["backbone"], run.data.params["aligner"]) == ("nano_text", "otdd_gaussian")


WRITES = """
import json, sys, warnings
from pathlib import Path
from pare_bench.records.record import RunRecord
from pare_bench_tracking.mlflow_store import Store
import time
record = RunRecord.from_json(Path(sys.argv[1]).read_text())
Path(sys.argv[2]).touch()
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
store = Store(Path(sys.argv[4]))
store.started(record.run_id, record.config)
for epoch in range(1, 31):
    store.epoch(record.run_id, "train", epoch, 1 / epoch, 0.5, 0.25)
    # Both work on it before either has ended.
    if epoch == 1:
        Path(sys.argv[2] + "-one").touch()
        while not Path(sys.argv[3] + "-one").exists():
            time.sleep(0.01)
store.finished(record.run_id, record)
"""


@pytest.mark.slow
def test_two_processes_make_and_fill_one_file_at_once(desk):
    """Seen: both found no tables and made them, and one gave up on "duplicate column name: step". The same run twice is two runs of MLflow's."""
    (desk.folder / "record.json").write_text(make_record().to_json())
    desk.mlflow.unlink()
    names = [str(desk.folder / name) for name in ("a", "b")]
    argv = [[sys.executable, "-c", WRITES, str(desk.folder / "record.json"), names[own], names[1 - own], str(desk.mlflow)] for own in (0, 1)]
    both = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in argv]
    for process in both:
        _, err = process.communicate(timeout=500)
        assert process.returncode == 0, err
        assert err == ""
    runs = read_mlflow(desk.mlflow)
    assert [(run.info.status, run.curves["train/loss"]) for run in runs] == [("FINISHED", [(epoch, 1 / epoch) for epoch in range(1, 31)])] * 2


@pytest.mark.slow
def test_what_a_crash_leaves_can_be_read_and_goes_on(desk):
    """Killed in the middle of a run: the first epoch is there, and the same command brings the second into the same run."""
    words = ("-m", "moody", "-t", "satellite", "--seeds", "4")
    process = desk.start(*words)
    desk.wait_for("hangs")
    process.kill()
    process.communicate(timeout=60)
    (left,) = read_mlflow(desk.mlflow)
    assert (left.info.status, left.curves["train/loss"]) == ("RUNNING", [(1, 0.5)])
    ((place, event),) = read_tensorboard(desk.tensorboard).items()
    assert (event["status"], event["curves"]["train/loss"]) == (None, [(1, 0.5)])
    # As where the machine went down while an event was written.
    (file,) = (desk.tensorboard / place).iterdir()
    with file.open("ab") as torn:
        torn.write(b"\x18\x00\x00")
    desk.run(*words)
    (again,) = read_mlflow(desk.mlflow)
    assert again.info.run_id == left.info.run_id
    assert (again.info.status, again.curves["train/loss"], again.curves["align/rate"]) == ("FINISHED", [(1, 0.5), (2, 0.25)], [(1, 0.5)])
    ((same, event),) = read_tensorboard(desk.tensorboard).items()
    assert (same, event["status"], event["curves"]["train/loss"]) == (place, 1, [(1, 0.5), (2, 0.25)])
    assert len(list((desk.tensorboard / place).iterdir())) == 2
    # A run that has an end is another one when it is done again.
    shutil.rmtree(desk.out)
    desk.run(*words)
    assert [run.info.status for run in read_mlflow(desk.mlflow)] == ["FINISHED", "FINISHED"]
    assert sorted(read_tensorboard(desk.tensorboard)) == [place, f"{place}-2"]


@pytest.mark.slow
def test_lost_workers(desk):
    """One whose second try succeeds, and one that dies twice, which the process that asked writes down as failed."""
    desk.run("-m", "moody", "-t", "satellite", "--seeds", "2-3", "--jobs", "2", expect=1)
    records = {record.seed: record for record in desk.records().values()}
    runs = {int(run.data.tags["pare_bench.seed"]): run for run in read_mlflow(desk.mlflow)}
    assert (runs[2].info.status, runs[2].curves["train/loss"]) == ("FINISHED", [(1, 0.5), (2, 0.25)])
    assert (runs[3].info.status, runs[3].curves["train/loss"]) == ("FAILED", [(1, 0.5)])
    assert runs[3].data.tags["pare_bench.reason"] == records[3].reason
    assert "its worker is lost" in records[3].reason
    found = {place.rpartition("seed")[2][0]: event for place, event in read_tensorboard(desk.tensorboard).items()}
    assert [(found[seed]["status"], found[seed]["curves"]["train/loss"]) for seed in "23"] == [(1, [(1, 0.5), (2, 0.25)]), (2, [(1, 0.5)])]
    assert records[3].reason in found["3"]["texts"]["outcome"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal of POSIX here")
def test_ctrl_c_says_that_nobody_works_on_it(desk):
    words = ("-m", "moody", "-t", "satellite", "--seeds", "4")
    process = desk.start(*words)
    desk.wait_for("hangs")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    (left,) = read_mlflow(desk.mlflow)
    assert (left.info.status, left.curves["train/loss"]) == ("KILLED", [(1, 0.5)])
    desk.run(*words)
    assert [(run.info.run_id, run.info.status) for run in read_mlflow(desk.mlflow)] == [(left.info.run_id, "FINISHED")]


def something_else(desk, monkeypatch):
    (desk.folder / "text").write_text("no database at all, but longer than its header would be: " + "x" * 200)
    monkeypatch.setenv(MLFLOW, str(desk.folder / "text"))
    monkeypatch.setenv(TENSORBOARD, str(desk.folder / "text" / "below"))


def addresses(desk, monkeypatch):
    monkeypatch.setenv(MLFLOW, "http://127.0.0.1:5000")
    monkeypatch.setenv(TENSORBOARD, "s3://bucket/runs")


def no_packages(desk, monkeypatch):
    for name in ("mlflow.tracking", "tensorboard.compat.proto.event_pb2"):
        monkeypatch.setitem(sys.modules, name, None)


#: what is wrong -> what makes it so, and what is said of each of the two
CANNOT_BE = {
    "something else": (something_else, ("file is not a database", "Not a directory")),
    "addresses": (addresses, ("takes a path on this machine, no address", "takes a path on this machine, no address")),
    "no packages": (no_packages, ("pip install 'pare-bench-tracking[mlflow]'", "pip install 'pare-bench-tracking[tensorboard]'")),
}


@pytest.mark.parametrize(
    ("wrong", "jobs"),
    [*((wrong, ()) for wrong in CANNOT_BE), pytest.param("something else", ("--jobs", "1"), marks=pytest.mark.slow)],
)
def test_a_store_that_cannot_be_used_is_one_line_and_no_failed_run(wrong, jobs, desk, monkeypatch):
    make, said = CANNOT_BE[wrong]
    make(desk, monkeypatch)
    err = desk.run("-m", "constant", "-t", "satellite", "-t", "ecg", *jobs)
    assert [record.status for record in desk.records().values()] == ["ok", "ok"]
    for variable, words in zip((MLFLOW, TENSORBOARD), said, strict=True):
        (line,) = [line for line in err.splitlines() if variable in line]
        assert words in line
        assert line.endswith("; runs go on without")
    assert "Traceback" not in err
    assert "failed in" not in err


def test_a_run_that_is_given_up_is_told_its_end_and_is_tried_again_when_it_starts_again(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setenv(MLFLOW, str(tmp_path / "place"))
    from pare_bench_tracking.guard import Guard

    told = []

    class Store:
        def __init__(self, place):
            told.append(place)

        def __getattr__(self, what):
            def tell(run_id, *_):
                told.append((what, run_id))
                if (what, told.count(("started", "one"))) == ("epoch", 1):
                    raise OSError(f"disk full, and {run_id} is not written")

            return tell

    monkeypatch.setitem(sys.modules, "store_of_a_test", SimpleNamespace(Store=Store))
    guard = Guard(MLFLOW, "store_of_a_test", "nothing")

    def tell():
        for run_id in ("one", "two", "one"):
            for what in ("started", "epoch", "epoch", "finished"):
                guard.call(what, run_id)

    with pytest.warns(RuntimeWarning, match="place': disk full, and one is not written; runs go on without") as lines:
        tell()
    forget()
    assert len(lines) == 1
    skips = [("started", "one"), ("epoch", "one"), ("finished", "one"), ("started", "two"), ("epoch", "two"), ("finished", "two")]
    assert told == [tmp_path / "place", *skips, ("started", "one"), ("epoch", "one"), ("epoch", "one"), ("finished", "one")]


@pytest.mark.slow
def test_what_failed_for_a_while_is_there_in_the_end(desk, monkeypatch):
    """Another program holds the file while an epoch is told: one line, and the end of the run brings the epoch."""
    import sqlite3

    from pare_bench_tracking import mlflow_store

    points = mlflow_store.Store.epoch

    def held(self, run_id, stage, epoch, *told):
        if (stage, epoch) == ("train", 1):
            raise sqlite3.OperationalError("database is locked")
        points(self, run_id, stage, epoch, *told)

    monkeypatch.setattr(mlflow_store.Store, "epoch", held)
    err = desk.run("-m", "full_finetune", "-t", "satellite")
    assert err.count("database is locked; runs go on without") == 1
    (record,), (run,) = desk.records().values(), read_mlflow(desk.mlflow)
    assert run.curves["train/loss"] == [(point.epoch, point.train_loss) for point in record.training["train"].curve]
    assert run.info.status == "FINISHED"
    assert "train/rate" not in run.curves


@pytest.mark.slow
def test_nothing_is_asked_of_the_network_and_no_score_moves(desk, monkeypatch):
    """MLflow would tell its makers of each use."""
    words = ("-m", "full_finetune", "-t", "satellite")
    guard = socket_guard.guarded(desk.folder)
    process = desk.start(*words, **guard)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "go on without" not in err
    # urllib3, imported by MLflow, finds out whether there is IPv6 by binding a port of this machine that nobody then listens on: that asks nobody.
    asked = [each for each in socket_guard.attempts(desk.folder, "loopback", "outside") if not each.endswith("|socket.bind|loopback|('::1', 0)")]
    assert asked == []
    monkeypatch.delenv(MLFLOW)
    monkeypatch.delenv(TENSORBOARD)
    desk.run(*words, out=desk.folder / "plain")
    ((plain,), (tracked,)) = (list(desk.records(out).values()) for out in (desk.folder / "plain", desk.out))
    assert (plain.run_id, plain.metrics, plain.predictions_sha256) == (tracked.run_id, tracked.metrics, tracked.predictions_sha256)
    assert [run.info.status for run in read_mlflow(desk.mlflow)] == ["FINISHED"]
    assert [event["status"] for event in read_tensorboard(desk.tensorboard).values()] == [1]
