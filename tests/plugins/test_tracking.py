"""plugins/pare-bench-tracking as a user has it: installed by pip, switched on by variables; MLflow and TensorBoard read back what it writes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import socket_guard

from pare_bench.records.store import Store

PLUGIN = Path(__file__).parents[2] / "plugins" / "pare-bench-tracking"
MLFLOW, TENSORBOARD = "PARE_BENCH_TRACKING_MLFLOW", "PARE_BENCH_TRACKING_TENSORBOARD"
SMALL = ("--preset", "smoke", "-o", "size.train=16", "-o", "size.val=8", "-o", "size.test=8")
SOURCE = ("-o", "source_size.train=64", "-o", "source_size.val=1", "-o", "source_size.test=1")
MOODY = """
from pare_bench import MethodSpec, SuiteSpec, TaskSpec, hookimpl

@hookimpl
def pare_bench_methods():
    for name in ("Moody", "Shy"):
        yield MethodSpec(name=name.lower(), summary="A method.", target=f"method_of_moody:{name}", slots=())

@hookimpl
def pare_bench_tasks():
    yield TaskSpec(name="broken", summary="A task.", target="method_of_moody:Broken", modality="image")

@hookimpl
def pare_bench_suites():
    yield SuiteSpec(name="mine", summary="A suite.", tasks=("satellite", "broken"))
"""
#: Tells two epochs; in between it does what the seed says, the first time only where that ends the process.
METHOD = """
import os, time
from pathlib import Path
from pare_bench.contracts.method import Method
from pare_bench.training.progress import EpochReport

class Moody(Method):
    def fit(self, data, context):
        mood = ("good", "raises", "dies once", "dies", "hangs once")[context.config.seed]
        tries = Path(os.environ["MOODY_FOLDER"]) / f"tries of {mood}"
        with tries.open("a") as file:
            file.write("x")
        first = tries.read_text() == "x"
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

class Shy(Method):
    def skip_reason(self, data):
        return "too shy"

    def fit(self, data, context):
        raise AssertionError("it is skipped")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a folder into which pip has installed the plugin from a copy, without network, beside a plugin with methods of moods."""
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


class Desk:
    """A folder in which commands are given."""

    def __init__(self, site, folder):
        self.folder, self.out = folder, folder / "out"
        self.mlflow, self.tensorboard = folder / "runs.db", folder / "events"
        (folder / "here").mkdir()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PARE_BENCH_TRACKING")}
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        self.environment |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MOODY_FOLDER": str(folder)}

    def start(self, *words, out=None, **environment):
        argv = [sys.executable, "-m", "pare_bench", "run", *words, *SMALL, "--out", str(out or self.out)]
        return subprocess.Popen(
            argv, env={**self.environment, **environment}, cwd=self.folder / "here", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *words, expect=0, out=None, **environment):
        process = self.start(*words, out=out, **environment)
        try:
            _, err = process.communicate(timeout=300)
        finally:
            process.kill()
        assert process.returncode == expect, err
        assert not list((self.folder / "here").iterdir()), "nothing is left in the current folder"
        return err

    def records(self, out=None):
        return {record.run_id: record for record in Store(out or self.out).records()}

    def wait_for(self, name):
        end = time.monotonic() + 120
        while not (self.folder / name).exists():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def desk(site, tmp_path):
    return Desk(site, tmp_path)


@pytest.fixture(scope="module")
def tables(site, tmp_path_factory):
    """Return an SQLite file with MLflow's tables, which take seconds to make."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    made = Desk(site, tmp_path_factory.mktemp("tables"))
    made.run("-m", "constant", "-t", "satellite", **{MLFLOW: str(made.mlflow), "PARE_BENCH_TRACKING_EXPERIMENT": "of another day"})
    return made.mlflow


@pytest.fixture
def in_mlflow(tables, desk):
    """Return what reads the runs of the desk's file, the newest first; the file has its tables already."""
    shutil.copy(tables, desk.mlflow)
    return lambda **changes: read_mlflow(desk.mlflow, **changes)


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


def curves_of(record):
    """What the curves of a run are, by its record, and how many rates go with them."""
    curves = {}
    for stage, training in record.training.items():
        curves[f"{stage}/loss"] = [(point.epoch, point.train_loss) for point in training.curve]
        if stage != "align":
            curves[f"{stage}/validation"] = [(point.epoch, point.validation) for point in training.curve]
    return curves


