"""Many processes, one folder: every record is there, on file systems with and without ``flock``."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

WITHOUT_FLOCK = """
import errno, fcntl
def flock(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
"""


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("flock", ["there", "none"])
def test_processes_save_all_their_records_in_one_folder(tmp_path, flock, pare_bench):
    """The long form has eight processes of 200 records each: ``PARE_BENCH_PROOFS=long`` (docs/proofs.md)."""
    count, each = (8, 200) if os.environ.get("PARE_BENCH_PROOFS") == "long" else (3, 12)
    tiny = ("--tier", "generated", "--preset", "smoke", "--out", str(tmp_path))
    assert pare_bench("run", "--method", "constant", "--task", "satellite", *tiny)[0] == 0  # the data are made once
    code = (WITHOUT_FLOCK if flock == "none" else "") + "import sys; from pare_bench.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = []
    for number in range(count):
        seeds = f"{number * each}-{(number + 1) * each - 1}"
        words = ("run", "--method", "constant", "--task", "satellite", *tiny, "--seeds", seeds, "--format", "json")
        processes.append(subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment))
    told = [process.communicate(timeout=3000)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * count, told
    assert not [err for err in told if "Traceback" in err or "warning" in err]
    code, out, _ = pare_bench("leaderboard", "validate", str(tmp_path), "--format", "json")
    assert (code, json.loads(out)["checked"], json.loads(out)["problems"]) == (0, count * each, [])
    board = json.loads((tmp_path / "leaderboard.json").read_text())
    assert board["divisions"][0]["methods"]["constant"]["tasks"]["satellite"]["n"] == count * each
    left = {path.name for path in tmp_path.iterdir()} - {"records", "predictions", "leaderboard.json", ".leaderboard.lock"}
    assert not left
