"""Runs go to event files of TensorBoard's below the folder that ``PARE_BENCH_TRACKING_TENSORBOARD`` names."""

from pare_bench import hookimpl

from pare_bench_tracking.guard import Guard

_guard = Guard("PARE_BENCH_TRACKING_TENSORBOARD", "pare_bench_tracking.tensorboard_files", "pare-bench-tracking[tensorboard]")


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