def test_without_a_variable_nothing_happens(desk):
    code = (
        "import sys; from pare_bench.cli import main\n"
        f"assert main(['run', '-m', 'constant', '-t', 'satellite', *{SMALL!r}, '--out', 'out']) == 0\n"
        "assert 'pare_bench_tracking.mlflow_plugin' in sys.modules\n"
        "assert not {'mlflow', 'tensorboard', 'pare_bench_tracking.mlflow_store', 'pare_bench_tracking.tensorboard_files'} & set(sys.modules)"
    )
    here = desk.folder / "here"
    done = subprocess.run([sys.executable, "-c", code], env=desk.environment, cwd=here, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "tracking" not in done.stderr
    assert [path.name for path in here.iterdir()] == ["out"]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
def test_mlflow_has_what_the_records_say(jobs, desk, in_mlflow):
    variables = {MLFLOW: str(desk.mlflow)}
    desk.run("-m", "orca", "-t", "satellite", *SOURCE, *jobs, **variables)
    desk.run("-m", "moody", "-s", "mine", "--seeds", "0-1", *jobs, expect=1, **variables)
    desk.run("-m", "shy", "-t", "satellite", *jobs, **variables)
    records, runs = desk.records(), in_mlflow()
    assert sorted(run.data.tags["pare_bench.run_id"] for run in runs) == sorted(records)
    assert len(runs) == 6
    for run in runs:
        record = records[run.data.tags["pare_bench.run_id"]]
        config, tags, params = record.config, run.data.tags, run.data.params
        assert run.info.status == {"ok": "FINISHED", "skipped": "FINISHED", "failed": "FAILED"}[record.status]
        assert run.info.run_name == f"{config.method.name} {config.task.name} seed {config.seed} (generated)"
        assert tags["pare_bench.tier"] == params["tier"] == "generated"
        assert [tags[f"pare_bench.{name}"] for name in ("suite", "task", "method", "status")] == [
            record.suite, record.task.name, record.method.name, record.status,
        ]  # fmt: skip
        assert (params["recipe.learning_rate"], params["method"]) == (str(config.recipe.learning_rate), config.method.name)
        assert "selector" not in params
        if record.status != "ok":
            assert tags["pare_bench.reason"] == record.reason
            assert record.reason in tags["mlflow.note.content"]
        for metric in record.metrics:
            assert run.data.metrics[f"test/{metric.name}"] == metric.value
        assert ("test/floor" in run.data.metrics) == (record.status == "ok")
        assert {name: run.curves[name] for name in curves_of(record)} == curves_of(record)
    (orca,) = [run for run in runs if run.data.tags["pare_bench.method"] == "orca"]
    assert orca.data.params["method.align_epochs"] == "2"
    assert (orca.data.params["backbone"], orca.data.params["aligner"]) == ("nano_text", "otdd_gaussian")
    assert [step for step, _ in orca.curves["align/rate"]] == [1, 2]
    assert "align/validation" not in orca.curves
    (raised,) = [run for run in runs if run.data.tags.get("pare_bench.reason") == "RuntimeError: no idea"]
    assert (raised.curves["train/loss"], raised.curves["train/validation"], raised.curves["train/rate"]) == ([(1, 0.5)], [(1, 0.25)], [(1, 0.125)])


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")], ids=["local", "processes"])
def test_tensorboard_has_what_the_records_say(jobs, desk):
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.hparams import api_pb2

    variables = {TENSORBOARD: str(desk.tensorboard)}
    desk.run("-m", "orca", "-t", "satellite", *SOURCE, *jobs, **variables)
    desk.run("-m", "moody", "-s", "mine", "--seeds", "0-1", *jobs, expect=1, **variables)
    desk.run("-m", "shy", "-t", "satellite", *jobs, **variables)
    found, records = read_tensorboard(desk.tensorboard), desk.records()
    places = {
        f"{record.suite}/{record.task.name}/generated/{record.method.name}-seed{record.seed}-{run_id}": record for run_id, record in records.items()
    }
    assert sorted(found) == sorted(places)
    for place, record in places.items():
        run = found[place]
        assert run["status"] == (api_pb2.STATUS_FAILURE if record.status == "failed" else api_pb2.STATUS_SUCCESS)
        assert run["settings"]["recipe.learning_rate"] == record.config.recipe.learning_rate
        assert (run["settings"]["tier"], run["settings"]["run_id"]) == ("generated", record.run_id)
        assert f"- status: {record.status}\n" in run["texts"]["outcome"]
        assert record.reason is None or record.reason in run["texts"]["outcome"]
        # Event files hold single precision.
        for name, points in curves_of(record).items():
            assert run["curves"][name] == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]
        for metric in record.metrics:
            assert run["curves"][f"test/{metric.name}"] == [(0, pytest.approx(metric.value, rel=1e-6))]
    (raised,) = [found[place] for place, record in places.items() if record.reason == "RuntimeError: no idea"]
    assert (raised["curves"]["train/loss"], raised["curves"]["train/rate"]) == ([(1, 0.5)], [(1, 0.125)])


