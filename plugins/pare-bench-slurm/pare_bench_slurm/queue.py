"""Where jobs go: a Slurm cluster, or processes of this machine that behave like one."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import submitit
from pare_bench.errors import EnvironmentFault
from submitit.core.utils import FailedJobError, FailedSubmissionError

if TYPE_CHECKING:
    from pare_bench_slurm.executor import Slurm

#: Programs of Slurm that are called, by submitit or here.
_PROGRAMS = ("sbatch", "srun", "scancel", "sacct")
#: Asks for no job in particular: a cluster without accounting refuses.
_ACCOUNTS = ("sacct", "-X", "-n", "-o", "JobID", "-S", "now")
#: Seconds between two questions about all jobs.
ASK = 60.0
#: Seconds that jobs of this machine have to end.
_ENDS = 15.0
#: Identifiers of one call of scancel.
_AT_ONCE = 200
_NAME = "pare-bench"


class _SlurmAnywhere(submitit.SlurmExecutor):
    """Can say what it would submit where there is no Slurm."""

    @classmethod
    def affinity(cls) -> int:
        """Return that it is there: submitit asks."""
        return 2


class Queue:
    """Submits jobs, asks for them and cancels them."""

    def __init__(self, params: Slurm.Params, out: Path) -> None:
        self.params, self.folder = params, out / "slurm"
        self._asked = time.monotonic()

    def check(self) -> None:
        """Check that there is a Slurm to submit to, and one that will say what has become of a job.

        Raises:
            EnvironmentFault: there is none, or it keeps no accounts.
        """
        if self.params.cluster == "local":
            return
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if missing:
            raise EnvironmentFault(
                f"no '{missing[0]}' on PATH: this machine does not submit to a Slurm cluster",
                hint="call it on a login node; --dry-run shows the script anywhere; to try it here: -o executor.cluster=local",
            )
        done = subprocess.run(_ACCOUNTS, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - a constant
        if done.returncode:
            said = (done.stderr.strip() or "it says nothing").splitlines()[0]
            raise EnvironmentFault(f"sacct fails, so that a lost job would be waited for: {said}", hint="sacct -X -S now; ask who runs the cluster")

    def submit(self, jobs: Sequence[Any]) -> list[submitit.Job[Any]]:
        """Submit callables, several as one array.

        Raises:
            EnvironmentFault: they are refused, or their folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            executor = self._executor()
            with executor.batch():
                found = [executor.submit(job) for job in jobs]
        except (FailedJobError, FailedSubmissionError) as error:
            said = (str(error).strip() or "it says nothing").splitlines()[-1]
            raise EnvironmentFault(f"sbatch refuses the jobs: {said}", hint="the same command with --dry-run shows the script; sinfo -s") from error
        except OSError as error:
            raise EnvironmentFault(
                f"cannot submit from '{self.folder}': {error.strerror or error}", hint="choose a shared, writable --out DIR"
            ) from error
        return found

    def script(self, count: int) -> str:
        """Return what sbatch would be given for so many jobs."""
        executor = _SlurmAnywhere(self._folder, max_num_timeout=self.params.requeues, python=self.params.python)
        executor.update_parameters(**self._parameters())
        if count > 1:
            executor.parameters["map_count"] = count
        return executor._make_submission_file_text(executor._submitit_command_str, "")

    def ended(self, jobs: Sequence[submitit.Job[Any]]) -> list[submitit.Job[Any]]:
        """Return the jobs that have ended, with a result or without."""
        if jobs and self.params.cluster == "slurm" and time.monotonic() - self._asked > ASK:
            # Of its own accord submitit asks less and less often; one answer is about all.
            self._asked = time.monotonic()
            jobs[0].get_info(mode="force")
        return [job for job in jobs if job.done()]

    def cancel(self, jobs: Sequence[submitit.Job[Any]]) -> None:
        """Take jobs out of the queue, and end those that run."""
        if self.params.cluster == "slurm":
            ids = [job.job_id for job in jobs]
            for start in range(0, len(ids), _AT_ONCE):
                with suppress(OSError, subprocess.TimeoutExpired):
                    words = ["scancel", *ids[start : start + _AT_ONCE]]
                    subprocess.run(words, capture_output=True, timeout=60, check=False)  # noqa: S603 - identifiers that sbatch gave
            return
        for job in jobs:
            job.cancel(check=False)
        deadline = time.monotonic() + _ENDS
        while time.monotonic() < deadline and not all(job.done() for job in jobs):
            time.sleep(0.1)

    def forget(self, *jobs: submitit.Job[Any]) -> None:
        """Remove the files of jobs that nobody needs: the record says the rest."""
        for job in jobs:
            shutil.rmtree(job.paths.folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what is left of submissions whose jobs are all forgotten."""
        if not any(self.folder.glob("*/*_submitted.pkl")):
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _folder(self) -> str:
        return str(self.folder / "%j")

    def _executor(self) -> submitit.SlurmExecutor | submitit.LocalExecutor:
        kind = submitit.SlurmExecutor if self.params.cluster == "slurm" else submitit.LocalExecutor
        executor = kind(self._folder, max_num_timeout=self.params.requeues, python=self.params.python)
        executor.update_parameters(**self._parameters())
        return executor

    def _parameters(self) -> dict[str, Any]:
        asked = self.params
        if asked.cluster == "local":
            return {"timeout_min": asked.time, "signal_delay_s": asked.signal_delay, "setup": list(asked.setup)}
        named = {name: value for name in ("partition", "account", "qos", "constraint", "gres") if (value := getattr(asked, name)) is not None}
        memory = {} if asked.memory is None else {"mem": f"{math.ceil(asked.memory * 1024)}MB"}
        return {
            "job_name": _NAME,
            "time": math.ceil(asked.time),
            "cpus_per_task": asked.cpus,
            "signal_delay_s": asked.signal_delay,
            "array_parallelism": asked.jobs or asked.array,
            "additional_parameters": asked.extra or None,
            "setup": list(asked.setup) or None,
            **named,
            **memory,
        }
