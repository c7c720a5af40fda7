"""Runs in an SQLite file of MLflow's, without a server; several processes may write into one file at once."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sqlite3
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

# Before MLflow is imported: it would tell its makers what it is used for.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from pare_bench_tracking import told

#: What runs are filed under, where ``PARE_BENCH_TRACKING_EXPERIMENT`` names nothing else.
EXPERIMENT = "pare-bench"
#: Seconds in which another process may hold the file.
PATIENCE = 20.0
#: Points that MLflow takes at a time.
_MOST = 500
_STATUS = {"ok": "FINISHED", "skipped": "FINISHED", "failed": "FAILED"}
_UNENDED = ("RUNNING", "KILLED")


class Store:
    """An SQLite file; a run of pare-bench is a run of MLflow, which is taken up again where its process has died or was interrupted."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            OSError: it cannot be written, or is something else.
            MlflowException: it is a file of another version of MLflow's.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        _try(path)
        # Its and alembic's notes on how they make tables are no news to who trains.
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        # MLflow looks for its tables and makes them step by step: two processes that did so at once left one of them without.
        with FileLock(f"{path}.lock"):
            self._client = MlflowClient(tracking_uri=f"sqlite:///{path}")
            self._client.search_experiments(max_results=1)
        self._artifacts = path.with_name(f"{path.name}-artifacts").as_uri()
        #: MLflow's ids of the runs that are open here, and the epochs that are written of each, by pare-bench's run id.
        self._open: dict[str, str] = {}
        self._written: dict[str, set[tuple[str, int]]] = {}
        atexit.register(self._leave)

    def started(self, run_id: str, config: Any) -> None:
        """Begin a run, or go on with the one that a process has left behind."""
        self._begin(run_id, config, time.time())

    def epoch(self, run_id: str, stage: str, epoch: int, loss: float, score: float | None, rate: float) -> None:
        """Write an epoch, unless it is written."""
        self._points(run_id, [(stage, epoch, told.point(stage, loss, score, rate))])

    def finished(self, run_id: str, record: Any) -> None:
        """Write what is missing, scores, outcome and status."""
        if run_id not in self._open:
            self._begin(run_id, record.config, datetime.fromisoformat(record.started).timestamp())
        self._points(run_id, told.curve(record))
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in told.results(record).items()]
        tags = {f"pare_bench.{name}": text for name, text in told.outcome(record).items()}
        if record.reason is not None:
            tags["mlflow.note.content"] = told.cut(f"{record.status}: {record.reason}")
        self._client.log_batch(self._open[run_id], metrics=metrics, tags=[RunTag(*each) for each in tags.items()])
        self._client.set_terminated(self._open.pop(run_id), status=_STATUS[record.status])
        self._written.pop(run_id)

    def _begin(self, run_id: str, config: Any, began: float) -> None:
        experiment = self._experiment()
        found = self._left_behind(experiment, run_id)
        if found is None:
            words = {f"pare_bench.{name}": text for name, text in told.words(config).items()}
            tags = {**words, "pare_bench.run_id": run_id, "pare_bench.process": _process()}
            found = self._client.create_run(experiment, start_time=int(began * 1000), tags=tags, run_name=told.title(config))
            params = [Param(name, str(value)) for name, value in told.settings(config).items()]
            for start in range(0, len(params), 100):
                self._client.log_batch(found.info.run_id, params=params[start : start + 100])
            written = set()
        else:
            self._client.set_tag(found.info.run_id, "pare_bench.process", _process())
            self._client.update_run(found.info.run_id, status="RUNNING")
            written = {
                (name.removesuffix("/loss"), point.step)
                for name in found.data.metrics
                if name.endswith("/loss")
                for point in self._client.get_metric_history(found.info.run_id, name)
            }
        self._open[run_id], self._written[run_id] = found.info.run_id, written

    def _experiment(self) -> str:
        name = os.environ.get("PARE_BENCH_TRACKING_EXPERIMENT", "").strip() or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found is None:
            with suppress(MlflowException):  # another process has made it in between
                return self._client.create_experiment(name, artifact_location=self._artifacts)
            found = self._client.get_experiment_by_name(name)
        return found.experiment_id

    def _left_behind(self, experiment: str, run_id: str) -> Run | None:
        """Return the newest run of MLflow's that stands for ``run_id`` and has no end, unless its process is still at work."""
        runs = self._client.search_runs([experiment], f"tags.`pare_bench.run_id` = '{run_id}'", order_by=["attributes.start_time DESC"])
        return next((run for run in runs if run.info.status in _UNENDED and not _at_work(run.data.tags.get("pare_bench.process", ""))), None)

    def _points(self, run_id: str, points: Any) -> None:
        written, now = self._written[run_id], int(time.time() * 1000)
        new = [(stage, epoch, values) for stage, epoch, values in points if (stage, epoch) not in written]
        metrics = [Metric(name, value, now, epoch) for _, epoch, values in new for name, value in values.items()]
        for start in range(0, len(metrics), _MOST):
            self._client.log_batch(self._open[run_id], metrics=metrics[start : start + _MOST])
        written.update((stage, epoch) for stage, epoch, _ in new)

    def _leave(self) -> None:
        """Say of runs that this process leaves behind, when it is interrupted, that nobody works on them."""
        for each in self._open.values():
            with suppress(Exception):
                self._client.set_terminated(each, status="KILLED")


def _try(path: Path) -> None:
    """Write to the file once: MLflow tries a file that it cannot use for a minute and a half."""
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("CREATE TABLE pare_bench_tries (x)")
            database.rollback()
    except sqlite3.Error as error:
        raise OSError(f"cannot be used as an SQLite file: {error}") from error


def _process() -> str:
    return f"{socket.gethostname()} {os.getpid()} {psutil.Process().create_time():.2f}"


def _at_work(process: str) -> bool:
    """Return whether another process is known to be at work; one on another machine is not."""
    host, _, rest = process.partition(" ")
    number, _, began = rest.partition(" ")
    if host != socket.gethostname() or not number.isdigit() or int(number) == os.getpid():
        return False
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" == began
    except psutil.Error:
        return False