@pytest.mark.slow
def test_two_processes_make_one_file_at_once(desk):
    """Seen: both found no tables and made them, and one of them gave up on "duplicate column name: step"."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    variables = {MLFLOW: str(desk.mlflow), TENSORBOARD: str(desk.tensorboard)}
    both = [
        desk.start("-m", "moody", "-t", "satellite", *words, out=desk.folder / name, **variables)
        for name, words in (("a", ()), ("b", ("--jobs", "2")))
    ]
    for process in both:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert "go on without" not in err
    # The same run for two people: neither writes into the other's.
    runs = read_mlflow(desk.mlflow)
    assert [(run.info.status, run.curves["train/loss"]) for run in runs] == [("FINISHED", [(1, 0.5), (2, 0.25)])] * 2


@pytest.mark.slow
def test_what_a_crash_leaves_can_be_read_and_goes_on(desk, in_mlflow):
    """Killed in the middle of a run: the first epoch is there, and the same command brings the second into the same run."""
    variables = {MLFLOW: str(desk.mlflow), TENSORBOARD: str(desk.tensorboard)}
    words = ("-m", "moody", "-t", "satellite", "--seeds", "4")
    process = desk.start(*words, **variables)
    desk.wait_for("hangs")
    process.kill()
    process.communicate(timeout=60)
    (left,) = in_mlflow()
    assert (left.info.status, left.curves["train/loss"]) == ("RUNNING", [(1, 0.5)])
    ((place, events),) = read_tensorboard(desk.tensorboard).items()
    assert (events["status"], events["curves"]["train/loss"]) == (None, [(1, 0.5)])
    # As where the machine went down while an event was written.
    (file,) = (desk.tensorboard / place).iterdir()
    with file.open("ab") as torn:
        torn.write(b"\x18\x00\x00")
    desk.run(*words, **variables)
    (again,) = in_mlflow()
    assert again.info.run_id == left.info.run_id
    assert (again.info.status, again.curves["train/loss"]) == ("FINISHED", [(1, 0.5), (2, 0.25)])
    ((same, events),) = read_tensorboard(desk.tensorboard).items()
    assert (same, events["status"], events["curves"]["train/loss"]) == (place, 1, [(1, 0.5), (2, 0.25)])
    assert len(list((desk.tensorboard / place).iterdir())) == 2
    # A run that has an end is another one when it is done again.
    shutil.rmtree(desk.out)
    desk.run(*words, **variables)
    assert [run.info.status for run in in_mlflow()] == ["FINISHED", "FINISHED"]
    assert sorted(read_tensorboard(desk.tensorboard)) == [place, f"{place}-2"]


@pytest.mark.slow
def test_lost_workers(desk, in_mlflow):
    """One whose second try succeeds, and one that dies twice, which the process that asked writes down as failed."""
    variables = {MLFLOW: str(desk.mlflow), TENSORBOARD: str(desk.tensorboard)}
    desk.run("-m", "moody", "-t", "satellite", "--seeds", "2-3", "--jobs", "2", expect=1, **variables)
    records = {record.seed: record for record in desk.records().values()}
    runs = {int(run.data.tags["pare_bench.seed"]): run for run in in_mlflow()}
    assert (runs[2].info.status, runs[2].curves["train/loss"]) == ("FINISHED", [(1, 0.5), (2, 0.25)])
    assert (runs[3].info.status, runs[3].curves["train/loss"]) == ("FAILED", [(1, 0.5)])
    assert runs[3].data.tags["pare_bench.reason"] == records[3].reason
    assert "its worker is lost" in records[3].reason
    found = {place.rpartition("seed")[2][0]: events for place, events in read_tensorboard(desk.tensorboard).items()}
    assert [(found[seed]["status"], found[seed]["curves"]["train/loss"]) for seed in "23"] == [(1, [(1, 0.5), (2, 0.25)]), (2, [(1, 0.5)])]
    assert records[3].reason in found["3"]["texts"]["outcome"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGINT") or sys.platform == "win32", reason="Ctrl-C is a signal of POSIX here")
def test_ctrl_c_says_that_nobody_works_on_it(desk, in_mlflow):
    process = desk.start("-m", "moody", "-t", "satellite", "--seeds", "4", **{MLFLOW: str(desk.mlflow)})
    desk.wait_for("hangs")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    (left,) = in_mlflow()
    assert (left.info.status, left.curves["train/loss"]) == ("KILLED", [(1, 0.5)])
    desk.run("-m", "moody", "-t", "satellite", "--seeds", "4", **{MLFLOW: str(desk.mlflow)})
    assert [(run.info.run_id, run.info.status) for run in in_mlflow()] == [(left.info.run_id, "FINISHED")]


def torn(desk):
    (desk.folder / "text").write_text("no database at all, but longer than its header would be: " + "x" * 200)
    return {MLFLOW: str(desk.folder / "text"), TENSORBOARD: str(desk.folder / "text" / "below")}


#: what is wrong -> the variables, and what is said of each
CANNOT_BE = {
    "a file that is something else": (torn, ("file is not a database", "Not a directory")),
    "an address": (
        lambda desk: {MLFLOW: "http://127.0.0.1:5000", TENSORBOARD: "s3://bucket/runs"},
        ("takes a path on this machine, no address", "takes a path on this machine, no address"),
    ),
    "no package": (
        lambda desk: {MLFLOW: "a", TENSORBOARD: "b", **without(desk)},
        ("pare-bench-tracking[mlflow]", "pare-bench-tracking[tensorboard]"),
    ),
}


def without(desk):
    """Variables of a process in which neither package is installed."""
    hidden = desk.folder / "hidden"
    hidden.mkdir()
    for name in ("mlflow", "tensorboard"):
        (hidden / f"{name}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{name}'\")\n")
    return {"PYTHONPATH": os.pathsep.join([str(hidden), desk.environment["PYTHONPATH"]])}


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [(), ("--jobs", "1")], ids=["local", "processes"])
@pytest.mark.parametrize("wrong", CANNOT_BE)
def test_a_store_that_cannot_be_used_is_one_line_and_no_failed_run(wrong, jobs, desk):
    pytest.importorskip("mlflow")
    pytest.importorskip("tensorboard")
    variables, said = CANNOT_BE[wrong]
    err = desk.run("-m", "moody", "-t", "satellite", "-t", "ecg", *jobs, **variables(desk))
    assert [record.status for record in desk.records().values()] == ["ok", "ok"]
    for variable, words in zip((MLFLOW, TENSORBOARD), said, strict=True):
        (line,) = [line for line in err.splitlines() if variable in line]
        assert words in line
        assert line.endswith("; runs go on without")
    assert "Traceback" not in err
    assert "failed in" not in err


@pytest.mark.slow
def test_nothing_is_asked_of_the_network_and_no_score_moves(desk, in_mlflow):
    """MLflow would tell its makers of each use."""
    words = ("-m", "full_finetune", "-t", "satellite")
    desk.run(*words, out=desk.folder / "plain")
    guard = socket_guard.guarded(desk.folder)
    path = os.pathsep.join([guard.pop("PYTHONPATH"), desk.environment["PYTHONPATH"]])
    desk.run(*words, **{**guard, "PYTHONPATH": path, MLFLOW: str(desk.mlflow), TENSORBOARD: str(desk.tensorboard)})
    assert socket_guard.attempts(desk.folder, "loopback", "outside") == []
    ((plain,), (tracked,)) = (list(desk.records(out).values()) for out in (desk.folder / "plain", desk.out))
    assert (plain.run_id, plain.metrics, plain.predictions_sha256) == (tracked.run_id, tracked.metrics, tracked.predictions_sha256)
    assert [run.info.status for run in in_mlflow()] == ["FINISHED"]


@pytest.mark.slow
def test_runs_are_filed_under_the_experiment_that_is_named(desk, in_mlflow):
    desk.run("-m", "constant", "-t", "satellite", **{MLFLOW: str(desk.mlflow), "PARE_BENCH_TRACKING_EXPERIMENT": "winter"})
    assert in_mlflow() == []
    assert len(in_mlflow(experiment="winter")) == 1
