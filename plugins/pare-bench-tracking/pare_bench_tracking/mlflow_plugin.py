"""Runs go to an SQLite file of MLflow's where ``PARE_BENCH_TRACKING_MLFLOW`` names one."""

from pare_bench import hookimpl

from pare_bench_tracking.guard import Guard

_guard = Guard("PARE_BENCH_TRACKING_MLFLOW", "pare_bench_tracking.mlflow_store", "pare-bench-tracking[mlflow]")


@hookimpl
def pare_bench_run_started(config, run_id):
    """Open the run."""
    _guard.call("started", run_id, config)


@hookimpl
def pare_bench_epoch(run_id, stage, epoch, loss, score, rate):
    """Write an epoch."""
    _guard.call("epoch", run_id, stage, epoch, loss, score, rate)


@hookimpl
def pare_bench_run_finished(record):
    """Write scores and status, and close the run."""
    _guard.call("finished", record.run_id, record)
